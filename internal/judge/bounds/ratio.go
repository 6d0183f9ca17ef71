package bounds

import (
	"math"

	"github.com/deployguardian/adg"
)

// Ratio bounds the ratio of the canary's rate of bad events to the baseline's. Each bucket is a stratum of its own:
// given how many of its requests were bad, only the ratio and the bucket's own share of the traffic say how many of
// them are the canary's. So the share may change from bucket to bucket, and the level of both rates, too. It is plain
// data, bounded in size (4 kB of JSON), and not safe for concurrent use; the zero value has seen nothing.
type Ratio struct {
	Bad [2]float64      `json:"bad"` // the canary's, the baseline's, of the buckets that count
	All [2]float64      `json:"all"`
	Log [ratios]float64 `json:"log"` // log-likelihood of each candidate
}

// Add counts a bucket. One in which either arm had no requests says nothing about the ratio and is left out. Counts that
// are no numbers, or negative, or more bad than all, are Invalid and change nothing.
func (r *Ratio) Add(canary, baseline adg.Counts) error {
	for _, c := range [...]adg.Counts{canary, baseline} {
		if !(c.Bad >= 0 && c.Bad <= c.All && c.All <= mostObservations) {
			return adg.Errorf(adg.Invalid, "%g bad of %g requests: counts are 0 to %g, and no more are bad than there are", c.Bad, c.All, mostObservations)
		}
	}
	if canary.All == 0 || baseline.All == 0 {
		return nil
	}
	r.Bad[0] += canary.Bad
	r.Bad[1] += baseline.Bad
	r.All[0] += canary.All
	r.All[1] += baseline.All
	if canary.Bad+baseline.Bad == 0 {
		return nil
	}
	bad, share := canary.Bad+baseline.Bad, canary.All/(canary.All+baseline.All)
	for i, ratio := range ratioGrid {
		// What does not depend on the ratio is left out of the likelihood: it cancels.
		r.Log[i] += canary.Bad*float64(i-ratios/2)*ratioStep - bad*math.Log1p(share*(ratio-1))
	}
	return nil
}

// Estimate is the most likely ratio, between 1/100 and 100; NaN as long as nothing bad happened.
func (r *Ratio) Estimate() float64 {
	if r.Bad[0]+r.Bad[1] == 0 {
		return math.NaN()
	}
	best := r.best()
	if best == 0 || best == ratios-1 {
		return ratioGrid[best]
	}
	// The top of the parabola through the best candidate and its neighbours.
	before, top, after := r.Log[best-1], r.Log[best], r.Log[best+1]
	shift := 0.0
	if bend := before - 2*top + after; bend < 0 {
		shift = (before - after) / (2 * bend)
	}
	return ratioGrid[best] * math.Exp(shift*ratioStep)
}

// Interval holds the ratio at all times at once, but for a probability of alpha. Its ends are candidates 5 % apart,
// rounded outwards; beyond 1/100 and 100 it ends at 0 and infinity. Overdispersion is how many times more the counts
// vary than those of independent events do, as measured between replicas, and 1 where they do not: above 1 the promise is
// close to true rather than exact.
func (r *Ratio) Interval(alpha, overdispersion float64) Interval {
	limit, phi := logLimit(alpha), max(overdispersion, 1)
	all := Interval{0, math.Inf(1)}
	if math.IsInf(limit, 1) || math.IsNaN(phi) {
		return all
	}
	best := r.best()
	mixed := 0.0
	for i, l := range r.Log {
		mixed += ratioPrior[i] * math.Exp((l-r.Log[best])/phi)
	}
	rejected := func(i int) bool { return math.Log(mixed)-(r.Log[i]-r.Log[best])/phi >= limit }
	// The likelihood has one top, so that what is rejected is at the two ends.
	for i := best; i >= 0; i-- {
		if rejected(i) {
			all.Low = ratioGrid[i]
			break
		}
	}
	for i := best; i < ratios; i++ {
		if rejected(i) {
			all.High = ratioGrid[i]
			break
		}
	}
	return all
}

// Private

const (
	ratios    = 2*92 + 1
	ratioStep = 2 * math.Ln10 / 92 // from 1 to 100 in 92 steps
)

// ratioGrid is the candidates for the ratio.
var ratioGrid = func() (g [ratios]float64) {
	for i := range g {
		g[i] = math.Exp(float64(i-ratios/2) * ratioStep)
	}
	return g
}()

// ratioPrior is how much of the evidence is bet on each candidate: falling exponentially with its distance from 1 on
// a logarithmic scale, slowly enough for a ratio of 20 to be found as well.
var ratioPrior = func() (w [ratios]float64) {
	sum := 0.0
	for i := range w {
		w[i] = math.Exp(-math.Abs(float64(i-ratios/2)) * ratioStep)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}()

func (r *Ratio) best() int {
	best := ratios / 2
	for i, l := range r.Log {
		if l > r.Log[best] {
			best = i
		}
	}
	return best
}
