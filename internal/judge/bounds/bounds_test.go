package bounds

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestTheBandHasThePublishedConstants(t *testing.T) {
	for alpha, want := range map[float64]float64{0.05: 8.12, 0.01: 9.28} {
		if got := logarithmic(alpha); math.Abs(got-want) > 0.01 {
			t.Errorf("constant for alpha %g is %.3f, published %.2f", alpha, got, want)
		}
		for _, n := range []float64{1000, 1e4, 1e6, 1e9} {
			published := 0.85 * math.Sqrt((math.Log(math.Log(math.E*n))+0.8*math.Log(1612/alpha))/n)
			if got := Band(n, alpha); got > published || got < 0.95*published {
				t.Errorf("band of %g observations at %g is %g, the rounded closed form is %g: it has to be a little narrower", n, alpha, got, published)
			}
		}
	}
}

func TestTheQuantileMixtureIsTheProductOfItsSteps(t *testing.T) {
	const p = 0.9
	a, b := strength*p, strength*(1-p)
	product, happened := 0.0, 0.0
	for i, hit := range []bool{true, true, false, true, false, false, true} {
		n := float64(i)
		if hit {
			product += math.Log((a+happened)/(strength+n)) - math.Log(p)
			happened++
		} else {
			product += math.Log((b+n-happened)/(strength+n)) - math.Log(1-p)
		}
	}
	if got := mixture(happened, 7, p); math.Abs(got-product) > 1e-9 {
		t.Errorf("evidence %g, event by event it is %g", got, product)
	}
}

func TestOneValueByHand(t *testing.T) {
	m, err := NewMean(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Add(1); err != nil {
		t.Fatal(err)
	}
	// The first bet, sqrt(2 ln 200/(1/4 ln 2)) = 7.8, is cut to half the capital: 1 + 1/2 (1-m)/m for "above".
	i := 100
	if want := math.Log(1 + 0.5*(1-grid[i])/grid[i]); math.Abs(m.Above[i]-want) > 1e-12 {
		t.Errorf("capital for above %g is %g, want %g", grid[i], m.Above[i], want)
	}
	if want := math.Log(0.5); math.Abs(m.Below[i]-want) > 1e-12 {
		t.Errorf("capital for below %g is %g, want %g", grid[i], m.Below[i], want)
	}
	b, _ := NewBernstein(0, 1)
	if err := b.Add(1); err != nil {
		t.Fatal(err)
	}
	// Bet 1/2, distance from the mean foreseen 1/2: penalty 1/4 (ln 2 - 1/2).
	if want := 0.25 * (math.Ln2 - 0.5); math.Abs(b.Penalty-want) > 1e-12 {
		t.Errorf("penalty %g, want %g", b.Penalty, want)
	}
}

func TestNoBetKnowsThePairThatItIsMadeOn(t *testing.T) {
	d, _ := NewDifference(0, 1, 0.05)
	if _ = d.Add(0, 1); d.LogE != 0 {
		t.Errorf("evidence %g of the first pair, before which there was no reason to bet", d.LogE)
	}
	// Now 3/4 is foreseen, half of the capital may be lost at most, and the pair is worth 1 - 0.525.
	if _ = d.Add(0, 1); math.Abs(d.LogE-math.Log(1+0.5/0.525*(1-0.525))) > 1e-12 {
		t.Errorf("evidence %g after the second", d.LogE)
	}
	m, _ := NewMean(0, 1)
	before := m.Past.bet()
	_ = m.Add(0.2)
	if i := candidates - 1; math.Abs(m.Above[i]-math.Log1p(min(before, mostCapital/grid[i])*(0.2-grid[i]))) > 1e-12 {
		t.Error("the bet on the first value depends on it")
	}
}

func TestQuantilesOfSamplesAreOrderStatistics(t *testing.T) {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i + 1)
	}
	c, err := OfSamples(values)
	if err != nil {
		t.Fatal(err)
	}
	got := QuantileInterval(c, 0.5, 0.05)
	if int(got.Low)+int(got.High) != 1000 && int(got.Low)+int(got.High) != 1001 {
		t.Errorf("interval %v of a median is not about the middle", got)
	}
	if mixture(got.Low-1, 1000, 0.5) < -math.Log(0.05) || mixture(got.Low, 1000, 0.5) >= -math.Log(0.05) {
		t.Errorf("the lower end %g is not the first that is not rejected", got.Low)
	}
	if width := got.High - got.Low; width < 80 || width > 130 {
		t.Errorf("interval %v: 1000 observations tell a median to about ± 50", got)
	}
	if all := c.Simultaneous(0.5, 0.05); all.Low >= got.Low || all.High <= got.High {
		t.Errorf("the interval for every quantile %v is not wider than that for one %v", all, got)
	}
	if top := QuantileInterval(c, 0.999, 0.05); !math.IsInf(top.High, 1) || top.Low > 1000 {
		t.Errorf("the highest thousandth of 1000 observations has no upper end, got %v", top)
	}
}

