package judge

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

// FuzzJudge judges arbitrary observations: whatever a source says, there is a verdict with a reason and a sentence.
func FuzzJudge(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Repeat([]byte{1}, 4000))
	f.Add(slices.Repeat([]byte{255}, 4000))
	f.Add(slices.Repeat([]byte{0, 1, 2, 3, 250, 17, 99, 128}, 500))
	f.Fuzz(rapid.MakeFuzz(isAlwaysAnAnswer))
}

func TestWhateverASourceSaysThereIsAnAnswer(t *testing.T) {
	rapid.Check(t, isAlwaysAnAnswer)
}

func isAlwaysAnAnswer(t *rapid.T) {
	o := observations.Draw(t, "observation")
	j, state := Judge(o, now)
	if j.Text == "" || j.Why == adg.WhyNone {
		t.Fatalf("no reason: %+v", j)
	}
	if unknown := j.Why <= adg.AmbiguousAnswer || j.Why == adg.TooEarly; unknown != (j.Verdict == adg.Unknown) {
		t.Fatalf("%s because of %s", j.Verdict, j.Why)
	}
	if !saysSomething(o) && j.Verdict != adg.Unknown && j.Why != adg.Silent && j.Why != adg.Worse { // worse, as it was found before
		t.Fatalf("%s of nothing: %s", j.Verdict, j.Text)
	}
	if j.Verdict == adg.Unknown && o.Check.Compare != adg.Sequential && !cmp.Equal(state, o.State) {
		t.Fatalf("unknown, and remembered %+v", state)
	}
	if _, err := json.Marshal(j); err != nil {
		t.Fatal(err)
	}
	again, same := Judge(o, now)
	if diff := cmp.Diff(j, again) + cmp.Diff(state, same); diff != "" {
		t.Fatal(diff)
	}
	if len(state.Test) > 1<<15 {
		t.Fatalf("a state of %d bytes", len(state.Test))
	}
	b := Freeze(o.Check, o.Candidate, now.Add(-time.Hour), now)
	if _, err := json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	if len(b.Values) > maxValues || len(b.Replica) > maxReplicas {
		t.Fatalf("a baseline of %d values and %d replicas", len(b.Values), len(b.Replica))
	}
	if empty := len(b.Values) == 0 && b.Total == 0; empty != (b.Err != "") {
		t.Fatalf("an empty baseline says why, and no other: %+v", b)
	}
}

func saysSomething(o adg.Observation) bool {
	for _, list := range [][]adg.Series{o.Candidate.Values, o.Candidate.Bad, o.Candidate.Total} {
		for _, s := range list {
			if slices.ContainsFunc(s.Samples, func(s adg.Sample) bool { return !math.IsNaN(s.Value) }) {
				return o.Candidate.Err == ""
			}
		}
	}
	return false
}

func TestTheOrderOfSamplesIsTheirTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := observations.Draw(t, "observation")
		want, wantState := Judge(o, now)
		wantFrozen := Freeze(o.Check, o.Candidate, now.Add(-time.Hour), now)
		for _, m := range []*adg.Measurement{&o.Candidate, o.Stable} {
			if m == nil {
				continue
			}
			for _, list := range [][]adg.Series{m.Values, m.Bad, m.Total} {
				for i := range list {
					list[i].Samples = rapid.Permutation(list[i].Samples).Draw(t, "samples")
				}
			}
		}
		got, gotState := Judge(o, now)
		if diff := cmp.Diff(want, got); diff != "" || !cmp.Equal(wantState, gotState) {
			t.Fatalf("%s\n%+v, %+v", diff, wantState, gotState)
		}
		if diff := cmp.Diff(wantFrozen, Freeze(o.Check, o.Candidate, now.Add(-time.Hour), now)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMoreBadIsNeverBetter(t *testing.T) {
	limits := rapid.SampledFrom([]string{"> 0", "> 1%", ">= 5%", "> 20%"})
	relativeLimits := rapid.SampledFrom([]string{"> baseline", "> baseline + 25%", ">= baseline + 5pp", "> baseline - 1pp"})
	rapid.Check(t, func(t *rapid.T) {
		check := adg.Check{Bad: "b", Total: "t", Window: time.Minute}
		source := limits
		if rapid.Bool().Draw(t, "relative") {
			source = relativeLimits
			check.Compare = adg.Relative
			check.Baseline = rapid.SampledFrom([]adg.BaselineKind{adg.Concurrent, adg.Historical}).Draw(t, "baseline")
		}
		check.Warn, check.Fail = condition(source.Draw(t, "warn")), condition(source.Draw(t, "fail"))
		total := rapid.Float64Range(1, 1e6).Draw(t, "total")
		part := rapid.Float64Range(0, 1)
		less := part.Draw(t, "less")
		more := less + part.Draw(t, "more")
		before := &adg.Baseline{Bad: part.Draw(t, "bad before"), Total: 1, Values: rapid.SliceOfN(part, 0, 20).Draw(t, "before")}
		verdict := func(bad float64) adg.Verdict {
			j, _ := Judge(adg.Observation{Check: check, Candidate: counts(bad*total, total), Stable: new(counts(5, 100)), Before: before}, now)
			return j.Verdict
		}
		if a, b := verdict(less), verdict(more); a == adg.Unknown || b < a {
			t.Fatalf("%g bad of 1: %s; %g: %s", less, a, more, b)
		}
	})
}

func TestUnknownNeverImprovesHealth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checks, judgements := verdicts(t)
		before := Assess(now, checks, judgements, adg.Scoring{})
		checks = append(checks, someCheck(t))
		judgements = append(judgements, adg.Judgement{})
		after := Assess(now, checks, judgements, adg.Scoring{})
		if after.Health != before.Health && after.Health != adg.HealthUnknown {
			t.Fatalf("%s turned %s", before.Text, after.Text)
		}
		if after.Score != before.Score {
			t.Fatalf("the score went from %g to %g", before.Score, after.Score)
		}
	})
}

