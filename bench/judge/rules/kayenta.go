package rules

import (
	"math"
	"slices"

	"github.com/deployguardian/adg/bench/judge/view"
)

// Kayenta (Spinnaker), NetflixACAJudge at a69573b, with its documented defaults: the error rate and the p99 per minute of
// both arms, direction increase, tolerance 0.25, confidence 98 %, the effect (ratio of means) at least 1, pass 95. One metric
// that is High scores 50, which fails; metrics without data are left out, and fail together when they are half of all.
// The interval is made of order statistics of the pairwise differences, where Kayenta searches for the same limits with
// a tolerance of 1e-4. Confidence is fixed in its code: that it can be set here is in its favour.
func kayentaGrowing() *Rule {
	return &Rule{
		Name: "Kayenta (5m, growing window)", Source: "Spinnaker Kayenta: judged every 5 min on all minutes since the start",
		Knobs: kayentaKnobs(), Path: func(v *view.View, enough float64) Path { return kayenta(v, enough, 5) },
	}
}

func kayentaOnce() *Rule {
	return &Rule{
		Name: "Kayenta (once, at the end)", Source: "Spinnaker Kayenta: one judgement of all minutes",
		Knobs: kayentaKnobs(), Path: func(v *view.View, enough float64) Path { return kayenta(v, enough, v.Horizon/60) },
	}
}

// Private

func kayentaKnobs() []Knob {
	return []Knob{{"confidence, as standard deviations (2.33: 98 %)", 2.3263478740408408, 0, 12}}
}

func kayenta(v *view.View, enough float64, every int) Path {
	path := Path{Promote: v.Horizon}
	for n := every; n <= len(v.Minutes[view.Canary]) && (n == every || path.Peak() < enough); n += every {
		path.add(n*60, needs(v, n))
	}
	return path
}

// needs is the confidence, as standard deviations, below which the first n minutes are rolled back.
func needs(v *view.View, n int) float64 {
	peak := math.Inf(-1)
	for _, of := range []func(view.Window) float64{view.Window.Ratio, func(w view.Window) float64 { return w.P99 }} {
		canary, baseline := series(v.Minutes[view.Canary][:n], of), series(v.Minutes[view.Baseline][:n], of)
		if len(canary) == 0 || len(baseline) == 0 {
			return math.Inf(1) // one of two metrics without data is half of them
		}
		peak = max(peak, high(canary, baseline))
	}
	return peak
}

// series leaves out what is not a number, as Kayenta's default does.
func series(windows []view.Window, of func(view.Window) float64) []float64 {
	s := make([]float64, 0, len(windows))
	for _, w := range windows {
		if x := of(w); !math.IsNaN(x) {
			s = append(s, x)
		}
	}
	return s
}

// high is the confidence below which Kayenta classifies the canary as High: the lower limit of the shift (Mann-Whitney
// with continuity correction) is above a quarter of its estimate. Where all differences are, it is so at any confidence: Kayenta's
// search stops at the smallest of them.
func high(canary, baseline []float64) float64 {
	if mean(canary) > 0 && mean(canary) < mean(baseline) {
		return math.Inf(-1) // the effect is below 1; without errors it is not a number, and not asked
	}
	slices.Sort(canary)
	slices.Sort(baseline)
	n := len(canary) * len(baseline)
	estimate := (difference(canary, baseline, n/2) + difference(canary, baseline, n-1-n/2)) / 2
	small := atMost(canary, baseline, math.Abs(estimate)/4)
	switch sd := deviation(canary, baseline); {
	case small == n || sd == 0:
		return math.Inf(-1)
	case small == 0:
		return math.Inf(1)
	default:
		return (float64(n)/2 - float64(small) - 0.5) / sd
	}
}

// difference is the pairwise one of that rank, from 0, between sorted values. It is found by halving, number by number that
// a float can be, as there may be too many of them to be listed.
func difference(x, y []float64, rank int) float64 {
	low, high := ordered(x[0]-y[len(y)-1]), ordered(x[len(x)-1]-y[0])
	for low < high {
		if middle := low + (high-low)/2; atMost(x, y, float(middle)) > rank {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return float(low)
}

// atMost counts the pairwise differences of sorted values that are no more than a limit.
func atMost(x, y []float64, limit float64) int {
	n, j := 0, 0
	for _, a := range x {
		for j < len(y) && a-y[j] > limit {
			j++
		}
		n += len(y) - j
	}
	return n
}

// ordered numbers all floats from the smallest to the largest; float is the way back.
func ordered(f float64) uint64 {
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

func float(n uint64) float64 {
	if n>>63 == 1 {
		return math.Float64frombits(n &^ (1 << 63))
	}
	return math.Float64frombits(^n)
}

// deviation of the rank sum, less for ties.
func deviation(x, y []float64) float64 {
	all := slices.Sorted(slices.Values(slices.Concat(x, y)))
	ties := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	m, n, k := float64(len(x)), float64(len(y)), float64(len(all))
	return math.Sqrt(m * n / 12 * (k + 1 - ties/(k*(k-1))))
}

func mean(s []float64) float64 {
	sum := 0.0
	for _, x := range s {
		sum += x
	}
	return sum / float64(len(s))
}
