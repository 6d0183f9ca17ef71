package judge

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// example is one observation and what has to be said about it.
type example struct {
	name    string
	check   adg.Check
	seen    adg.Measurement
	stable  *adg.Measurement
	before  *adg.Baseline
	state   adg.CheckState
	verdict adg.Verdict
	why     adg.Why
	text    string
}

func (e example) observation() adg.Observation {
	e.check.Name = "check"
	if e.check.Window == 0 {
		e.check.Window = time.Minute
	}
	return adg.Observation{Check: e.check, Candidate: e.seen, Stable: e.stable, Before: e.before, State: e.state, Interval: 15 * time.Second}
}

// examples are all tables of this package's tests.
func examples() []example {
	return slices.Concat(thresholdExamples, relativeExamples, probeExamples, eventExamples, counterExamples, oddExamples, preexistingExamples, rankExamples, unitExamples)
}

func TestEveryExampleIsJudgedAsStated(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			o := e.observation()
			j, _ := Judge(o, now)
			if j.Verdict != e.verdict || j.Why != e.why {
				t.Errorf("got %s, %s, want %s, %s", j.Verdict, j.Why, e.verdict, e.why)
			}
			if diff := cmp.Diff(e.text, j.Text); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if j.Check != "check" || !j.At.Equal(now) {
				t.Errorf("the judgement is of %q at %s", j.Check, j.At)
			}
		})
	}
}

func TestEveryReasonCanBeGiven(t *testing.T) {
	given := map[adg.Why]bool{}
	for _, e := range examples() {
		j, _ := Judge(e.observation(), now)
		given[j.Why] = true
	}
	for why := adg.WhyNone; ; why++ {
		name, err := why.MarshalText()
		if err != nil {
			break
		}
		// A judgement without a reason is none; not_due is said by who carries a judgement over. From worse on they take
		// more than one observation: sequential_test.go.
		if never := why == adg.WhyNone || why == adg.NotDue || why >= adg.Worse; given[why] == never {
			t.Errorf("%s: given %t", name, given[why])
		}
	}
}

func TestTheRecordHoldsTheNumbersOfTheText(t *testing.T) {
	e := example{
		check:  adg.Check{Bad: "b", Total: "t", Compare: adg.Relative, Warn: condition("> baseline + 5pp"), Fail: condition("> baseline + 8pp")},
		seen:   counts(38, 187),
		stable: new(counts(37.59, 1790)),
	}
	got, _ := Judge(e.observation(), now)
	want := adg.Judgement{
		Check: "check", Verdict: adg.Fail, Why: adg.BeyondFail, At: now, N: 187, BaseN: 1790,
		Value: new(38.0 / 187), Baseline: new(0.021), Limit: new(0.101),
		Text: "20.3 % of 187 requests were bad, baseline 2.1 % of 1,790; limit 10.1 % (fail: > baseline + 8pp)",
	}
	almost := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, got, almost); diff != "" {
		t.Error(diff)
	}
}

func TestNumbersThatJSONCannotSayAreLeftOut(t *testing.T) {
	e := example{check: adg.Check{Query: "q", Fail: condition("> 5")}, seen: values(math.Inf(1))}
	j, _ := Judge(e.observation(), now)
	if j.Value != nil || j.Limit == nil || *j.Limit != 5 {
		t.Errorf("value %v, limit %v", j.Value, j.Limit)
	}
}

func TestTheLimitOfAPassIsTheNearestOne(t *testing.T) {
	for _, row := range []struct {
		name       string
		warn, fail string
		value      float64
		want       float64
	}{
		{"warn comes before fail", "> 5", "> 10", 3, 5},
		{"fail alone", "", "> 10", 3, 10},
		{"warn alone", "> 5", "", 3, 5},
		{"limits on both sides, close to fail", "> 100", "< 10", 20, 10},
		{"the lower end of a range", "", "outside 10..20", 11, 10},
		{"the upper end of a range", "", "outside 10..20", 19, 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := example{check: adg.Check{Query: "q", Warn: condition(row.warn), Fail: condition(row.fail)}, seen: values(row.value)}
			j, _ := Judge(e.observation(), now)
			if j.Verdict != adg.Pass || j.Limit == nil || *j.Limit != row.want {
				t.Errorf("%s", j.Text)
			}
		})
	}
}

