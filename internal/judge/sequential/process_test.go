package sequential_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg/internal/judge/sequential"
)

// TestEvidenceIsTheMixtureOfLikelihoodRatios computes by the definition what the test adds up bucket by bucket.
func TestEvidenceIsTheMixtureOfLikelihoodRatios(t *testing.T) {
	d := sequential.Design{Ratio: 1.1}
	var s sequential.State
	grid := []float64{1.25, 1.5, 2, 3, 5, 10, 30}
	product := slices.Repeat([]float64{1}, len(grid))
	for i := range 20 {
		b := sequential.Bucket{Canary: sequential.Counts{Bad: float64(i % 3), All: float64(10 + i)}, Control: sequential.Counts{Bad: float64(i % 2), All: float64(90 - i)}}
		d.Next(&s, &b)
		mean := 0.0
		for j, g := range grid {
			theta := func(r float64) float64 { return b.Canary.All * r / (b.Canary.All*r + b.Control.All) }
			product[j] *= math.Pow(theta(1.1*g)/theta(1.1), b.Canary.Bad) * math.Pow((1-theta(1.1*g))/(1-theta(1.1)), b.Control.Bad)
			mean += 0.9 * product[j] / float64(len(grid))
		}
		if got := math.Exp(d.Read(&s).LogE); math.Abs(got/mean-1) > 1e-9 {
			t.Fatalf("bucket %d: e-value %g, by definition %g", i, got, mean)
		}
	}
}

func TestWorseStaysAndSaysWhen(t *testing.T) {
	d := sequential.Design{}
	var s sequential.State
	bad := sequential.Bucket{Canary: sequential.Counts{Bad: 5, All: 20}, Control: sequential.Counts{Bad: 1, All: 180}}
	good := sequential.Bucket{Canary: sequential.Counts{All: 2000}, Control: sequential.Counts{Bad: 500, All: 1800}}
	for d.Read(&s).Outcome != sequential.Worse {
		d.Next(&s, &bad)
	}
	first := d.Read(&s)
	for range 100 {
		d.Next(&s, &good)
	}
	now := d.Read(&s)
	if now.Outcome != sequential.Worse || now.WorseAt != first.WorseAt || first.WorseAt != s.Buckets-101 || now.LogE > 0 {
		t.Errorf("first %+v, now %+v", first, now)
	}
	if first.LogE < first.LogLimit || now.NotWorseAt < 0 {
		t.Errorf("worse at %g of %g; and not worse at %d, which is told as well", first.LogE, first.LogLimit, now.NotWorseAt)
	}
}

func TestCanaryBeforeItsFirstRequestOnlyCalibrates(t *testing.T) {
	d := sequential.Design{}
	var s sequential.State
	for i := range 700 {
		groups := []sequential.Counts{{Bad: float64(i % 2), All: 20}, {Bad: float64(i % 5 / 4), All: 20}, {Bad: float64(i % 7 / 6), All: 20}}
		d.Next(&s, &sequential.Bucket{Control: sequential.Counts{Bad: 1, All: 60}, Groups: groups})
	}
	r := d.Read(&s)
	if r.LogE > 0 || r.Canary.All != 0 || r.Control.All != 0 || !math.IsNaN(r.Estimate) || r.Tolerated <= 1.5 || !r.Robust || r.Replicas != 3 {
		t.Errorf("%+v", r)
	}
	frozen := s.Spread
	started := d.Start(&frozen)
	if again := d.Read(&started); again.Tolerated != r.Tolerated || again.Phi != r.Phi {
		t.Errorf("what was frozen says %+v, the original %+v", again, r)
	}
}

func TestNoReplicasHoldForIndependentRequestsOnly(t *testing.T) {
	d := sequential.Design{}
	for groups, want := range map[int]bool{0: false, 1: false, 2: false, 3: true} {
		var s sequential.State
		d.Next(&s, &sequential.Bucket{Canary: sequential.Counts{All: 10}, Control: sequential.Counts{All: 90}, Groups: make([]sequential.Counts, groups)})
		if got := d.Read(&s).Robust; got != want {
			t.Errorf("%d replicas: robust %t", groups, got)
		}
	}
}

func TestIntervalHoldsTheRatio(t *testing.T) {
	for _, ratio := range []float64{0.5, 1, 2, 8} {
		missed, n := 0, drawn(40, 6)
		for seed := range uint64(n) {
			d := sequential.Design{Alpha: 0.05}
			var s sequential.State
			out := false
			for _, b := range with(func(c *scene) { c.ratio, c.blind, c.lead, c.seconds = ratio, true, 0, 900 }).trace(seed) {
				d.Next(&s, &b)
				r := d.Read(&s)
				out = out || r.Low > ratio || r.High < ratio
				if r.Low > r.High || r.Estimate < r.Low*0.9 && r.Low > 0 {
					t.Fatalf("%+v", r)
				}
			}
			if out {
				missed++
			}
			if r := d.Read(&s); !(r.Low > 0 && r.High < 40) {
				t.Errorf("×%g: after 15 minutes from %g to %g", ratio, r.Low, r.High)
			}
		}
		if missed > max(1, n*6/40) { // 2 of 40 are expected at most
			t.Errorf("×%g was outside of its interval at some time in %d of %d lives", ratio, missed, n)
		}
	}
}

