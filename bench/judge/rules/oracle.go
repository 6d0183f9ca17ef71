package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// oracle is Wald's test of the canary's errors alone by somebody who knows the base rate and by how much it is
// exceeded: nobody does. It says what is lost by not knowing.
func oracle() *Rule {
	return &Rule{
		Name: "oracle (SPRT on errors)", Source: "Wald 1945, given the base rate and the true ratio",
		Knobs: []Knob{{"ln(1/alpha)", math.Log(100), 0, 50}},
		Path: func(v *view.View, enough float64) Path {
			p0 := v.World.Error
			p1 := min(v.Fault.Rate(p0), 1-1e-9)
			path, log := Path{Promote: Never}, 0.0
			for s := range v.Horizon {
				n, k := v.Fine.Sum(view.Canary, v.Fine.Lead+v.Skip+s, 0)
				log += k*math.Log(p1/p0) + (n-k)*math.Log((1-p1)/(1-p0))
				if path.add(s+1, log); path.Peak() >= enough {
					break
				}
			}
			return path
		},
		Only: func(v *view.View) bool { return v.Fault.Errors > 1 || v.Fault.Failing },
	}
}
