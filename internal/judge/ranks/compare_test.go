package ranks

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

var (
	nan    = math.NaN()
	either = adg.RankTest{Direction: adg.Either}
)

func TestClassesAreThoseThatMigratingUsersKnow(t *testing.T) {
	ten := []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}
	for _, c := range []struct {
		name                string
		test                adg.RankTest
		candidate, baseline []float64
		want                Class
	}{
		{"the same samples on both sides", either, ten, ten, Pass},
		{"the same samples in another order", either, []float64{3, 1, 2}, []float64{1, 2, 3}, Pass},
		{"one and the same sample", either, []float64{5}, []float64{5}, Pass},
		{"zero on both sides, though more often on one", either, []float64{0, 0}, []float64{0, 0, 0}, Pass},
		{"far above", either, plus(ten, 200), ten, High},
		{"far below", either, ten, plus(ten, 200), Low},
		{"far above where only a decrease is bad", adg.RankTest{Direction: adg.Decrease}, plus(ten, 200), ten, Pass},
		{"far below where only an increase is bad", adg.RankTest{Direction: adg.Increase}, ten, plus(ten, 200), Pass},
		{"above, but by less than the effect that counts", adg.RankTest{Direction: adg.Either, Increase: 5}, plus(ten, 200), ten, Pass},
		{"above, by more than the effect that counts", adg.RankTest{Direction: adg.Either, Increase: 4}, plus(ten, 200), ten, High},
		{"below, by more than the effect that counts", adg.RankTest{Direction: adg.Either, Decrease: 0.5}, ten, plus(ten, 200), Low},
		{"below, but by less than the effect that counts", adg.RankTest{Direction: adg.Either, Decrease: 0.1}, ten, plus(ten, 200), Pass},
		{"always larger, measured by cles", adg.RankTest{Direction: adg.Either, CLES: true, Increase: 1}, plus(ten, 200), ten, High},
		{"mostly larger where cles has to be 1", adg.RankTest{Direction: adg.Either, CLES: true, Increase: 1}, plus(ten, 80), ten, Pass},
		{"mostly larger where cles has to be 0.9", adg.RankTest{Direction: adg.Either, CLES: true, Increase: 0.9}, plus(ten, 80), ten, High},
		{"a mean of zero: the effect is not asked", adg.RankTest{Direction: adg.Either, Increase: 5}, plus(ten, 200), make([]float64, 10), High},
		{"two constants", either, constant(5, 10), constant(1, 10), High},
		{"two constants the other way round", either, constant(1, 10), constant(5, 10), Low},
		{"nothing on one side", either, nil, ten, Nodata},
		{"nothing but NaN on one side", either, []float64{nan, nan}, ten, Nodata},
		{"nothing at all, and that is zero", adg.RankTest{NaNAsZero: true}, nil, ten, Pass},
		{"NaN as zero", adg.RankTest{Direction: adg.Decrease, NaNAsZero: true}, constant(nan, 10), ten, Low},
		{"one sample a side", either, []float64{5}, []float64{1}, Nodata},
		{"four samples a side, which 98 % can't be had of", either, []float64{11, 12, 13, 14}, []float64{1, 2, 3, 4}, Nodata},
		{"four samples a side at 95 %", adg.RankTest{Direction: adg.Either, Confidence: 0.95}, []float64{11, 12, 13, 14}, []float64{1, 2, 3, 4}, High},
		{"five samples a side", either, []float64{11, 12, 13, 14, 15}, []float64{1, 2, 3, 4, 5}, High},
		{"an infinite sample", either, append(slices.Clone(ten), math.Inf(1)), ten, Error},
		{"samples whose difference is infinite", either, constant(math.MaxFloat64, 9), constant(-math.MaxFloat64, 9), Error},
		{"a confidence above 1", adg.RankTest{Confidence: 98}, ten, ten, Error},
		{"a confidence that is NaN", adg.RankTest{Confidence: nan}, ten, ten, Error},
		{"a negative tolerance", adg.RankTest{Tolerance: -1}, ten, ten, Error},
		{"a negative factor for outliers", adg.RankTest{Outliers: -1}, ten, ten, Error},
		{"a direction that does not exist", adg.RankTest{Direction: 9}, ten, ten, Error},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compare(c.test, c.candidate, c.baseline)
			if got.Class != c.want || got.Text == "" {
				t.Errorf("%s, want %s: %+v", got.Class, c.want, got)
			}
		})
	}
}

