package histogram

import (
	"math"

	"github.com/deployguardian/adg"
)

// Quantiles are those of the baseline that a release is compared at unless somebody asks for others.
var Quantiles = [...]float64{0.5, 0.75, 0.9, 0.95, 0.99}

// Threshold is a latency that requests are counted above.
type Threshold struct {
	Quantile float64 `json:"quantile"` // that it stands for
	Value    float64 `json:"value"`    // of the quantile, interpolated: for people
	Bound    float64 `json:"bound"`    // that is counted: the bound of a bucket, close to it
	Share    float64 `json:"share"`    // of the baseline's requests that were above the bound
}

// Thresholds chooses for each quantile (between 0 and 1, rising) the bound that the nearest share of the baseline's
// requests exceeds, by ratio; a bound that two would share stays with the first. Bounds that none or all of them exceed tell
// nothing, so that there may be fewer thresholds than quantiles, and none at all for a histogram of one bucket.
func Thresholds(baseline []adg.HistogramBucket, quantiles ...float64) ([]Threshold, error) {
	if err := validate(baseline); err != nil {
		return nil, err
	}
	before := 0.0
	for _, q := range quantiles {
		if !(q > before && q < 1) {
			return nil, adg.Errorf(adg.Invalid, "quantile %g: they are between 0 and 1, and rise", q)
		}
		before = q
	}
	all := total(baseline)
	var chosen []Threshold
	for _, q := range quantiles {
		t := nearest(baseline, all, q)
		if t.Share > 0 && (len(chosen) == 0 || chosen[len(chosen)-1].Bound < t.Bound) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

// Quantile interpolates within the bucket that holds the quantile q, between 0 and 1, as if its observations were
// spread evenly. In a bucket without end it is the finite bound. It is NaN without observations.
func Quantile(buckets []adg.HistogramBucket, q float64) float64 {
	all := total(buckets)
	rank, below := q*all, 0.0
	for _, b := range buckets {
		if b.Count > 0 && below+b.Count >= rank {
			switch {
			case math.IsInf(b.Upper, 1):
				return b.Lower
			case math.IsInf(b.Lower, -1):
				return b.Upper
			}
			return b.Lower + (b.Upper-b.Lower)*max(rank-below, 0)/b.Count
		}
		below += b.Count
	}
	return math.NaN()
}

// Exceedance is how many of all requests were above a bound: between Least and Most, which are the same where the bound
// is one of the histogram's own.
type Exceedance struct {
	Least float64
	Most  float64
	All   float64
}

// Counts takes what favours the candidate when it is asked whether it is slower: for its own requests the least, for the
// baseline's the most. For the question whether it is no slower, ask with the arms exchanged.
func (e Exceedance) Counts(arm adg.Arm) adg.Counts {
	if arm == adg.CandidateArm {
		return adg.Counts{Bad: e.Least, All: e.All}
	}
	return adg.Counts{Bad: e.Most, All: e.All}
}

// Above counts the requests above each threshold, which rise, appended to into[:0].
func Above(into []Exceedance, buckets []adg.HistogramBucket, thresholds []Threshold) []Exceedance {
	into = into[:0]
	all := total(buckets)
	i, below := 0, 0.0
	for _, t := range thresholds {
		for i < len(buckets) && buckets[i].Upper <= t.Bound {
			below += buckets[i].Count
			i++
		}
		e := Exceedance{Least: max(all-below, 0), Most: max(all-below, 0), All: all}
		if i < len(buckets) && buckets[i].Lower < t.Bound {
			e.Least = max(e.Least-buckets[i].Count, 0)
		}
		into = append(into, e)
	}
	return into
}

// Private

const maxFinite = math.MaxFloat64

func total(buckets []adg.HistogramBucket) float64 {
	sum := 0.0
	for _, b := range buckets {
		sum += b.Count
	}
	return sum
}

func nearest(buckets []adg.HistogramBucket, all, q float64) Threshold {
	t := Threshold{Quantile: q, Value: Quantile(buckets, q)}
	best, above := math.Inf(1), all
	for _, b := range buckets {
		above -= b.Count
		if above <= 1e-9*all || above >= all || b.Upper > maxFinite {
			continue
		}
		if off := math.Abs(math.Log(above / all / (1 - q))); off < best {
			best, t.Bound, t.Share = off, b.Upper, above/all
		}
	}
	return t
}
