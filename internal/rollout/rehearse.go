package rollout

import (
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// rehearsing is how often the way back is rehearsed while it may be needed.
const rehearsing = 10 * time.Minute

// rehearses tells whether the way back is to be rehearsed: at the start, now and then, and at each look while nothing but
// an obstacle keeps a bad release from being rolled back.
func rehearses(spec *adg.Spec, s *adg.Status, now time.Time) bool {
	if !spec.WayBack() {
		return false
	}
	switch s.State {
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held:
		stuck := s.State == adg.Held && s.HeldBy == heldStuck
		return stuck || !now.Before(s.Rehearsed.Add(rehearsing))
	case adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return false
}

// rehearse takes in what came of rehearsing the way back. What is new is told at once, not in the emergency.
func (l *life) rehearse() {
	r, s := l.in.Rehearsal, &l.s
	if r == nil || s.State == adg.RollingBack || s.State == adg.VerifyingRollback {
		return // it is under way: what it meets is told by what becomes of it
	}
	s.Rehearsed = l.now
	if r.Err != "" && s.Doubt == "" {
		l.tell(adg.FactWarning, "whether it could be rolled back is not known: "+r.Err)
	}
	s.Doubt = r.Err
	found := slices.Clone(r.Obstacles)
	for _, o := range s.Obstacles {
		if r.Err != "" && !slices.ContainsFunc(found, o.Same) {
			found = append(found, o) // half an answer does not clear what was in the way
		}
	}
	for _, o := range found {
		switch known := slices.ContainsFunc(s.Obstacles, o.Same); {
		case known:
		case o.Final:
			l.tell(adg.FactWarning, "it will not be rolled back automatically: "+o.Text)
		default:
			l.tell(adg.FactWarning, "a rollback may fail: "+o.Text)
		}
	}
	if len(found) == 0 && len(s.Obstacles) > 0 {
		l.tell(adg.FactWarning, "nothing is in the way of a rollback any more")
	}
	s.Obstacles = found
}

// barred is the first obstacle that a rollback cannot pass; empty: none.
func (l *life) barred() string {
	for _, o := range l.s.Obstacles {
		if o.Final {
			return o.Text
		}
	}
	return ""
}