func TestNothingThatWasLentIsWrittenTo(t *testing.T) {
	shuffled := func() adg.Measurement {
		m := counts(10, 100)
		for _, list := range [][]adg.Series{m.Bad, m.Total} {
			slices.Reverse(list[0].Samples)
			list[0].Samples = append(list[0].Samples, list[0].Samples[1], adg.Sample{At: now, Value: math.NaN()})
		}
		m.Values, m.Slow = m.Total, latencies(m.Total)
		return m
	}
	holed := func() adg.Measurement {
		m := counts(10, 100)
		m.Bad[0].Samples[1].Value, m.Total[0].Samples[1].Value = math.NaN(), math.Inf(1)
		m.Values, m.Slow = m.Bad, latencies(m.Bad)
		return m
	}
	for _, compare := range []adg.Comparison{adg.Threshold, adg.Relative, adg.Probe, adg.Events, adg.Sequential, adg.MannWhitney} {
		for _, check := range []adg.Check{{Query: "q"}, {Query: "q", Aggregate: adg.P95}, {Bad: "b", Total: "t", Replica: "pod"}, {Histogram: "h"}} {
			check.Compare, check.Window = compare, time.Minute
			o := adg.Observation{Check: check, Candidate: shuffled(), Stable: new(holed()), Before: &adg.Baseline{Values: []float64{3, 2, 1}}}
			_, o.State = Judge(o, now)
			remembered := slices.Clone(o.State.Test)
			Judge(o, now.Add(time.Minute))
			if !bytes.Equal(remembered, o.State.Test) {
				t.Error("the state was written to")
			}
			for _, m := range []adg.Measurement{o.Candidate, *o.Stable} {
				Freeze(check, m, now.Add(-time.Minute), now.Add(-20*time.Second))
			}
			same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
			if diff := cmp.Diff(shuffled(), o.Candidate, same); diff != "" {
				t.Errorf("%s of %+v wrote:\n%s", compare, check, diff)
			}
			if diff := cmp.Diff(holed(), *o.Stable, same); diff != "" {
				t.Errorf("%s of %+v wrote:\n%s", compare, check, diff)
			}
			if diff := cmp.Diff([]float64{3, 2, 1}, o.Before.Values); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestChecksAreAskedOtherwiseWithoutAStableVersion(t *testing.T) {
	concurrent := adg.Check{Compare: adg.Relative, Baseline: adg.Concurrent, Window: 5 * time.Minute, MaxAge: time.Hour}
	alone := concurrent
	alone.Baseline = adg.Historical
	if diff := cmp.Diff(alone, Alone(concurrent)); diff != "" {
		t.Error(diff)
	}
	restored := alone
	restored.Window, restored.MaxAge = time.Minute, time.Minute
	if diff := cmp.Diff(restored, Restored(concurrent)); diff != "" {
		t.Error(diff)
	}
	brief := adg.Check{Compare: adg.Threshold, Window: 10 * time.Second, MaxAge: 20 * time.Second}
	if diff := cmp.Diff(brief, Restored(brief)); diff != "" {
		t.Errorf("a check that looks back less far than a minute changes: %s", diff)
	}
}

// latencies is a classic histogram of two buckets made of a counter.
func latencies(list []adg.Series) []adg.Series {
	var all []adg.Series
	for _, le := range []string{"0.1", "+Inf"} {
		all = append(all, adg.Series{Labels: map[string]string{"le": le}, Samples: slices.Clone(list[0].Samples)})
	}
	return append(all, adg.Series{Labels: map[string]string{"pod": "n"}, Histograms: []adg.HistogramSample{
		{At: now, Count: 3, Buckets: []adg.HistogramBucket{{Lower: 1, Upper: 2, Count: 3}}},
		{At: now.Add(-time.Second), Count: 2, Buckets: []adg.HistogramBucket{{Lower: 1, Upper: 1, Count: 2}}},
	}})
}

// condition reads a condition; an empty one is none.
func condition(text string) adg.Condition {
	var c adg.Condition
	if err := c.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return c
}

// series is samples that are gap apart, the last at now.
func series(gap time.Duration, values ...float64) adg.Series {
	var s adg.Series
	for i, v := range values {
		s.Samples = append(s.Samples, adg.Sample{At: now.Add(-gap * time.Duration(len(values)-1-i)), Value: v})
	}
	return s
}

// values is an answer of one series, a sample each second.
func values(v ...float64) adg.Measurement {
	return adg.Measurement{At: now, Values: []adg.Series{series(time.Second, v...)}}
}

// counts is two counters that rose by bad and total within the last minute, scraped each 15 s.
func counts(bad, total float64) adg.Measurement {
	rising := func(start, by float64) []adg.Series {
		return []adg.Series{series(15*time.Second, start, start+by/4, start+by/2, start+by/2, start+by)}
	}
	return adg.Measurement{At: now, Bad: rising(100, bad), Total: rising(10_000, total)}
}

// aged is the measurement with all samples that much older.
func aged(by time.Duration, m adg.Measurement) adg.Measurement {
	for _, list := range [][]adg.Series{m.Values, m.Bad, m.Total} {
		for _, s := range list {
			for i := range s.Samples {
				s.Samples[i].At = s.Samples[i].At.Add(-by)
			}
		}
	}
	return m
}
