package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// harness guesses at Harness' continuous verification (AI Verify), whose model is not published. From its documentation:
// three minutes make one point, every node of the canary is compared with the nodes of the primary, deviations count in
// standard deviations, 15 min in all, judged at the end. Guessed: the deviation is that of the canary node from the mean
// of the primary nodes, over the standard deviation of that difference as the nodes' own points show it; medium sensitivity is 2; one
// such point of error rate or p99 is a risk that fails. On healthy releases that is about 29 %, where the independent
// simulation, whose own guess is not known in detail, found 21 %: what ten points of normal noise would give, while
// error rates and p99s have a longer tail upwards. Without canary data it says "No Data" and does not fail.
func harness() *Rule {
	return &Rule{
		Name: "Harness-like (15m, 2 σ)", Source: "a guess at Harness AI Verify; the model is not published", Knobs: []Knob{{"standard deviations", 2, -3, 60}},
		Run: func(v *view.View, knobs []float64) Outcome {
			if v.Horizon < harnessMinutes*60 {
				return Outcome{Never, Never}
			}
			for _, of := range []func(view.Window) float64{view.Window.Ratio, func(w view.Window) float64 { return w.P99 }} {
				if deviates(v, of) > knobs[0] {
					return rolledBack(harnessMinutes * 60)
				}
			}
			return promoted(harnessMinutes * 60)
		},
	}
}

// Private

const (
	harnessMinutes = 15
	harnessPoint   = 3 // minutes
)

// deviates is by how many standard deviations the worst point of a canary node lies above the primary's.
func deviates(v *view.View, of func(view.Window) float64) float64 {
	worst, canaries := math.Inf(-1), v.World.Canaries
	primary := v.Nodes[canaries:]
	square, free := 0.0, 0.0
	var means []float64
	for p := range harnessMinutes / harnessPoint {
		sum, n := 0.0, 0.0
		var points []float64
		for _, node := range primary {
			if x := point(node, p, of); !math.IsNaN(x) {
				sum, n, points = sum+x, n+1, append(points, x)
			}
		}
		means = append(means, sum/n)
		for _, x := range points {
			square += (x - sum/n) * (x - sum/n)
		}
		free += max(n-1, 0)
	}
	sd := math.Sqrt(square / free * (1 + 1/float64(len(primary))))
	for _, node := range v.Nodes[:canaries] {
		for p, m := range means {
			if z := (point(node, p, of) - m) / sd; z > worst {
				worst = z
			}
		}
	}
	return worst
}

// point is the mean of three minutes, of those that there are.
func point(node []view.Window, p int, of func(view.Window) float64) float64 {
	sum, n := 0.0, 0.0
	for _, w := range node[p*harnessPoint : (p+1)*harnessPoint] {
		if x := of(w); !math.IsNaN(x) {
			sum, n = sum+x, n+1
		}
	}
	return sum / n
}
