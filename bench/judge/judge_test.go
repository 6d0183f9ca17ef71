package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg/bench/judge/measure"
	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
	"github.com/deployguardian/adg/internal/backtest"
)

func TestResultsDoNotDependOnTheNumberOfWorkers(t *testing.T) {
	var results [2][]Cell
	for i, workers := range []int{1, 3} {
		b := small(workers)
		cells, err := b.world(t.Context(), brief())
		if err != nil {
			t.Fatal(err)
		}
		results[i] = cells
	}
	if diff := cmp.Diff(results[0], results[1], cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })); diff != "" {
		t.Error(diff)
	}
}

func TestEmulationsAgreeWithAnIndependentSimulation(t *testing.T) {
	b := small(2)
	b.rules = slices.DeleteFunc(rules.All(), func(r *rules.Rule) bool { return r.Name == ours })
	b.aa, b.traces = 30, 8
	s := setups()[0]
	s.world.Lead = 0
	s.faults, s.tuned = named("errors ×2", "errors ×5", "latency +25 %", "tail: 5 % of requests ×3"), false
	cells, err := b.world(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	compareWithReference(&table, cells)
	if far, of := disagreements(cells); len(far) > 0 || of < 60 {
		t.Errorf("of %d figures %q are outside:\n%s", of, far, table.String())
	}
	for i := range cells {
		if c := &cells[i]; strings.HasPrefix(c.Rule, "Flagger docs") && c.Fault == "errors ×5" {
			c.MedianFound.Value, c.MedianFound.Low, c.MedianFound.High = 300, 300, 300
		}
	}
	if far, _ := disagreements(cells); len(far) != 1 {
		t.Errorf("a rule that is an interval too early was not noticed: %q", far)
	}
}

func TestTunedRulesRollBackAsManyHealthyReleasesAsAllowed(t *testing.T) {
	e := &experience{rules: []*rules.Rule{{
		Name: "limit", Knobs: []rules.Knob{{Name: "limit", Default: 1, Low: 0, High: 1000}},
		Run: func(v *view.View, knobs []float64) rules.Outcome {
			if float64(v.Horizon) > knobs[0] {
				return rules.Outcome{Rollback: 1, Promote: rules.Never}
			}
			return rules.Outcome{Rollback: rules.Never, Promote: 1}
		},
	}, {Name: "evidence", Path: func(*view.View, float64) rules.Path { return rules.Path{} }}}}
	e.peaks = make([][]float64, 2)
	for i := range 200 {
		e.views = append(e.views, &view.View{Horizon: i})
		e.peaks[1] = append(e.peaks[1], float64(i))
	}
	tuned := e.tune(0.05)
	if got := rollsBack(e.rules[0], e.views, tuned[0].knobs); got != 10 {
		t.Errorf("a limit of %v rolls back %d of 200, want 10", tuned[0].knobs, got)
	}
	if got := tuned[1].knobs[0]; got != 189.5 {
		t.Errorf("the evidence that 10 of 200 have is %g, want 189.5", got)
	}
}

func TestOfTwoKnobsEachGetsHalfOfTheRollbacks(t *testing.T) {
	r := &rules.Rule{
		Knobs: []rules.Knob{{Name: "length", High: 1000}, {Name: "skip", High: 1000}},
		Run: func(v *view.View, knobs []float64) rules.Outcome {
			if float64(v.Horizon) > knobs[0] || float64(v.Skip) > knobs[1] {
				return rules.Outcome{Rollback: 1, Promote: rules.Never}
			}
			return rules.Outcome{Rollback: rules.Never, Promote: 1}
		},
	}
	var views []*view.View
	for i := range 200 {
		views = append(views, &view.View{Horizon: i, Skip: 199 - i})
	}
	if got := rollsBack(r, views, search(r, views, 0.05)); got != 10 {
		t.Errorf("%d of 200 are rolled back, want 10: five by either", got)
	}
}

func TestKnobsWhoseFailuresAddUpAreTurnedTogether(t *testing.T) {
	r := &rules.Rule{
		Knobs: []rules.Knob{{Name: "length", High: 1000}, {Name: "skip", High: 1000}},
		Run: func(v *view.View, knobs []float64) rules.Outcome {
			if float64(v.Horizon)/knobs[0]+float64(v.Skip)/knobs[1] > 1 {
				return rules.Outcome{Rollback: 1, Promote: rules.Never}
			}
			return rules.Outcome{Rollback: rules.Never, Promote: 1}
		},
	}
	var views []*view.View
	for i := range 200 {
		views = append(views, &view.View{Horizon: i, Skip: i})
	}
	if got := rollsBack(r, views, search(r, views, 0.05)); got != 10 {
		t.Errorf("%d of 200 are rolled back, want 10", got)
	}
}

func TestRollbacksBeforeALateFaultAreNotDetections(t *testing.T) {
	found, early := times([]sample{{rollback: 100}, {rollback: 700}, {rollback: rules.Never}}, 600)
	if diff := cmp.Diff([]float64{100, math.Inf(1)}, found); diff != "" || early != 1 {
		t.Errorf("%d early; %s", early, diff)
	}
}

func TestTheReportIsWholeAndItsFiguresAreXML(t *testing.T) {
	b := small(2)
	r := &Report{Command: "go run ./bench/judge"}
	s := brief()
	s.world.Name = "usual"
	cells, err := b.world(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	r.Cells = cells
	r.bounds(s)
	folder := t.TempDir()
	if err := r.write(folder, io.Discard); err != nil {
		t.Fatal(err)
	}
	for name, heads := range map[string][]string{
		"README.md": {"Numbers to reach", "At equal false-rollback rates", "In every world", "Letting go on", "At the vendors' defaults", "Healthy releases rolled back", "The emulations", "time-errors-x5.svg"},
		"tables.md": {"Healthy releases rolled back", "at the vendors' defaults", "at equal false-rollback rates", "Against the lower bound", "Letting go on", "independent simulation"},
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range heads {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s says nothing of %q", name, want)
			}
		}
	}
	figures, _ := filepath.Glob(filepath.Join(folder, "*.svg"))
	if len(figures) != 2 {
		t.Errorf("%d figures, want 2: %v", len(figures), figures)
	}
	for _, name := range figures {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(content))
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) || bytes.Contains(content, []byte("NaN")) || bytes.Contains(content, []byte("Inf")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADGIsMarkedAgainstEveryCompetitor(t *testing.T) {
	r := &Report{Cells: []Cell{
		{World: "usual", Fault: "f", Rule: ours, Setting: equal, Median: measure.Interval{Value: 5, Low: 4, High: 6}},
		{World: "usual", Fault: "f", Rule: "slow", Setting: equal, Median: measure.Interval{Value: 60, Low: 60, High: 60}},
		{World: "usual", Fault: "f", Rule: "quick", Setting: equal, Median: measure.Interval{Value: 1, Low: 1, High: 1}},
		{World: "usual", Fault: "f", Rule: "alike", Setting: equal, Median: measure.Interval{Value: 6, Low: 5, High: 7}},
	}}
	for rule, mark := range map[string]string{"slow": "▲", "quick": "▼", "alike": "="} {
		if got := r.cellText("usual", "f", rule, equal); !strings.HasSuffix(got, mark) {
			t.Errorf("%s: %q, want %s", rule, got, mark)
		}
	}
}

func TestWrittenTracesAreReadByBacktest(t *testing.T) {
	folder := t.TempDir()
	w := trace.Usual()
	w.Lead, w.Horizon, w.Missing, w.Resets = 120, 90, 0.05, 1
	served := map[string]float64{}
	for i, f := range []trace.Fault{healthy, {Name: "errors ×20, late", Errors: 20, From: 30}} {
		one := trace.NewGenerator(&w, &f).Make(uint64(i))
		if err := writeTrace(filepath.Join(folder, slug(f.Name)+".csv"), one); err != nil {
			t.Fatal(err)
		}
		for second := one.Start(); second < one.Seconds; second++ {
			if _, errors, _ := one.At(second, 0); one.Seen[second*one.Replicas] >= 0 {
				served[f.Name] += float64(errors)
			}
		}
	}
	got, err := backtest.Traces(t.Context(), os.DirFS(folder), nil, backtest.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cases) != 2 {
		t.Fatalf("%d traces were read, want 2", len(got.Cases))
	}
	good, bad := got.Cases[0], got.Cases[1]
	if good.Kind != healthy.Name || good.Truth != backtest.Good || good.Served == nil || math.Abs(*good.Served-served[good.Kind]) > 1 {
		t.Errorf("the healthy one: %+v with %v bad requests; its canary served %g, of which one second may be lost at either end", good, good.Served, served[good.Kind])
	}
	if bad.Kind != "errors ×20, late" || bad.Truth != backtest.Bad || bad.Fault == nil || *bad.Fault != 30 {
		t.Errorf("the bad one: %+v; its fault begins 30 s after the canary", bad)
	}
	if bad.Detect == nil || *bad.Detect <= 0 || *bad.Detect > 30 {
		t.Errorf("it is found %v s after the fault began, want within 30", bad.Detect)
	}
}

func TestFlagsThatMeanNothingAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-traces", "0"}, {"-workers", "0"}, {"something"}, {"-unknown"}, {"-only", "no such world"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestDataThatIsNotThereIsSaid(t *testing.T) {
	b := small(1)
	b.data = t.TempDir()
	r := &Report{}
	if err := b.measured(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.Missing) != 3 {
		t.Errorf("missing: %q, want all three", r.Missing)
	}
}

// Private

func small(workers int) *bench {
	return &bench{
		options: options{traces: 4, aa: 4, workers: workers, seed: 1}, tuningTraces: 6, target: 0.1,
		progress: &progress{out: io.Discard, total: 1}, rules: rules.All(),
	}
}

// brief is the usual world in little, with one fault.
func brief() setup {
	w := trace.Usual()
	w.Lead, w.Horizon = 60, 600
	return setup{world: w, faults: named("errors ×5"), part: 1, tuned: true}
}
