package rollout

import (
	"time"

	"github.com/deployguardian/adg"
)

// tick measures the time since the tick before. More than three intervals, or less than nothing, is a process that
// slept or a clock that jumped: it counts for one interval, or for nothing, and the timers that run are moved by the
// rest, so that a jump alone neither condemns nor promotes nor lets a timeout pass. The deadline is absolute and moves
// only with a clock that is set back, which would otherwise prolong the deployment.
func (l *life) tick() {
	s := &l.s
	if !s.Ticked.IsZero() {
		raw := l.now.Sub(s.Ticked)
		l.dt = max(raw, 0)
		if every := pace(l.spec, &l.d.Status); raw > 3*every {
			l.dt = every
		}
		if lost := raw - l.dt; lost != 0 {
			l.shift(lost)
		}
	}
	s.Ticked = l.now
}

// schedule says when the next tick is wanted: at the next measurement or the end of the next timer, at least once per
// interval, never later than the end of the deployment and never at once.
func (l *life) schedule() {
	if l.s.State.Ended() {
		l.s.Due = l.now
		return
	}
	every := pace(l.spec, &l.s)
	soonest := l.now.Add(min(time.Second, every))
	next := l.now.Add(every)
	sooner := func(t time.Time) {
		if t.After(l.now) && t.Before(next) {
			next = t
		}
	}
	for _, i := range counted(l.spec, &l.s) {
		sooner(l.s.Checks[i].Due)
	}
	for _, timer := range l.timers() {
		sooner(timer)
	}
	if next.Before(soonest) {
		next = soonest
	}
	end := l.end()
	if l.s.Op != "" || l.in.Command != nil || !end.After(l.now) {
		next = soonest
	}
	if next.After(end) && end.After(l.now) {
		next = end
	}
	l.s.Due = next
}

// Private

// shift moves every timer that runs.
func (l *life) shift(by time.Duration) {
	s := &l.s
	timers := []*time.Time{&s.Entered, &s.ReachedAt, &s.Asked}
	if by < 0 || s.State == adg.RollbackPending {
		timers = append(timers, &s.Condemned) // the grace runs from it; once it is over, it is on record
	}
	if by < 0 {
		timers = append(timers, &s.Deadline, &s.Since)
		s.Checks = append([]adg.Watch(nil), s.Checks...)
		for i := range s.Checks {
			timers = append(timers, &s.Checks[i].Due)
		}
	}
	for _, t := range timers {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
}

// timers are the ends of what the state waits for.
func (l *life) timers() []time.Time {
	s, p := l.s, l.p
	var all []time.Time
	if s.Attempt > 0 && s.Op == "" && !s.Reached {
		all = append(all, s.Entered.Add(backoff(s.Attempt)))
	}
	switch s.State {
	case adg.Gated:
		all = append(all, s.Entered.Add(p.GateTimeout), s.Deadline)
	case adg.Rolling, adg.Verifying, adg.Held:
		all = append(all, s.Entered.Add(p.Settle), s.Deadline)
	case adg.RollbackPending:
		all = append(all, l.graceEnd())
		if !s.Asked.IsZero() {
			all = append(all, s.Asked.Add(p.Rollback.AskTimeout))
		}
	case adg.RollingBack:
		all = append(all, s.Entered.Add(p.Rollback.Timeout))
		if !l.lastStage() {
			all = append(all, s.Entered.Add(p.Rollback.Over/backStages))
		}
	case adg.VerifyingRollback:
		all = append(all, l.doubtful(), s.Entered.Add(p.Rollback.VerifyMax))
	case adg.Pending, adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return all
}
