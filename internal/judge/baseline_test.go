package judge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var frozenFrom = now.Add(-4 * time.Minute)

func TestBaselinesAreFrozenWindowByWindow(t *testing.T) {
	pods := func(name string, s adg.Series) adg.Series {
		s.Labels = map[string]string{"pod": name}
		return s
	}
	for _, row := range []struct {
		name  string
		check adg.Check
		seen  adg.Measurement
		want  adg.Baseline
	}{
		{"a range query has a value per window", latency,
			adg.Measurement{Values: []adg.Series{series(time.Minute, 9, 1, 2, 3, 4)}},
			adg.Baseline{Values: []float64{1, 2, 3, 4}}},
		{"of a window the latest value counts", latency,
			adg.Measurement{Values: []adg.Series{series(30*time.Second, 9, 1, 9, 2, 9, 3, 9, 4)}},
			adg.Baseline{Values: []float64{1, 2, 3, 4}}},
		{"or what the aggregate makes of it, over all series", gathered(adg.Sum),
			adg.Measurement{Values: []adg.Series{series(30*time.Second, 1, 2, 3, 4), series(time.Minute, 10, 20)}},
			adg.Baseline{Values: []float64{13, 27}}},
		{"NaN and infinity are left out", latency,
			adg.Measurement{Values: []adg.Series{series(time.Minute, 1, math.NaN(), 3, math.Inf(1))}},
			adg.Baseline{Values: []float64{1, 3}}},
		{"what is outside of the time is left out", latency,
			aged(-90*time.Second, adg.Measurement{Values: []adg.Series{series(time.Minute, 7, 1, 2, 3, 4, 5, 6)}}),
			adg.Baseline{Values: []float64{1, 2, 3, 4}}},
		{"several series and no aggregate are no baseline", latency,
			adg.Measurement{Values: []adg.Series{series(time.Minute, 1), series(time.Minute, 2)}},
			adg.Baseline{Err: "the query answers with 2 series where one is wanted, {} and {} among them: sum them up in the query, or give the check an aggregate"}},
		{"nothing but NaN is no baseline", latency,
			adg.Measurement{Values: []adg.Series{series(time.Minute, math.NaN())}},
			adg.Baseline{Err: "the source gave no number between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},
		{"an empty answer is no baseline", latency, adg.Measurement{},
			adg.Baseline{Err: "the source gave no number between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},
		{"an error is no baseline", latency, adg.Measurement{Err: "401", Values: values(1).Values},
			adg.Baseline{Err: "the source did not answer: 401"}},
		{"a probe has no baseline", probing, values(1), adg.Baseline{Err: "a probe has no baseline"}},

		{"counters have increases over all, per window and per replica", with(errorRate, func(c *adg.Check) { c.Replica = "pod" }),
			adg.Measurement{
				Bad:   []adg.Series{pods("a", series(time.Minute, 0, 1, 1, 1, 5))},
				Total: []adg.Series{pods("a", series(time.Minute, 100, 110, 120, 120, 140)), pods("b", series(time.Minute, 50, 60, 70, 70, 70))}},
			adg.Baseline{Bad: 5, Total: 60, Values: []float64{0.05, 0, 0.2},
				Replica: map[string]adg.Counts{"a": {Bad: 5, All: 40}, "b": {All: 20}}}},
		{"resets count from 0", errorRate,
			adg.Measurement{Bad: []adg.Series{series(time.Minute, 9, 9, 1, 1, 1)}, Total: []adg.Series{series(time.Minute, 100, 110, 10, 20, 30)}},
			adg.Baseline{Bad: 1, Total: 40, Values: []float64{0, 0.1, 0, 0}}},
		{"counters outside of the time are left out", errorRate,
			aged(-90*time.Second, adg.Measurement{Total: []adg.Series{series(time.Minute, 0, 10, 20, 40, 80, 160, 320)}, Bad: []adg.Series{series(time.Minute, 0, 0, 0, 0, 8, 9, 9)}}),
			adg.Baseline{Bad: 8, Total: 70, Values: []float64{0, 0, 0.2}}},
		{"windows that would not have been judged have no value", with(errorRate, func(c *adg.Check) { c.MinSamples = 10 }),
			adg.Measurement{Bad: []adg.Series{series(time.Minute, 0, 1, 1, 2, 2)}, Total: []adg.Series{series(time.Minute, 0, 2, 22, 31, 41)}},
			adg.Baseline{Bad: 2, Total: 41, Values: []float64{0, 0}}},
		{"series that were born meanwhile count from 0", errorRate,
			adg.Measurement{Bad: []adg.Series{series(30*time.Second, 2, 2)}, Total: []adg.Series{series(30*time.Second, 10, 20)}},
			adg.Baseline{Bad: 2, Total: 20, Values: []float64{0.1}}},
		{"bad that was never touched is none", errorRate,
			adg.Measurement{Total: []adg.Series{series(time.Minute, 0, 10, 20, 30, 40)}},
			adg.Baseline{Total: 40, Values: []float64{0, 0, 0, 0}}},
		{"no requests are no baseline", errorRate,
			adg.Measurement{Total: []adg.Series{series(time.Minute, 7, 7, 7, 7, 7)}},
			adg.Baseline{Err: "there were no requests between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},
		{"no total is no baseline", errorRate, adg.Measurement{},
			adg.Baseline{Err: "there was no sample of total between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},
		{"bad that shows no numbers is no baseline", errorRate,
			adg.Measurement{Bad: []adg.Series{series(time.Minute, math.NaN())}, Total: []adg.Series{series(time.Minute, 0, 10, 20, 30, 40)}},
			adg.Baseline{Err: "the samples of bad between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z are not numbers (NaN or infinite), which a counter's always are"}},
		{"counters beyond all numbers are no baseline", errorRate,
			adg.Measurement{Total: []adg.Series{series(4*time.Minute, 0, 1.7e308), series(4*time.Minute, 0, 1.7e308)}},
			adg.Baseline{Err: "the counters add up to no number between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},

		{"events have their number per window", restarts,
			adg.Measurement{Values: []adg.Series{series(30*time.Second, 3, 3, 4, 4, 4, 6, 6, 6, 6), series(30*time.Second, 0, 0, 0, 0, 0, 1, 1, 1, 1)}},
			adg.Baseline{Values: []float64{1, 0, 3, 0}}},
		{"events that never happened while total was there", kills,
			adg.Measurement{Total: []adg.Series{series(time.Minute, 1, 2, 3, 4, 5)}},
			adg.Baseline{Values: []float64{0, 0, 0, 0}}},
		{"events of a counter that is not there are no baseline", restarts, adg.Measurement{},
			adg.Baseline{Err: "the counter told no increase between 2026-03-04T11:56:00Z and 2026-03-04T12:00:00Z"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.check.Name, row.check.Window = "check", time.Minute
			row.want.Check, row.want.From, row.want.To = "check", frozenFrom, now
			if diff := cmp.Diff(row.want, Freeze(row.check, row.seen, frozenFrom, now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBaselinesAreBounded(t *testing.T) {
	var seen adg.Measurement
	long := make([]float64, 3000)
	for i := range long {
		long[i] = float64(i)
	}
	seen.Values = []adg.Series{series(time.Minute, long...)}
	from := now.Add(-3000 * time.Minute)
	b := Freeze(with(latency, func(c *adg.Check) { c.Window = time.Minute }), seen, from, now)
	if len(b.Values) != maxValues || b.Values[0] != 0 || b.Values[maxValues-1] != 2999 {
		t.Fatalf("%d values, from %g to %g", len(b.Values), b.Values[0], b.Values[len(b.Values)-1])
	}
	for i := 1; i < maxValues; i++ {
		if gap := b.Values[i] - b.Values[i-1]; gap < 11 || gap > 12 {
			t.Fatalf("thinned unevenly: %g after %g", b.Values[i], b.Values[i-1])
		}
	}
	for pod := range 300 {
		s := series(time.Minute, 1, 2, 3, 4, 5)
		s.Labels = map[string]string{"pod": fmt.Sprintf("pod-%03d", pod)}
		seen.Total = append(seen.Total, s)
	}
	b = Freeze(with(errorRate, func(c *adg.Check) { c.Replica = "pod" }), seen, frozenFrom, now)
	if len(b.Replica) != maxReplicas || b.Total != 1200 {
		t.Fatalf("%d replicas, %g requests", len(b.Replica), b.Total)
	}
}
