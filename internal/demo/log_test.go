package demo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/demo/shop"
)

func TestTheLogOfAVersionIsASourceOfLines(t *testing.T) {
	s := open(t, demo.Options{Fault: shop.Log})
	log := demo.Log{Stage: func() (*demo.Stage, error) { return s, nil }}
	ask := func(version string, limit int) adg.LinesAnswer {
		t.Helper()
		q := adg.LinesQuery{Text: "$version", Vars: map[string]string{"version": version}, At: time.Now(), Window: time.Minute, Limit: limit}
		answer, err := adg.AskLines(t.Context(), log, q)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	apply(t, s, desired(1, demo.Bad, 50))
	served(t, s, demo.Bad, nil, 100)
	eventually(t, "the bad release wrote of a payment that it has given up", func() bool { return has(ask(demo.Bad, 0), "is lost, try 3") })
	if answer := ask(demo.Stable, 0); has(answer, "is lost, try 3") || !has(answer, "is accepted") || answer.Sent != demo.Stable || answer.Lines[0].Replica != demo.Stable {
		t.Errorf("the stable release wrote of lost payments, or of no order: %.300v", answer)
	}
	all, few := ask(demo.Stable, 0), ask(demo.Stable, 3)
	if n := len(few.Lines); n != 3 || !few.Since.After(all.Lines[0].At) || few.Since.After(few.Lines[0].At) {
		t.Errorf("%d lines, complete since %s", n, few.Since)
	}
	if len(all.Lines) < 4 || all.Since.After(all.Lines[0].At) || time.Since(all.Since) > time.Minute {
		t.Errorf("%d lines, complete since %s and not since the release was started", len(all.Lines), all.Since)
	}
	if answer := ask(demo.Good, 0); len(answer.Lines) > 0 {
		t.Errorf("a release that does not run wrote %v", answer.Lines)
	}
	if _, err := log.Query(t.Context(), adg.Query{Text: "v1"}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("asked for a number it gives %v", err)
	}
	if _, err := log.Lines(t.Context(), adg.LinesQuery{Text: "$colour"}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("asked with an unknown variable it gives %v", err)
	}
}

func has(answer adg.LinesAnswer, text string) bool {
	for _, l := range answer.Lines {
		if strings.Contains(l.Text, text) {
			return true
		}
	}
	return false
}
