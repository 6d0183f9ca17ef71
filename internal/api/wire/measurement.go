package wire

import (
	"slices"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Measurement is one observation of one arm of a check.
func Measurement(m adg.Measurement) *adgv1.Measurement {
	return &adgv1.Measurement{
		Check: text(m.Check), Arm: arms.to(m.Arm), Time: Timestamp(m.At), Took: Duration(m.Took), Sent: texts(m.Sent),
		Values: each(m.Values, Series), Bad: each(m.Bad, Series), Total: each(m.Total, Series), Slow: each(m.Slow, Series),
		Warnings: texts(m.Warnings), Error: text(m.Err), Log: optional(m.Log, logCount),
	}
}

// Series is samples with their labels.
func Series(s adg.Series) *adgv1.Series {
	return &adgv1.Series{
		Labels: textMap(s.Labels), Histograms: each(s.Histograms, histogram),
		Samples: each(s.Samples, func(s adg.Sample) *adgv1.Sample { return &adgv1.Sample{Time: Timestamp(s.At), Value: s.Value} }),
	}
}

// Baseline is what a check said before the deployment started. What the judge learned from it stays the judge's.
func Baseline(b adg.Baseline) *adgv1.Baseline {
	return &adgv1.Baseline{
		Check: text(b.Check), FromTime: Timestamp(b.From), ToTime: Timestamp(b.To), Values: slices.Clone(b.Values), Bad: b.Bad, Total: b.Total,
		Replicas: eachValue(b.Replica, func(c adg.Counts) *adgv1.BaselineCounts { return &adgv1.BaselineCounts{Bad: c.Bad, All: c.All} }),
		Error:    text(b.Err),
	}
}

// Private

func histogram(h adg.HistogramSample) *adgv1.HistogramSample {
	return &adgv1.HistogramSample{
		Time: Timestamp(h.At), Count: h.Count,
		Buckets: each(h.Buckets, func(b adg.HistogramBucket) *adgv1.HistogramBucket {
			return &adgv1.HistogramBucket{Lower: b.Lower, Upper: b.Upper, Count: b.Count}
		}),
	}
}
