package guard_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func (s *stage) ForLines(string) bool { return true }

// Lines are those of three replicas, each second.
func (s *stage) Lines(_ context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	if s.lines == nil {
		return adg.LinesAnswer{}, adg.Permanent(adg.Errorf(adg.Invalid, "there are no lines here"))
	}
	version := q.Vars["version"]
	var all []adg.LogLine
	for second := q.At.Add(-q.Window).Unix(); second < q.At.Unix(); second++ {
		for i := range 3 {
			for _, text := range s.lines(version, second) {
				all = append(all, adg.LogLine{At: time.Unix(second, 0), Replica: fmt.Sprintf("%s-%d", version, i), Text: text})
			}
		}
	}
	return adg.LinesAnswer{Lines: all, Sent: q.Text}, nil
}

// watchful is a policy whose numbers say nothing and whose log does.
func watchful() adg.Policy {
	p := policy()
	p.Checks = append(p.Checks, adg.Check{Name: "log", Source: "logs", Query: "shop $version", Compare: adg.Logs, Critical: true, Window: time.Minute})
	return p
}

// quiet is a log in which nothing is wrong but what always was.
func quiet(_ string, second int64) []string {
	lines := []string{fmt.Sprintf("INFO order %d is paid", second)}
	if second%30 == 0 {
		lines = append(lines, fmt.Sprintf("WARN order %d was paid twice", second))
	}
	return lines
}

func TestReleaseWithANewPatternInItsLogIsRolledBackThoughItsNumbersAreFine(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.lines = func(version string, second int64) []string {
			if version == "v2" {
				return append(quiet(version, second), fmt.Sprintf("ERROR payment of order %d is lost, password=hunter2", second))
			}
			return quiet(version, second)
		}
		d := s.start(watchful())
		s.until(d.ID, adg.RolledBack)
		entries, err := s.store.Entries(t.Context(), d.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(entries, func(e adg.Entry) bool { return !e.Decision.Next.Condemned.IsZero() })
		if at < 0 {
			t.Fatal("it was never condemned")
		}
		judged := entries[at].Input.Assessment.Judgements[1]
		if judged.Verdict != adg.Fail || len(judged.Patterns) == 0 {
			t.Fatalf("%+v", judged)
		}
		first := judged.Patterns[0]
		if first.Text != "ERROR payment of order <n> is lost, password=<secret>" || first.Change != adg.LogNew || !first.Decides() {
			t.Errorf("%+v", first)
		}
		seen, err := s.store.Measurements(t.Context(), d.ID, adg.MeasurementFilter{Check: "log", Limit: 1000})
		if err != nil || len(seen) == 0 || seen[0].Log == nil {
			t.Fatalf("%d measurements: %v", len(seen), err)
		}
		if text := fmt.Sprintf("%+v %+v", entries[at], seen); strings.Contains(text, "hunter2") {
			t.Error("a secret of the log is on record")
		}
	})
}

func TestReleaseWhoseLogIsAsItWasIsPromoted(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		s.lines = quiet
		d := s.start(watchful())
		s.until(d.ID, adg.Succeeded)
	})
}

func TestLogThatCannotBeReadPromotesNothingAndRollsNothingBack(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		p := watchful()
		p.Deadline, p.AtDeadline = 30*time.Minute, adg.EndPage
		d := s.start(p)
		s.until(d.ID, adg.Undecided)
		s.wantShares("v2=5 v1=95")
	})
}
