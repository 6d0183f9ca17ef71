package measure

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/deployguardian/adg/bench/judge/trace"
)

func TestWilsonsIntervalIsTheTextbooks(t *testing.T) {
	for _, c := range []struct {
		what      string
		hits, n   int
		low, high float64
	}{
		{"none of ten", 0, 10, 0, 0.2775},
		{"half", 5, 10, 0.2366, 0.7634},
		{"all", 10, 10, 0.7225, 1},
		{"one of a hundred", 1, 100, 0.0018, 0.0545},
		{"81 of 263, Wilson's example in Newcombe 1998", 81, 263, 0.2553, 0.3662},
	} {
		t.Run(c.what, func(t *testing.T) {
			i := Wilson(c.hits, c.n)
			if math.Abs(i.Low-c.low) > 5e-5 || math.Abs(i.High-c.high) > 5e-5 {
				t.Errorf("%.4f to %.4f, want %.4f to %.4f", i.Low, i.High, c.low, c.high)
			}
		})
	}
	if i := Wilson(0, 0); !math.IsNaN(i.Value) {
		t.Errorf("nothing of nothing is %v, want no number", i)
	}
}

func TestTheMediansIntervalIsMadeOfRanks(t *testing.T) {
	times := make([]float64, 100)
	for i := range times {
		times[i] = float64(100 - i)
	}
	if got, want := Quantile(times, 0.5), (Interval{50, 40, 61}); got != want { // the ranks of the sign test for n = 100
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAMedianThatMostNeverReachedIsNever(t *testing.T) {
	never := math.Inf(1)
	times := []float64{never, 5, never, never, 7}
	i := Quantile(times, 0.5)
	if !math.IsInf(i.Value, 1) || !math.IsInf(i.High, 1) {
		t.Errorf("%v, want never", i)
	}
	if m := Restricted(times, 10); m.Value != 8.4 {
		t.Errorf("restricted mean %v, want 8.4", m.Value)
	}
}

func TestOrderNeedsIntervalsThatDoNotOverlap(t *testing.T) {
	never := math.Inf(1)
	for _, c := range []struct {
		what         string
		ours, theirs Interval
		want         string
	}{
		{"far before", Interval{5, 4, 6}, Interval{60, 60, 60}, "earlier"},
		{"far behind", Interval{60, 60, 60}, Interval{5, 4, 6}, "later"},
		{"touching", Interval{5, 4, 6}, Interval{8, 6, 9}, "same"},
		{"they never", Interval{5, 4, 6}, Interval{never, never, never}, "earlier"},
		{"nobody ever", Interval{never, never, never}, Interval{never, 3, never}, "neither"},
	} {
		if got := Order(c.ours, c.theirs); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// The values were computed independently of this code.
func TestTheLowerBoundsAreThoseOfTheTable(t *testing.T) {
	for _, c := range []struct {
		what              string
		fault             trace.Fault
		base, share       float64
		known, concurrent float64 // canary requests; seconds
	}{
		{"0.5 %, ×2, 10 %", trace.Fault{Errors: 2}, 0.005, 0.1, 2369, 136},
		{"0.5 %, ×5, 10 %", trace.Fault{Errors: 5}, 0.005, 0.1, 226, 14},
		{"0.5 %, ×1.5, 50 %", trace.Fault{Errors: 1.5}, 0.005, 0.5, 8464, 183},
		{"0.1 %, ×2, 1 %", trace.Fault{Errors: 2}, 0.001, 0.01, 11906, 6039},
		{"2 %, ×5, 10 %", trace.Fault{Errors: 5}, 0.02, 0.1, 55, 3},
		{"latency +10 %", trace.Fault{Slower: 1.1}, 0.005, 0.1, 253, math.Inf(1)},
		{"latency +25 %", trace.Fault{Slower: 1.25}, 0.005, 0.1, 46, math.Inf(1)},
		{"tail", trace.Fault{Tail: 0.05, TailSlower: 3}, 0.005, 0.1, 167, math.Inf(1)},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := trace.Usual()
			w.Error, w.Share = c.base, c.share
			b := LowerBound(&w, &c.fault, 0.01)
			if got := b.Known * w.RPS * w.Share; math.Abs(got-c.known) > 0.02*c.known+0.5 {
				t.Errorf("known baseline: %.0f canary requests, want %.0f", got, c.known)
			}
			if b.Concurrent != c.concurrent && math.Abs(b.Concurrent-c.concurrent) > 0.01*c.concurrent+0.5 {
				t.Errorf("concurrent baseline: %.1f s, want %.0f", b.Concurrent, c.concurrent)
			}
		})
	}
}

func TestWhatIsNotFiniteIsNullInJSON(t *testing.T) {
	text, err := json.Marshal(Interval{1.5, math.NaN(), math.Inf(1)})
	if err != nil || string(text) != "[1.5,null,null]" {
		t.Errorf("%s, %v", text, err)
	}
}
