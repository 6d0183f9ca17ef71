package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ptr(v float64) *float64 { return &v }

// rolling is a deployment at the second step of four.
func rolling() adg.Deployment {
	watch := func(name string, v adg.Verdict, value, limit *float64, text string) adg.Watch {
		return adg.Watch{Check: name, Last: adg.Judgement{Check: name, Verdict: v, Value: value, Limit: limit, Text: text}}
	}
	return adg.Deployment{ID: "shop-v2-x", Spec: adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Policy: adg.Policy{Service: "shop", Environment: "production",
			Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Minute}, {Share: 25, Bake: 4 * time.Minute}, {Share: 50, Bake: time.Minute}, {Share: 100, Bake: time.Minute}}},
			Verify:   []adg.Phase{{Name: "immediate", For: 15 * time.Minute}},
			Checks:   []adg.Check{{Name: "error-rate", Unit: adg.Share}, {Name: "latency", Unit: "s"}},
		},
	}, Status: adg.Status{
		State: adg.Rolling, Step: 1, Reached: true, Good: time.Minute, Health: adg.Degraded, Score: 72, Entered: noon.Add(-3 * time.Minute),
		Checks: []adg.Watch{
			watch("error-rate", adg.Pass, ptr(0.012), ptr(0.1), "the latest value is 1.2 % (5 samples); limit 10 %"),
			watch("latency", adg.Warn, ptr(0.31), ptr(0.3), "the latest value is 310 ms; limit 300 ms"),
			watch("a-check-with-a-very-long-name", adg.Fail, ptr(2.5e9), ptr(1e6), "much \x1b[31mtoo\nmuch"),
			watch("silent", adg.Unknown, nil, nil, "the source did not answer"),
		},
	}}
}

func ticked(d adg.Deployment, value *float64, facts ...adg.Fact) adg.Tick {
	return adg.Tick{
		Decision: adg.Decision{At: noon, From: d.Status.State, Next: d.Status, Facts: facts, Reasons: []string{"because"}},
		Input:    adg.Input{Assessment: &adg.Assessment{At: noon, Health: d.Status.Health, Score: d.Status.Score, Text: "latency warns", Judgements: []adg.Judgement{{Check: "error-rate", Verdict: adg.Pass, Value: value, Text: "good"}}}},
	}
}

func started(d adg.Deployment) adg.Fact {
	return adg.Fact{ID: "f1", Kind: adg.FactStarted, At: noon, Service: "shop", Environment: "production", Release: "v2", Deployment: d.ID,
		Text: "shop v2 in production: deployment started by\n\x1b[2Jalice"}
}

func TestThePictureFitsTheTerminal(t *testing.T) {
	held, verifying, ended := rolling(), rolling(), rolling()
	held.Status.State, held.Status.Reasons = adg.Held, []string{"nothing is known about the release for 45 s"}
	verifying.Status.State = adg.Verifying
	ended.Status.State, ended.Status.Reasons = adg.RolledBack, []string{"v1 is live and verified"}
	for name, d := range map[string]adg.Deployment{"rolling": rolling(), "held": held, "verifying": verifying, "ended": ended, "predicted": predicted()} {
		p := picture{values: map[string][]float64{}, hint: hint}
		p.tick(d, ticked(d, ptr(0.01), started(d)))
		p.tick(d, ticked(d, nil))
		last := ticked(d, ptr(0.02))
		last.Input.Assessment.Success = ptr(0.41)
		p.tick(d, last)
		p.at = noon // when it was seen, by this machine's clock
		for _, width := range []int{60, 100, 150} {
			t.Run(fmt.Sprintf("%s at %d columns", name, width), func(t *testing.T) {
				lines := p.lines(noon.Add(2*time.Second), width)
				for _, line := range lines {
					if utf8.RuneCountInString(line) > width || strings.ContainsAny(line, "\x1b\n\r") {
						t.Errorf("not a line of %d columns: %q", width, line)
					}
				}
				golden(t, fmt.Sprintf("%s_%d.txt", name, width), strings.Join(lines, "\n")+"\n")
			})
		}
	}
}

