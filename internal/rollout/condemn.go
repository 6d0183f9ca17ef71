package rollout

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// condemn finds the release bad. What follows is the trust's to say: a note, a question, or a rollback. It is false
// when the deployment goes on as before.
func (l *life) condemn(cause int, why string) bool {
	s := &l.s
	if s.Suggested {
		return false // told already, or a human has called it off, and nothing got better since
	}
	switch trust := l.p.Rollback.Trust; trust {
	case adg.Observe, adg.Suggest:
		s.Suggested = true
		l.because("%s", why)
		if trust == adg.Observe {
			l.tell(adg.FactSuggested, "bad, and only observed: "+why)
		} else {
			l.tell(adg.FactSuggested, "a rollback is suggested: "+why)
		}
		return false
	case adg.Ask, adg.Auto:
	}
	if no := l.obstacle(); no != "" {
		return l.stuck(no, why)
	}
	l.sentence(cause, why)
	return true
}

// sentence begins what trust ask and auto do to a condemned release.
func (l *life) sentence(cause int, why string) {
	l.because("%s", why)
	l.accused(cause, why)
	switch {
	case l.p.Rollback.Trust == adg.Ask, l.s.Weak:
		if l.s.Weak {
			l.because("a human is asked although trust is %s: without three replicas of the baseline the promise about false alarms holds for independent requests only", l.p.Rollback.Trust)
		}
		l.s.Asked = l.now
		l.await(adg.FactAsked, "may it be rolled back? "+why)
	case l.graceEnd().After(l.now):
		l.because("it has %s to recover", short(l.graceEnd().Sub(l.now)))
		l.await(adg.FactCondemned, "will be rolled back unless it recovers: "+why)
	default:
		if block, called := l.blocked(); block != "" {
			l.because("%s", block)
			l.await(adg.FactCondemned, "is to be rolled back: "+why)
			l.callFor(block, called)
			return
		}
		l.rollBack(true, why)
	}
}

// Private

// weak tells whether nothing speaks against the release but judgements whose promise may not hold.
func (l *life) weak() bool {
	said := make([]adg.Judgement, 0, len(l.s.Checks)+1)
	for _, i := range counted(l.spec, &l.s) {
		said = append(said, l.s.Checks[i].Last)
	}
	if l.in.Assessment != nil { // with what all checks say together
		said = append(said, l.in.Assessment.Judgements...)
	}
	found := false
	for _, j := range said {
		if j.Verdict == adg.Fail {
			if !j.Weak {
				return false
			}
			found = true
		}
	}
	return found
}

// obstacle is why automation has no way back at all; empty: there is one.
func (l *life) obstacle() string {
	switch {
	case !l.spec.WayBack():
		return "there is no last good release"
	case l.p.Rollback.SchemaIrreversible:
		return "the schema change cannot be undone: roll forward"
	}
	return l.barred()
}

// stuck calls a human to a release that is bad and has no way back. It is held until a human has decided.
func (l *life) stuck(no, why string) bool {
	s := &l.s
	if s.Paging && s.State == adg.Held {
		return false
	}
	l.because("%s", why)
	l.because("it is not rolled back: %s", no)
	if s.State != adg.Held {
		l.hold(heldStuck, "bad, and not rolled back automatically: "+no)
	} else if s.HeldBy == heldBlind {
		s.HeldBy = heldStuck
	}
	l.page("bad, and a human has to act, because " + no + ": " + why)
	return true
}

// accused puts on record why and when the release was condemned.
func (l *life) accused(cause int, why string) {
	s := &l.s
	s.Rule, s.Condemned, s.CondemnedFor = cause, l.now, why
	s.Asked, s.Approved, s.Paging, s.Good = time.Time{}, "", false, 0
	s.Weak = cause > 0 && l.p.Rollback.Trust == adg.Auto && l.weak()
}

// await enters RollbackPending.
func (l *life) await(kind adg.FactKind, text string) {
	l.s.Resume = base(&l.s)
	l.enter(adg.RollbackPending)
	l.dec.Kind = adg.Hold
	l.tell(kind, text)
}

// pending brings a condemned release to its rollback: past the grace, the approval, and what the fleet allows.
func (l *life) pending() {
	s, r := &l.s, l.p.Rollback
	if s.Op != "" && !l.now.Before(s.Entered.Add(l.p.Settle)) {
		s.Op = ""
	}
	if s.Weak && l.evaluated && l.fired() >= 0 && !l.weak() {
		l.because("a human need not be asked any more: %s", l.describe())
		s.Weak, s.Asked = false, time.Time{}
	}
	switch {
	case l.asked():
	case s.Rule > 0 && l.known() && s.Good >= r.Recover:
		l.reprieve("healthy again for " + short(s.Good))
		return
	case l.inGrace(), l.asking():
		return
	default:
		if block, called := l.blocked(); block != "" {
			l.because("%s", block)
			l.callFor(block, called)
			return
		}
	}
	if s.Op != "" {
		l.because("waiting for the outcome of %s", s.Op)
		return
	}
	l.rollBack(!l.asked(), l.verdict())
}