func TestAFailureNeverImprovesHealth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checks, judgements := verdicts(t)
		if len(checks) == 0 {
			return
		}
		before := Assess(now, checks, judgements, adg.Scoring{})
		at := rapid.IntRange(0, len(checks)-1).Draw(t, "at")
		known := judgements[at].Verdict != adg.Unknown
		judgements[at] = adg.Judgement{Verdict: adg.Fail}
		after := Assess(now, checks, judgements, adg.Scoring{})
		if known && (after.Health < before.Health || after.Score > before.Score) {
			t.Fatalf("%s turned %s", before.Text, after.Text)
		}
		if checks[at].Critical && after.Health != adg.Unhealthy {
			t.Fatalf("a critical failure, and %s", after.Text)
		}
	})
}

func TestAScoreIsFrom0To100(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checks, judgements := verdicts(t)
		a := Assess(now, checks, judgements, adg.Scoring{})
		if math.IsNaN(a.Score) || a.Score < 0 || a.Score > 100 || a.Text == "" {
			t.Fatalf("%g: %q", a.Score, a.Text)
		}
		judged := slices.ContainsFunc(judgements, func(j adg.Judgement) bool { return j.Verdict != adg.Unknown })
		if a.Health != adg.HealthUnknown && !judged {
			t.Fatalf("%s of nothing", a.Health)
		}
	})
}

func someCheck(t *rapid.T) adg.Check {
	return adg.Check{
		Name:     "check",
		Weight:   rapid.SampledFrom([]float64{0, 0.5, 1, 2, 7, math.Inf(1), math.NaN(), -1}).Draw(t, "weight"),
		Critical: rapid.IntRange(0, 3).Draw(t, "critical") == 0,
	}
}

func verdicts(t *rapid.T) (checks []adg.Check, judgements []adg.Judgement) {
	for range rapid.IntRange(0, 6).Draw(t, "checks") {
		checks = append(checks, someCheck(t))
		judgements = append(judgements, adg.Judgement{
			Verdict: adg.Verdict(rapid.IntRange(0, 3).Draw(t, "verdict")),
			Why:     rapid.SampledFrom([]adg.Why{adg.BeyondWarn, adg.Preexisting}).Draw(t, "why"),
		})
	}
	return checks, judgements
}

// trials are states that a sequential check may be handed back, or not be.
var trials = []json.RawMessage{nil, json.RawMessage("7"), json.RawMessage("{}"), json.RawMessage(`{"ms":4000`),
	json.RawMessage(`{"ms":4000,"gap":1000,"streams":[{}]}`), json.RawMessage(`{"ms":4000,"gap":1000,"streams":[{}],"closed":9223372036854775807}`),
	json.RawMessage(`{"ms":4000,"gap":1000,"streams":[{}],"open":[{"i":3,"c":{"n":-5}}]}`),
	json.RawMessage(`{"ms":4000,"gap":1000,"streams":[{},{},{}],"replicas":[1,2],"open":[{"i":3,"g":[{"n":5,"b":[1,2,3,4,5]}]}]}`),
	json.RawMessage(`{"worse":{"verdict":"pass"}}`), json.RawMessage(`{"worse":{"verdict":"fail","final":true}}`),
	json.RawMessage(`{"worse":{"verdict":"fail","why":"worse","text":"worse","final":true}}`)}

