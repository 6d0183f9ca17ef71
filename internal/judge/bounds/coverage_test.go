package bounds

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/deployguardian/adg"
)

// mostMisses is how many of so many runs may miss the truth at some time when each does with probability alpha: three
// standard deviations above the mean.
func mostMisses(runs int, alpha float64) int {
	mean := float64(runs) * alpha
	return int(mean + 3*math.Sqrt(mean*(1-alpha)) + 1)
}

// misses counts the runs in which something was wrong at any time at all.
func misses(runs int, run func(rnd *rand.Rand) (wrong bool)) int {
	n := 0
	for i := range runs {
		if run(rand.New(rand.NewPCG(uint64(i), 4711))) {
			n++
		}
	}
	return n
}

func TestMeansAreMissedAtNoTimeMoreOftenThanPromised(t *testing.T) {
	const alpha = 0.1
	for name, row := range map[string]struct {
		mean float64
		draw func(rnd *rand.Rand) float64
	}{
		"one in ten":           {0.1, func(rnd *rand.Rand) float64 { return flag(rnd, 0.1) }},
		"rare":                 {0.01, func(rnd *rand.Rand) float64 { return flag(rnd, 0.01) }},
		"even":                 {0.5, func(rnd *rand.Rand) float64 { return rnd.Float64() }},
		"hardly any variation": {0.3, func(rnd *rand.Rand) float64 { return 0.29 + 0.02*rnd.Float64() }},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 60
			bernstein := 0
			betting := misses(runs, func(rnd *rand.Rand) bool {
				m, _ := NewMean(0, 1)
				b, _ := NewBernstein(0, 1)
				wrongMean, wrongBernstein := false, false
				for range 250 {
					x := row.draw(rnd)
					_, _ = m.Add(x), b.Add(x)
					wrongMean = wrongMean || !m.Interval(alpha).Contains(row.mean)
					wrongBernstein = wrongBernstein || !b.Interval(alpha).Contains(row.mean)
				}
				if wrongBernstein {
					bernstein++
				}
				return wrongMean
			})
			if most := mostMisses(runs, alpha); betting > most || bernstein > most {
				t.Errorf("missed in %d (betting) and %d (Bernstein) of %d runs, at most %d are in order", betting, bernstein, runs, most)
			}
		})
	}
}

func TestMeansGetSharper(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m, _ := NewMean(0, 1)
	b, _ := NewBernstein(0, 1)
	for range 5000 {
		x := flag(rnd, 0.05)
		_, _ = m.Add(x), b.Add(x)
	}
	width := func(i Interval) float64 { return i.High - i.Low }
	// The interval of a single look at a known time, at 5 %, is 0.012 wide.
	if w := width(m.Interval(0.05)); w > 0.028 {
		t.Errorf("the mean of 5000 flags at 5 %% is told to %v, %g wide", m.Interval(0.05), w)
	}
	if w := width(b.Interval(0.05)); w > 0.03 {
		t.Errorf("Bernstein's interval is %v, %g wide", b.Interval(0.05), w)
	}
	if !m.Interval(0.05).Contains(0.05) || !b.Interval(0.05).Contains(0.05) {
		t.Errorf("0.05 is not in %v or %v", m.Interval(0.05), b.Interval(0.05))
	}
}

func TestAnEqualOrTolerableMeanIsNotCalledLarger(t *testing.T) {
	const alpha, runs, tolerance = 0.05, 400, 0.05
	for name, shift := range map[string]float64{"equal": 0, "just tolerable": tolerance} {
		interval := 0
		called := misses(runs, func(rnd *rand.Rand) bool {
			d, _ := NewDifference(0, 1, tolerance)
			out := false
			for i := range 600 {
				// The level of both drifts, and the two of a pair belong together.
				level := 0.4 + 0.3*math.Sin(float64(i)/50)
				both := 0.2 * rnd.Float64()
				_ = d.Add(level+both-0.1*rnd.Float64(), level+both-0.1*rnd.Float64()+shift)
				out = out || !d.Interval(alpha).Contains(shift)
			}
			if out {
				interval++
			}
			return d.Larger(alpha)
		})
		if most := mostMisses(runs, alpha); called > most || interval > most {
			t.Errorf("%s: called larger in %d, interval missed in %d of %d runs, at most %d are in order", name, called, interval, runs, most)
		}
	}
	late := misses(50, func(rnd *rand.Rand) bool {
		d, _ := NewDifference(0, 1, tolerance)
		for range 250 {
			_ = d.Add(0.4+0.2*rnd.Float64(), 0.6+0.2*rnd.Float64())
		}
		return d.Larger(alpha)
	})
	if late < 50 {
		t.Errorf("a mean that is larger by 0.2 was found in %d of 50 runs", late)
	}
}

