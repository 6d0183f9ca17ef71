package view

import (
	"math"
	"testing"

	"github.com/deployguardian/adg/bench/judge/trace"
)

func TestEveryToolSeesTheSameRequests(t *testing.T) {
	w := trace.Usual()
	w.Horizon = 600
	tr := trace.NewGenerator(&w, &trace.Fault{Errors: 5}).Make(4)
	v := (&Maker{}).Make(tr)
	var want [arms]Count
	for second := w.Lead; second < tr.Seconds; second++ {
		for replica := range tr.Replicas {
			arm := Baseline
			if tr.Canary(replica) {
				arm = Canary
			}
			n, bad, _ := tr.At(second, replica)
			want[arm].add(n, bad)
		}
	}
	for arm := range arms {
		var seconds, tens, minutes, fives Count
		for second := w.Lead; second < tr.Seconds; second++ {
			all, bad := v.Fine.Sum(arm, second, 0)
			seconds.All, seconds.Bad = seconds.All+all, seconds.Bad+bad
		}
		for _, c := range v.Tens[arm] {
			tens.All, tens.Bad = tens.All+c.All, tens.Bad+c.Bad
		}
		for _, c := range v.Minutes[arm] {
			minutes.All, minutes.Bad = minutes.All+c.All, minutes.Bad+c.Bad
		}
		for _, c := range v.Fives[arm] {
			fives.All, fives.Bad = fives.All+c.All, fives.Bad+c.Bad
		}
		for name, got := range map[string]Count{"seconds": seconds, "tens": tens, "minutes": minutes, "fives": fives} {
			if got != want[arm] {
				t.Errorf("arm %d, %s: %v, want %v", arm, name, got, want[arm])
			}
		}
	}
}

func TestRequestsAboveThresholdsAreThoseOfTheBaselinesQuantiles(t *testing.T) {
	w := trace.Usual()
	w.Horizon = 600
	v := (&Maker{}).Make(trace.NewGenerator(&w, &trace.Fault{}).Make(4))
	for check := 1; check < Checks; check++ {
		all, bad := 0.0, 0.0
		for second := w.Lead; second < w.Lead+600; second++ {
			a, b := v.Fine.Sum(Baseline, second, check)
			all, bad = all+a, bad+b
		}
		want := w.Latency.Above(v.Fine.Thresholds[check-1])
		if got := bad / all; math.Abs(got-want) > 0.06*want {
			t.Errorf("above the p%g: %.4f of the requests, want %.4f", 100*Quantiles[check-1], got, want)
		}
	}
}

func TestAWindowOfFiveMinutesHasTheRequestsOfAllFive(t *testing.T) {
	w := trace.Usual()
	w.Horizon = 300
	v := (&Maker{}).Make(trace.NewGenerator(&w, &trace.Fault{Slower: 5, From: 240}).Make(4))
	mixed := w.Latency.Mixed(w.Latency.Slower(5), 0.2)
	if got, want := v.Fives[Canary][0].P95, trace.Edge(mixed.Quantile(0.95)); math.Abs(got-want) > 0.05*want {
		t.Errorf("p95 %.3f s, want %.3f: one minute of five is slow", got, want)
	}
}

func TestQuantilesAreInterpolatedWithinTheirBucket(t *testing.T) {
	var h [trace.Buckets]uint32
	if q := Quantile(h[:], 0.5); !math.IsNaN(q) {
		t.Errorf("the median of nothing is %g", q)
	}
	h[10], h[20] = 50, 50
	if got, want := Quantile(h[:], 0.5), trace.Edge(10); math.Abs(got-want) > 1e-12 {
		t.Errorf("median %g, want the end of the first bucket, %g", got, want)
	}
	if got, want := Quantile(h[:], 0.75), (trace.Edge(19)+trace.Edge(20))/2; math.Abs(got-want) > 1e-12 {
		t.Errorf("p75 %g, want the middle of the second bucket, %g", got, want)
	}
}

func TestTheWarmUpIsLeftOut(t *testing.T) {
	w := trace.Usual()
	w.Horizon, w.SkipWarmUp = 300, 60
	v := (&Maker{}).Make(trace.NewGenerator(&w, &trace.Fault{}).Make(4))
	if v.Horizon != 240 || len(v.Minutes[Canary]) != 4 || len(v.Tens[Canary]) != 24 {
		t.Errorf("a horizon of %d s, %d minutes, %d tens; want 240, 4, 24", v.Horizon, len(v.Minutes[Canary]), len(v.Tens[Canary]))
	}
}
