package control

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Weakened says in what a policy guards less than the one before it: what a mistake, or somebody who wants a bad release
// out, would change. It is pure. Of a change that is neither clearly stricter nor clearly weaker, such as another query
// under the same name, it says that it is one: somebody else looks at it.
func Weakened(before, after adg.Policy) []string {
	var how []string
	for _, w := range weakenings(before, after) {
		how = append(how, w.text)
	}
	return how
}

// Private

// weakening is one way in which a policy guards less, and the fields that make it so, as keyed names them.
type weakening struct {
	text string
	keys []string
}

// weakened collects them.
type weakened []weakening

func (w *weakened) say(weaker bool, keys []string, format string, args ...any) {
	if weaker {
		*w = append(*w, weakening{fmt.Sprintf(format, args...), keys})
	}
}

// longer says of a time that is longer now, so that something bad is seen or undone later.
func (w *weakened) longer(key, what string, before, after time.Duration) {
	w.say(after > before, []string{key}, "%s: %s instead of %s", what, adg.Short(after), adg.Short(before))
}

func weakenings(before, after adg.Policy) []weakening {
	before, after = before.WithDefaults(), after.WithDefaults()
	var w weakened
	w.whole(before, after)
	w.rollout(before, after)
	w.rollbacks(before.Rollback, after.Rollback)
	w.risk(before.Risk, after.Risk)
	for _, old := range before.Checks {
		at := slices.IndexFunc(after.Checks, func(c adg.Check) bool { return c.Name == old.Name })
		if at < 0 {
			w.say(true, of("checks["+old.Name+"]"), "check %s is gone", old.Name)
			continue
		}
		w.check(old, after.Checks[at])
	}
	return w
}

func of(keys ...string) []string { return keys }

// whole compares what holds for the policy as a whole.
func (w *weakened) whole(before, after adg.Policy) {
	w.say(after.Alpha > before.Alpha && before.Alpha > 0, of("alpha"), "alpha goes from %g to %g", before.Alpha, after.Alpha)
	w.say(after.Promote < before.Promote, of("promote"), "promote goes from %s to %s", before.Promote, after.Promote)
	w.say(before.Approve && !after.Approve, of("approve"), "no human approves before the first step any more")
	w.say(before.FourEyes && !after.FourEyes, of("four_eyes"), "who starts a deployment may approve it")
	w.say(after.AtDeadline != before.AtDeadline && before.AtDeadline == adg.EndToLastGood, of("at_deadline"), "at the deadline it does not go back to the last good release any more")
	w.say(after.OnInterrupt < before.OnInterrupt, of("on_interrupt"), "an interrupted run does not roll back any more")
	w.say(before.Target != after.Target, of("target"), "the target is another one: %s instead of %s", after.Target, before.Target)
	for name, value := range before.Variables {
		w.say(after.Variables[name] != value, of("variables."+name), "the variable %s of the queries is %q instead of %q", name, after.Variables[name], value)
	}
	for _, name := range before.Notify {
		w.say(!slices.Contains(after.Notify, name), of("notify"), "%s is not told any more", name)
	}
	w.say(after.Scoring.Healthy < before.Scoring.Healthy, of("scoring.healthy"), "a score of %g is healthy instead of %g", after.Scoring.Healthy, before.Scoring.Healthy)
	w.say(after.Scoring.Degraded < before.Scoring.Degraded, of("scoring.degraded"), "a score below %g is unhealthy instead of %g", after.Scoring.Degraded, before.Scoring.Degraded)
	w.longer("interval", "time between measurements", before.Interval, after.Interval)
	w.longer("warm_up", "warm-up after a step", before.WarmUp, after.WarmUp)
	w.longer("settle", "time to reach a step", before.Settle, after.Settle)
	w.longer("deadline", "deadline", before.Deadline, after.Deadline)
	if after.UnknownHold != 3*after.Interval || before.UnknownHold != 3*before.Interval { // where it does not follow from the interval
		w.longer("unknown_hold", "time without knowing until it holds", before.UnknownHold, after.UnknownHold)
	}
	w.say(after.History < before.History, of("history"), "the baseline covers %s instead of %s", adg.Short(after.History), adg.Short(before.History))
}