// predicted is a deployment of which success was expected with 93 %.
func predicted() adg.Deployment {
	d := rolling()
	d.Spec.Prediction = &adg.Prediction{Success: 0.93, Low: 0.8, High: 0.97, Base: 0.96}
	return d
}

// believed is a tick after which success is expected with a probability.
func believed(d adg.Deployment, success float64) adg.Tick {
	tick := ticked(d, ptr(0.01))
	tick.Input.Assessment.Success = &success
	return tick
}

func TestThePictureShowsHowTheExpectationGoes(t *testing.T) {
	d := predicted()
	p := picture{values: map[string][]float64{}}
	show := func(width int) string { return p.lines(noon, width)[3] }
	p.tick(d, ticked(d, nil))
	if got := show(80); got != "success 93 %" {
		t.Errorf("before there is evidence: %q", got)
	}
	for _, success := range []float64{0.94, 0.9, 0.75, 0.6, 0.5, 0.41} {
		p.tick(d, believed(d, success))
	}
	for width, want := range map[int]string{80: "success 93 % → 41 % █▇▆▅▅▄", 24: "success 93 % → 41 % ▆▅▅▄", 20: "success 93 % → 41 %", 19: "success 93 % → 41 %", 12: "success 93 …"} {
		if got := show(width); got != want {
			t.Errorf("at %d columns: %q, want %q", width, got, want)
		}
	}
	d.Status.State = adg.VerifyingRollback
	p.tick(d, believed(d, 0.99))
	if got := show(80); !strings.Contains(got, "93 % → 41 % ") {
		t.Errorf("while the release before it is judged: %q", got)
	}
	d.Status.State = adg.Rolling
	for range 2 * kept {
		p.tick(d, believed(d, 0.0001))
	}
	for _, none := range []float64{math.NaN(), math.Inf(1), -1, 1.5} {
		p.tick(d, believed(d, none))
	}
	if got, want := show(80), "success 93 % → <1 % "+strings.Repeat("▁", kept); got != want {
		t.Errorf("after long: %q, want %q", got, want)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("not as in %s (-want +got); if it is right, run with -update:\n%s", path, diff)
	}
}

func TestThePictureStandsEveryStateBeforeAndAfterItsSteps(t *testing.T) {
	for _, state := range adg.States() {
		for _, step := range []int{0, 3} {
			d := rolling()
			d.Status.State, d.Status.Step, d.Status.Phase, d.Spec.LastGood = state, step, step, nil
			p := picture{values: map[string][]float64{}}
			for range 2 * kept {
				p.tick(d, ticked(d, ptr(math.MaxFloat64), started(d)))
			}
			if n := len(p.lines(noon, 80)); n > 30 || len(p.facts) != recent || len(p.values["error-rate"]) != kept {
				t.Errorf("%s, step %d: %d lines, %d facts", state, step, n, len(p.facts))
			}
		}
	}
	empty := picture{}
	if got := empty.lines(noon, 80); len(got) != 1 {
		t.Errorf("before the first tick: %q", got)
	}
}

func TestColourIsNeverTheOnlySign(t *testing.T) {
	d := predicted()
	plain := picture{values: map[string][]float64{}}
	plain.tick(d, believed(d, 0.41))
	coloured := plain
	coloured.colour = true
	with := strings.Join(coloured.lines(noon, 100), "\n")
	for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"} {
		with = strings.ReplaceAll(with, code, "")
	}
	if without := strings.Join(plain.lines(noon, 100), "\n"); with != without {
		t.Errorf("more than the colour differs:\n%s", cmp.Diff(without, with))
	}
}

