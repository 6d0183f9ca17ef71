package rollout

import (
	"fmt"

	"github.com/deployguardian/adg"
)

// maxRetries is how often a failed step is tried again before the target counts as the reason to roll back.
const maxRetries = 3

// hear takes in what is known of the target: the outcome of the effect in flight, and its state.
//
// Going forward, Status.Attempt counts failures in a row and Entered is when the attempt began or, after it, failed.
// While RollingBack, Attempt counts the attempts begun and Reached says that the target took the last one.
func (l *life) hear() {
	s := &l.s
	if s.Op == "" {
		l.seen = l.in.Observed
	}
	if o := l.in.Outcome; o != nil && s.Op != "" && o.OpID == s.Op {
		s.Op = ""
		if o.Err != "" {
			l.failure, l.final, l.left = o.Err, o.Final, o.Observed
		} else {
			l.seen = &o.Observed
		}
		l.outcome(o.Err == "")
	}
	if l.seen == nil || s.Op != "" {
		return
	}
	if base(s) == adg.Rolling && !s.Reached && l.stepDone(*l.seen) {
		l.reach()
	}
}

// Private

// suspended notes what the target keeps from undoing a rollback, the one that failed included, and with it the hold.
// Somebody who lets it go before the rollback was verified is told to everybody.
func (l *life) suspended() {
	s := &l.s
	if s.Op != "" || s.Fallback || s.State != adg.RollingBack && s.State != adg.VerifyingRollback {
		return // a fallback knows nothing of what the first target has suspended
	}
	what := l.left.Suspended
	if l.seen != nil {
		what = l.seen.Suspended
	} else if what == "" {
		return // nothing was heard
	}
	before := s.Suspended
	s.Suspended = what
	switch {
	case what == before:
	case what != "":
		l.because("suspended: %s", what)
		l.blame(l.verdict()) // wherever the rollback ends, the hold says so
	case s.State == adg.VerifyingRollback:
		l.because("%s is no longer suspended", before)
		l.tell(adg.FactPage, before+" was resumed by somebody else during the rollback: it may bring the bad release back")
	}
}

// outcome counts an attempt that ended.
func (l *life) outcome(ok bool) {
	s := &l.s
	if s.State == adg.RollingBack {
		s.Reached = ok
		return
	}
	switch {
	case ok:
		s.Attempt = 0
	case l.final:
		s.Attempt, s.Entered = maxRetries+1, l.now
	default:
		s.Attempt, s.Entered = s.Attempt+1, l.now
	}
}

// reach begins the bake of a step: what was measured before says nothing about it.
func (l *life) reach() {
	s := &l.s
	l.arrived = true
	s.Reached, s.ReachedAt, s.Attempt = true, l.now, 0
	s.Good, s.Blind, s.Health = 0, 0, adg.HealthUnknown
	s.Checks = append([]adg.Watch(nil), s.Checks...)
	for i := range s.Checks {
		s.Checks[i].Due = l.now.Add(l.p.WarmUp)
	}
}

// ours tells whether the target speaks of the last effect, as far as it can tell.
func (l *life) ours(o adg.Observed) bool { return o.OpID == "" || o.OpID == opID(l.d.ID, l.s.Ops) }

// stepDone tells whether the target has converged to the step. Its word alone is not enough where it reports shares:
// the share has to be nearer to this step's than to that of the step before, and at 100 % it has to be all.
func (l *life) stepDone(o adg.Observed) bool {
	if !o.Done || o.Failed || !l.ours(o) {
		return false
	}
	steps := l.p.Strategy.Steps
	want := steps[l.s.Step].Share
	share, reported := o.Share(l.spec.Release.Version)
	switch {
	case len(o.Releases) == 0:
		return true
	case want == 0:
		return share < 1
	case !reported:
		return false
	case want == 100:
		return share >= 99
	}
	before := 0.0
	if l.s.Step > 0 {
		before = steps[l.s.Step-1].Share
	}
	return share > (before+want)/2
}

// removed tells whether the target has done the removal of the old release.
func (l *life) removed(o adg.Observed) bool {
	share, _ := o.Share(l.spec.Release.Version)
	return o.Done && !o.Failed && l.ours(o) && (len(o.Releases) == 0 || share >= 99)
}

// back tells whether the target reports the last good release live and the other one without traffic. A target that
// cannot report its state is believed when it says that it is done.
func (l *life) back(o adg.Observed) bool {
	return o.Done && !o.Failed && l.ours(o) && (len(o.Releases) == 0 || !l.elsewhere(o))
}

// elsewhere tells whether the target reports that something else than the last good release is live.
func (l *life) elsewhere(o adg.Observed) bool {
	if len(o.Releases) == 0 {
		return false
	}
	good, _ := o.Share(l.spec.LastGood.Version)
	return good < 99
}

// targetFailure says why the step will not be reached; empty: it may be.
func (l *life) targetFailure() string {
	s := &l.s
	if s.Reached || base(s) != adg.Rolling {
		return ""
	}
	waiting := s.Op != "" || s.Attempt == 0
	switch {
	case s.Attempt > maxRetries && l.failure != "":
		return "the target failed: " + l.failure
	case s.Attempt > maxRetries:
		return fmt.Sprintf("the target failed %d times in a row", s.Attempt)
	case l.seen != nil && l.seen.Failed && l.ours(*l.seen):
		return "the target gave up: " + l.seen.Text
	case waiting && l.p.Settle > 0 && !l.now.Before(s.Entered.Add(l.p.Settle)):
		return fmt.Sprintf("the target did not reach %s within %s", percent(l.p.Strategy.Steps[s.Step].Share), short(l.p.Settle))
	}
	return ""
}
