package rules

import (
	"fmt"

	"github.com/deployguardian/adg/bench/judge/view"
)

// cloudWatch is an alarm on the canary's error rate and one on its p99, as CodeDeploy, ECS and Lambda roll back on (AWS
// documentation). Of the last n points, one a minute, m are above the limit. Missing data is "missing", the default:
// older points take its place, and without any there is no alarm but INSUFFICIENT_DATA, on which nothing is rolled
// back. The p99 alarm ignores minutes with fewer than 1,000 requests only if asked to, and here it is not.
func cloudWatch(m, n int) *Rule {
	return &Rule{
		Name: fmt.Sprintf("CloudWatch %d of %d (1m)", m, n), Source: "AWS CloudWatch alarms: periods of 60 s, missing data treated as missing",
		Knobs: limits(), Run: func(v *view.View, knobs []float64) Outcome {
			var breaching [2][]bool // of the minutes with data
			for i, w := range v.Minutes[view.Canary] {
				over, some := exceeds(v, w, knobs)
				if !some {
					continue
				}
				for a := range over {
					breaching[a] = append(breaching[a], over[a])
					if count(breaching[a], n) >= m {
						return rolledBack((i + 1) * 60)
					}
				}
			}
			return promoted(v.Horizon)
		},
	}
}

// count is how many of the last n are true.
func count(points []bool, n int) int {
	c := 0
	for _, p := range points[max(0, len(points)-n):] {
		if p {
			c++
		}
	}
	return c
}
