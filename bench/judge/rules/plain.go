package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// The plain e-process that ADG's test is made of: a mixture over seven rate ratios of the conditional binomial
// likelihood, second by second, without any care for requests that are not independent.

func plainErrors() *Rule {
	return plainRule("plain e-process, errors", []float64{1})
}

func plainAll() *Rule {
	return plainRule("plain e-process, errors and latency", checkWeights[:])
}

// Private

// checkWeights of the errors, and of the requests slower than each quantile of the baseline.
var checkWeights = [view.Checks]float64{0.5, 0.1, 0.1, 0.1, 0.1, 0.1}

var ratios = [...]float64{1.25, 1.5, 2, 3, 5, 10, 30}

var lnRatios = func() (ln [len(ratios)]float64) {
	for i, r := range ratios {
		ln[i] = math.Log(r)
	}
	return ln
}()

func plainRule(name string, weights []float64) *Rule {
	return &Rule{
		Name: name, Source: "the bare test that ADG's is made of, for comparison", Knobs: []Knob{{"ln(1/alpha)", math.Log(100), 0, 50}},
		Path: func(v *view.View, enough float64) Path { return plainPath(v, weights, enough) },
	}
}

func plainPath(v *view.View, weights []float64, enough float64) Path {
	path := Path{Promote: v.Horizon}
	logs := make([][len(ratios)]float64, len(weights))
	for s := range v.Horizon {
		second := v.Fine.Lead + v.Skip + s
		nc, _ := v.Fine.Sum(view.Canary, second, 0)
		nb, _ := v.Fine.Sum(view.Baseline, second, 0)
		if nc == 0 || nb == 0 {
			continue
		}
		var won, lost [len(ratios)]float64
		for i, r := range ratios {
			lost[i] = math.Log((nc + nb) / (nc*r + nb))
			won[i] = lost[i] + lnRatios[i]
		}
		top := math.Inf(-1)
		for c := range logs {
			_, kc := v.Fine.Sum(view.Canary, second, c)
			_, kb := v.Fine.Sum(view.Baseline, second, c)
			for i := range ratios {
				logs[c][i] += kc*won[i] + kb*lost[i]
				top = max(top, logs[c][i])
			}
		}
		if top <= path.Peak() {
			continue // the mean is not above the largest
		}
		if path.add(s+1, mixed(logs, weights)); path.Peak() >= enough {
			break
		}
	}
	return path
}

// mixed is the logarithm of the weighted mean of the evidence of all checks.
func mixed(logs [][len(ratios)]float64, weights []float64) float64 {
	mean := 0.0
	for c := range logs {
		for _, log := range logs[c] {
			mean += weights[c] * math.Exp(log) / float64(len(ratios))
		}
	}
	return math.Log(mean)
}
