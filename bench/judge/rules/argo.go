package rules

import "github.com/deployguardian/adg/bench/judge/view"

// Argo Rollouts, analysis/analysis.go at 9f8d111 and its documentation. Two metrics, the error rate and the p99 of the
// canary, each with its own count. Failures are counted over the whole run and need not follow each other. A query
// without data is an error, repeated after 10 s; the fifth in a row aborts (consecutiveErrorLimit 4). The first
// measurement waits for a full window.
func argo(name, source string, minutes, failureLimit int) *Rule {
	return &Rule{Name: name, Source: "Argo Rollouts: " + source, Knobs: limits(), Run: func(v *view.View, knobs []float64) Outcome {
		windows := v.Minutes[view.Canary]
		if minutes == 5 {
			windows = v.Fives[view.Canary]
		}
		failed := [2]int{}
		for i, w := range windows {
			now := (i + 1) * 60 * minutes
			over, some := exceeds(v, w, knobs)
			if !some && stillNothing(v, now, minutes) {
				return rolledBack(now + 40)
			}
			for m := range over {
				if over[m] {
					failed[m]++
				}
				if failed[m] > failureLimit {
					return rolledBack(now)
				}
			}
		}
		return promoted(v.Horizon)
	}}
}

func argoDefault() *Rule {
	return argo("Argo default (1m, failureLimit 0)", "failureLimit 0, interval 1m", 1, 0)
}

func argoDocs() *Rule {
	return argo("Argo docs (5m, failureLimit 3)", "the example of its documentation: interval 5m, failureLimit 3", 5, 3)
}

// stillNothing tells whether the four repetitions find nothing, either.
func stillNothing(v *view.View, now, minutes int) bool {
	tens := v.Tens[view.Canary]
	if now/10+4 > len(tens) {
		return false
	}
	for _, c := range tens[now/10-6*minutes : now/10+4] {
		if c.All > 0 {
			return false
		}
	}
	return true
}
