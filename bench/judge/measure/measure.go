// Package measure sums up what became of many traces: rates and times with 95 % intervals, and what nobody could do
// better.
package measure

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Interval is an estimate and where, with 95 % confidence, the truth is.
type Interval struct{ Value, Low, High float64 }

// Number is written to JSON as null where it is not finite.
type Number float64

// MarshalJSON writes at most six digits.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// MarshalJSON writes the three numbers as an array: the value, and where the interval begins and ends.
func (i Interval) MarshalJSON() ([]byte, error) {
	return json.Marshal([]Number{Number(i.Value), Number(i.Low), Number(i.High)})
}

// Wilson is the rate of hits among n, with Wilson's score interval; all NaN when n is 0.
func Wilson(hits, n int) Interval {
	p, k := float64(hits)/float64(n), z*z/float64(n)
	centre := (p + k/2) / (1 + k)
	half := z / (1 + k) * math.Sqrt(p*(1-p)/float64(n)+k/(4*float64(n)))
	i := Interval{p, max(centre-half, 0), min(centre+half, 1)}
	if hits == 0 {
		i.Low = 0
	}
	if hits == n && n > 0 {
		i.High = 1
	}
	return i
}

// Quantile is that of the times, with an interval made of order statistics. A time of +Inf is one that never came.
// Sorts its argument.
func Quantile(times []float64, q float64) Interval {
	slices.Sort(times)
	n := float64(len(times))
	at := func(rank float64) float64 { // 1-based; beyond the ends nothing is known
		switch i := int(rank); {
		case i < 1:
			return 0
		case i > len(times):
			return math.Inf(1)
		default:
			return times[i-1]
		}
	}
	half := z * math.Sqrt(n*q*(1-q))
	return Interval{at(math.Max(math.Ceil(n*q), 1)), at(math.Floor(n*q - half)), at(math.Ceil(n*q+half) + 1)}
}

// Restricted is the mean time, where what took longer than the horizon counts as the horizon.
func Restricted(times []float64, horizon float64) Interval {
	cut := make([]float64, len(times))
	for i, t := range times {
		cut[i] = min(t, horizon)
	}
	return Mean(cut)
}

// Mean has a normal interval.
func Mean(values []float64) Interval {
	n, sum := float64(len(values)), 0.0
	for _, v := range values {
		sum += v
	}
	mean, square := sum/n, 0.0
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	half := z * math.Sqrt(square/max(n-1, 1)/n)
	return Interval{mean, mean - half, mean + half}
}

// Order tells how one interval lies to another: "earlier" or "later" where they do not overlap, else "same". Neither is
// known where half of the traces were never found by either.
func Order(ours, theirs Interval) string {
	switch {
	case math.IsInf(ours.Value, 1) && math.IsInf(theirs.Value, 1):
		return "neither"
	case ours.High < theirs.Low:
		return "earlier"
	case ours.Low > theirs.High:
		return "later"
	}
	return "same"
}

// Private

const z = 1.959963984540054
