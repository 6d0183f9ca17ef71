package bounds

import (
	"math"
	"slices"
	"sort"

	"github.com/deployguardian/adg"
)

// CDF is a distribution as it was observed: how many observations fell into each of some buckets. It is exact for
// samples, and as fine as its buckets for a histogram.
type CDF struct {
	buckets []adg.HistogramBucket
	upTo    []float64 // observations in a bucket and all below it
}

// OfBuckets makes a CDF of counts per bucket. Buckets that do not rise, that overlap, or whose bounds or counts are no
// numbers (NaN, a negative or infinite count), are Invalid. The buckets are lent for as long as the CDF is used.
func OfBuckets(buckets []adg.HistogramBucket) (CDF, error) {
	upTo := make([]float64, len(buckets))
	sum := 0.0
	for i, b := range buckets {
		switch {
		case !(b.Lower < b.Upper):
			return CDF{}, adg.Errorf(adg.Invalid, "bucket %d is above %g and up to %g: a bucket has a lower and a higher end", i+1, b.Lower, b.Upper)
		case i > 0 && b.Lower < buckets[i-1].Upper:
			return CDF{}, adg.Errorf(adg.Invalid, "bucket %d begins at %g, below the end of the one before it, %g", i+1, b.Lower, buckets[i-1].Upper)
		case !(b.Count >= 0):
			return CDF{}, adg.Errorf(adg.Invalid, "bucket %d has a count of %g", i+1, b.Count)
		}
		if sum += b.Count; sum > mostObservations {
			return CDF{}, adg.Errorf(adg.Invalid, "more than %g observations", mostObservations)
		}
		upTo[i] = sum
	}
	return CDF{buckets, upTo}, nil
}

// OfSamples makes a CDF of single values, in any order; NaN is Invalid.
func OfSamples(values []float64) (CDF, error) {
	var c CDF
	for i, v := range slices.Sorted(slices.Values(values)) {
		if math.IsNaN(v) {
			return CDF{}, adg.Errorf(adg.Invalid, "NaN is no value that a quantile can be made of")
		}
		if last := len(c.buckets) - 1; last >= 0 && c.buckets[last].Upper == v {
			c.buckets[last].Count++
			c.upTo[last]++
			continue
		}
		c.buckets = append(c.buckets, adg.HistogramBucket{Lower: v, Upper: v, Count: 1})
		c.upTo = append(c.upTo, float64(i+1))
	}
	return c, nil
}

// N is how many observations there were.
func (c CDF) N() float64 {
	if len(c.upTo) == 0 {
		return 0
	}
	return c.upTo[len(c.upTo)-1]
}

// QuantileInterval holds the quantile p at all times at once, but for a probability of alpha. It is for one quantile
// that was chosen beforehand; for several use [CDF.Simultaneous]. The ends are those of buckets, rounded outwards;
// p is between 0 and 1.
func QuantileInterval(c CDF, p, alpha float64) Interval {
	n, limit := c.N(), logLimit(alpha)
	if !(p > 0 && p < 1) || math.IsInf(limit, 1) || n < 1 {
		return Interval{math.Inf(-1), math.Inf(1)}
	}
	doubtful := func(below float64) bool { return mixture(below, n, p) < limit }
	// The evidence falls up to the expected count and rises from there on, so that each side is one search.
	middle := math.Floor(n * p)
	first := float64(sort.Search(int(middle), func(i int) bool { return doubtful(float64(i)) }))
	rest := int(n-middle) + 1
	last := middle + 1 + float64(sort.Search(rest, func(i int) bool { return !doubtful(middle + 1 + float64(i)) }))
	return c.between(first, last)
}

// Simultaneous holds the quantile p at all times, and for every p that it is asked for, at once.
func (c CDF) Simultaneous(p, alpha float64) Interval {
	n := c.N()
	return c.within(p, Band(n, alpha), n)
}

// Band is how far the observed CDF of n observations is from the true one at most, anywhere and at all times at once,
// but for a probability of alpha. It is 1, which says nothing, where n is small.
func Band(n, alpha float64) float64 { return halfWidth(n, logarithmic(alpha)) }

// Gap is how much two distributions differ for certain. The share of the canary's observations above At is larger
// than the baseline's by Observed, as far as buckets tell, and for certain by Certain or more.
type Gap struct {
	At       float64 // the value where it is the most
	Observed float64 // negative: the canary's is smaller wherever one looks
	Certain  float64 // not above 0: nothing is certain
	P        float64 // the smallest alpha with which Certain would be above 0; holds at every time at once
}