// rollout compares how a release goes live, and how long it is watched.
func (w *weakened) rollout(before, after adg.Policy) {
	then, now := before.Strategy, after.Strategy
	w.say(then.Kind != now.Kind, of("strategy.kind"), "the strategy is %s instead of %s", now.Kind, then.Kind)
	for _, s := range slices.Concat(then.Steps, now.Steps) {
		if was, is := baked(then, s.Share), baked(now, s.Share); is < was {
			w.say(true, of("strategy.steps"), "it is watched for %s instead of %s before it has more than %g %% of the traffic", adg.Short(is), adg.Short(was), s.Share)
			break
		}
	}
	w.say(pauses(now) < pauses(then), of("strategy.steps"), "a human goes on at %d steps instead of %d", pauses(now), pauses(then))
	w.say(now.Keep < then.Keep, of("strategy.keep"), "the release before is kept for %s instead of %s", adg.Short(now.Keep), adg.Short(then.Keep))
	w.say(watched(after) < watched(before), of("verify"), "it is watched for %s after the last step instead of %s", adg.Short(watched(after)), adg.Short(watched(before)))
	for _, old := range before.Verify {
		at := slices.IndexFunc(after.Verify, func(p adg.Phase) bool { return p.Name == old.Name })
		if at < 0 {
			w.say(true, of("verify"), "the phase %s is gone", old.Name)
			continue
		}
		p, key := after.Verify[at], "verify["+old.Name+"]"
		w.longer(key+".interval", "time between measurements in the phase "+p.Name, old.Interval, p.Interval)
		fewer := len(p.Checks) > 0 && (len(old.Checks) == 0 || slices.ContainsFunc(old.Checks, func(name string) bool { return !slices.Contains(p.Checks, name) }))
		w.say(fewer, of(key+".checks"), "the phase %s asks fewer checks", p.Name)
	}
}

// baked is how long a release is watched before it gets more than a share of the traffic.
func baked(s adg.Strategy, share float64) (sum time.Duration) {
	for _, step := range s.Steps {
		if step.Share <= share {
			sum += step.Bake
		}
	}
	return sum
}

func pauses(s adg.Strategy) (n int) {
	for _, step := range s.Steps {
		if step.Pause {
			n++
		}
	}
	return n
}

// watched is how long a release is watched after its last step.
func watched(p adg.Policy) (sum time.Duration) {
	for _, phase := range p.Verify {
		sum += phase.For
	}
	return sum
}

// rollbacks compares when and how it goes back.
func (w *weakened) rollbacks(before, after adg.RollbackPolicy) {
	w.say(after.Trust < before.Trust, of("rollback.trust"), "trust goes from %s to %s", before.Trust, after.Trust)
	for _, old := range before.Rules {
		kept := slices.ContainsFunc(after.Rules, func(r adg.Rule) bool {
			return (r.When == old.When || r.When == adg.Degraded) && r.For <= old.For && r.After <= old.After
		})
		w.say(!kept, of("rollback.rules"), "the rule that goes back when %s for %s is gone, or waits longer", old.When, adg.Short(old.For))
	}
	w.say(after.AskThen < before.AskThen, of("rollback.ask_then"), "when nobody answers it does not go back any more")
	w.longer("rollback.ask_timeout", "time that an answer is waited for", before.AskTimeout, after.AskTimeout)
	w.say(after.Recover < before.Recover, of("rollback.recover"), "a good stretch of %s instead of %s calls a rollback off", adg.Short(after.Recover), adg.Short(before.Recover))
	w.say(after.Attempts < before.Attempts, of("rollback.attempts"), "a rollback is tried %d times instead of %d", after.Attempts, before.Attempts)
	w.longer("rollback.timeout", "time for one try of a rollback", before.Timeout, after.Timeout)
	w.say(after.VerifyFor < before.VerifyFor, of("rollback.verify_for"), "the restored release is watched for %s instead of %s", adg.Short(after.VerifyFor), adg.Short(before.VerifyFor))
	w.longer("rollback.verify_max", "time to verify a rollback", before.VerifyMax, after.VerifyMax)
	w.longer("rollback.over", "time that the traffic takes to go back", before.Over, after.Over)
	w.say(before.Fallback != "" && after.Fallback != before.Fallback, of("rollback.fallback"), "the fallback target %s is no longer asked", before.Fallback)
	shorter := after.HoldFor != 0 && (before.HoldFor == 0 || after.HoldFor < before.HoldFor) // zero: until it is lifted
	w.say(shorter, of("rollback.hold_for"), "the bad release stays on hold for %s only", adg.Short(after.HoldFor))
	w.say(after.PerHour != before.PerHour, of("rollback.per_hour"), "%d automatic rollbacks an hour instead of %d", after.PerHour, before.PerHour)
	w.say(after.SchemaIrreversible != before.SchemaIrreversible, of("rollback.schema_irreversible"), "whether its schema change can be undone is said otherwise")
}