func TestQuantilesAreMissedAtNoTimeMoreOftenThanPromised(t *testing.T) {
	const alpha, runs, horizon = 0.1, 250, 1500
	for _, p := range []float64{0.5, 0.9, 0.99} {
		got := misses(runs, func(rnd *rand.Rand) bool {
			below := 0.0
			for n := 1.0; n <= horizon; n++ {
				if rnd.Float64() <= p {
					below++
				}
				// The true quantile is out of the interval exactly when the count below it is rejected.
				if mixture(below, n, p) >= logLimit(alpha) {
					return true
				}
			}
			return false
		})
		if most := mostMisses(runs, alpha); got > most || got == 0 {
			t.Errorf("quantile %g: missed in %d of %d runs; more than %d break the promise, none would be too cautious", p, got, runs, most)
		}
	}
	whole := misses(100, func(rnd *rand.Rand) bool {
		var values []float64
		for range 20 {
			for range 20 {
				values = append(values, rnd.Float64())
			}
			c, _ := OfSamples(values)
			if !QuantileInterval(c, 0.9, alpha).Contains(0.9) || !c.Simultaneous(0.9, alpha).Contains(0.9) {
				return true
			}
		}
		return false
	})
	if most := mostMisses(100, alpha); whole > most {
		t.Errorf("intervals missed in %d of 100 runs, at most %d are in order", whole, most)
	}
}

func TestTheBandHoldsEverywhereAtAllTimes(t *testing.T) {
	const alpha, runs, cells = 0.1, 150, 64
	constant := logarithmic(alpha)
	got := misses(runs, func(rnd *rand.Rand) bool {
		var counts [cells]float64
		for n := 1.0; n <= 1500; n++ {
			counts[rnd.IntN(cells)]++
			below, width := 0.0, halfWidth(n, constant)
			for i, c := range counts {
				below += c
				if math.Abs(below/n-float64(i+1)/cells) > width {
					return true
				}
			}
		}
		return false
	})
	if most := mostMisses(runs, alpha); got > most {
		t.Errorf("left the band in %d of %d runs, at most %d are in order", got, runs, most)
	}
}

func TestEqualDistributionsHaveNoCertainGap(t *testing.T) {
	const alpha, runs = 0.1, 150
	got := misses(runs, func(rnd *rand.Rand) bool {
		var b, c [20]adg.HistogramBucket
		for i := range b {
			b[i] = adg.HistogramBucket{Lower: float64(i), Upper: float64(i + 1)}
			c[i] = b[i]
		}
		for range 30 {
			for range 50 {
				b[rnd.IntN(20)].Count++
				c[rnd.IntN(20)].Count++
			}
			baseline, _ := OfBuckets(b[:])
			canary, _ := OfBuckets(c[:])
			if g := CompareCDFs(baseline, canary, alpha); g.Certain > 0 || g.P < alpha {
				return true
			}
		}
		return false
	})
	if most := mostMisses(runs, alpha); got > most {
		t.Errorf("found a gap in %d of %d runs, at most %d are in order", got, runs, most)
	}
}

func TestARatioIsMissedAtNoTimeMoreOftenThanPromised(t *testing.T) {
	const alpha, runs = 0.1, 80
	for _, ratio := range []float64{0.5, 1, 4} {
		got := misses(runs, func(rnd *rand.Rand) bool {
			var r Ratio
			for i := range 300 {
				// The share ramps up and the level drifts, with a shared outage.
				share := []float64{0.01, 0.05, 0.25, 0.5}[i/75]
				p := 0.01 * (1.5 + math.Sin(float64(i)/20))
				if i > 100 && i < 120 {
					p *= 5
				}
				c, b := math.Round(400*share), math.Round(400*(1-share))
				_ = r.Add(adg.Counts{Bad: binomial(rnd, c, p*ratio), All: c}, adg.Counts{Bad: binomial(rnd, b, p), All: b})
				if !r.Interval(alpha, 1).Contains(ratio) {
					return true
				}
			}
			return false
		})
		if most := mostMisses(runs, alpha); got > most {
			t.Errorf("ratio %g: missed in %d of %d runs, at most %d are in order", ratio, got, runs, most)
		}
	}
}

func flag(rnd *rand.Rand, p float64) float64 {
	if rnd.Float64() < p {
		return 1
	}
	return 0
}

// binomial draws by the waiting times between successes.
func binomial(rnd *rand.Rand, n, p float64) float64 {
	hits, at := 0.0, 0.0
	for {
		at += 1 + math.Floor(math.Log(1-rnd.Float64())/math.Log1p(-p))
		if at > n {
			return hits
		}
		hits++
	}
}
