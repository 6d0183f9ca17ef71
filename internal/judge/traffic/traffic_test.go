package traffic

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestTheChanceOfNoneIsThatOfIndependentRequests(t *testing.T) {
	if got, want := ChanceOfNone(10, 50, 1), math.Pow(0.9, 50); math.Abs(got-want) > 1e-12 {
		t.Errorf("got %g, want %g", got, want)
	}
	if got, want := ChanceOfNone(10, 50, 5), math.Pow(0.9, 10); math.Abs(got-want) > 1e-12 {
		t.Errorf("in blocks of five: got %g, want %g", got, want)
	}
}

func TestASilentCandidateIsFound(t *testing.T) {
	for _, row := range []struct {
		name   string
		before int // buckets with the candidate's share of the requests
		then   float64
		within int // buckets, at 180 requests of the baseline and 10 %
		says   string
	}{
		{"silent from the start", 0, 0, 1, "the candidate is silent: it got none while the baseline got 180 requests, and 18 were due to it; by chance that happens once in 172,325,005 times"},
		{"silent after an hour", 3600, 0, 2, "the candidate gets no requests any more: none since the baseline got 180 requests, of which 18 were due to it; by chance that happens once in 172,325,005 times"},
		{"one stray request in ten buckets", 0, 0.1, 2, "candidate"},
		{"a twentieth of its share", 0, 1, 2, "far less than chance explains"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := silence(t, 1)
			for range row.before {
				add(t, &s, Bucket{Candidate: 20, Baseline: 180, Share: 10})
			}
			if s.Finding().Found {
				t.Fatal("found while it got its share")
			}
			took := 0
			for !s.Finding().Found && took < 100 {
				add(t, &s, Bucket{Candidate: row.then, Baseline: 180, Share: 10})
				took++
			}
			if took > row.within {
				t.Errorf("took %d buckets, at most %d are in order", took, row.within)
			}
			if f := s.Finding(); !strings.Contains(f.Text, row.says) {
				t.Errorf("says %q, want %q", f.Text, row.says)
			}
		})
	}
}

func TestWhatIsNeededToTellIsEnoughAndNotTooMuch(t *testing.T) {
	for _, share := range []float64{1, 10, 50} {
		for _, least := range []float64{1, 0.5} {
			n := NeededToTell(0.01, share, least, 3)
			found := func(baseline float64) bool {
				s := silence(t, least)
				add(t, &s, Bucket{Baseline: baseline, Share: share, Overdispersion: 3})
				return s.Finding().Found
			}
			if !found(n) || found(math.Floor(0.7*n)) {
				t.Errorf("share %g %%, least %g: %g requests of the baseline are said to be needed", share, least, n)
			}
		}
	}
}

func TestNoTrafficIsNotSilence(t *testing.T) {
	s := silence(t, 1)
	for range 1000 {
		add(t, &s, Bucket{Share: 10})
		add(t, &s, Bucket{Baseline: 100, Share: 0})
		add(t, &s, Bucket{Candidate: 100, Share: 100})
	}
	if f := s.Finding(); f.Found || f.Text != "there were no requests at all, on either side" {
		t.Errorf("got %+v", f)
	}
	add(t, &s, Bucket{Baseline: 9, Share: 10})
	if f := s.Finding(); f.Found || f.Text != "the candidate got 0 of 9 requests, where 1 (10 %) were due; that is too few yet to call it silent" {
		t.Errorf("got %+v", f)
	}
}

func TestAHealthyCandidateIsHardlyEverCalledSilent(t *testing.T) {
	const alpha, runs, horizon = 0.1, 200, 600
	for name, row := range map[string]struct {
		share, rate float64
		block       int
		over        float64
	}{
		"few requests":             {10, 3, 1, 1},
		"many requests":            {5, 40, 1, 1},
		"half of them":             {50, 2, 1, 1},
		"blocks that are measured": {10, 40, 5, 5},
	} {
		alarms := 0
		for i := range runs {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			s, err := NewSilence(alpha, horizon, 1)
			if err != nil {
				t.Fatal(err)
			}
			for range horizon {
				add(t, &s, draw(rnd, row.share, row.rate, row.block, row.over))
			}
			if s.Finding().Found {
				alarms++
			}
		}
		if most := mostAlarms(runs, alpha); alarms > most {
			t.Errorf("%s: %d false alarms in %d runs, at most %d are in order", name, alarms, runs, most)
		}
	}
}