func TestQuantilesOfAHistogramEndAtItsBuckets(t *testing.T) {
	c, err := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 400}, {Lower: 0.1, Upper: 0.25, Count: 400}, {Lower: 0.5, Upper: math.Inf(1), Count: 200}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		p    float64
		want Interval
	}{
		{"the median is in the second bucket", 0.5, Interval{0.1, 0.25}},
		{"close to the border of two", 0.41, Interval{0, 0.25}},
		{"beyond the last bound", 0.95, Interval{0.5, math.Inf(1)}},
	} {
		if got := QuantileInterval(c, row.p, 0.05); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	if got := QuantileInterval(CDF{}, 0.5, 0.05); !math.IsInf(got.Low, -1) || !math.IsInf(got.High, 1) {
		t.Errorf("nothing is known of no observations, got %v", got)
	}
}

func TestACertainGapTakesAsManyRequestsAsPublished(t *testing.T) {
	// The largest gap of the CDFs of two lognormals, sigma 1/2, one 10 % slower, is 0.076.
	arms := func(n float64) Gap {
		fast, _ := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 0.538 * n}, {Lower: 1, Upper: 2, Count: 0.462 * n}})
		slow, _ := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 1, Count: 0.462 * n}, {Lower: 1, Upper: 2, Count: 0.538 * n}})
		return CompareCDFs(fast, slow, 0.01)
	}
	if g := arms(6600); g.Certain <= 0 || g.P >= 0.01 || g.At != 1 || math.Abs(g.Observed-0.076) > 1e-9 {
		t.Errorf("at 6600 requests each a gap of 0.076 is certain, got %+v", g)
	}
	if g := arms(5900); g.Certain >= 0 || g.P <= 0.01 {
		t.Errorf("at 5900 requests each it is not certain yet, got %+v", g)
	}
}

func TestDifferentBucketsFavourTheCanary(t *testing.T) {
	baseline, _ := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 0.1, Count: 1e6}})
	canary, _ := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 0.05, Count: 2e5}, {Lower: 0.05, Upper: 0.2, Count: 3e5}, {Lower: 0.2, Upper: 1, Count: 5e5}})
	if g := CompareCDFs(baseline, canary, 0.01); math.Abs(g.Observed-0.5) > 1e-12 || g.At != 0.1 || g.P > 1e-6 {
		t.Errorf("half of the canary's requests are slower than 0.2 for certain, got %+v", g)
	}
	if i := QuantileShift(baseline, canary, 0.9, 0.01); i.Low != 0.2-0.1 || i.High != 1 {
		t.Errorf("the 90th percentile moved by 0.1 to 1, got %v", i)
	}
}

