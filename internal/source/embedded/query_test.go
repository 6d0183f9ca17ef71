package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

// series is one series with a sample every step, the last one at the end.
func series(end time.Time, step time.Duration, values []float64, labels ...string) prompb.TimeSeries {
	ts := prompb.TimeSeries{}
	for i := 0; i < len(labels); i += 2 {
		ts.Labels = append(ts.Labels, prompb.Label{Name: labels[i], Value: labels[i+1]})
	}
	for i, v := range values {
		at := end.Add(-time.Duration(len(values)-1-i) * step)
		ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: at.UnixMilli(), Value: v})
	}
	return ts
}

func TestConformsToTheSourceSeam(t *testing.T) {
	now := time.Now()
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) adg.Source {
			s := start(t, listening())
			mustPush(t, s, series(now, time.Second, []float64{1, 2, 3}, "__name__", "n", "version", "v1"))
			return s
		},
		Good:  adg.Query{Kind: adg.Counters, Text: `n{version="$version"}`, Vars: map[string]string{"version": "v1"}, At: now, Window: time.Minute},
		Empty: adg.Query{Text: `n{version="v2"}`, At: now, Window: time.Minute},
		Bad:   adg.Query{Text: "sum(", At: now, Window: time.Minute},
	})
}

func TestAnswersEachKindOfQuery(t *testing.T) {
	end := time.Now().Truncate(time.Second).UTC()
	s := start(t, listening())
	mustPush(t, s, series(end, 10*time.Second, []float64{1, 2, 4, 8}, "__name__", "n", "version", "v1"))
	labels := map[string]string{"__name__": "n", "version": "v1"}
	at := func(before time.Duration, v float64) adg.Sample { return adg.Sample{At: end.Add(-before), Value: v} }
	tests := []struct {
		name string
		ask  adg.Query
		want []adg.Series
		sent string
	}{
		{
			"instant: the value at the time that was asked for", adg.Query{Text: `n{version="$version"}`, At: end.Add(-15 * time.Second)},
			[]adg.Series{{Labels: labels, Samples: []adg.Sample{at(15*time.Second, 2)}}}, `n{version="v1"}`,
		},
		{
			"instant: a number without a series", adg.Query{Text: "1 + 1", At: end},
			[]adg.Series{{Samples: []adg.Sample{at(0, 2)}}}, "1 + 1",
		},
		{
			"instant: a little ahead of the last sample", adg.Query{Text: `sum(n)`, At: end.Add(2 * time.Second)},
			[]adg.Series{{Labels: map[string]string{}, Samples: []adg.Sample{at(-2*time.Second, 8)}}}, `sum(n)`,
		},
		{
			"instant: no data is no error", adg.Query{Text: `absent_metric`, At: end}, []adg.Series{}, "absent_metric",
		},
		{
			"instant: NaN is an answer", adg.Query{Text: `sum(n) * NaN`, At: end},
			[]adg.Series{{Labels: map[string]string{}, Samples: []adg.Sample{at(0, math.NaN())}}}, `sum(n) * NaN`,
		},
		{
			"range: one value per step", adg.Query{Kind: adg.Range, Text: `n`, At: end, Step: 10 * time.Second, Span: 20 * time.Second},
			[]adg.Series{{Labels: labels, Samples: []adg.Sample{at(20*time.Second, 2), at(10*time.Second, 4), at(0, 8)}}}, "n",
		},
		{
			"range: over the window unless told", adg.Query{Kind: adg.Range, Text: `n`, At: end, Step: 10 * time.Second, Window: 10 * time.Second},
			[]adg.Series{{Labels: labels, Samples: []adg.Sample{at(10*time.Second, 4), at(0, 8)}}}, "n",
		},
		{
			"counters: raw samples of the window", adg.Query{Kind: adg.Counters, Text: `n`, At: end.Add(time.Second), Window: 12 * time.Second},
			[]adg.Series{{Labels: labels, Samples: []adg.Sample{at(10*time.Second, 4), at(0, 8)}}}, "n[12s]",
		},
		{
			"the @ modifier and negative offsets are taken", adg.Query{Text: fmt.Sprintf("sum(n @ %d offset -10s)", end.Unix()-20), At: end},
			[]adg.Series{{Labels: map[string]string{}, Samples: []adg.Sample{at(0, 4)}}}, fmt.Sprintf("sum(n @ %d offset -10s)", end.Unix()-20),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := test.ask
			q.Vars = map[string]string{"version": "v1"}
			answer := ask(t, s, q)
			nan := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
			if diff := cmp.Diff(test.want, answer.Series, nan); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
			if answer.Sent != test.sent {
				t.Errorf("sent %q, want %q", answer.Sent, test.sent)
			}
		})
	}
}