func TestARightSplitIsHardlyEverCalledWrong(t *testing.T) {
	const alpha, runs = 0.1, 100
	for name, row := range map[string]struct {
		tolerance, actual float64 // actual as a factor of the odds
		block             int
		over              float64
	}{
		"exact":                    {0, 1, 1, 1},
		"just tolerable":           {0.2, 1.2, 1, 1},
		"just tolerable, below":    {0.2, 1 / 1.2, 1, 1},
		"blocks that are measured": {0, 1, 5, 5},
	} {
		alarms, misses := 0, 0
		for i := range runs {
			rnd := rand.New(rand.NewPCG(uint64(i), 8))
			s, _ := NewSplit(row.tolerance)
			missed := false
			for step := range 600 {
				share := []float64{1, 5, 25, 50}[step/150]
				odds := share / (100 - share) * row.actual
				actual := 100 * odds / (1 + odds)
				b := draw(rnd, actual, 40, row.block, row.over)
				b.Share = share
				if err := s.Add(b); err != nil {
					t.Fatal(err)
				}
				if low, high := s.Interval(alpha); step < 150 && (actual < low || high < actual) {
					missed = true
				}
			}
			if s.Finding(alpha).Found {
				alarms++
			}
			if missed {
				misses++
			}
		}
		if most := mostAlarms(runs, alpha); alarms > most || misses > most {
			t.Errorf("%s: %d false alarms and %d missed intervals in %d runs, at most %d are in order", name, alarms, misses, runs, most)
		}
	}
}

func TestEvidenceOfASplitIsTheProductOfItsEvents(t *testing.T) {
	s, _ := NewSplit(0)
	product, candidate, n := 0.0, 0.0, 0.0
	for _, c := range []float64{1, 0, 0, 1, 1, 0} {
		if err := s.Add(Bucket{Candidate: c, Baseline: 1 - c, Share: 20}); err != nil {
			t.Fatal(err)
		}
		if c == 1 {
			product += math.Log((20+candidate)/(100+n)) - math.Log(0.2)
		} else {
			product += math.Log((80+n-candidate)/(100+n)) - math.Log(0.8)
		}
		candidate += c
		n++
		if math.Abs(s.LogE()-product) > 1e-9 {
			t.Fatalf("after %g requests %g, event by event it is %g", n, s.LogE(), product)
		}
	}
	if err := s.Add(Bucket{Baseline: 1, Share: 50}); err != nil {
		t.Fatal(err)
	}
	if want := product; math.Abs(s.LogE()-want) > 1e-9 || s.Candidate != 0 {
		t.Errorf("another share begins with the evidence %g of the one before, got %g and %g requests", want, s.LogE(), s.Candidate)
	}
}

func TestAWrongSplitIsFoundAndSaid(t *testing.T) {
	s, _ := NewSplit(0.2)
	for range 20 {
		if err := s.Add(Bucket{Candidate: 50, Baseline: 50, Share: 10}); err != nil {
			t.Fatal(err)
		}
	}
	want := "the candidate gets 50 % of the requests (45.5 % to 54.5 %, of 2,000 requests), where 10 % are configured: the traffic is not split as it should be"
	if f := s.Finding(0.01); !f.Found || f.Text != want {
		t.Errorf("got %+v", f)
	}
	for range 10000 {
		_ = s.Add(Bucket{Candidate: 10, Baseline: 90, Share: 10})
	}
	if f := s.Finding(0.01); !f.Found || !strings.HasSuffix(f.Text, "for a time it was clearly another share") {
		t.Errorf("a finding stays and says that it is over, got %+v", f)
	}
	fine, _ := NewSplit(0.2)
	for range 1000 {
		_ = fine.Add(Bucket{Candidate: 11, Baseline: 89, Share: 10})
	}
	if f := fine.Finding(0.01); f.Found || !strings.HasSuffix(f.Text, "no difference is shown") {
		t.Errorf("11 %% for 10 %% is tolerable, got %+v", f)
	}
}

func TestDispersionIsTheSizeOfTheBlocks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 9))
	for _, block := range []int{1, 4, 20} {
		var d Dispersion
		for range 1500 {
			replicas := make([]float64, 4)
			for range 30 {
				replicas[min(rnd.IntN(8), 3)] += float64(block)
			}
			if err := d.Add(replicas); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.Factor(); math.Abs(got/float64(block)-1) > 0.08 {
			t.Errorf("blocks of %d are measured as %g", block, got)
		}
	}
	var fresh Dispersion
	if fresh.Factor() != 1 {
		t.Error("nothing known is 1")
	}
	_ = fresh.Add([]float64{100, 0, 100})
	_ = fresh.Add([]float64{100, 1000, 100})
	if fresh.Factor() != 1 {
		t.Errorf("a replica that begins is no dispersion of the others, got %g", fresh.Factor())
	}
}