// asked tells whether a human has asked for the rollback, or approved it, whoever it was.
func (l *life) asked() bool {
	return l.s.Approved != "" || l.s.Rule == causeHuman || l.s.Rule == causeCancel
}

// graceEnd is when the grace of the rule that condemned the release is over; zero: there is none.
func (l *life) graceEnd() time.Time {
	if l.s.Rule <= 0 || l.p.Rollback.Trust != adg.Auto {
		return time.Time{}
	}
	return l.s.Condemned.Add(l.p.Rollback.Rules[l.s.Rule-1].After)
}

// inGrace tells whether the release may still recover. A rule with less patience ends the grace sooner.
func (l *life) inGrace() bool {
	s := &l.s
	if rule := l.fired(); rule >= 0 && s.Rule > 0 && l.now.Add(l.p.Rollback.Rules[rule].After).Before(l.graceEnd()) {
		why := l.accuse(rule)
		l.because("%s", why)
		s.Rule, s.Condemned, s.CondemnedFor = rule+1, l.now, why
	}
	end := l.graceEnd()
	if !end.After(l.now) {
		return false
	}
	l.because("in grace for another %s, good for %s of %s", short(end.Sub(l.now)), short(s.Good), short(l.p.Rollback.Recover))
	return true
}

// asking tells whether an approval is waited for. Silence is answered as the policy says: by going on with the
// rollback, or by asking again.
func (l *life) asking() bool {
	s, r := &l.s, l.p.Rollback
	if s.Asked.IsZero() {
		return false
	}
	if l.now.Before(s.Asked.Add(r.AskTimeout)) {
		l.because("an approval is wanted, for another %s", short(s.Asked.Add(r.AskTimeout).Sub(l.now)))
		return true
	}
	switch r.AskThen {
	case adg.AskThenRollBack:
		l.because("nobody answered within %s: the policy says to roll back", short(r.AskTimeout))
		return false
	case adg.AskThenHold:
	}
	s.Asked = l.now
	l.because("nobody answered within %s: asking again", short(r.AskTimeout))
	l.tell(adg.FactAsked, "may it be rolled back? Nobody has answered for "+short(r.AskTimeout))
	return true
}

// blocked is why an automatic rollback has to wait for the rest of the fleet, and whether a human is called for that.
func (l *life) blocked() (why string, call bool) {
	f, r := l.in.Fleet, l.p.Rollback
	switch {
	case f.Stopped != "":
		return "the line is stopped: " + f.Stopped, true
	case f.Rolling != "":
		return "deployment " + f.Rolling + " of the service is being rolled back", false
	case f.CommonCause() != "":
		return f.CommonCause(), true
	case f.Rollbacks >= f.PerHour(r):
		return fmt.Sprintf("%d automatic rollbacks within the hour, the limit is %d", f.Rollbacks, f.PerHour(r)), true
	case l.s.Op != "":
		return "waiting for the outcome of " + l.s.Op, false
	}
	return "", false
}

// callFor pages for a block. A common cause is not over because five minutes are: from then on only an approval goes on.
func (l *life) callFor(block string, call bool) {
	if !call {
		return
	}
	if f := l.in.Fleet; f.Stopped == "" && f.Rolling == "" && f.CommonCause() != "" && l.s.Asked.IsZero() {
		l.s.Asked = l.now
	}
	l.page("the rollback waits: " + block)
}

// reprieve calls the rollback off.
func (l *life) reprieve(why string) {
	s := &l.s
	back := s.Resume
	if s.HeldBy != "" && s.HeldBy != heldBlind {
		back = adg.Held
		l.dec.Kind = adg.Hold
	}
	l.enter(back)
	s.Rule, s.Condemned, s.CondemnedFor, s.Asked, s.Approved, s.Paging, s.Weak = 0, time.Time{}, "", time.Time{}, "", false, false
	l.because("the rollback is called off: %s", why)
	l.tell(adg.FactReprieved, "the rollback is called off: "+why)
}

// verdict says again why the release was condemned.
func (l *life) verdict() string {
	s := l.s
	since := " at " + s.Condemned.UTC().Format("15:04:05")
	switch {
	case s.Rule > 0:
		r := l.p.Rollback.Rules[s.Rule-1]
		return fmt.Sprintf("condemned by rule %d (%s for %s)%s", s.Rule, r.When, short(r.For), since)
	case s.Rule == causeDeadline:
		return "not done at its deadline"
	case s.Rule == causeTarget:
		return "condemned because the target failed" + since
	case s.Rule == causeCancel:
		return "cancelled by " + s.Approved
	}
	return "a human asked for it: " + s.Approved
}
