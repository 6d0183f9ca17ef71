package rollout

import (
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Need is what must be found out before the next Step can decide.
type Need struct {
	Checks    []int           // indices into Spec.Policy.Checks: those that are due
	Intervals []time.Duration // parallel to Checks: the time between two measurements
	Counted   []int           // indices of the checks that the health is made of now, due or not
	Observe   bool            // read the target's state
	Gates     bool            // ask the gates
	Rehearse  bool            // rehearse the way back: Restored
	Subject   adg.Release     // what is measured as the candidate; the last good release while VerifyingRollback
	Stable    *adg.Release    // the release that serves beside it; nil: none does, so checks are judged alone
	Share     float64         // percent of the traffic that the subject has
	From      time.Time       // samples before this do not count
	Restored  bool            // a rollback is being verified
}

// Wants is what must be found out before the Step at now can decide. Checks that are due within a tenth of their
// interval are due, so that they are measured together. An ended deployment wants nothing.
func Wants(d adg.Deployment, now time.Time) Need {
	spec, s, p := &d.Spec, &d.Status, &d.Spec.Policy
	need := Need{Subject: spec.Release, Rehearse: rehearses(spec, s, now)}
	switch s.State {
	case adg.Pending, adg.Gated:
		need.Gates = true
		return need
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending:
		need.Observe = !s.Reached || staged(spec, s)
		need.From = from(spec, s)
		need.Share = served(spec, s)
		if need.Share < 100 && spec.WayBack() {
			need.Stable = spec.LastGood
		}
	case adg.RollingBack:
		need.Observe = true
		return need
	case adg.VerifyingRollback:
		need.Observe, need.Restored, need.Share = true, true, 100
		if spec.LastGood != nil {
			need.Subject = *spec.LastGood
		}
		need.From = s.ReachedAt
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return need
	}
	need.Counted = counted(spec, s)
	for _, i := range need.Counted {
		if interval := intervalOf(spec, s, i); due(s, p.Checks[i].Name, i, interval, now) {
			need.Checks = append(need.Checks, i)
			need.Intervals = append(need.Intervals, interval)
		}
	}
	return need
}

// Private

// counted are the checks that the health is made of: those of the phase, or all. A release without traffic is judged
// by probes and events only, because nothing else can say anything about it; before the target has made the first
// step there is nothing to measure.
func counted(spec *adg.Spec, s *adg.Status) []int {
	p := &spec.Policy
	if s.State == adg.VerifyingRollback {
		return indices(p.Checks, func(adg.Check) bool { return true })
	}
	if s.ReachedAt.IsZero() {
		return nil
	}
	switch base(s) {
	case adg.Rolling:
		idle := served(spec, s) == 0
		return indices(p.Checks, func(c adg.Check) bool { return !idle || seesIdle(c) })
	case adg.Verifying:
		phase := phaseOf(spec, s)
		return indices(p.Checks, func(c adg.Check) bool { return len(phase.Checks) == 0 || slices.Contains(phase.Checks, c.Name) })
	case adg.Pending, adg.Gated, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked,
		adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return nil
}

// seesIdle tells whether a check can say something about a release that no user reaches.
func seesIdle(c adg.Check) bool { return c.Compare == adg.Probe || c.Compare == adg.Events }

// staged tells whether the release stands without traffic and without a check that could see it: then the target's
// word is all the evidence that there can be.
func staged(spec *adg.Spec, s *adg.Status) bool {
	if base(s) != adg.Rolling || !s.Reached || spec.Policy.Strategy.Steps[s.Step].Share > 0 {
		return false
	}
	return len(indices(spec.Policy.Checks, seesIdle)) == 0
}

// served is the share of the traffic that the release had at the last step that was reached.
func served(spec *adg.Spec, s *adg.Status) float64 {
	steps := spec.Policy.Strategy.Steps
	switch {
	case base(s) == adg.Verifying:
		return 100
	case s.Reached:
		return steps[s.Step].Share
	case s.Step > 0 && !s.ReachedAt.IsZero():
		return steps[s.Step-1].Share
	}
	return 0
}

// from is since when samples count: the last step reached, and the warm-up after it.
func from(spec *adg.Spec, s *adg.Status) time.Time {
	if s.ReachedAt.IsZero() {
		return time.Time{}
	}
	return s.ReachedAt.Add(spec.Policy.WarmUp)
}

// phaseOf is the phase of verification; the zero phase, all checks at the policy's interval, where there is none.
func phaseOf(spec *adg.Spec, s *adg.Status) adg.Phase {
	if phases := spec.Policy.Verify; s.Phase < len(phases) {
		return phases[s.Phase]
	}
	return adg.Phase{}
}

// intervalOf is the time between two measurements of a check: its own, or that of the phase. A rollback is verified
// at least as often as a step.
func intervalOf(spec *adg.Spec, s *adg.Status, check int) time.Duration {
	own, usual := spec.Policy.Checks[check].Interval, usualInterval(spec)
	if s.State == adg.VerifyingRollback {
		if own > 0 {
			return min(own, usual)
		}
		return usual
	}
	if own > 0 {
		return own
	}
	if base(s) == adg.Verifying {
		if phase := phaseOf(spec, s); phase.Interval > 0 {
			return phase.Interval
		}
	}
	return usual
}

// pace is how often a deployment is looked at: the shortest interval of the checks that count.
func pace(spec *adg.Spec, s *adg.Status) time.Duration {
	shortest := time.Duration(0)
	for _, i := range counted(spec, s) {
		if interval := intervalOf(spec, s, i); shortest == 0 || interval < shortest {
			shortest = interval
		}
	}
	if shortest > 0 {
		return shortest
	}
	return usualInterval(spec)
}

// usualInterval is the policy's, and never zero, which would ask for a tick without end.
func usualInterval(spec *adg.Spec) time.Duration {
	if spec.Policy.Interval > 0 {
		return spec.Policy.Interval
	}
	return 15 * time.Second
}

// due tells whether a check is to be measured now.
func due(s *adg.Status, name string, check int, interval time.Duration, now time.Time) bool {
	if check >= len(s.Checks) || s.Checks[check].Check != name {
		return true
	}
	return !s.Checks[check].Due.After(now.Add(interval / 10))
}

func indices(checks []adg.Check, want func(adg.Check) bool) []int {
	found := make([]int, 0, len(checks))
	for i, c := range checks {
		if want(c) {
			found = append(found, i)
		}
	}
	return found
}