var (
	numbersOfAllKinds = rapid.OneOf(
		rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)}),
		rapid.Float64Range(-10, 1000),
		rapid.Map(rapid.IntRange(0, 500), func(n int) float64 { return float64(n) }),
	)
	sampleSets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) adg.Sample {
		at := now.Add(-time.Duration(rapid.IntRange(-40, 120).Draw(t, "age")) * time.Second)
		if rapid.IntRange(0, 200).Draw(t, "strange") == 0 {
			at = time.Unix(rapid.Int64().Draw(t, "unix"), 0)
		}
		return adg.Sample{At: at, Value: numbersOfAllKinds.Draw(t, "value")}
	}), 0, 8)
	seriesSets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) adg.Series {
		return adg.Series{
			Labels:  map[string]string{"pod": rapid.StringN(0, 3, 8).Draw(t, "pod")},
			Samples: sampleSets.Draw(t, "samples"),
		}
	}), 0, 3)
	measurements = rapid.Custom(func(t *rapid.T) adg.Measurement {
		m := adg.Measurement{Values: seriesSets.Draw(t, "values"), Bad: seriesSets.Draw(t, "bad"), Total: seriesSets.Draw(t, "total")}
		for i, s := range m.Total {
			m.Slow = append(m.Slow, s, adg.Series{Labels: map[string]string{"pod": s.Labels["pod"], "le": []string{"0.1", "+Inf", "x"}[i]}, Samples: s.Samples})
		}
		if rapid.Bool().Draw(t, "at") {
			m.At = now
		}
		if rapid.IntRange(0, 20).Draw(t, "failed") == 0 {
			m.Err = rapid.String().Draw(t, "err")
		}
		if rapid.Bool().Draw(t, "warned") {
			m.Warnings = []string{rapid.String().Draw(t, "warning")}
		}
		return m
	})
	conditions = rapid.Custom(func(t *rapid.T) adg.Condition {
		return adg.Condition{
			Operator: adg.Operator(rapid.IntRange(0, 9).Draw(t, "operator")),
			Relative: rapid.Bool().Draw(t, "relative"),
			Value:    numbersOfAllKinds.Draw(t, "value"),
			Upper:    numbersOfAllKinds.Draw(t, "upper"),
			Unit:     adg.Unit(rapid.IntRange(0, 3).Draw(t, "unit")),
		}
	})
	observations = rapid.Custom(func(t *rapid.T) adg.Observation {
		o := adg.Observation{Candidate: measurements.Draw(t, "candidate")}
		c := &o.Check
		c.Name, c.Replica = "check", "pod"
		c.Compare = adg.Comparison(rapid.IntRange(0, 6).Draw(t, "compare"))
		c.Baseline = adg.BaselineKind(rapid.IntRange(0, 2).Draw(t, "kind"))
		c.Aggregate = adg.Aggregate(rapid.IntRange(0, 7).Draw(t, "aggregate"))
		c.Warn, c.Fail = conditions.Draw(t, "warn"), conditions.Draw(t, "fail")
		c.Window = time.Duration(rapid.IntRange(-1, 90).Draw(t, "window")) * time.Second
		c.MinSamples = rapid.SampledFrom([]float64{0, 0, 2, 50}).Draw(t, "least")
		c.Failures = rapid.IntRange(-1, 3).Draw(t, "failures")
		if rapid.Bool().Draw(t, "counts") {
			c.Bad, c.Total = "b", "t"
		}
		switch {
		case c.Counts() || !rapid.Bool().Draw(t, "histogram"):
		default:
			c.Histogram = "h"
		}
		if rapid.Bool().Draw(t, "beside") {
			o.Stable = new(measurements.Draw(t, "stable"))
		}
		if rapid.Bool().Draw(t, "frozen") {
			o.Before = &adg.Baseline{Bad: numbersOfAllKinds.Draw(t, "bad"), Total: numbersOfAllKinds.Draw(t, "total"), Values: rapid.SliceOfN(numbersOfAllKinds, 0, 9).Draw(t, "before")}
		}
		if rapid.Bool().Draw(t, "split") {
			o.Share = rapid.Float64Range(0, 100).Draw(t, "share")
		}
		if rapid.Bool().Draw(t, "remembered") {
			o.State = adg.CheckState{Streak: rapid.IntRange(0, 5).Draw(t, "streak"), Last: now.Add(-time.Duration(rapid.IntRange(-60, 60).Draw(t, "last")) * time.Second)}
			o.State.Test = rapid.SampledFrom(trials).Draw(t, "test")
		}
		return o
	})
)
