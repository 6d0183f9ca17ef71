// Package rollout decides what happens to a deployment next: whether it goes on, waits, is promoted or is rolled
// back. It is pure: a deployment and an input come in, a decision and its reasons go out, and the time is part of
// the input. DESIGN.md in this folder has the picture of the states and the choices behind them.
package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Step decides what happens to d next. It never writes through d or in; Decision.Next is the whole new Status. The
// same deployment and input give the same decision for ever. An ended deployment comes back as it is.
//
// The guard calls it once per tick, and once more with the Outcome after each Decision.Apply. Fact ids are made of
// d.Version, which the store counts: a tick that was never stored and is repeated tells the same facts.
func Step(d adg.Deployment, in adg.Input) adg.Decision {
	l := newLife(d, in)
	if d.Status.State.Ended() {
		return l.dec
	}
	l.tick()
	l.hear()
	l.feel()
	l.decide()
	l.schedule()
	l.dec.Next = l.s
	return l.dec
}

// Private

// Status.Rule holds why a release was condemned: a rule's number, 0 for a human, or one of these.
const (
	causeHuman    = 0
	causeDeadline = -1
	causeTarget   = -2
	causeCancel   = -3 // a way back without blame
)

// Status.HeldBy holds who holds a deployment: an actor, or one of these.
const (
	heldBlind = "adg"              // nothing is known; goes on by itself when something is
	heldPause = "adg: pause"       // the step waits for a human's promote
	heldStuck = "adg: no way back" // it is bad and must not be rolled back automatically
)

const reasonLimit = 1000 // bytes of one reason

// life is one deployment during one tick.
type life struct {
	d    adg.Deployment // as it was; read only
	spec *adg.Spec
	p    *adg.Policy
	in   adg.Input
	now  time.Time
	dt   time.Duration // what counts of the time since the tick before
	s    adg.Status    // as it becomes
	dec  adg.Decision

	seen      *adg.Observed // the target's state, if it was heard of in this tick
	failure   string        // how an attempt at the target failed in this tick
	final     bool          // trying again cannot help
	left      adg.Observed  // what the target reports after that attempt, where it does
	arrived   bool          // the target reached the step in this tick
	wasBlind  time.Duration // Status.Blind before this tick
	evaluated bool          // the health was assessed in this tick, and is known
	obeyed    bool          // this tick does what a human asked for
}

func newLife(d adg.Deployment, in adg.Input) *life {
	l := &life{d: d, in: in, now: in.Now, s: d.Status}
	l.spec, l.p = &l.d.Spec, &l.d.Spec.Policy
	l.dec = adg.Decision{At: in.Now, From: d.Status.State, Next: d.Status, Reasons: slices.Clone(d.Status.Reasons)}
	return l
}

// decide is the order of precedence: humans, then a newer deployment, then the deadline, then the state's own course.
func (l *life) decide() {
	l.dec.Reasons = nil
	if l.s.State == adg.Pending {
		l.start()
	}
	l.rehearse()
	l.suspended()
	switch {
	case l.command():
	case l.superseded():
	case l.deadline():
	default:
		l.course()
	}
	l.s.Reasons = l.dec.Reasons
	for i := range l.dec.Facts {
		l.dec.Facts[i].State, l.dec.Facts[i].Reasons = l.s.State, slices.Clone(l.dec.Reasons)
	}
}

// course is what a state does by itself.
func (l *life) course() {
	switch l.s.State {
	case adg.Pending, adg.Gated:
		l.gate()
	case adg.Rolling:
		l.rolling()
	case adg.Verifying:
		l.verifying()
	case adg.Held:
		l.held()
	case adg.RollbackPending:
		l.pending()
	case adg.RollingBack:
		l.rollingBack()
	case adg.VerifyingRollback:
		l.verifyingRollback()
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
}

// enter changes the state. Who held a deployment, and where it goes on, is of interest only while it waits.
func (l *life) enter(state adg.State) {
	l.s.State = state
	l.s.Since = l.now
	if state != adg.Gated && state != adg.Held && state != adg.RollbackPending {
		l.s.Resume, l.s.HeldBy = adg.Pending, ""
	}
	if state.Ended() {
		l.s.Op = "" // nobody waits for it any more
	}
}

// because puts a reason on record.
func (l *life) because(format string, args ...any) {
	l.dec.Reasons = append(l.dec.Reasons, reason(fmt.Sprintf(format, args...)))
}

// reason is a text as far as it goes on record.
func reason(text string) string {
	if len(text) > reasonLimit {
		text = strings.ToValidUTF8(text[:reasonLimit], "") + "…"
	}
	return text
}

// superseded ends a deployment that a newer one takes over. A condemned one finishes first, and so does an effect in
// flight.
func (l *life) superseded() bool {
	if l.in.Newer == "" || l.s.Op != "" {
		return false
	}
	switch l.s.State {
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held:
	case adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return false
	}
	l.enter(adg.Superseded)
	l.because("the newer deployment %s takes over", l.in.Newer)
	l.tell(adg.FactSuperseded, "superseded by "+l.in.Newer)
	return true
}

// base is the forward state that a deployment is in, or goes back to when it is held or condemned no longer.
func base(s *adg.Status) adg.State {
	if s.State == adg.Held || s.State == adg.RollbackPending {
		return s.Resume
	}
	return s.State
}