func TestNonsenseIsRefusedAndChangesNothing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	s := silence(t, 1)
	split, _ := NewSplit(0)
	d := Dispersion{Sums: []float64{1, 2}}
	before := []any{s, split, d}
	var errs []error
	for _, b := range []Bucket{{Candidate: -1}, {Baseline: nan}, {Baseline: inf}, {Share: -1}, {Share: 101}, {Share: nan}, {Overdispersion: nan}, {Overdispersion: inf}} {
		errs = append(errs, s.Add(b), split.Add(b))
	}
	for _, a := range [][3]float64{{0, 1, 1}, {1, 1, 1}, {nan, 1, 1}, {0.1, 0, 1}, {0.1, inf, 1}, {0.1, 1, 0}, {0.1, 1, 1.1}} {
		_, err := NewSilence(a[0], a[1], a[2])
		errs = append(errs, err)
	}
	for _, tolerance := range []float64{-1, nan, inf} {
		_, err := NewSplit(tolerance)
		errs = append(errs, err)
	}
	errs = append(errs, d.Add([]float64{1, nan}), d.Add([]float64{-1, 1}), d.Add(make([]float64, 257)))
	for i, err := range errs {
		if adg.CodeOf(err) != adg.Invalid || err == nil {
			t.Errorf("nonsense %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(before, []any{s, split, d}); diff != "" {
		t.Error("something changed:", diff)
	}
	if f := split.Finding(nan); f.Found {
		t.Error("an alpha that is none finds nothing")
	}
}

func TestStatesSurviveTheirJSONWhateverCame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := NewSilence(0.01, 1000, 1)
		split, _ := NewSplit(rapid.Float64Range(0, 1).Draw(rt, "tolerance"))
		requests := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 1e9))
		found := [2]bool{}
		for range rapid.IntRange(0, 30).Draw(rt, "n") {
			b := Bucket{Candidate: requests.Draw(rt, "candidate"), Baseline: requests.Draw(rt, "baseline"),
				Share: rapid.SampledFrom([]float64{0, 0.1, 10, 99.9, 100}).Draw(rt, "share"), Overdispersion: rapid.Float64Range(0, 10).Draw(rt, "over")}
			if err := s.Add(b); err != nil {
				rt.Fatal(err)
			}
			if err := split.Add(b); err != nil {
				rt.Fatal(err)
			}
			again(rt, s)
			again(rt, split)
			low, high := split.Interval(0.05)
			if e := split.Estimate(); !math.IsNaN(e) && !(0 <= low && low <= e+1e-9 && e-1e-9 <= high && high <= 100) {
				rt.Fatalf("estimate %g is not in %g to %g", e, low, high)
			}
			for i, f := range []Finding{s.Finding(), split.Finding(0.01)} {
				if found[i] && !f.Found || math.IsNaN(f.LogE) || f.Text == "" || strings.Contains(f.Text, "NaN") {
					rt.Fatalf("%+v", f)
				}
				found[i] = f.Found
			}
		}
	})
}

func FuzzBucket(f *testing.F) {
	f.Add(0.0, 100.0, 10.0, 1.0)
	f.Add(1e300, 1e300, 1e-300, 1e300)
	f.Add(0.0, 1e308, 99.99999999999999, 0.0)
	f.Fuzz(func(t *testing.T, candidate, baseline, share, over float64) {
		s := silence(t, 1)
		split, _ := NewSplit(0.1)
		b := Bucket{candidate, baseline, share, over}
		for range 3 {
			if s.Add(b) != nil || split.Add(b) != nil {
				return
			}
		}
		for _, f := range []Finding{s.Finding(), split.Finding(0.01)} {
			if math.IsNaN(f.LogE) {
				t.Errorf("%+v gives %+v", b, f)
			}
		}
	})
}

func TestABucketCostsNoAllocation(t *testing.T) {
	s := silence(t, 1)
	split, _ := NewSplit(0)
	d := Dispersion{Sums: make([]float64, 3)}
	replicas := []float64{1, 2, 3}
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = s.Add(Bucket{1, 9, 10, 1}), split.Add(Bucket{1, 9, 10, 1}), d.Add(replicas)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkBucket(b *testing.B) {
	s, _ := NewSilence(0.01, 86400, 1)
	split, _ := NewSplit(0)
	for b.Loop() {
		_, _ = s.Add(Bucket{1, 9, 10, 1}), split.Add(Bucket{1, 9, 10, 1})
	}
}

// Private

func silence(t *testing.T, least float64) Silence {
	t.Helper()
	s, err := NewSilence(0.01, 86400, least)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Silence, b Bucket) {
	t.Helper()
	if err := s.Add(b); err != nil {
		t.Fatal(err)
	}
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
}

// draw sends about rate requests, in blocks, to the candidate with that share.
func draw(rnd *rand.Rand, share, rate float64, block int, over float64) Bucket {
	b := Bucket{Share: share, Overdispersion: over}
	for n := rate / float64(block) * 2 * rnd.Float64(); n > 0; n-- {
		if 100*rnd.Float64() < share {
			b.Candidate += float64(block)
		} else {
			b.Baseline += float64(block)
		}
	}
	return b
}

// mostAlarms is how many of so many runs may give a false alarm when each does with probability alpha: three standard
// deviations above the mean.
func mostAlarms(runs int, alpha float64) int {
	mean := float64(runs) * alpha
	return int(mean + 3*math.Sqrt(mean*(1-alpha)) + 1)
}
