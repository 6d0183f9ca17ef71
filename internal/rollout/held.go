package rollout

import (
	"github.com/deployguardian/adg"
)

// held waits. A hold stops moves forward only: the checks go on, and a release that turns bad is condemned all the same.
func (l *life) held() {
	switch {
	case l.judged():
	case l.s.HeldBy == heldBlind && l.evaluated:
		l.because("something is known again: %s", l.describe())
		l.resume("the health is known again: " + l.s.Health.String())
	default:
		l.tellBlind()
		l.because("held by %s, health %s", l.s.HeldBy, l.describe())
	}
}

// Private

// lookAway holds a deployment of which nothing is known any more.
func (l *life) lookAway() bool {
	l.tellBlind()
	if l.s.Health != adg.HealthUnknown || l.s.Blind < l.blindLimit() || !l.visible() {
		return false
	}
	l.hold(heldBlind, "nothing is known about the release for "+short(l.s.Blind)+": "+l.describe())
	return true
}

// tellBlind tells people once that the checks say nothing, after three looks.
func (l *life) tellBlind() {
	if limit := 3 * pace(l.spec, &l.s); l.wasBlind < limit && l.s.Blind >= limit {
		l.because("the checks have said nothing for %s", short(l.s.Blind))
		l.tell(adg.FactBlind, "the checks have said nothing for "+short(l.s.Blind)+": "+l.describe())
	}
}

// hold stops moves forward.
func (l *life) hold(by, why string) {
	if l.s.State != adg.Held {
		l.s.Resume = l.s.State
		l.enter(adg.Held)
	}
	l.s.HeldBy = by
	l.dec.Kind = adg.Hold
	l.because("%s", why)
	l.tell(adg.FactHeld, "held: "+why)
}

// resume goes on where the hold began. A step that has failed at the target is tried again.
func (l *life) resume(why string) {
	l.enter(l.s.Resume)
	s := &l.s
	s.Paging = false
	if failed := s.Attempt > 0 || !l.now.Before(s.Entered.Add(l.p.Settle)); failed && !s.Reached && s.Op == "" {
		s.Attempt, s.Entered = 1, l.now
	}
	l.tell(adg.FactResumed, "going on: "+why)
}