// The figures are those of R 4: wilcox.test(x, y, conf.int = TRUE, conf.level = …, exact = TRUE), which takes the
// differences that qwilcox names; qwilcox(0.025, 5, 5) = 3, qwilcox(0.01, 5, 5) = 2, qwilcox(0.025, 4, 6) = 3.
func TestSmallSamplesGetTheExactInterval(t *testing.T) {
	for _, c := range []struct {
		n, m  int
		alpha float64
		want  int
	}{
		{5, 5, 0.05, 3}, {5, 5, 0.02, 2}, {4, 6, 0.05, 3}, {6, 4, 0.05, 3}, {7, 7, 0.05, 9}, {7, 7, 0.02, 7}, {1, 99, 0.02, 0}, {1, 199, 0.02, 1},
	} {
		if got := rankExact(c.n, c.m, c.alpha); got != c.want {
			t.Errorf("%d and %d at %g: rank %d, want %d", c.n, c.m, c.alpha, got, c.want)
		}
	}
	x, y := []float64{1.1, 2.7, 3.3, 4.9, 6.2}, []float64{0.3, 0.8, 1.9, 2.2, 2.5}
	var all []float64
	for _, a := range x {
		for _, b := range y {
			all = append(all, a-b)
		}
	}
	slices.Sort(all)
	got := Compare(adg.RankTest{Direction: adg.Either, Confidence: 0.95}, x, y)
	if got.Method != Exact || got.Lower != all[2] || got.Upper != all[22] || got.Estimate != all[12] {
		t.Errorf("got %+v of the differences %v", got, all)
	}
}

// The exact distribution is counted by trying all ways to deal the ranks.
func TestTheExactDistributionIsThatOfAllWaysToDealTheRanks(t *testing.T) {
	for n := 1; n < 6; n++ {
		for m := 1; m < 6; m++ {
			count := make([]float64, n*m+1)
			total := 0.0
			for mask := range 1 << (n + m) {
				u, seen, below := 0, 0, 0
				for i := range n + m {
					if mask>>i&1 == 1 {
						seen++
						u += below
					} else {
						below++
					}
				}
				if seen == n {
					count[u]++
					total++
				}
			}
			for _, alpha := range []float64{0.5, 0.2, 0.1, 0.05, 0.02, 0.01} {
				want, sum := 0, 0.0
				for u, c := range count {
					if sum += c; sum/total >= alpha/2-1e-12 {
						want = u
						break
					}
				}
				if got := rankExact(n, m, alpha); got != want {
					t.Errorf("%d and %d at %g: %d, want %d", n, m, alpha, got, want)
				}
			}
		}
	}
}

// An exact interval covers the true shift at least as often as it says: here none, with a binomial margin of four sigma.
func TestExactIntervalsCoverAsOftenAsTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const rounds = 4000
	missed := 0
	for range rounds {
		x, y := draw(random, 5+random.IntN(3), 1), draw(random, 5+random.IntN(3), 1)
		if r := Compare(adg.RankTest{Direction: adg.Either, Confidence: 0.9}, x, y); r.Lower > 0 || r.Upper < 0 {
			missed++
		}
	}
	if limit := 0.1*rounds + 4*math.Sqrt(rounds*0.09); float64(missed) > limit {
		t.Errorf("%d of %d intervals miss, at most %.0f may", missed, rounds, limit)
	}
}

func TestFromEightSamplesOnTheClassIsKayentas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const rounds = 3000
	classes := map[Class]int{}
	noise := 0
	for range rounds {
		x, y := arms(random)
		test := adg.RankTest{Direction: adg.Direction(random.IntN(3)), CLES: random.IntN(4) == 0}
		want, lower, upper, estimate, err := kayenta(test, x, y)
		got := Compare(test, x, y)
		if err != nil {
			t.Fatalf("%v: the generated case is not a normal one", err)
		}
		classes[got.Class]++
		// What Kayenta's solver leaves open, 0.0001 of a unit at each end, is the one difference that is allowed.
		near := func(a, b float64) bool { return math.Abs(a-b) <= 3e-4 }
		if !near(got.Lower, lower) || !near(got.Upper, upper) {
			t.Errorf("interval %g to %g, Kayenta's %g to %g\n%v\n%v", got.Lower, got.Upper, lower, upper, x, y)
		}
		if got.Class != want {
			bound := 0.25 * math.Abs(estimate)
			if near(lower, bound) || near(upper, -bound) {
				noise++
				continue
			}
			t.Errorf("%s, Kayenta says %s: estimates %g and %g\n%v\n%v", got.Class, want, got.Estimate, estimate, x, y)
		}
	}
	t.Logf("%v; %d within the solver's noise of the limit", classes, noise)
	if classes[High] < rounds/20 || classes[Low] < rounds/20 || classes[Pass] < rounds/5 || noise > rounds/1000 {
		t.Errorf("the cases are too much alike: %v, %d in the noise", classes, noise)
	}
}

