package rollout

import (
	"fmt"

	"github.com/deployguardian/adg"
)

// rolling goes up the steps: apply, wait for the target, bake, next.
func (l *life) rolling() {
	if l.judged() {
		return
	}
	if !l.s.Reached {
		l.converge(func() { l.apply(Desired(l.d, l.s.Step)) })
		return
	}
	if l.lookAway() {
		return
	}
	step := l.p.Strategy.Steps[l.s.Step]
	name := fmt.Sprintf("step %d of %d (%s)", l.s.Step+1, len(l.p.Strategy.Steps), percent(step.Share))
	switch {
	case !l.known():
		l.because("%s waits for known good health, it is %s", name, l.describe())
	case l.s.Good < step.Bake:
		l.because("%s bakes: good for %s of %s", name, short(l.s.Good), short(step.Bake))
	case l.unproven() != "":
		l.because("%s is good, and waits until %s is %s (promote: %s)", name, l.unproven(), l.p.Promote, l.p.Promote)
	case step.Pause:
		l.hold(heldPause, name+" is done and waits for a human's promote")
	default:
		l.next(fmt.Sprintf("%s was good for %s", name, short(l.s.Good)))
	}
}

// next goes on from a step that is done: to the next one, to the first phase, or to the end.
func (l *life) next(why string) {
	if l.s.Step < len(l.p.Strategy.Steps)-1 {
		if l.stopped() {
			return
		}
		l.because("%s", why)
		l.enter(adg.Rolling)
		l.step(l.s.Step + 1)
		l.tell(adg.FactPromoted, fmt.Sprintf("going to %s: %s", percent(l.p.Strategy.Steps[l.s.Step].Share), why))
		return
	}
	if len(l.p.Verify) == 0 {
		l.finish(why)
		return
	}
	l.because("%s", why)
	l.enter(adg.Verifying)
	l.phase(0)
	l.tell(adg.FactPromoted, "fully live, verifying: "+why)
}

// Private

// step begins a step.
func (l *life) step(i int) {
	l.dec.Kind = adg.Promote
	s := &l.s
	s.Step, s.Reached, s.Attempt = i, false, 0
	l.fresh()
	l.apply(Desired(l.d, i))
}

// fresh forgets what belongs to the step or phase before.
func (l *life) fresh() {
	s := &l.s
	s.Good, s.Blind, s.Suggested, s.Paging = 0, 0, false, false
	clear(s.Bad)
	s.Entered = l.now
}

// judged condemns the release if the target or a rule says so. It is false while the release stays.
func (l *life) judged() bool {
	if why := l.targetFailure(); why != "" {
		if l.s.Op != "" && !l.now.Before(l.s.Entered.Add(l.p.Settle)) {
			l.s.Op = "" // its outcome will not come any more
		}
		if l.condemn(causeTarget, why) {
			return true
		}
	}
	rule := l.fired()
	return rule >= 0 && l.condemn(rule+1, l.accuse(rule))
}

// converge waits for the target, and tries again what has failed.
func (l *life) converge(again func()) {
	s := &l.s
	switch {
	case s.Op != "":
		l.because("waiting for the outcome of %s", s.Op)
	case s.Attempt == 0 && l.seen != nil && l.seen.Text != "":
		l.because("the target is on its way: %s", l.seen.Text)
	case s.Attempt == 0:
		l.because("the target is on its way")
	case l.now.Before(s.Entered.Add(backoff(s.Attempt))):
		l.because("attempt %d at the target failed%s: trying again in %s", s.Attempt, l.cause(),
			short(s.Entered.Add(backoff(s.Attempt)).Sub(l.now)))
	case l.stopped():
	default:
		l.because("trying the target again after %d failed attempts", s.Attempt)
		again()
	}
}

// cause is the text of this tick's failure, to be put behind a sentence.
func (l *life) cause() string {
	if l.failure == "" {
		return ""
	}
	return " (" + l.failure + ")"
}

// known tells whether the health is known to be good now. A release without traffic that no check can see is good as
// long as the target says so.
func (l *life) known() bool {
	if staged(l.spec, &l.s) {
		return l.seen != nil && l.stepDone(*l.seen)
	}
	return l.evaluated && l.s.Health == adg.Healthy
}

// stopped tells whether the line is stopped, and says so: nothing goes forward by itself then.
func (l *life) stopped() bool {
	if l.in.Fleet.Stopped == "" || l.obeyed {
		return false
	}
	l.because("the line is stopped: %s", l.in.Fleet.Stopped)
	return true
}
