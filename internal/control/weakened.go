package control

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// Weakened says in what a policy guards less than the one before it: what a mistake, or somebody who wants a bad release
// out, would change. It is pure. What it does not know it does not say: another query under the same name is a check
// that was changed.
func Weakened(before, after adg.Policy) []string {
	var how []string
	say := func(weaker bool, format string, args ...any) {
		if weaker {
			how = append(how, fmt.Sprintf(format, args...))
		}
	}
	say(after.Rollback.Trust < before.Rollback.Trust, "trust goes from %s to %s", before.Rollback.Trust, after.Rollback.Trust)
	say(after.Alpha > before.Alpha && before.Alpha > 0, "alpha goes from %g to %g", before.Alpha, after.Alpha)
	say(after.Promote < before.Promote, "promote goes from %s to %s", before.Promote, after.Promote)
	say(before.Approve && !after.Approve, "no human approves before the first step any more")
	say(before.FourEyes && !after.FourEyes, "who starts a deployment may approve it")
	say(after.AtDeadline != before.AtDeadline && before.AtDeadline == adg.EndToLastGood, "at the deadline it does not go back to the last good release any more")
	say(len(after.Rollback.Rules) < len(before.Rollback.Rules), "of %d rules for rollbacks %d are left", len(before.Rollback.Rules), len(after.Rollback.Rules))
	say(watched(after) < watched(before), "it is watched for %s after the last step instead of %s", watched(after), watched(before))
	say(len(after.Notify) < len(before.Notify), "of %d notifiers %d are left", len(before.Notify), len(after.Notify))
	say(before.Target != after.Target, "the target is another one: %s instead of %s", after.Target, before.Target)
	say(!before.Risk.IsZero() && after.Risk.IsZero(), "the prediction has no say any more")
	checks := map[string]adg.Check{}
	for _, c := range after.Checks {
		checks[c.Name] = c
	}
	for _, old := range before.Checks {
		c, found := checks[old.Name]
		if !found {
			how = append(how, fmt.Sprintf("check %s is gone", old.Name))
			continue
		}
		say(old.Critical && !c.Critical, "check %s is not critical any more", c.Name)
		say(c.Weight < old.Weight, "check %s weighs %g instead of %g", c.Name, c.Weight, old.Weight)
		say(c.Source != old.Source || c.Query != old.Query || c.Bad != old.Bad || c.Total != old.Total || c.Histogram != old.Histogram, "check %s asks something else", c.Name)
		c.Sequential.Alpha = old.Sequential.Alpha // it is the policy's, shared out over its checks
		say(c.Compare != old.Compare || c.Fail != old.Fail || c.Sequential != old.Sequential, "check %s fails at something else", c.Name)
	}
	return how
}

// Private

// watched is how long a release is watched after its last step.
func watched(p adg.Policy) (sum time.Duration) {
	for _, phase := range p.Verify {
		sum += phase.For
	}
	return sum
}