func TestKayentasTrapsAreNotCopied(t *testing.T) {
	counts := make([]float64, 20)
	for i := range counts {
		counts[i] = float64(i + 1)
	}
	differ := 0
	for shift := range 30 {
		moved := plus(counts, float64(shift))
		big, _, _, _, _ := kayenta(either, moved, counts)
		tiny, _, _, _, _ := kayenta(either, times(moved, 0x1p-20), times(counts, 0x1p-20))
		if big != tiny {
			differ++
		}
		if got := Compare(either, times(moved, 0x1p-20), times(counts, 0x1p-20)); shift > 0 && got.Class != big {
			t.Errorf("shifted by %d: %s in millionths, %s in ones", shift, got.Class, big)
		}
	}
	if differ == 0 {
		t.Error("Kayenta's classes do not depend on the unit by now, so that this is no trap any more")
	}
	if _, _, _, _, err := kayenta(either, []float64{5}, []float64{1}); err == nil {
		t.Error("Kayenta answers one sample a side by now")
	}
	first := Compare(either, constant(5, 10), constant(1, 10))
	if first.Lower != 4 || first.Upper != 4 || first.Estimate != 4 {
		t.Errorf("two constants are 4 apart, exactly: %+v", first)
	}
}

func TestTheUnitOfAMetricChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := scalable(samples(t, "x")), scalable(samples(t, "y"))
		power := rapid.IntRange(-40, 40).Draw(t, "power")
		scale := math.Ldexp(1, power)
		one, other := Compare(either, x, y), Compare(either, times(x, scale), times(y, scale))
		want := one
		want.Lower, want.Upper, want.Estimate = one.Lower*scale, one.Upper*scale, one.Estimate*scale
		want.Text, other.Text = "", ""
		if !cmp.Equal(want, other, equateNaN) {
			t.Fatalf("times %g: %+v, want %+v", scale, other, want)
		}
	})
}

func TestTheLowerEndIsNeverAboveTheUpperOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Compare(either, samples(t, "x"), samples(t, "y"))
		if r.Lower > r.Upper || r.Estimate < r.Lower-1e-6*math.Abs(r.Lower) || r.Estimate > r.Upper+1e-6*math.Abs(r.Upper) {
			t.Fatalf("%+v", r)
		}
		if r.Class != Error && r.Method != None && (math.IsNaN(r.Lower) || math.IsNaN(r.Estimate)) {
			t.Fatalf("%+v", r)
		}
	})
}

func TestSwappingTheSidesMirrorsTheAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := samples(t, "x"), samples(t, "y")
		one, other := Compare(either, x, y), Compare(either, y, x)
		if one.Lower != -other.Upper || one.Upper != -other.Lower {
			t.Fatalf("%g to %g, and swapped %g to %g", one.Lower, one.Upper, other.Lower, other.Upper)
		}
	})
}

func TestDifferencesAreThoseOfTheSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := samples(t, "x"), samples(t, "y")
		p := pair{x: prepare(either, x), y: prepare(either, y)}
		var all []float64
		for _, a := range p.x {
			for _, b := range p.y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		for k, want := range all {
			if got := p.difference(k + 1); got != want {
				t.Fatalf("the %d. difference is %g, want %g", k+1, got, want)
			}
		}
	})
}

func TestOutliersAreTakenOutOfEachSideByTheirOwnFences(t *testing.T) {
	base := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	test := adg.RankTest{Direction: adg.Either, Outliers: 3}
	if r := Compare(test, base, base); r.N != 12 {
		t.Errorf("nothing is an outlier here: %+v", r)
	}
	// Within 100 samples and more, the 99th percentile leaves one outside.
	many := make([]float64, 300)
	for i := range many {
		many[i] = float64(i % 10)
	}
	many[7] = 1e6
	if r := Compare(test, many, base); r.N != 299 || r.Base != 12 {
		t.Errorf("one outlier of 300: %+v", r)
	}
	if lower, upper := fences([]float64{0, 1, 2, 3, 4}, 3); lower != -5 || upper != 9 {
		t.Errorf("fences %g and %g, want -5 and 9", lower, upper)
	}
	if p := percentile([]float64{1, 2, 3, 4}, 25); p != 1.75 {
		t.Errorf("the lower quartile is 1.75, not %g", p)
	}
}

