package histogram

import (
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// CustomBounds is the schema of a native histogram whose bounds are listed.
const CustomBounds = -53

// Native is a native histogram as Prometheus encodes it. Schema -4 to 8 divides each power of two into 2^Schema
// buckets; with CustomBounds they end at Bounds, the last at +Inf, and there are no zero and no negative ones.
type Native struct {
	At            time.Time
	Schema        int32
	Count         float64 // of all observations, those that are NaN and in no bucket included
	ZeroThreshold float64 // the zero bucket is from -ZeroThreshold to ZeroThreshold, both included
	ZeroCount     float64
	Positive      Side
	Negative      Side
	Bounds        []float64
}

// Side is the buckets of one sign, in runs of neighbours. Their counts are Deltas, each to the one before, in a histogram
// of whole numbers, and Counts in one of floating-point numbers.
type Side struct {
	Spans  []Span
	Deltas []int64
	Counts []float64
}

// Span is a run of Length buckets that begins Offset buckets after the end of the one before it; that of the first is
// its index.
type Span struct {
	Offset int32
	Length uint32
}

// Sample decodes the histogram; buckets without observations are left out. What does not fit together is Invalid.
func (n Native) Sample() (adg.HistogramSample, error) {
	none := adg.HistogramSample{}
	if err := n.check(); err != nil {
		return none, err
	}
	sample := adg.HistogramSample{At: n.At, Count: n.Count}
	err := n.Negative.each(func(index int64, count float64) error {
		b, err := n.bucket(index)
		b.Lower, b.Upper, b.Count = -b.Upper, -b.Lower, count
		sample.Buckets = append(sample.Buckets, b)
		return err
	})
	if err != nil {
		return none, err
	}
	slices.Reverse(sample.Buckets)
	if n.ZeroCount > 0 {
		sample.Buckets = append(sample.Buckets, point(adg.HistogramBucket{Lower: -n.ZeroThreshold, Upper: n.ZeroThreshold, Count: n.ZeroCount}))
	}
	err = n.Positive.each(func(index int64, count float64) error {
		b, err := n.bucket(index)
		b.Count = count
		sample.Buckets = append(sample.Buckets, b)
		return err
	})
	if err != nil {
		return none, err
	}
	if err := validate(sample.Buckets); err != nil {
		return none, err
	}
	sum := 0.0
	for _, b := range sample.Buckets {
		sum += b.Count
	}
	if sum > n.Count*(1+1e-9) {
		return none, adg.Errorf(adg.Invalid, "a native histogram of %g observations with %g in its buckets", n.Count, sum)
	}
	return sample, nil
}

// Private

func (n Native) check() error {
	custom := n.Schema == CustomBounds
	zero := n.ZeroCount == 0 && n.ZeroThreshold == 0 && len(n.Negative.Spans) == 0
	switch {
	case !custom && (n.Schema < -4 || n.Schema > 8):
		return adg.Errorf(adg.Invalid, "a native histogram of schema %d: known are -4 to 8, and %d", n.Schema, CustomBounds)
	case custom && !zero:
		return adg.Errorf(adg.Invalid, "a native histogram with custom bounds has no zero bucket and no negative ones")
	case !custom && len(n.Bounds) > 0:
		return adg.Errorf(adg.Invalid, "a native histogram of schema %d has no custom bounds", n.Schema)
	case len(n.Bounds) >= maxBuckets:
		return adg.Errorf(adg.Invalid, "a native histogram of %d bounds: %d are the most", len(n.Bounds), maxBuckets-1)
	case !(n.Count >= 0 && n.Count <= maxCount) || !(n.ZeroCount >= 0 && n.ZeroCount <= maxCount):
		return adg.Errorf(adg.Invalid, "a native histogram with the counts %g (all) and %g (zero): they are 0 to %g", n.Count, n.ZeroCount, maxCount)
	case !(n.ZeroThreshold >= 0) || math.IsInf(n.ZeroThreshold, 1):
		return adg.Errorf(adg.Invalid, "a native histogram with the zero threshold %g", n.ZeroThreshold)
	}
	for i, b := range n.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= n.Bounds[i-1] {
			return adg.Errorf(adg.Invalid, "custom bounds are finite and rise: %g is the one at place %d", b, i+1)
		}
	}
	return nil
}

