// Package risk lets a prediction steer how a deployment is made: slower, in smaller steps and watched more strictly where
// failure is likelier than usual. It is pure, and what it changes it says.
package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Ratio is the predicted probability of failure divided by that of the deployments so far; 1 where that is not known.
func Ratio(p adg.Prediction) float64 {
	ratio := (1 - p.Success) / (1 - p.Base)
	if !(ratio >= 0) || math.IsInf(ratio, 1) {
		return 1
	}
	return ratio
}

// Steer is the policy as the risk wants it, and what that changed, in words. A risk that is not above the usual one
// changes nothing, and neither does what the policy does not leave to it.
func Steer(policy adg.Policy, p adg.Prediction) (adg.Policy, []string) {
	var said []string
	ratio, steer := Ratio(p), policy.Risk.Steer
	apply := func(most float64, change func(*adg.Policy, float64) string) {
		if factor := min(ratio, most); factor > 1 {
			if what := change(&policy, factor); what != "" {
				said = append(said, fmt.Sprintf("%s, at %.2g times the usual risk", what, ratio))
			}
		}
	}
	apply(steer.Bake, longer)
	apply(steer.Steps, smaller)
	apply(steer.Strict, stricter)
	return policy, said
}

// Success is the probability of success after evidence: the odds of failure that were predicted, times the evidence
// for the release being worse against its not being so (Bayes). The evidence is given as its logarithm.
func Success(predicted, logE float64) float64 {
	predicted = min(max(predicted, least), 1-least)
	return 1 / (1 + math.Exp(math.Log((1-predicted)/predicted)+logE))
}

// Private

// least is how near to impossible a prediction may be for evidence to change it.
const least = 1e-6

// longer stretches the bakes and the phases, and the deadline with them.
func longer(p *adg.Policy, factor float64) string {
	var more time.Duration
	stretch := func(d *time.Duration) {
		before := *d
		*d = times(*d, factor)
		more += *d - before
	}
	p.Strategy.Steps, p.Verify = slices.Clone(p.Strategy.Steps), slices.Clone(p.Verify)
	for i := range p.Strategy.Steps {
		stretch(&p.Strategy.Steps[i].Bake)
	}
	for i := range p.Verify {
		stretch(&p.Verify[i].For)
	}
	if more == 0 {
		return ""
	}
	p.Deadline += more
	return fmt.Sprintf("steps and phases take %.2g times as long", factor)
}

// smaller divides the shares below 100 %, and leaves out what falls together with the step before.
func smaller(p *adg.Policy, factor float64) string {
	if len(p.Strategy.Steps) < 2 {
		return ""
	}
	steps := slices.Clone(p.Strategy.Steps)
	for i := range steps {
		if steps[i].Share < 100 {
			steps[i].Share = max(math.Round(10*steps[i].Share/factor)/10, min(steps[i].Share, smallest))
		}
	}
	p.Strategy.Steps = slices.CompactFunc(steps, func(a, b adg.Step) bool { return a.Share == b.Share })
	return fmt.Sprintf("shares below 100 %% are %.2g times smaller", factor)
}

// smallest share of the traffic, in percent, that a step is made.
const smallest = 0.1

// stricter lets rules wait less, and smaller faults have to be detectable.
func stricter(p *adg.Policy, factor float64) string {
	p.Rollback.Rules, p.Checks = slices.Clone(p.Rollback.Rules), slices.Clone(p.Checks)
	for i := range p.Rollback.Rules {
		rule := &p.Rollback.Rules[i]
		rule.For = times(rule.For, 1/factor)
	}
	for i := range p.Checks {
		if p.Checks[i].Compare != adg.Sequential { // of logs, any new pattern counts
			continue
		}
		test := &p.Checks[i].Sequential
		tolerated, detect := cmp.Or(test.Ratio, 1), cmp.Or(test.Detect, 3)
		test.Detect = tolerated * math.Pow(detect/tolerated, 1/factor)
	}
	return fmt.Sprintf("rules wait %.2g times less, and smaller faults have to be detectable", factor)
}

// times is a multiple of a duration, to the second where it is minutes long.
func times(d time.Duration, factor float64) time.Duration {
	unit := time.Millisecond
	if d >= time.Minute {
		unit = time.Second
	}
	return time.Duration(float64(d) * factor).Round(unit)
}
