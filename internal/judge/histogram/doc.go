// Package histogram turns latency histograms into what a test of two rates can judge: how many requests took longer than
// a threshold, of how many. Thresholds are chosen from the baseline before the rollout, never from the candidate's data,
// and then stay; they decide how soon a slow release is found, and not whether the answer can be trusted.
//
// A threshold is always a bound of the buckets, for classic histograms (a counter per le label) and for native ones
// (buckets that grow exponentially, or custom bounds) alike: "longer than the bound" is then a count and no estimate,
// and means the same for both arms. Where a later histogram no longer has that bound (the candidate's has other
// buckets, or a native one was made coarser) the requests of the one bucket around it may be on either side:
// [Exceedance] says how many exceed it at least and at most, and takes for each arm what favours the candidate.
// Interpolation, straight within a bucket, is for the latency that people are shown, and for nothing else.
//
// Counters are taken as a replica shows them, never summed, rated or extrapolated by the source: increases are from one
// scrape to the next, and a counter that falls was reset. All buckets are [adg.HistogramBucket]: above Lower and up to
// Upper. (The negative buckets of a native histogram own their other end, which matters for values on a bound only,
// and there the same for both arms.) The encoding of native histograms is that of the Prometheus project's
// "Native Histograms" specification. Counts above fixed thresholds, each judged like errors, stand in for a comparison of
// quantiles: they need no estimate, add up over replicas and time, and find a slow release several times sooner than
// confidence bands around whole distributions.
package histogram

import (
	"math"

	"github.com/deployguardian/adg"
)

// Private

// maxBuckets bounds a histogram: beyond it, somebody's configuration went wrong.
const maxBuckets = 1024

// maxCount is the most observations of a histogram: floating point still tells one from none.
const maxCount = 1e15

// validate refuses buckets that no histogram has.
func validate(buckets []adg.HistogramBucket) error {
	if len(buckets) > maxBuckets {
		return adg.Errorf(adg.Invalid, "a histogram of %d buckets: %d are the most", len(buckets), maxBuckets)
	}
	sum := 0.0
	for i, b := range buckets {
		switch {
		case !(b.Lower < b.Upper):
			return adg.Errorf(adg.Invalid, "a bucket above %g and up to %g: its bounds have to rise", b.Lower, b.Upper)
		case i > 0 && b.Lower < buckets[i-1].Upper:
			return adg.Errorf(adg.Invalid, "a bucket begins at %g, below the end of the one before it, %g", b.Lower, buckets[i-1].Upper)
		case !(b.Count >= 0):
			return adg.Errorf(adg.Invalid, "the bucket up to %g has a count of %g", b.Upper, b.Count)
		}
		if sum += b.Count; sum > maxCount {
			return adg.Errorf(adg.Invalid, "a histogram of more than %g observations", maxCount)
		}
	}
	return nil
}

// point gives a bucket of a single value, as the zero bucket of a native histogram may be, the least width there is.
func point(b adg.HistogramBucket) adg.HistogramBucket {
	if b.Lower == b.Upper {
		b.Lower = math.Nextafter(b.Lower, math.Inf(-1))
	}
	return b
}
