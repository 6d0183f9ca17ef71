package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/promtext"
)

// Query answers PromQL. Counters are the raw samples that were scraped or pushed, with their own timestamps. A series
// is over as soon as its target stops exposing it, and five minutes after the last push.
func (s *Source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	if ctx.Err() != nil {
		return adg.Answer{}, fmt.Errorf("query the embedded source: %w", context.Cause(ctx))
	}
	text, err := promtext.Expand(q)
	if err != nil {
		return adg.Answer{}, err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return adg.Answer{}, err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()

	query, err := s.prepare(ctx, q, text)
	if err != nil {
		return adg.Answer{}, err
	}
	defer query.Close()
	result := query.Exec(ctx)
	if result.Err != nil {
		return adg.Answer{}, s.classify(ctx, result.Err)
	}
	series, err := seriesOf(result.Value, q.Kind)
	if err != nil {
		return adg.Answer{}, adg.Permanent(err)
	}
	warnings, notes := result.Warnings.AsStrings(text, maxWarnings, maxWarnings)
	return adg.Answer{Series: series, Sent: text, Warnings: append(warnings, notes...)}, nil
}

// Private

// The answer's bounds are those of the other PromQL source: a policy moves between the two unchanged.
const (
	maxSeries   = 1_000
	maxSamples  = 100_000
	maxWarnings = 10
)

// enter waits for a place among the running queries.
func (s *Source) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-s.ending.Done():
		return nil, adg.Permanent(adg.Errorf(adg.Unavailable, "the embedded source is closed"))
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other queries of the embedded source to end: %w", context.Cause(ctx))
	}
}

func (s *Source) prepare(ctx context.Context, q adg.Query, text string) (promql.Query, error) {
	var query promql.Query
	var err error
	switch q.Kind {
	case adg.Instant, adg.Counters:
		query, err = s.engine.NewInstantQuery(ctx, s.db, nil, text, q.At)
	case adg.Range:
		span := q.Span
		set(&span, q.Window)
		if q.Step < time.Millisecond || span < 0 || span/q.Step >= maxSamples {
			return nil, adg.Permanent(adg.Errorf(adg.Invalid,
				"a range of %s in steps of %s: the step is at least 1ms, and there are at most %d of them", span, q.Step, maxSamples))
		}
		query, err = s.engine.NewRangeQuery(ctx, s.db, nil, text, q.At.Add(-span), q.At, q.Step)
	default:
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the embedded source does not know the query kind %s", q.Kind))
	}
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the query does not parse: %w", err))
	}
	return query, nil
}

// classify says whether asking again can help.
func (s *Source) classify(ctx context.Context, err error) error {
	switch {
	case s.ending.Err() != nil:
		return adg.Permanent(adg.Errorf(adg.Unavailable, "the embedded source was closed during the query"))
	case ctx.Err() != nil:
		return fmt.Errorf("query the embedded source: %w", context.Cause(ctx))
	}
	if _, ok := errors.AsType[promql.ErrTooManySamples](err); ok {
		return adg.Permanent(adg.Errorf(adg.Invalid,
			"the query reads more than %d samples at once: select fewer series, or look back less far", loadedSamples))
	}
	if _, ok := errors.AsType[promql.ErrQueryTimeout](err); ok {
		return adg.Errorf(adg.Unavailable, "the query took longer than %s: select fewer series, or look back less far", adg.Short(queryTimeout))
	}
	return adg.Errorf(adg.Unavailable, "run the query: %w", err)
}

// seriesOf copies a result: its samples go back to the engine when the query is closed.
func seriesOf(value parser.Value, kind adg.QueryKind) ([]adg.Series, error) {
	switch v := value.(type) {
	case promql.Scalar:
		return []adg.Series{{Samples: []adg.Sample{sample(v.T, v.V)}}}, nil
	case promql.Vector:
		return ofVector(v)
	case promql.Matrix:
		if kind == adg.Instant {
			return nil, adg.Errorf(adg.Invalid, "the query answers with a range of samples: make one value of it, for example with rate()")
		}
		return ofMatrix(v, kind)
	default:
		return nil, adg.Errorf(adg.Invalid, "the query answers with a %s, not with numbers", value.Type())
	}
}

func ofVector(v promql.Vector) ([]adg.Series, error) {
	if err := checkSize(len(v), len(v)); err != nil {
		return nil, err
	}
	series := make([]adg.Series, len(v))
	for i, s := range v {
		if s.H != nil {
			return nil, errHistogram()
		}
		series[i] = adg.Series{Labels: s.Metric.Map(), Samples: []adg.Sample{sample(s.T, s.F)}}
	}
	return series, nil
}

// ofMatrix gives native histograms as they are where raw counters are asked for, which they are.
func ofMatrix(m promql.Matrix, kind adg.QueryKind) ([]adg.Series, error) {
	if err := checkSize(len(m), m.TotalSamples()); err != nil {
		return nil, err
	}
	series := make([]adg.Series, len(m))
	buckets := 0
	for i, s := range m {
		if len(s.Histograms) > 0 && kind != adg.Counters {
			return nil, errHistogram()
		}
		for _, p := range s.Histograms {
			one := histogramOf(p)
			if buckets += len(one.Buckets); buckets > maxSamples {
				return nil, checkSize(len(m), buckets)
			}
			series[i].Histograms = append(series[i].Histograms, one)
		}
		samples := make([]adg.Sample, len(s.Floats))
		for k, p := range s.Floats {
			samples[k] = sample(p.T, p.F)
		}
		series[i].Labels, series[i].Samples = s.Metric.Map(), samples
	}
	return series, nil
}

func histogramOf(p promql.HPoint) adg.HistogramSample {
	h := adg.HistogramSample{At: time.UnixMilli(p.T).UTC(), Count: p.H.Count}
	for it := p.H.AllBucketIterator(); it.Next(); {
		if b := it.At(); b.Count > 0 {
			h.Buckets = append(h.Buckets, adg.HistogramBucket{Lower: b.Lower, Upper: b.Upper, Count: b.Count})
		}
	}
	return h
}

func checkSize(series, samples int) error {
	if series > maxSeries {
		return adg.Errorf(adg.Invalid, "the answer has %d series, at most %d are taken: aggregate them, for example with sum by (…)", series, maxSeries)
	}
	if samples > maxSamples {
		return adg.Errorf(adg.Invalid, "the answer has %d samples, at most %d are taken: aggregate, or look back less far", samples, maxSamples)
	}
	return nil
}

func errHistogram() error {
	return adg.Errorf(adg.Invalid, "the query answers with native histograms: make numbers of them, for example with histogram_quantile() or histogram_count()")
}

func sample(ms int64, value float64) adg.Sample {
	return adg.Sample{At: time.UnixMilli(ms).UTC(), Value: value}
}