func TestTheRatioAgreesWithTheClosedFormOfOneShare(t *testing.T) {
	const share, alpha = 0.1, 0.05
	var r Ratio
	for range 100 {
		if err := r.Add(adg.Counts{Bad: 4, All: 100}, adg.Counts{Bad: 18, All: 900}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Estimate(); math.Abs(got-2) > 0.001 {
		t.Errorf("estimate %g, want 2", got)
	}
	// 2.1.1: the shares of the events that a beta mixture does not reject, as ratios.
	inside := func(ratio float64) bool {
		th := share * ratio / (share*ratio + 1 - share)
		a, b := strength*share, strength*(1-share)
		return 400*math.Log(th)+1800*math.Log(1-th) >= math.Log(alpha)+logBeta(a+400, b+1800)-logBeta(a, b)
	}
	got := r.Interval(alpha, 1)
	low := bisect(0.1, 2, inside)
	high := bisect(2, 10, func(x float64) bool { return !inside(x) })
	if math.Abs(math.Log(got.Low/low)) > 0.08 || math.Abs(math.Log(got.High/high)) > 0.08 {
		t.Errorf("interval %v, by the closed form %g to %g", got, low, high)
	}
	if wide := r.Interval(alpha, 4); wide.Low >= got.Low || wide.High <= got.High {
		t.Errorf("over-dispersion does not widen %v: %v", got, wide)
	}
}

func TestARatioIsNotFooledByARamp(t *testing.T) {
	// Both fail alike, 1 % first and 10 % later, and most of the canary's traffic is in the later part: the totals
	// alone would say a ratio of 3.4.
	var r Ratio
	for range 100 {
		_ = r.Add(adg.Counts{Bad: 0.1, All: 10}, adg.Counts{Bad: 9.9, All: 990})
		_ = r.Add(adg.Counts{Bad: 50, All: 500}, adg.Counts{Bad: 50, All: 500})
	}
	if got := r.Estimate(); math.Abs(got-1) > 0.01 {
		t.Errorf("estimate %g, want 1", got)
	}
}

func TestWhatNothingIsKnownOfHasNoEnds(t *testing.T) {
	var r Ratio
	if got := r.Interval(0.05, 1); got != (Interval{0, math.Inf(1)}) || !math.IsNaN(r.Estimate()) {
		t.Errorf("ratio of nothing: %v, %g", got, r.Estimate())
	}
	_ = r.Add(adg.Counts{Bad: 900, All: 1000}, adg.Counts{All: 9000})
	if got := r.Interval(0.05, 1); got.Low < 2 || !math.IsInf(got.High, 1) {
		t.Errorf("a baseline without errors: %v", got)
	}
	m, _ := NewMean(-1, 3)
	b, _ := NewBernstein(-1, 3)
	for _, got := range []Interval{m.Interval(0.05), b.Interval(0.05)} {
		if got != (Interval{-1, 3}) {
			t.Errorf("mean of nothing: %v", got)
		}
	}
	for range 100 {
		_ = m.Add(1)
		_ = b.Add(1)
	}
	for _, alpha := range []float64{0, -1, math.NaN()} {
		for _, got := range []Interval{m.Interval(alpha), b.Interval(alpha)} {
			if got != (Interval{-1, 3}) {
				t.Errorf("alpha %g promises nothing, got %v", alpha, got)
			}
		}
	}
}

func TestNonsenseIsRefusedAndChangesNothing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	m, _ := NewMean(0, 1)
	b, _ := NewBernstein(0, 1)
	d, _ := NewDifference(0, 1, 0)
	var r Ratio
	before := []any{m, b, d, r}
	_, range1 := NewMean(1, 1)
	_, range2 := NewBernstein(0, inf)
	_, tolerance := NewDifference(0, 1, -0.1)
	_, narrow := OfBuckets([]adg.HistogramBucket{{Lower: 1, Upper: 1}})
	_, overlap := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 2}, {Lower: 1, Upper: 3}})
	_, negative := OfBuckets([]adg.HistogramBucket{{Lower: 0, Upper: 2, Count: -1}})
	_, sample := OfSamples([]float64{1, nan})
	for i, err := range []error{range1, range2, tolerance, narrow, overlap, negative, sample, m.Add(nan), b.Add(nan), d.Add(0, nan), d.Add(nan, 0),
		r.Add(adg.Counts{Bad: 2, All: 1}, adg.Counts{All: 1}), r.Add(adg.Counts{All: 1}, adg.Counts{Bad: nan, All: 1}),
		r.Add(adg.Counts{Bad: -1, All: 1}, adg.Counts{All: 1}), r.Add(adg.Counts{All: inf}, adg.Counts{All: 1})} {
		if adg.CodeOf(err) != adg.Invalid {
			t.Errorf("nonsense %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(before, []any{m, b, d, r}); diff != "" {
		t.Error("something changed:", diff)
	}
}

func TestStatesSurviveTheirJSON(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, _ := NewMean(-2, 2)
		b, _ := NewBernstein(-2, 2)
		d, _ := NewDifference(-2, 2, 0.1)
		var r Ratio
		value := rapid.Float64Range(-3, 3)
		for range rapid.IntRange(0, 20).Draw(rt, "n") {
			x := value.Draw(rt, "x")
			_, _ = m.Add(x), b.Add(x)
			_ = d.Add(x, value.Draw(rt, "y"))
			all := rapid.Float64Range(0, 1e6)
			c, k := all.Draw(rt, "canary"), all.Draw(rt, "baseline")
			if err := r.Add(adg.Counts{Bad: c * rapid.Float64Range(0, 1).Draw(rt, "bad"), All: c}, adg.Counts{Bad: 0, All: k}); err != nil {
				rt.Fatal(err)
			}
		}
		again(rt, m)
		again(rt, b)
		again(rt, d)
		again(rt, r)
		for _, i := range []func(float64) Interval{m.Interval, b.Interval, d.Interval, func(a float64) Interval { return r.Interval(a, 1) }} {
			sure, unsure := i(0.001), i(0.1)
			if !(sure.Low <= unsure.Low && unsure.High <= sure.High && sure.Low < sure.High) {
				rt.Fatalf("alpha 0.001 gives %v, alpha 0.1 %v", sure, unsure)
			}
		}
	})
}

