package histogram

import (
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Cumulative is a bucket of a classic histogram: a counter of the observations up to Le.
type Cumulative struct {
	Le    float64
	Count float64
}

// FromCumulative makes the histogram of one scrape from the buckets in any order; it sorts them in place. Le +Inf
// counts all observations, and without it there is nothing to compare with. Of two buckets with the same bound the larger
// counts. A count below that of a smaller bound, as clients give that update bucket by bucket, is raised to it. The
// first bucket begins at 0 where its bound is positive. What is no histogram is Invalid.
func FromCumulative(at time.Time, buckets []Cumulative) (adg.HistogramSample, error) {
	for _, b := range buckets {
		if math.IsNaN(b.Le) || math.IsInf(b.Le, -1) {
			return adg.HistogramSample{}, adg.Errorf(adg.Invalid, "a bucket with the bound %g", b.Le)
		}
		if !(b.Count >= 0 && b.Count <= maxCount) {
			return adg.HistogramSample{}, adg.Errorf(adg.Invalid, "the bucket up to %g has a count of %g: it is 0 to %g", b.Le, b.Count, maxCount)
		}
	}
	slices.SortFunc(buckets, func(a, b Cumulative) int {
		switch {
		case a.Le < b.Le:
			return -1
		case a.Le > b.Le:
			return 1
		}
		return 0
	})
	if len(buckets) == 0 || !math.IsInf(buckets[len(buckets)-1].Le, 1) {
		return adg.HistogramSample{}, adg.Errorf(adg.Invalid, "there is no bucket with le=\"+Inf\": how many requests there were is not known without it")
	}
	sample := adg.HistogramSample{At: at, Buckets: make([]adg.HistogramBucket, 0, len(buckets))}
	lower := math.Inf(-1)
	if buckets[0].Le > 0 {
		lower = 0
	}
	for _, b := range buckets {
		rise := max(b.Count-sample.Count, 0)
		if last := len(sample.Buckets) - 1; last >= 0 && sample.Buckets[last].Upper == b.Le {
			sample.Buckets[last].Count += rise
		} else {
			sample.Buckets = append(sample.Buckets, adg.HistogramBucket{Lower: lower, Upper: b.Le, Count: rise})
		}
		sample.Count += rise
		lower = b.Le
	}
	return sample, validate(sample.Buckets)
}
