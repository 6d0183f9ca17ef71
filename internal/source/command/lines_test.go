package command

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func asLines(o *Options) { o.As = "lines" }

func TestLinesComeWithTheirTimesAndReplicas(t *testing.T) {
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		name, text string
		want       []adg.LogLine
	}{
		{"as docker logs -t", "echo '2026-11-20T09:59:30.5Z ERROR x'", []adg.LogLine{{At: at(-30).Add(500 * time.Millisecond), Text: "ERROR x"}}},
		{"as kubectl logs --prefix --timestamps", "echo '[pod/a/shop] 2026-11-20T09:59:30Z ERROR x'", []adg.LogLine{{At: at(-30), Replica: "pod/a/shop", Text: "ERROR x"}}},
		{"as journalctl -o short-iso", "echo '2026-11-20T10:59:30+0100 ERROR x'", []adg.LogLine{{At: at(-30), Text: "ERROR x"}}},
		{"as journalctl -o json", `echo '{"__REALTIME_TIMESTAMP":"1795168770000000","_HOSTNAME":"a","PRIORITY":"3","MESSAGE":"x"}'`,
			[]adg.LogLine{{At: at(-30), Replica: "a", Text: "[ERROR] x"}}},
		{"as journalctl -o json writes what has colours", `echo '{"__REALTIME_TIMESTAMP":"1795168770000000","_HOSTNAME":"a","MESSAGE":[27,91,51,49,109,69,82,82]}'`,
			[]adg.LogLine{{At: at(-30), Replica: "a", Text: "\x1b[31mERR"}}},
		{"a line without a time goes on the one before", "printf '2026-11-20T09:59:30Z panic: x\\n\\tat main.go\\n'",
			[]adg.LogLine{{At: at(-30), Text: "panic: x"}, {At: at(-30), Text: "\tat main.go"}}},
		{"lines out of the window do not count", "printf '2026-11-20T09:58:59Z a\\n2026-11-20T10:00:00Z b\\n'", nil},
		{"nothing", "true", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := adg.AskLines(t.Context(), opened(t, running(t, c.text, asLines)), adg.LinesQuery{Text: "x", At: now, Window: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, answer.Lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOfTooManyLinesTheLatestAreThereAndSinceWhenTheyAreComplete(t *testing.T) {
	text := "for i in 1 2 3 4; do echo 2026-11-20T09:59:3${i}Z ERROR $i; done"
	answer, err := adg.AskLines(t.Context(), opened(t, running(t, text, asLines)), adg.LinesQuery{At: now, Window: time.Minute, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 2 || answer.Lines[0].Text != "ERROR 3" || !answer.Since.After(now.Add(-28*time.Second)) || answer.Since.After(answer.Lines[0].At) {
		t.Errorf("%+v", answer)
	}
}

func TestAProgramThatPrintsNoTimesIsToldHowToPrintThem(t *testing.T) {
	_, err := adg.AskLines(t.Context(), opened(t, running(t, "echo ERROR x", asLines)), adg.LinesQuery{At: now, Window: time.Minute})
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "have no time") {
		t.Error(err)
	}
}

func TestLinesAndValuesAreNotAskedOfEachOther(t *testing.T) {
	if _, err := adg.AskLines(t.Context(), opened(t, running(t, "echo 1", nil)), adg.LinesQuery{At: now, Window: time.Minute}); !adg.IsPermanent(err) {
		t.Error(err)
	}
	if _, err := opened(t, running(t, "echo 1", asLines)).Query(t.Context(), adg.Query{Text: "x", At: now, Window: time.Minute}); !adg.IsPermanent(err) {
		t.Error(err)
	}
}

func TestNoSecretOfTheProgramStaysInALine(t *testing.T) {
	o := running(t, `echo "2026-11-20T09:59:30Z ERROR token $OWN"`, func(o *Options) {
		o.As, o.SecretEnv = "lines", map[string]adg.Secret{"OWN": adg.NewSecret(sourcetest.Canary)}
	})
	answer, err := adg.AskLines(t.Context(), opened(t, o), adg.LinesQuery{At: now, Window: time.Minute})
	if err != nil || len(answer.Lines) != 1 || strings.Contains(answer.Lines[0].Text, sourcetest.Canary) {
		t.Errorf("%+v, %v", answer, err)
	}
}
