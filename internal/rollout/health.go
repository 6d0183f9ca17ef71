package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// feel takes in the health and lets the timers of good and bad run.
//
// Time counts only between two looks that agree: good between two healthy ones, bad between two that satisfy the
// rule. Unknown neither advances nor resets a timer. Checks that are long overdue make the health Unknown.
func (l *life) feel() {
	s := &l.s
	l.wasBlind = s.Blind
	l.watch()
	was := s.Health
	switch {
	case l.arrived: // what was measured in this tick is of the step before
	case l.in.Assessment != nil && len(counted(l.spec, &l.s)) > 0:
		s.Health, s.Score = l.in.Assessment.Health, l.in.Assessment.Score
		l.evaluated = s.Health != adg.HealthUnknown
	case l.overdue():
		s.Health = adg.HealthUnknown
	}
	l.good(was)
	l.bad(was)
	l.blind(was)
	if l.evaluated && s.Reached && !slices.ContainsFunc(l.p.Rollback.Rules, func(r adg.Rule) bool { return satisfies(s.Health, r) }) &&
		s.State != adg.RollbackPending && s.State != adg.VerifyingRollback && s.HeldBy != heldStuck {
		s.Suggested, s.Paging = false, false
	}
}

// fired is the rule that condemns the release now: of several the one with the shortest grace; -1: none.
func (l *life) fired() int {
	found := -1
	for i, r := range l.p.Rollback.Rules {
		if satisfies(l.s.Health, r) && l.s.Bad[i] >= r.For && (found < 0 || r.After < l.p.Rollback.Rules[found].After) {
			found = i
		}
	}
	return found
}

// Private

// watch takes over what the judge said of each check, and plans the next measurement of those that were due.
func (l *life) watch() {
	s, p := &l.s, l.p
	was := s.Checks
	s.Checks = make([]adg.Watch, len(p.Checks))
	for i, c := range p.Checks {
		s.Checks[i] = adg.Watch{Check: c.Name, Last: adg.Judgement{Check: c.Name, Why: adg.NotDue, Text: "not measured yet"}}
		if i < len(was) && was[i].Check == c.Name {
			s.Checks[i] = was[i]
		}
	}
	if l.in.Assessment == nil || l.arrived {
		return
	}
	for _, w := range l.in.Watches {
		if i := slices.IndexFunc(p.Checks, func(c adg.Check) bool { return c.Name == w.Check }); i >= 0 {
			s.Checks[i].Last, s.Checks[i].State = w.Last, w.State
		}
	}
	before := Wants(l.d, l.now)
	for k, i := range before.Checks {
		s.Checks[i].Due = l.now.Add(before.Intervals[k])
	}
}

// overdue tells whether a check that counts has not been measured for two of its intervals longer than planned.
func (l *life) overdue() bool {
	if l.in.Assessment != nil {
		return false
	}
	return slices.ContainsFunc(counted(l.spec, &l.s), func(i int) bool {
		planned := l.s.Checks[i].Due
		return !planned.IsZero() && l.now.After(planned.Add(2*intervalOf(l.spec, &l.s, i)))
	})
}

// good counts the time without interruption in which the release was healthy. Where nobody can see it because it
// stands without traffic, the target's word counts.
func (l *life) good(was adg.Health) {
	s := &l.s
	if l.settled() && staged(l.spec, s) {
		if !l.arrived && l.seen != nil && l.stepDone(*l.seen) {
			s.Good += l.dt
		}
		return
	}
	switch s.Health {
	case adg.Healthy:
		if was == adg.Healthy && l.settled() {
			s.Good += l.dt
		}
	case adg.Degraded, adg.Unhealthy:
		s.Good = 0
	case adg.HealthUnknown:
	}
}

func (l *life) bad(was adg.Health) {
	rules := l.p.Rollback.Rules
	bad := make([]time.Duration, len(rules))
	copy(bad, l.s.Bad)
	l.s.Bad = bad
	if l.s.State == adg.VerifyingRollback || l.s.Health == adg.HealthUnknown {
		return
	}
	for i, r := range rules {
		switch {
		case !satisfies(l.s.Health, r):
			bad[i] = 0
		case l.lasting():
			bad[i] = max(bad[i]+l.dt, r.For)
		case satisfies(was, r):
			bad[i] += l.dt
		case was != adg.HealthUnknown:
			bad[i] = 0
		}
	}
}

func (l *life) blind(was adg.Health) {
	s := &l.s
	switch {
	case s.Health != adg.HealthUnknown:
		s.Blind = 0
	case was != adg.HealthUnknown:
		s.Blind = 0
	case l.early():
	case l.visible():
		s.Blind += l.dt
	}
}

// lasting tells whether a check that counts has failed in a way that no later measurement can take back: it need not
// last any longer.
func (l *life) lasting() bool {
	return l.in.Assessment != nil && slices.ContainsFunc(l.in.Assessment.Judgements, func(j adg.Judgement) bool { return j.Verdict == adg.Fail && j.Final })
}

// early tells whether nothing but the little traffic so far keeps the health from being known: the checks see, and
// need more of it.
func (l *life) early() bool {
	found := false
	for _, i := range counted(l.spec, &l.s) {
		if w := l.s.Checks[i]; w.Last.Verdict == adg.Unknown {
			if w.Last.Why != adg.TooEarly {
				return false
			}
			found = true
		}
	}
	return found
}

// unproven is a check that has not shown what the policy wants to see before the release goes on; empty: none.
func (l *life) unproven() string {
	for _, i := range counted(l.spec, &l.s) {
		if l.p.Checks[i].Unproven(l.s.Checks[i].Last, l.p.Promote) {
			return l.p.Checks[i].Name
		}
	}
	return ""
}

// settled tells whether the target is where it was brought, so that good health is good news about it.
func (l *life) settled() bool {
	return l.s.Reached || base(&l.s) == adg.Verifying || l.s.State == adg.VerifyingRollback
}

// visible tells whether there should be something to see by now: a first window of samples has to fill, and for that
// it has as long as a source may be silent.
func (l *life) visible() bool {
	checks := counted(l.spec, &l.s)
	if !l.settled() || len(checks) == 0 {
		return false
	}
	var window time.Duration
	for _, i := range checks {
		window = max(window, l.p.Checks[i].Window)
	}
	return !l.now.Before(from(l.spec, &l.s).Add(min(window, l.blindLimit())))
}

// blindLimit is how long the health may be Unknown before the deployment is held: never less than three looks where
// the phase looks less often than the steps.
func (l *life) blindLimit() time.Duration {
	if every := pace(l.spec, &l.s); every > l.p.Interval {
		return max(l.p.UnknownHold, 3*every)
	}
	return l.p.UnknownHold
}

// satisfies tells whether a health is as bad as a rule says.
func satisfies(h adg.Health, r adg.Rule) bool {
	return h == adg.Unhealthy || h == adg.Degraded && r.When == adg.Degraded
}

// describe is the health in words, with what the judge said.
func (l *life) describe() string {
	if l.in.Assessment == nil || l.in.Assessment.Text == "" {
		return l.s.Health.String()
	}
	return l.in.Assessment.Text
}

// accuse says which rule fired and how.
func (l *life) accuse(rule int) string {
	r := l.p.Rollback.Rules[rule]
	return fmt.Sprintf("%s for %s (rule %d: %s for %s): %s", r.When, short(l.s.Bad[rule]), rule+1, r.When, short(r.For), l.describe())
}
