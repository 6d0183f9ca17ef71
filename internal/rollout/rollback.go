package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// rollBack begins the one rollback of a deployment. An automatic one takes a slot of the hourly limit. The release is
// put on hold at once, so that nothing deploys it again while the rollback runs.
func (l *life) rollBack(automatic bool, why string) {
	l.enter(adg.RollingBack)
	l.dec.Kind = adg.RollBack
	s := &l.s
	s.Rollbacks++
	s.Attempt, s.Paging = 0, false
	if from := served(l.spec, &l.d.Status); l.p.Rollback.Over > 0 && from > 0 {
		s.Back, s.BackFrom = 1, from
	}
	if automatic {
		l.dec.Slot = l.in.Fleet.PerHour(l.p.Rollback)
	}
	good := l.spec.LastGood.Version
	said := reason(why)
	l.dec.Reasons = slices.DeleteFunc(l.dec.Reasons, func(r string) bool { return r == said }) // the next one holds it
	l.because("rolling back to %s: %s", good, why)
	if s.Suspended = l.in.Suspends; s.Suspended != "" { // on record before it is done
		l.because("suspended first: %s", s.Suspended)
	}
	l.attempt()
	l.blame(why)
	l.tell(adg.FactRollbackStarted, "rolling back to "+good+": "+why)
}

// rollingBack brings the target back, attempt after attempt.
func (l *life) rollingBack() {
	s, r := &l.s, l.p.Rollback
	late := !l.now.Before(s.Entered.Add(r.Timeout))
	switch {
	case !l.lastStage():
		l.staging()
	case l.failure != "":
		l.failed(l.failure)
	case s.Op != "" && late:
		s.Op = ""
		l.failed("no outcome within " + short(r.Timeout))
	case s.Op != "":
		l.because("waiting for the outcome of %s", s.Op)
	case l.seen != nil && l.back(*l.seen):
		l.restoredAt()
	case s.Reached && l.seen != nil && l.seen.Failed && l.ours(*l.seen):
		l.failed("the target gave up: " + l.seen.Text)
	case s.Reached && late:
		l.failed("the target was not back within " + short(r.Timeout))
	case s.Reached:
		l.because("the target is on its way back")
	case l.now.Before(s.Entered.Add(backoff(s.Attempt))):
		l.because("attempt %d of %d failed, the next is in %s", s.Attempt, r.Attempts, short(s.Entered.Add(backoff(s.Attempt)).Sub(l.now)))
	default:
		l.because("attempt %d of %d", s.Attempt+1, r.Attempts)
		l.attempt()
	}
}

// verifyingRollback waits for the proof that service is restored: the target reports the last good release live, and
// the checks have been good for long enough on what was measured since.
func (l *life) verifyingRollback() {
	s, r := &l.s, l.p.Rollback
	reported := l.seen != nil && l.back(*l.seen)
	if l.seen != nil && l.ours(*l.seen) && l.elsewhere(*l.seen) {
		if bad, _ := l.seen.Share(l.spec.Release.Version); l.seen.Done || bad >= 1 { // who sees others at work does not say done
			l.undone()
			return
		}
	}
	late := !l.now.Before(s.Entered.Add(r.VerifyMax))
	proof := fmt.Sprintf("good for %s of %s, now %s", short(s.Good), short(r.VerifyFor), l.describe())
	switch bad := s.Health == adg.Unhealthy || s.Health == adg.Degraded; {
	case reported && l.known() && s.Good >= r.VerifyFor:
		l.rolledBack(proof)
	case late && bad && l.spare():
		l.enter(adg.RollingBack)
		l.fallBack("service is not restored after " + short(r.VerifyMax) + ": " + proof)
	case late && bad:
		l.fail("service is not restored after " + short(r.VerifyMax) + ": " + proof)
	case late && s.Health == adg.HealthUnknown:
		l.because("no data says whether service is restored: %s", proof)
		l.page("rolled back, and no data says whether service is restored: " + proof)
	case late && !reported:
		l.because("the target does not say that %s is live", l.spec.LastGood.Version)
		l.page("rolled back, and the target does not say that " + l.spec.LastGood.Version + " is live")
	case !l.now.Before(l.doubtful()) && (bad || s.Health == adg.HealthUnknown && l.visible() && !l.early()):
		l.because("not verified yet: %s", proof)
		l.page("rolled back, and not verified after " + short(l.now.Sub(s.Entered)) + ": " + proof)
	case !l.now.Before(l.doubtful()) && !reported:
		l.because("not verified yet: the target does not say that %s is live", l.spec.LastGood.Version)
		l.page("rolled back, and not verified after " + short(l.now.Sub(s.Entered)) + ": the target does not say that " + l.spec.LastGood.Version + " is live")
	default:
		l.because("verifying the rollback: %s", proof)
	}
}

// fail ends a rollback that did not restore service, and calls a human.
func (l *life) fail(why string) {
	l.enter(adg.RollbackFailed)
	l.because("%s", why)
	l.because("%s", l.tried())
	l.blame(why)
	l.tell(adg.FactRollbackFailed, "the rollback failed, a human is needed now: "+why+"; "+l.tried())
}

// Private

// attempt asks the target to go back.
func (l *life) attempt() {
	l.s.Attempt++
	l.s.Reached = false
	l.apply(l.onTheWayBack())
}

