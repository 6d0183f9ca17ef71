package rollout

import (
	"time"

	"github.com/deployguardian/adg"
)

// allowanceLimit bounds what a rollback may take, whatever the policy's numbers multiply to.
const allowanceLimit = 7 * 24 * time.Hour

// deadline ends what has not ended in time.
func (l *life) deadline() bool {
	s := &l.s
	if s.Deadline.IsZero() || l.now.Before(l.end()) {
		return false
	}
	switch s.State {
	case adg.Pending, adg.Gated:
		l.block("the deadline passed before the gates opened")
	case adg.Rolling, adg.Verifying, adg.Held:
		l.outOfTime()
	case adg.RollbackPending:
		l.fail("the rollback was not allowed to start in time")
	case adg.RollingBack, adg.VerifyingRollback:
		l.fail("the rollback was not finished in time")
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return false
	}
	return true
}

// Private

// end is when the deployment ends at the latest: the deadline, and for a rollback what its attempts and its
// verification may take.
func (l *life) end() time.Time {
	switch l.s.State {
	case adg.RollbackPending:
		return l.s.Deadline.Add(allowance(l.p.Rollback))
	case adg.RollingBack, adg.VerifyingRollback:
		begun := l.s.Deadline
		if l.s.Since.After(begun) {
			begun = l.s.Since
		}
		return begun.Add(allowance(l.p.Rollback))
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return l.s.Deadline
}

// allowance is the time that a rollback may take, and at least a second.
func allowance(r adg.RollbackPolicy) time.Duration {
	attempts := time.Duration(max(r.Attempts, 1))
	if r.Fallback != "" {
		attempts *= 2
	}
	if r.Over > 0 {
		attempts *= backStages
	}
	if r.Timeout > allowanceLimit/attempts || r.VerifyMax > allowanceLimit || r.Over > allowanceLimit {
		return allowanceLimit
	}
	return max(min(r.VerifyMax+attempts*r.Timeout+r.Over, allowanceLimit), time.Second)
}

// outOfTime does what the policy says about a deployment that goes forward still at its deadline.
func (l *life) outOfTime() {
	why := "the deadline of " + short(l.p.Deadline) + " has passed"
	trust := l.p.Rollback.Trust
	switch {
	case l.p.AtDeadline == adg.EndKeep:
		l.undecided(false, why+": the policy keeps the release as it is")
	case l.p.AtDeadline == adg.EndPage:
		l.undecided(true, why+": a human has to decide")
	case l.live():
		l.undecided(true, why+": the release is fully live and was never verified to the end, a human has to decide")
	case trust == adg.Observe || trust == adg.Suggest:
		l.undecided(true, why+": trust "+trust.String()+" lets nobody but a human roll back")
	case l.obstacle() != "":
		l.undecided(true, why+" and there is no automatic way back: "+l.obstacle())
	default:
		l.sentence(causeDeadline, why+" below 100 %")
	}
}

func (l *life) undecided(page bool, why string) {
	l.enter(adg.Undecided)
	l.because("%s", why)
	l.tellUrgent(adg.FactDeadline, "ended undecided: "+why, page)
}

// live tells whether the release has all of the traffic.
func (l *life) live() bool {
	return base(&l.s) == adg.Verifying || l.s.Reached && l.s.Step == len(l.p.Strategy.Steps)-1
}
