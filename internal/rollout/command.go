package rollout

import (
	"fmt"

	"github.com/deployguardian/adg"
)

// command does what a human asks for. It is true when it did. What cannot be done is refused with a reason, changes
// nothing, and does not keep the deployment from its own course.
func (l *life) command() bool {
	c := l.in.Command
	if c == nil {
		return false
	}
	l.obeyed = true
	refusal := ""
	switch c.Kind {
	case adg.CommandPromote:
		refusal = l.promote()
	case adg.CommandHold, adg.CommandResume:
		refusal = l.late()
		if refusal == "" && c.Kind == adg.CommandHold {
			refusal = l.holdBy()
		} else if refusal == "" {
			refusal = l.resumeBy()
		}
	case adg.CommandRollBack:
		refusal = l.rollBackBy()
	case adg.CommandCancel:
		refusal = l.cancel()
	case adg.CommandApprove:
		refusal = l.approve()
	case adg.CommandReject:
		refusal = l.reject()
	case adg.CommandNone:
		refusal = "it asks for nothing"
	}
	if refusal == "" {
		return true
	}
	l.obeyed = false
	l.because("%s", c.Refusal(refusal))
	return false
}

// Private

// who is the command's actor with the reason given.
func (l *life) who() string {
	c := l.in.Command
	if c.Reason == "" {
		return c.Actor
	}
	return c.Actor + " (" + c.Reason + ")"
}

// first tells whether a second human is wanted and this is the first one again.
func (l *life) first() bool {
	c := l.in.Command
	return l.p.FourEyes && (c.Actor == "" || l.spec.By(c.Actor) || l.spec.By(c.Address))
}

func (l *life) second() string {
	return "the policy wants a second human, and " + l.in.Command.Actor + " started the deployment or wrote the change"
}

// promote skips what is left of the bake, the pause or the phase, whatever the health: it is on record.
func (l *life) promote() string {
	s := &l.s
	forward := base(s)
	switch {
	case forward != adg.Rolling && forward != adg.Verifying || s.State == adg.RollbackPending:
		return "the deployment is " + s.State.String()
	case !s.Reached:
		return "the target has not done the step yet"
	case s.HeldBy == heldPause && l.first():
		return l.second()
	}
	why := fmt.Sprintf("promoted by %s, health %s", l.who(), l.describe())
	if forward == adg.Verifying {
		l.pass(why)
	} else {
		l.next(why)
	}
	return ""
}

// late refuses what could put off the end of a deployment for ever.
func (l *life) late() string {
	if l.now.Before(l.s.Deadline) {
		return ""
	}
	return "the deadline has passed"
}

func (l *life) holdBy() string {
	s := &l.s
	switch s.State {
	case adg.Pending, adg.Gated:
		if s.HeldBy != "" {
			return "it is held by " + s.HeldBy + " already"
		}
		s.HeldBy = l.in.Command.Actor
		l.gate()
		if s.State == adg.Gated && l.dec.From == adg.Gated {
			l.dec.Kind = adg.Hold
			l.tell(adg.FactHeld, "held by "+l.who())
		}
		return ""
	case adg.Rolling, adg.Verifying:
	case adg.Held:
		if s.HeldBy != heldBlind {
			return "it is held by " + s.HeldBy + " already"
		}
	case adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return "the deployment is " + s.State.String() + ": there is no move forward to hold"
	}
	l.hold(l.in.Command.Actor, "held by "+l.who())
	return ""
}

func (l *life) resumeBy() string {
	s := &l.s
	switch {
	case s.State == adg.Gated && s.HeldBy != "":
		s.HeldBy = ""
		l.because("resumed by %s", l.who())
		l.tell(adg.FactResumed, "resumed by "+l.who())
		return ""
	case s.State != adg.Held:
		return "the deployment is not held"
	case s.HeldBy == heldPause:
		return l.promote()
	}
	l.because("resumed by %s", l.who())
	told := s.HeldBy == heldStuck
	l.resume("resumed by " + l.who())
	s.Suggested = told // the human knows how bad it is: it is not held again before it was better in between
	return ""
}