func TestLinesSayWhatHappenedAndAreQuietOtherwise(t *testing.T) {
	var out bytes.Buffer
	v := &lineView{out: &out, after: reported("")}
	d := rolling()
	v.Tick(d, ticked(d, ptr(1), started(d)))
	after := func(seconds int) {
		tick := ticked(d, ptr(1))
		tick.Decision.At = noon.Add(time.Duration(seconds) * time.Second)
		v.Tick(d, tick)
	}
	after(1)
	after(29)
	after(30)
	v.Say("a \x1b[2Jword")
	d.Status.State, d.Status.Reasons = adg.RolledBack, []string{"v1 is live", "and verified"}
	v.Close(d, errors.New("said elsewhere"))
	v.Close(d, nil)
	want := `12:00:00  Started: deployment started by ·[2Jalice
12:00:00  step 2 of 4 (25 %), degraded, score 72: latency warns
12:00:30  step 2 of 4 (25 %), degraded, score 72: latency warns
a ·[2Jword
shop v2 in production: rolled back (v1 is live; and verified)
`
	if got := out.String(); !strings.HasPrefix(got, want) || !strings.Contains(got[len(want):], "adg report shop-v2-x") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLinesSayWhenTheExpectationGoesToAnotherTenth(t *testing.T) {
	d := predicted()
	var out bytes.Buffer
	v := &lineView{out: &out, quiet: noon}
	for _, success := range []float64{0.94, 0.91, 0.889, 0.91, 0.87, 0.901, 0.889, 0.31, 0.28, 0.299, 0.3, 0.279, 0.999, 1} {
		v.Tick(d, believed(d, success))
	}
	want := ""
	for _, now := range []string{"87 %", "31 %", "28 %", ">99 %"} {
		want += "12:00:00  success is expected with " + now + " now, 93 % before the first step\n"
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	out.Reset()
	silent := &lineView{out: &out, quiet: noon}
	silent.Tick(rolling(), believed(rolling(), 0.1))
	d.Status.State = adg.VerifyingRollback
	silent.Tick(d, believed(d, 0.1))
	if out.Len() > 0 {
		t.Errorf("without a prediction, and when the release was taken back: %q", out.String())
	}
}

func TestEventsCarryThePredictionAndWhatBecameOfIt(t *testing.T) {
	var out bytes.Buffer
	v := &jsonView{out: &out, err: &out}
	back := predicted()
	back.Status.State = adg.VerifyingRollback
	v.Tick(predicted(), believed(predicted(), 0.41))
	v.Tick(predicted(), ticked(predicted(), nil))
	v.Tick(predicted(), believed(predicted(), math.NaN()))
	v.Tick(back, believed(back, 0.99))
	v.Tick(rolling(), ticked(rolling(), nil))
	var got []string
	for line := range strings.Lines(out.String()) {
		var event struct{ Predicted, Success *float64 }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got = append(got, number(event.Predicted)+" "+number(event.Success))
	}
	if diff := cmp.Diff([]string{"0.93 0.41", "0.93 –", "0.93 –", "0.93 –", "– –"}, got); diff != "" {
		t.Errorf("predicted and expected (-want +got):\n%s", diff)
	}
}

func TestEachEventIsOneLineOfJSON(t *testing.T) {
	var out, errOut bytes.Buffer
	v := &jsonView{out: &out, err: &errOut}
	d := rolling()
	v.Tick(d, ticked(d, ptr(math.NaN()), started(d)))
	v.Tick(d, adg.Tick{Decision: adg.Decision{At: noon}})
	v.Say("a \x1b[2Jword")
	v.Close(d, errors.New("said elsewhere"))
	v.Close(d, ErrLeft)
	d.Status.State = adg.RollbackFailed
	v.Close(d, nil)
	var kinds []string
	for line := range strings.Lines(out.String()) {
		var event struct {
			Kind, State string
			Exit        int
			Fact        adg.Fact
			Checks      []struct{ Value *float64 }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		said := event.Kind
		switch event.Kind {
		case "end":
			said = fmt.Sprintf("end %s %d", event.State, event.Exit)
		case "fact":
			said = "fact " + event.Fact.ID
		case "tick":
			for _, c := range event.Checks {
				if c.Value != nil {
					t.Errorf("NaN became %v", *c.Value)
				}
			}
		}
		kinds = append(kinds, said)
	}
	if diff := cmp.Diff([]string{"tick", "fact f1", "tick", "end rolling 6", "end rollback_failed 5"}, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if errOut.String() != "a ·[2Jword\n" {
		t.Errorf("said %q", errOut.String())
	}
}
