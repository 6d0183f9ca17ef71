package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// datadog guesses at Watchdog's faulty deployment detection, whose model is not published: every 5 min, from 10 min on,
// whether the error rate of the new version since the start is significantly above the old one's (z > 3) with at least 10
// errors, in two checks in a row.
func datadog() *Rule {
	return &Rule{
		Name: "Datadog-like (z > 3, twice)", Source: "a guess at Datadog Watchdog; the model is not published", Knobs: []Knob{{"z", 3, -3, 30}},
		Run: func(v *view.View, knobs []float64) Outcome {
			var sums [2]view.Count
			row := 0
			for i := range v.Tens[view.Canary] {
				for arm := range sums {
					sums[arm].All += v.Tens[arm][i].All
					sums[arm].Bad += v.Tens[arm][i].Bad
				}
				now := (i + 1) * 10
				if now < 600 || now%300 != 0 {
					continue
				}
				if sums[view.Canary].Bad >= 10 && zScore(sums[view.Canary], sums[view.Baseline]) > knobs[0] {
					row++
				} else {
					row = 0
				}
				if row == 2 {
					return rolledBack(now)
				}
			}
			return promoted(v.Horizon)
		},
	}
}

// zTest looks every 10 s, from the first minute on, whether a plain one-sided z test at 1 % calls the canary's errors so
// far more than the baseline's: what a script that is run by cron does.
func zTest() *Rule {
	return &Rule{
		Name: "z-test, peeking every 10 s", Source: "two proportions, pooled; the statistics textbook, used wrongly",
		Knobs: []Knob{{"z", 2.3263478740408408, -3, 30}},
		Run: func(v *view.View, knobs []float64) Outcome {
			var sums [2]view.Count
			for i := range v.Tens[view.Canary] {
				for arm := range sums {
					sums[arm].All += v.Tens[arm][i].All
					sums[arm].Bad += v.Tens[arm][i].Bad
				}
				if now := (i + 1) * 10; now >= 60 && zScore(sums[view.Canary], sums[view.Baseline]) > knobs[0] {
					return rolledBack(now)
				}
			}
			return promoted(v.Horizon)
		},
	}
}

// zScore is by how many standard errors a is worse than b; NaN, which is above nothing, where that has no meaning.
func zScore(a, b view.Count) float64 {
	p := (a.Bad + b.Bad) / (a.All + b.All)
	return (a.Ratio() - b.Ratio()) / math.Sqrt(p*(1-p)*(1/a.All+1/b.All))
}