func TestWaitIsAboutTheMeanDelay(t *testing.T) {
	for _, ratio := range []float64{2, 5} {
		mean, n := 0.0, drawn(60, 30)
		for seed := range uint64(n) {
			at, _ := run(with(func(c *scene) { c.ratio, c.blind, c.lead, c.seconds = ratio, true, 0, 1200 }), sequential.Design{}, seed)
			mean += float64(at+1) / float64(n)
		}
		wait := sequential.Design{}.Wait(sequential.Traffic{Canary: 20, Control: 180, Bad: 0.005}, ratio)
		if wait < 0.8*mean || wait > 1.6*mean {
			t.Errorf("×%g takes %.0f s, and %.0f s were announced", ratio, mean, wait)
		}
	}
	if wait := (sequential.Design{Ratio: 2}).Wait(sequential.Traffic{Canary: 20, Control: 180, Bad: 0.005}, 1.5); !math.IsInf(wait, 1) {
		t.Errorf("what is tolerated is found after %g s", wait)
	}
}

func TestNonsenseIsRefusedAndCounted(t *testing.T) {
	d := sequential.Design{}
	fine := sequential.Counts{Bad: 1, All: 10}
	for _, wrong := range []sequential.Counts{{Bad: -1, All: 1}, {Bad: 2, All: 1}, {Bad: math.NaN(), All: 1}, {All: math.Inf(1)}, {All: math.NaN()}} {
		for name, b := range map[string]sequential.Bucket{
			"canary": {Canary: wrong, Control: fine}, "control": {Canary: fine, Control: wrong}, "replica": {Canary: fine, Control: fine, Groups: []sequential.Counts{wrong}},
		} {
			var s sequential.State
			d.Next(&s, &b)
			r := d.Read(&s)
			if r.Refused != 1 || s.Buckets != 1 || r.Canary.All != 0 || s.Since != 0 {
				t.Errorf("%s %+v: %+v", name, wrong, r)
			}
		}
	}
}

func TestCombinedEvidenceIsTheWeightedMean(t *testing.T) {
	got := sequential.Combine([]float64{1, 3, 0}, []float64{math.Log(2), math.Log(10), math.Inf(1)})
	if want := math.Log((2 + 30) / 4.0); math.Abs(got-want) > 1e-12 {
		t.Errorf("%g, want %g", got, want)
	}
	if got := sequential.Combine([]float64{1, 1}, []float64{math.NaN(), 800}); math.Abs(got-(800-math.Ln2)) > 1e-9 {
		t.Errorf("what is no evidence counts as none: %g", got)
	}
	if got := sequential.Combine(nil, nil); !math.IsInf(got, -1) {
		t.Errorf("nothing is %g", got)
	}
}

func TestGuiltyAreThoseWhoseEvidenceSuffices(t *testing.T) {
	ln := func(all ...float64) []float64 {
		for i := range all {
			all[i] = math.Log(all[i])
		}
		return all
	}
	for name, c := range map[string]struct {
		e    []float64
		want []int
	}{
		"none":                                  {ln(1, 99, 3), nil},
		"one that has to pay for three":         {ln(1, 299, 3), nil},
		"one":                                   {ln(1, 301, 3), []int{1}},
		"two lift each other over the limit":    {ln(151, 1, 160), []int{2, 0}},
		"what is no evidence is nobody's guilt": {[]float64{math.NaN(), math.Log(1000)}, []int{1}},
	} {
		if got := sequential.Guilty(0.01, c.e, nil); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestABucketAllocatesNothing(t *testing.T) {
	b := with(func(c *scene) { c.lead = 0; c.seconds = 1 }).trace(1)[0]
	b.Canary.Bad, b.Control.Bad = 1, 2
	d := sequential.Design{}
	var s sequential.State
	d.Next(&s, &b)
	if n := testing.AllocsPerRun(1000, func() { d.Next(&s, &b) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// BenchmarkBucketOfEightMetrics is what a second of eight metrics with nine replicas each costs.
func BenchmarkBucketOfEightMetrics(b *testing.B) {
	trace := with(func(c *scene) { c.lead = 0; c.seconds = 1000 }).trace(1)
	d := sequential.Design{}
	var states [8]sequential.State
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for k := range states {
			d.Next(&states[k], &trace[i%len(trace)])
		}
	}
}

// FuzzNext feeds anything: the evidence stays a number, the state stays small, and goes through JSON unharmed.
func FuzzNext(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, uint8(3))
	f.Add(binary.BigEndian.AppendUint64(nil, math.Float64bits(math.Inf(1))), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, groups uint8) {
		next := func() float64 {
			if len(data) >= 8 && data[0] > 250 {
				v := math.Float64frombits(binary.BigEndian.Uint64(data))
				data = data[8:]
				return v
			}
			if len(data) == 0 {
				return 0
			}
			v := float64(data[0])
			data = data[1:]
			return v
		}
		d := sequential.Design{Alpha: next() / 256, Ratio: next() / 64, RMax: next() / 32, Seconds: next(), Canaries: int(groups)}
		var straight, through sequential.State
		for range 200 {
			if len(data) == 0 {
				break
			}
			b := sequential.Bucket{Canary: sequential.Counts{Bad: next(), All: next()}, Control: sequential.Counts{Bad: next(), All: next()}, Seconds: next()}
			for range groups {
				b.Groups = append(b.Groups, sequential.Counts{Bad: next(), All: next()})
			}
			d.Next(&straight, &b)
			d.Next(&through, &b)
			text, err := json.Marshal(through)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 40_000 {
				t.Fatalf("the state has grown to %d bytes", len(text))
			}
			through = sequential.State{}
			if err := json.Unmarshal(text, &through); err != nil {
				t.Fatal(err)
			}
		}
		a, b := d.Read(&straight), d.Read(&through)
		if math.IsNaN(a.LogE) || math.IsNaN(a.LogENotWorse) || math.IsNaN(a.Low) || math.IsNaN(a.High) {
			t.Fatalf("%+v", a)
		}
		if diff := cmp.Diff(a, b, cmp.Comparer(func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })); diff != "" {
			t.Fatal(diff)
		}
	})
}