// bucket is the one with that index on the positive side.
func (n Native) bucket(index int64) (adg.HistogramBucket, error) {
	var b adg.HistogramBucket
	if n.Schema == CustomBounds {
		if index < 0 || index > int64(len(n.Bounds)) {
			return b, adg.Errorf(adg.Invalid, "a native histogram has a bucket %d, and %d custom bounds", index, len(n.Bounds))
		}
		b = adg.HistogramBucket{Lower: math.Inf(-1), Upper: math.Inf(1)}
		if index > 0 {
			b.Lower = n.Bounds[index-1]
		} else if len(n.Bounds) > 0 && n.Bounds[0] > 0 {
			b.Lower = 0 // as in a classic histogram
		}
		if index < int64(len(n.Bounds)) {
			b.Upper = n.Bounds[index]
		}
		return b, nil
	}
	// What is in the zero bucket is in no other: where it ends within this one, this one begins there.
	b = adg.HistogramBucket{Lower: max(n.exponential(index-1), n.ZeroThreshold), Upper: n.exponential(index)}
	if !(b.Lower < b.Upper) {
		return b, adg.Errorf(adg.Invalid, "a native histogram has a bucket %d, which no value of schema %d above %g can be in", index, n.Schema, n.ZeroThreshold)
	}
	return b, nil
}

// exponential is the upper bound of a bucket. That of the last one for finite values is the largest of them, and
// infinite ones have the bucket after it.
func (n Native) exponential(index int64) float64 {
	const beyond = 1100 << 8 // no index of any schema is as large
	index = min(max(index, -beyond), beyond)
	raw := func(i int64) float64 {
		if n.Schema <= 0 {
			return math.Ldexp(1, int(i<<-n.Schema))
		}
		whole := i >> n.Schema
		part := float64(i-whole<<n.Schema) / float64(int64(1)<<n.Schema)
		return math.Ldexp(math.Exp2(part), int(whole))
	}
	bound := raw(index)
	if math.IsInf(bound, 1) && !math.IsInf(raw(index-1), 1) {
		return math.MaxFloat64
	}
	return bound
}

// each gives the index and the count of the buckets that have observations, in the order of their distance from zero.
func (s Side) each(give func(index int64, count float64) error) error {
	if len(s.Spans) > maxBuckets || len(s.Deltas) > 0 && len(s.Counts) > 0 {
		return adg.Errorf(adg.Invalid, "a native histogram of %d spans with %d deltas and %d counts: at most %d, with either deltas or counts",
			len(s.Spans), len(s.Deltas), len(s.Counts), maxBuckets)
	}
	have := max(len(s.Deltas), len(s.Counts))
	index, at, count := int64(0), 0, 0.0
	for i, span := range s.Spans {
		if i > 0 && span.Offset < 0 {
			return adg.Errorf(adg.Invalid, "span %d of a native histogram begins before the end of the one before it", i+1)
		}
		index += int64(span.Offset)
		for range min(int64(span.Length), int64(have-at)+1) {
			if at == have || at == maxBuckets {
				return adg.Errorf(adg.Invalid, "the spans of a native histogram take more than its %d buckets, or more than %d", have, maxBuckets)
			}
			if s.Counts != nil {
				count = s.Counts[at]
			} else {
				count += float64(s.Deltas[at])
			}
			if !(count >= 0 && count <= maxCount) {
				return adg.Errorf(adg.Invalid, "bucket %d of a native histogram has a count of %g", index, count)
			}
			if count > 0 {
				if err := give(index, count); err != nil {
					return err
				}
			}
			index++
			at++
		}
	}
	if at < have {
		return adg.Errorf(adg.Invalid, "the spans of a native histogram take %d of its %d buckets", at, have)
	}
	return nil
}