func TestWhatIsLentStaysAsItIs(t *testing.T) {
	x, y := []float64{3, nan, 1, 900, 2, 5, 4, 8, 9}, []float64{9, 8, 7, 6, 5, 4, 3, 2, 1}
	a, b := slices.Clone(x), slices.Clone(y)
	Compare(adg.RankTest{Outliers: 3, NaNAsZero: true}, x, y)
	if !cmp.Equal(x, a, equateNaN) || !cmp.Equal(y, b) {
		t.Errorf("changed to %v and %v", x, y)
	}
}

func TestTheSentenceNamesBothSidesAndTheInterval(t *testing.T) {
	got := Compare(either, plus([]float64{1, 2, 3, 4, 5}, 10), []float64{1, 2, 3, 4, 5}).Text
	for _, part := range []string{"higher", "shifted by 10", "98 % interval", "5 samples against 5", "exact", "ratio of the means 4.333"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q does not say %q", got, part)
		}
	}
}

func TestTheSentenceSaysTheUnitOfTheValues(t *testing.T) {
	got := CompareIn(adg.Share, either, plus([]float64{0.01, 0.02, 0.03, 0.04, 0.05}, 0.1), []float64{0.01, 0.02, 0.03, 0.04, 0.05}).Text
	for _, part := range []string{"shifted by 10 pp, ", "interval 7 pp to 13 pp"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q does not say %q", got, part)
		}
	}
}

func BenchmarkCompareThousandAgainstThousand(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 6))
	x, y := draw(random, 1000, 1.1), draw(random, 1000, 1)
	for b.Loop() {
		Compare(either, x, y)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, []byte{11, 12, 13, 14, 15, 16, 17, 18}, 0.0, 0.0, uint8(0))
	f.Add([]byte{0, 255}, []byte{}, 3.0, 0.5, uint8(7))
	f.Fuzz(func(t *testing.T, a, b []byte, outliers, confidence float64, flags uint8) {
		test := adg.RankTest{Direction: adg.Direction(flags % 4), CLES: flags&4 != 0, NaNAsZero: flags&8 != 0, Outliers: outliers, Confidence: confidence}
		r := Compare(test, numbers(a), numbers(b))
		if r.Lower > r.Upper || r.Class > Error || r.Text == "" || math.IsInf(r.Lower, 0) && r.Method != None {
			t.Errorf("%+v", r)
		}
	})
}

// Private

var equateNaN = cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })

// numbers makes floats of bytes, the odd ones among them.
func numbers(raw []byte) []float64 {
	odd := []float64{nan, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, math.Copysign(0, -1), 1e-5}
	list := make([]float64, len(raw))
	for i, b := range raw {
		list[i] = float64(b) - 100
		if b >= 248 {
			list[i] = odd[b-248]
		}
	}
	return list
}

// arms are two sides with eight samples or more: latencies, normal and uniform values, or whole numbers with some ties.
func arms(random *rand.Rand) (x, y []float64) {
	shift := 1 + (random.Float64()-0.4)*[]float64{0, 1.5, 2.2}[random.IntN(3)]
	x, y = draw(random, 8+random.IntN(40), shift), draw(random, 8+random.IntN(40), 1)
	if random.IntN(3) == 0 {
		for _, side := range [][]float64{x, y} {
			for i, v := range side {
				side[i] = math.Round(v)
			}
		}
	}
	return x, y
}

func draw(random *rand.Rand, n int, shift float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = 100 * shift * math.Exp(0.5*random.NormFloat64())
	}
	return list
}

func samples(t *rapid.T, name string) []float64 {
	element := rapid.OneOf(rapid.Float64Range(-1000, 1000), rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }))
	return rapid.SliceOfN(element, 1, 20).Draw(t, name)
}

// scalable has zeros for what is so small that it cannot be divided exactly.
func scalable(list []float64) []float64 {
	for i, v := range list {
		if math.Abs(v) < 1e-250 {
			list[i] = 0
		}
	}
	return list
}

func plus(list []float64, by float64) []float64 {
	moved := slices.Clone(list)
	for i := range moved {
		moved[i] += by
	}
	return moved
}

func times(list []float64, by float64) []float64 {
	scaled := slices.Clone(list)
	for i := range scaled {
		scaled[i] *= by
	}
	return scaled
}

func constant(v float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = v
	}
	return list
}