// rollBackBy overrides everything but the lack of somewhere to go.
func (l *life) rollBackBy() string {
	s := &l.s
	switch s.State {
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending:
	case adg.RollingBack, adg.VerifyingRollback:
		return "it is being rolled back already"
	case adg.Pending, adg.Gated, adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled,
		adg.Superseded, adg.Undecided:
		return "nothing was deployed yet: cancel it"
	}
	if !l.spec.WayBack() {
		return "there is no last good release to go back to"
	}
	l.goBack(causeHuman, "asked for by "+l.who())
	return ""
}

// cancel ends the deployment. Below 100 % the traffic goes back to the last good release, without blame for the new
// one; a release that is fully live, or that has no safe way back, stays. A rollback stops where it is: whoever asks for
// that takes over at the target.
func (l *life) cancel() string {
	s := &l.s
	why := "cancelled by " + l.who()
	switch s.State {
	case adg.RollingBack, adg.VerifyingRollback:
		switch {
		case s.Rule == causeCancel:
			return "it was cancelled already, and goes back to " + l.spec.LastGood.Version
		case l.first():
			return l.second()
		}
		why += ": the rollback to " + l.spec.LastGood.Version + " stops as it is, unverified, and " + l.spec.Release.Version + " stays on hold" + l.suspension()
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending:
		if !l.live() && l.obstacle() == "" {
			l.goBack(causeCancel, why)
			return ""
		}
		why += ": the release stays as it is"
	case adg.Pending, adg.Gated, adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled,
		adg.Superseded, adg.Undecided:
	}
	l.enter(adg.Cancelled)
	l.because("%s", why)
	l.tell(adg.FactCancelled, why)
	return ""
}

// goBack rolls back for a human: at once, or as soon as the effect in flight has ended.
func (l *life) goBack(cause int, why string) {
	l.accused(cause, why)
	l.s.Approved = l.in.Command.Actor
	if l.s.Op != "" {
		l.because("%s", why)
		l.await(adg.FactCondemned, "is to be rolled back, "+why)
		return
	}
	l.rollBack(false, why)
}

func (l *life) approve() string {
	s := &l.s
	if l.first() {
		return l.second()
	}
	switch {
	case (s.State == adg.Pending || s.State == adg.Gated) && l.wantsApproval() && s.Approved == "":
		s.Approved = l.in.Command.Actor
		l.because("approved by %s", l.who())
		l.gate()
		if s.State == adg.Gated && l.dec.From == adg.Gated {
			l.tell(adg.FactGated, "approved by "+l.who()+", and still waiting: "+l.dec.Reasons[len(l.dec.Reasons)-1])
		}
		return ""
	case s.State == adg.RollbackPending && s.Approved == "":
		why := l.verdict() + ", approved by " + l.who()
		s.Approved = l.in.Command.Actor
		if s.Op != "" {
			l.because("%s: waiting for the outcome of %s", why, s.Op)
			return ""
		}
		l.rollBack(false, why)
		return ""
	}
	return "there is nothing to approve"
}

// reject refuses the start, or calls a rollback off. The same fault is not brought up again before the health was
// better in between.
func (l *life) reject() string {
	s := &l.s
	switch s.State {
	case adg.Pending, adg.Gated:
		l.block("rejected by " + l.who())
	case adg.RollbackPending:
		if l.asked() {
			return "the rollback was asked for by " + s.Approved
		}
		s.Suggested = true
		if !l.now.Before(s.Deadline) {
			l.undecided(true, "the deadline has passed and "+l.who()+" rejected the rollback")
			return ""
		}
		l.reprieve("rejected by " + l.who())
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded,
		adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return "there is nothing to reject"
	}
	return ""
}