// failed counts an attempt that came to nothing.
func (l *life) failed(why string) {
	s, r := &l.s, l.p.Rollback
	s.Reached, s.Entered = false, l.now
	switch {
	case (l.final || s.Attempt >= r.Attempts) && len(l.left.Releases) > 0 && l.back(l.left):
		l.because("attempt %d of %d failed: %s", s.Attempt, r.Attempts, why)
		l.restoredAt() // it did not do it, and it need not: what is live counts, and whether it is good
	case (l.final || s.Attempt >= r.Attempts) && l.spare():
		l.fallBack(fmt.Sprintf("attempt %d of %d failed: %s", s.Attempt, r.Attempts, why))
	case l.final:
		l.fail(fmt.Sprintf("attempt %d of %d failed for good: %s", s.Attempt, r.Attempts, why))
	case s.Attempt >= r.Attempts:
		l.fail(fmt.Sprintf("attempt %d of %d failed: %s", s.Attempt, r.Attempts, why))
	default:
		l.because("attempt %d of %d failed: %s; the next is in %s", s.Attempt, r.Attempts, why, short(backoff(s.Attempt)))
	}
}

// spare tells whether the policy names another target that has not been tried.
func (l *life) spare() bool { return l.p.Rollback.Fallback != "" && !l.s.Fallback }

// fallBack goes on with the policy's other target.
func (l *life) fallBack(why string) {
	s, r := &l.s, l.p.Rollback
	l.because("%s; the fallback target %s takes over", why, r.Fallback)
	l.tell(adg.FactPage, "the target did not bring service back, and the fallback target "+r.Fallback+" takes over: "+why)
	s.Fallback, s.Attempt, s.Back = true, 0, 0 // there is no time to lose any more
	l.attempt()
}

// restoredAt begins the verification: what was known of the bad release is forgotten.
func (l *life) restoredAt() {
	l.enter(adg.VerifyingRollback)
	s := &l.s
	s.Reached, s.ReachedAt, s.Entered = true, l.now, l.now
	s.Good, s.Blind, s.Health, s.Score, s.Paging = 0, 0, adg.HealthUnknown, 0, false
	clear(s.Bad)
	for i, c := range l.p.Checks {
		s.Checks[i] = adg.Watch{
			Check: c.Name, Due: l.now.Add(intervalOf(l.spec, s, i)),
			Last: adg.Judgement{Check: c.Name, Why: adg.NotDue, Text: "not measured since the rollback"},
		}
	}
	l.because("the target reports %s live: verifying", l.spec.LastGood.Version)
}

// doubtful is since when a restored release that is not good yet is worth a call: it had its chance, and two looks at it.
func (l *life) doubtful() time.Time {
	return l.s.Entered.Add(min(max(l.p.Rollback.VerifyFor, 2*pace(l.spec, &l.s)), l.p.Rollback.VerifyMax))
}

// tried is what was done to roll back, for whoever takes over.
func (l *life) tried() string {
	s, r := &l.s, l.p.Rollback
	switch {
	case s.Rollbacks == 0:
		return "nothing was asked of the target"
	case s.Fallback:
		return fmt.Sprintf("tried: %s at the target, and at the fallback target %s in %d of %d attempts", l.spec.LastGood.Version, r.Fallback, s.Attempt, r.Attempts)
	}
	return fmt.Sprintf("tried: %s at the target, in %d of %d attempts", l.spec.LastGood.Version, s.Attempt, r.Attempts)
}

// undone tries again when something has brought the bad release back behind the rollback. It is told however often it
// happens, and whatever people were called for before.
func (l *life) undone() {
	l.s.Paging = true
	l.tell(adg.FactPage, "something undid the rollback: the target no longer reports "+l.spec.LastGood.Version+" live")
	l.enter(adg.RollingBack)
	l.failed("the target no longer reports " + l.spec.LastGood.Version + " live")
}

func (l *life) rolledBack(proof string) {
	spec := l.spec
	if l.s.Rule == causeCancel {
		l.enter(adg.Cancelled)
		l.because("back on %s, verified: %s", spec.LastGood.Version, proof)
		l.tell(adg.FactCancelled, "cancelled and back on "+spec.LastGood.Version+l.suspension())
		return
	}
	l.enter(adg.RolledBack)
	l.because("%s is live and verified: %s", spec.LastGood.Version, proof)
	why := l.verdict()
	l.blame(why)
	l.dec.Standing = &adg.ReleaseRecord{
		Environment: spec.Policy.Environment, Release: spec.Release, Standing: adg.StandingRolledBack, Since: l.now, Deployment: l.d.ID, Why: why,
	}
	l.tell(adg.FactRolledBack, "rolled back: "+spec.LastGood.Version+" is live and verified"+l.suspension())
}

// suspension is the end of a sentence about what stays suspended.
func (l *life) suspension() string {
	switch {
	case l.s.Suspended == "":
		return ""
	case l.s.Rule == causeCancel:
		return "; " + l.s.Suspended + " is suspended until the target gives it back"
	}
	return "; " + l.s.Suspended + " stays suspended until another release is wanted there, or the hold is lifted"
}

// blame puts the release on hold, unless it was merely cancelled.
func (l *life) blame(why string) {
	if l.s.Rule == causeCancel {
		return
	}
	spec := l.spec
	hold := adg.ReleaseHold{
		Service: spec.Policy.Service, Environment: spec.Policy.Environment, Identity: spec.Release.Identity(),
		Reason: why, Actor: "adg", Since: l.now, Deployment: l.d.ID, Release: spec.Release, Suspended: l.s.Suspended,
	}
	if l.s.Rule == causeHuman && l.s.Approved != "" {
		hold.Actor = l.s.Approved
	}
	if l.p.Rollback.HoldFor > 0 {
		hold.Until = l.now.Add(l.p.Rollback.HoldFor)
	}
	l.dec.Hold = &hold
}