// CompareCDFs looks for the value that the canary exceeds most more often than the baseline does. Certain holds at all
// times at once, but for a probability of alpha. The arms need not have the same buckets: where one does not tell,
// what favours the canary is taken. Without observations in both there is no gap, with a P of 1.
func CompareCDFs(baseline, canary CDF, alpha float64) Gap {
	nb, nc := baseline.N(), canary.N()
	gap := Gap{At: math.NaN(), Observed: math.Inf(-1), Certain: -1, P: 1}
	if nb == 0 || nc == 0 {
		gap.Observed = 0
		return gap
	}
	j := 0
	for i, b := range baseline.buckets {
		for j < len(canary.buckets) && reaches(canary.buckets[j], b.Upper) {
			j++
		}
		most := 0.0
		if j > 0 {
			most = canary.upTo[j-1] / nc
		}
		if d := baseline.upTo[i]/nb - most; d > gap.Observed {
			gap.At, gap.Observed = b.Upper, d
		}
	}
	c := logarithmic(alpha / 2)
	gap.Certain = max(gap.Observed-halfWidth(nb, c)-halfWidth(nc, c), -1)
	gap.P = gapP(gap.Observed, nb, nc)
	return gap
}

// QuantileShift holds the canary's quantile p less the baseline's at all times, and for every p, at once, but for a
// probability of alpha.
func QuantileShift(baseline, canary CDF, p, alpha float64) Interval {
	b, c := baseline.Simultaneous(p, alpha/2), canary.Simultaneous(p, alpha/2)
	return Interval{c.Low - b.High, c.High - b.Low}
}

// Private

// mostObservations is where floating point still tells one from none.
const mostObservations = 1e15

// reaches tells whether some observations of the bucket may be up to v.
func reaches(b adg.HistogramBucket, v float64) bool { return b.Lower < v || b.Upper <= v }

// between is the interval from the observation with one rank to that with another, counted from 1; ranks that
// there are not are infinitely far away.
func (c CDF) between(first, last float64) Interval {
	i := Interval{math.Inf(-1), math.Inf(1)}
	if first >= 1 {
		i.Low = c.buckets[c.find(first)].Lower
	}
	if last <= c.N() {
		i.High = c.buckets[c.find(last)].Upper
	}
	return i
}

func (c CDF) find(rank float64) int {
	at, _ := slices.BinarySearch(c.upTo, rank)
	return at
}

// within is the interval of a quantile when the CDF is off by width at most.
func (c CDF) within(p, width, n float64) Interval {
	if !(p > 0 && p < 1) || n < 1 {
		return Interval{math.Inf(-1), math.Inf(1)}
	}
	return c.between(math.Ceil(n*(p-width)), math.Floor(n*(p+width))+1)
}

// strength of the prior of mixture, in observations: best where some ten times as many were made, good everywhere.
const strength = 100

// mixture is the evidence, as a logarithm, that the probability of an event is not p when it happened in so many of n
// cases.
func mixture(happened, n, p float64) float64 {
	a, b := strength*p, strength*(1-p)
	return logBeta(a+happened, b+n-happened) - logBeta(a, b) - happened*math.Log(p) - (n-happened)*math.Log1p(-p)
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	both, _ := math.Lgamma(a + b)
	return la + lb - both
}

// spread of the band of the iterated logarithm: the factor before its root.
const spread = 0.85

func halfWidth(n, c float64) float64 {
	if n < 1 {
		return 1
	}
	return min(spread*math.Sqrt((math.Log1p(math.Log(n))+c)/n), 1)
}

// bandError is the alpha with which the band of the iterated logarithm with the constant c holds. It is an infimum
// over eta; any eta gives a valid bound, so that a grid does.
func bandError(c float64) float64 {
	least := 1.0
	for eta := 1.005; eta < 2*spread*spread; eta += 0.002 {
		root := spread - math.Sqrt(2*(eta-1)/c)
		g := 2 / eta * root * root
		if root > 0 && g > 1 {
			least = min(least, 4*math.Exp(-g*c)*(1+1/((g-1)*math.Log(eta))))
		}
	}
	return least
}

// mostLogarithmic is the constant of an alpha that no floating-point number is below.
const mostLogarithmic = 1000

// logarithmic is the smallest constant of the band with which it holds with alpha.
func logarithmic(alpha float64) float64 {
	if !(alpha > 0 && alpha < 1) {
		return math.Inf(1)
	}
	return bisect(0, mostLogarithmic, func(c float64) bool { return bandError(c) <= alpha })
}

// gapP is the smallest alpha, half of it for each arm, with which the two bands together are narrower than the gap.
func gapP(gap, nb, nc float64) float64 {
	if gap <= 0 {
		return 1
	}
	c := bisect(0, mostLogarithmic, func(c float64) bool { return halfWidth(nb, c)+halfWidth(nc, c) >= gap })
	return min(2*bandError(c), 1)
}

// bisect is the smallest number from low to high for which something is so, given that it is so from there on.
func bisect(low, high float64, so func(float64) bool) float64 {
	for range 60 {
		if middle := (low + high) / 2; so(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}
