package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// Keptn v1's lighthouse at 318a3d5, with two objectives of the kind in its documentation: error rate and p95 of the last
// 5 min no more than 10 % above the comparison, total score 90 % to pass. It compares with an earlier evaluation; here
// it is given the baseline beside the canary, which is in its favour. A missing value fails.
func keptn() *Rule {
	return &Rule{
		Name: "Keptn (5m, ≤ +10 %)", Source: "Keptn v1 lighthouse: relative criteria on error rate and p95, compared with the concurrent baseline",
		Knobs: []Knob{{"error rate, % above", 10, 0, 3000}, {"p95, % above", 10, 0, 3000}},
		Run: func(v *view.View, knobs []float64) Outcome {
			for i, c := range v.Fives[view.Canary] {
				b := v.Fives[view.Baseline][i]
				if !within(c.Ratio(), b.Ratio(), knobs[0]) || !within(c.P95, b.P95, knobs[1]) {
					return rolledBack((i + 1) * 300)
				}
			}
			return promoted(v.Horizon)
		},
	}
}

// within tells whether a value is at most so many percent above another; what is not a number is not.
func within(value, base, percent float64) bool {
	return math.IsInf(percent, 1) || value <= base*(1+percent/100)
}
