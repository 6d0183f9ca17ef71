package rules

import "github.com/deployguardian/adg/bench/judge/view"

// Flagger, pkg/controller/scheduler.go at 15bd6ad. Every minute: first it looks whether there have been enough failed
// checks, which costs an interval; then it asks for the success rate and, if that is good, the p99 of the canary over
// the last minute. The first bad answer is one failed check and ends the minute; no data is a bad answer. Failed checks
// are never forgotten.
func flagger(name, source string, threshold int) *Rule {
	return &Rule{Name: name, Source: "Flagger: " + source, Knobs: limits(), Run: func(v *view.View, knobs []float64) Outcome {
		failed := 0
		for i, w := range v.Minutes[view.Canary] {
			now := (i + 1) * 60
			if failed >= threshold {
				return rolledBack(now)
			}
			if over, some := exceeds(v, w, knobs); !some || over[0] || over[1] {
				failed++
			}
		}
		return promoted(v.Horizon)
	}}
}

func flaggerDefault() *Rule {
	return flagger("Flagger default (1m, threshold 1)", "threshold not set, which is 1", 1)
}

func flaggerDocs() *Rule {
	return flagger("Flagger docs (1m, threshold 5)", "the example of its documentation: interval 1m, threshold 5", 5)
}