func TestRefusesWhatAskingAgainCannotHelp(t *testing.T) {
	end := time.Now()
	s := start(t, listening())
	mustPush(t, s, series(end, time.Second, []float64{1, 2}, "__name__", "n"), native(end))
	tests := []struct {
		name string
		ask  adg.Query
		says string
	}{
		{"a query that does not parse, with the place", adg.Query{Text: `sum(n`}, "1:6: parse error"},
		{"an unknown function", adg.Query{Text: `nonsense(n)`}, "unknown function"},
		{"samples where one value is wanted", adg.Query{Text: `n[1m]`}, "rate()"},
		{"a text", adg.Query{Text: `"hello"`}, "string"},
		{"native histograms, now", adg.Query{Text: `latency`}, "histogram_quantile()"},
		{"native histograms, in steps", adg.Query{Kind: adg.Range, Text: `latency`, Step: time.Second}, "histogram_quantile()"},
		{"a range without a step", adg.Query{Kind: adg.Range, Text: "n", Span: time.Minute}, "step"},
		{"a range of too many steps", adg.Query{Kind: adg.Range, Text: "n", Span: time.Hour, Step: time.Millisecond}, "at most 100000"},
		{"a kind of query from the future", adg.Query{Kind: 99, Text: "n"}, "does not know"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := test.ask
			q.At, q.Window = end, time.Minute
			_, err := s.Query(t.Context(), q)
			refused(t, err, adg.Invalid)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
	if got, _ := value(t, s, "histogram_count(latency)"); got != 3 {
		t.Errorf("a number made of a histogram is %g, want 3", got)
	}
}

func TestNativeHistogramsAreRawBuckets(t *testing.T) {
	end := time.Now()
	s := start(t, listening())
	mustPush(t, s, native(end))
	answer, err := s.Query(t.Context(), adg.Query{Kind: adg.Counters, Text: "latency", At: end, Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want := []adg.HistogramSample{{At: time.UnixMilli(end.UnixMilli()).UTC(), Count: 3, Buckets: []adg.HistogramBucket{{Lower: 0.5, Upper: 1, Count: 3}}}}
	if len(answer.Series) != 1 || !cmp.Equal(answer.Series[0].Histograms, want) {
		t.Errorf("got %+v, want %+v", answer.Series, want)
	}
}

func TestAFailureOfTheDataIsWorthAskingAgain(t *testing.T) {
	end := time.Now()
	s := start(t, listening())
	mustPush(t, s,
		series(end, time.Second, []float64{1}, "__name__", "a", "pod", "1"), series(end, time.Second, []float64{1}, "__name__", "a", "pod", "2"),
		series(end, time.Second, []float64{1}, "__name__", "b", "pod", "1"), series(end, time.Second, []float64{1}, "__name__", "b", "pod", "2"))
	_, err := s.Query(t.Context(), adg.Query{Text: "a / on() b", At: end})
	if err == nil || adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("got %v, want a passing error: the pods may be others next time", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	end := time.Now()
	s := start(t, listening())
	var many []prompb.TimeSeries
	for i := range 1_001 {
		many = append(many, series(end, time.Second, make([]float64, 110), "__name__", "many", "i", fmt.Sprint(i)))
	}
	mustPush(t, s, many...)
	tests := []struct {
		name string
		ask  adg.Query
		says string
	}{
		{"too many series", adg.Query{Text: "many"}, "1001 series"},
		{"too many series, raw", adg.Query{Kind: adg.Counters, Text: "many"}, "1001 series"},
		{"too many samples", adg.Query{Kind: adg.Counters, Text: `many{i!="0"}`}, "110000 samples"},
		{"too much to read for one number", adg.Query{Text: `sum(sum_over_time(many[2m:1ms]))`}, "select fewer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := test.ask
			q.At, q.Window = end, 5*time.Minute
			_, err := s.Query(t.Context(), q)
			refused(t, err, adg.Invalid)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
	if got := ask(t, s, adg.Query{Text: `many{i!="0"}`, At: end}); len(got.Series) != 1_000 {
		t.Errorf("%d series at the limit, want 1000", len(got.Series))
	}
}

func TestWarningsOfTheEngineComeAlong(t *testing.T) {
	end := time.Now()
	s := start(t, listening())
	mustPush(t, s, series(end, time.Second, []float64{1, 2}, "__name__", "temperature"))
	answer := ask(t, s, adg.Query{Text: "rate(temperature[1m])", At: end})
	if len(answer.Warnings) == 0 || !strings.Contains(answer.Warnings[0], "counter") {
		t.Errorf("warnings %q, want one that says that this may be no counter", answer.Warnings)
	}
}

func TestCancelledQueriesEnd(t *testing.T) {
	s := start(t, listening())
	mustPush(t, s, series(time.Now(), time.Second, []float64{1, 2}, "__name__", "n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Query(ctx, adg.Query{Text: "n", At: time.Now()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	// Long enough that the deadline comes in the middle.
	_, err := s.Query(ctx, adg.Query{Text: `sum_over_time(sum_over_time(n[10s:1s])[4h:10ms])`, At: time.Now()})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that the deadline passed", err)
	}
}

func native(at time.Time) prompb.TimeSeries {
	h := &histogram.Histogram{
		Count: 3, Sum: 1, Schema: 0,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{3},
	}
	return prompb.TimeSeries{
		Labels:     []prompb.Label{{Name: "__name__", Value: "latency"}},
		Histograms: []prompb.Histogram{prompb.FromIntHistogram(at.UnixMilli(), h)},
	}
}
