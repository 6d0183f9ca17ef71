package ranks

import (
	"math"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestScoresAreWeightedOverGroups(t *testing.T) {
	in := func(group string, classes ...Class) []Metric {
		var all []Metric
		for _, c := range classes {
			all = append(all, Metric{Name: "m", Groups: []string{group}, Class: c})
		}
		return all
	}
	with := func(lists ...[]Metric) []Metric {
		var all []Metric
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	weights := map[string]float64{"errors": 70, "latency": 30}
	for _, c := range []struct {
		name    string
		scoring Scoring
		metrics []Metric
		verdict adg.Verdict
		total   float64 // NaN: none
		says    string
	}{
		{"everything passes", Scoring{}, in("a", Pass, Pass), adg.Pass, 100, "score 100"},
		{"half of the weight fails", Scoring{Weights: weights}, with(in("errors", Pass), in("latency", High)), adg.Fail, 70, "70"},
		{"half of the weight fails, which is marginal", Scoring{Weights: weights, Marginal: 70}, with(in("errors", Pass), in("latency", High)), adg.Warn, 70, "marginal from 70"},
		{"a total at the limit passes", Scoring{Pass: 70, Marginal: 50, Weights: weights}, with(in("errors", Pass), in("latency", Low)), adg.Pass, 70, "pass from 70"},
		{"two of three in a group", Scoring{}, in("a", Pass, Pass, High), adg.Fail, 66.67, "66.67"},
		{"groups without a weight share what is left", Scoring{Weights: map[string]float64{"a": 50}}, with(in("a", Pass), in("b", High), in("c", Pass)), adg.Warn, 75, ""},
		{"no data does not count", Scoring{}, in("a", Pass, Pass, Nodata), adg.Pass, 100, ""},
		{"no data where it must be", Scoring{}, append(in("a", Pass, Pass), Metric{Groups: []string{"a"}, MustHaveData: true}), adg.Fail, 66.67, ""},
		{"muted metrics do not count", Scoring{}, append(in("a", Pass), Metric{Class: High, Critical: true, Muted: true}), adg.Pass, 100, ""},
		{"weights within a group", Scoring{}, []Metric{{Class: Pass, Weight: 3}, {Class: High}}, adg.Warn, 75, ""},
		{"a metric without a group", Scoring{}, []Metric{{Class: Pass}}, adg.Pass, 100, ""},
		{"a critical metric is high", Scoring{}, append(in("a", Pass, Pass, Pass), Metric{Name: "p99", Class: High, Critical: true}), adg.Fail, 0, "p99 is High"},
		{"a critical metric has no data", Scoring{}, append(in("a", Pass, Pass, Pass), Metric{Name: "p99", Critical: true}), adg.Fail, 0, "p99 has no data"},
		{"half of the metrics have no data", Scoring{}, in("a", Pass, Nodata), adg.Fail, 0, "1 of 2"},

		{"no metrics at all", Scoring{}, nil, adg.Unknown, nan, "no verdict"},
		{"nothing but muted metrics", Scoring{}, []Metric{{Class: Pass, Muted: true}}, adg.Unknown, nan, "no verdict"},
		{"everything errored", Scoring{}, in("a", Error, Error), adg.Unknown, nan, "no verdict"},
		{"a critical metric errored", Scoring{}, append(in("a", Pass, Pass, Pass), Metric{Name: "p99", Class: Error, Critical: true}), adg.Unknown, nan, "p99 could not be judged"},
		{"a critical metric errored, another is high", Scoring{}, []Metric{{Class: Error, Critical: true}, {Name: "p99", Class: High, Critical: true}}, adg.Fail, 0, "p99 is High"},
		{"one of three errored", Scoring{}, in("a", Pass, High, Error), adg.Fail, 50, ""},
		{"a group without data is no 100", Scoring{Weights: weights}, with(in("errors", High, High), in("latency", Error)), adg.Fail, 0, "score 0"},
		{"the weight of a group that does not exist is shared out", Scoring{Weights: weights}, in("errors", Pass), adg.Pass, 100, ""},
		{"the only group weighs nothing", Scoring{Weights: map[string]float64{"a": 0}}, in("a", Pass), adg.Unknown, nan, "no verdict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.scoring.Score(c.metrics)
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != c.verdict || !equal(got.Total, c.total) || !strings.Contains(got.Text, c.says) || got.Text == "" {
				t.Errorf("%+v; want %s, %g, and that it says %q", got, c.verdict, c.total, c.says)
			}
		})
	}
}

func TestGroupsThatCountWeigh100Together(t *testing.T) {
	got, err := Scoring{Weights: map[string]float64{"a": 20, "lost": 60}}.Score([]Metric{
		{Groups: []string{"a"}, Class: Pass}, {Groups: []string{"b"}, Class: High}, {Groups: []string{"c"}, Class: Error}, {Groups: []string{"a", "b"}, Class: Pass},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, g := range got.Groups {
		sum += g.Weight
	}
	if math.Abs(sum-100) > 1e-9 || len(got.Groups) != 3 || got.Groups[1].Score != 50 || !math.IsNaN(got.Groups[2].Score) {
		t.Errorf("%+v", got)
	}
}

func TestScoresThatCantBeMeantAreRefused(t *testing.T) {
	for name, s := range map[string]Scoring{
		"more than 100 percent": {Weights: map[string]float64{"a": 60, "b": 50}},
		"a negative weight":     {Weights: map[string]float64{"a": -1}},
		"a weight that is NaN":  {Weights: map[string]float64{"a": nan}},
		"limits that cross":     {Pass: 50, Marginal: 60},
		"a limit above 100":     {Pass: 101},
	} {
		if _, err := s.Score([]Metric{{Class: Pass}}); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Scoring{}).Score([]Metric{{Weight: -1}}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a metric of negative weight: %v", err)
	}
}

// Private

func equal(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
