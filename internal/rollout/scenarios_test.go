package rollout_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the timelines of the scenarios as they come out now")

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d scenarios (%v), there are at least 25", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".scenario"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sc, err := parseScenario(file, string(text))
			if err != nil {
				t.Fatal(err)
			}
			w := play(sc)
			if !w.d.Status.State.Ended() {
				t.Errorf("%s: the deployment never ended", sc.title)
			}
			if *update {
				head, _, _ := strings.Cut(string(text), "\ntimeline\n")
				text := strings.TrimRight(head, "\n") + "\n\ntimeline\n" + strings.Join(w.record, "\n") + "\n"
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(sc.timeline, w.record); diff != "" {
				t.Errorf("%s: the timeline differs (- wanted, + came out):\n%s", sc.title, diff)
			}
			for _, s := range sc.says {
				if said := w.said[s.at.String()]; !strings.Contains(strings.Join(said, "\n"), s.text) {
					t.Errorf("%s:%d: at %s nothing said %q; said was:\n  %s", file, s.line, s.at, s.text, strings.Join(said, "\n  "))
				}
			}
		})
	}
}

func TestEveryLawHasAScenario(t *testing.T) {
	for law := 1; law <= 14; law++ {
		files, err := filepath.Glob(fmt.Sprintf("testdata/law%02d_*.scenario", law))
		if err != nil || len(files) == 0 {
			t.Errorf("law %d has no scenario (%v)", law, err)
		}
	}
}

func TestScenarioMistakesAreReportedWithFileAndLine(t *testing.T) {
	for _, row := range []struct{ mistake, text, want string }{
		{"an unknown word", "# t\npolice trust auto", `f:2: unknown word "police": choose one of policy, release, prediction, author, at, timeline`},
		{"an unknown policy", "policy trusty auto", `f:1: unknown policy "trusty"`},
		{"an unknown event", "at 1m weather rain", `f:1: unknown event "weather": choose one of`},
		{"an unknown health", "at 1m health fine", `f:1: unknown health "fine": choose one of`},
		{"no time", "at noon health healthy", `f:1: "noon" is no time like 1m30s`},
		{"time that runs backward", "at 2m newer d-2\nat 1m newer d-3", "f:2: 1m0s is before the line above"},
		{"a step without bake", "policy strategy canary 5%", `f:1: "5%" is no step like 25%/1m`},
		{"steps that do not end at 100 %", "policy strategy canary 5%/1m", "f: strategy canary: the last step is 5 %, it has to be 100"},
		{"two mistakes at once", "x\ny", "f:1: unknown word \"x\": choose one of policy, release, prediction, author, at, timeline\nf:2: unknown word \"y\""},
		{"a command of nobody", "at 1m command promote", "f:1: write: command promote by bob: why"},
		{"no line but a colon", ": why", "f:1: nothing before the colon"},
	} {
		t.Run(row.mistake, func(t *testing.T) {
			if _, err := parseScenario("f", row.text); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want %q in it", err, row.want)
			}
		})
	}
}

func FuzzParseScenario(f *testing.F) {
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("policy verify x 1m every 0s")
	f.Add("policy rule unhealthy for 1m after\nat 1s command approve by :")
	f.Fuzz(func(t *testing.T, text string) {
		sc, err := parseScenario("f", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error does not begin with the place: %v", err)
			}
			return
		}
		if !slices.IsSortedFunc(sc.events, func(a, b event) int { return int(a.at - b.at) }) {
			t.Error("the events are not in order")
		}
	})
}