func again[T any](t *rapid.T, v T) {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, back); diff != "" {
		t.Fatal(diff)
	}
	if len(text) > 16<<10 {
		t.Fatalf("%T takes %d bytes", v, len(text))
	}
}

func TestQuantileIntervalsHoldTheObservedQuantile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-10, 10), 1, 200).Draw(rt, "values")
		p := rapid.Float64Range(0.01, 0.99).Draw(rt, "p")
		c, err := OfSamples(values)
		if err != nil {
			rt.Fatal(err)
		}
		slices.Sort(values)
		observed := values[int(p*float64(len(values)))]
		for _, i := range []Interval{QuantileInterval(c, p, 0.05), c.Simultaneous(p, 0.05)} {
			if !i.Contains(observed) {
				rt.Fatalf("%v does not hold %g", i, observed)
			}
		}
	})
}

func FuzzOfBuckets(f *testing.F) {
	f.Add(0.0, 1.0, 3.0, 1.0, 2.0, 4.0, 0.5)
	f.Add(math.Inf(-1), 0.0, 1.0, 0.0, math.Inf(1), 0.0, 0.99)
	f.Add(0.0, 1.0, 1e300, 1.0, 2.0, 1e300, 0.5)
	f.Fuzz(func(t *testing.T, l1, u1, c1, l2, u2, c2, p float64) {
		c, err := OfBuckets([]adg.HistogramBucket{{Lower: l1, Upper: u1, Count: c1}, {Lower: l2, Upper: u2, Count: c2}})
		if err != nil {
			return
		}
		for _, i := range []Interval{QuantileInterval(c, p, 0.05), c.Simultaneous(p, 0.05)} {
			if !(i.Low <= i.High) {
				t.Errorf("quantile %g of %v is in %v", p, c, i)
			}
		}
		if g := CompareCDFs(c, c, 0.01); g.Certain > 0 || !(g.P >= 0.01) {
			t.Errorf("%v differs from itself: %+v", c, g)
		}
	})
}

func BenchmarkMean(b *testing.B) {
	m, _ := NewMean(0, 1)
	rnd := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		_ = m.Add(rnd.Float64())
	}
}

func BenchmarkRatio(b *testing.B) {
	var r Ratio
	for b.Loop() {
		_ = r.Add(adg.Counts{Bad: 1, All: 20}, adg.Counts{Bad: 2, All: 180})
	}
}