// risk compares what the prediction has to say.
func (w *weakened) risk(before, after adg.RiskPolicy) {
	for _, one := range []struct {
		name          string
		before, after adg.RiskLimit
	}{{"warn", before.Warn, after.Warn}, {"approve", before.Approve, after.Approve}, {"block", before.Block, after.Block}} {
		stricter := one.before.IsZero() || one.after.Bound == one.before.Bound && one.after.Below >= one.before.Below
		w.say(!stricter, of("risk."+one.name), "the prediction that makes it %s is another one, or none", one.name)
	}
	steered := func(was, is float64) bool { return is < was }
	w.say(steered(before.Steer.Bake, after.Steer.Bake) || steered(before.Steer.Steps, after.Steer.Steps) || steered(before.Steer.Strict, after.Steer.Strict),
		of("risk.steer"), "risky changes are watched less closely")
}

// check compares what one check says.
func (w *weakened) check(old, c adg.Check) {
	key := "checks[" + old.Name + "]"
	w.say(old.Critical && !c.Critical, of(key+".critical"), "check %s is not critical any more", c.Name)
	w.say(c.Weight < old.Weight, of(key+".weight"), "check %s weighs %g instead of %g", c.Name, c.Weight, old.Weight)
	w.say(old.BlamePreexisting && !c.BlamePreexisting, of(key+".blame_preexisting"), "check %s excuses what was there before", c.Name)
	w.say(c.Source != old.Source || c.Query != old.Query || c.Bad != old.Bad || c.Total != old.Total || c.Histogram != old.Histogram || c.Replica != old.Replica || c.Aggregate != old.Aggregate,
		of(key+".source", key+".query", key+".bad", key+".total", key+".histogram", key+".replica", key+".aggregate"), "check %s asks something else", c.Name)
	c.Sequential.Alpha = old.Sequential.Alpha // it is the policy's, shared out over its checks
	w.say(c.Compare != old.Compare || c.Baseline != old.Baseline || c.Fail != old.Fail || c.Warn != old.Warn || c.Sequential != old.Sequential || c.Ranks != old.Ranks || !reflect.DeepEqual(c.Logs, old.Logs),
		of(key+".compare", key+".baseline", key+".fail", key+".warn", key+".sequential", key+".ranks", key+".logs"), "check %s fails at something else", c.Name)
	w.say(c.Window != old.Window, of(key+".window"), "check %s looks back over %s instead of %s", c.Name, adg.Short(c.Window), adg.Short(old.Window))
	w.longer(key+".interval", "time between measurements of check "+c.Name, old.Interval, c.Interval)
	w.longer(key+".max_age", "age up to which samples of check "+c.Name+" count", old.MaxAge, c.MaxAge)
	w.say(c.Failures > old.Failures, of(key+".failures"), "check %s fails after %d failures instead of %d", c.Name, c.Failures, old.Failures)
	w.say(c.MinSamples > old.MinSamples, of(key+".min_samples"), "check %s wants %g samples instead of %g", c.Name, c.MinSamples, old.MinSamples)
}
