package rollout

import (
	"math"

	"github.com/deployguardian/adg"
)

// Private

// backStages is in how many stages of the same size a gradual rollback goes.
const backStages = 4

// onTheWayBack is the state that the rollback asks for now: that of its stage, or all of it.
func (l *life) onTheWayBack() adg.Desired {
	want, s := Restored(l.d), &l.s
	want.Approved = s.Approved
	if l.lastStage() {
		return want
	}
	bad := math.Floor(s.BackFrom * float64(backStages-s.Back) / backStages) // platforms count in whole percents
	want.Releases[0].Share = 100 - bad
	want.Releases[1].Share, want.Releases[1].Role = bad, adg.CandidateRole
	return want
}

// lastStage tells whether the rollback asks for all of the traffic.
func (l *life) lastStage() bool { return l.s.Back == 0 || l.s.Back >= backStages }

// staging brings a gradual rollback to its next stage when the time of this one is over, whether or not the target has
// quite reached it: shares may be whole pods there. A stage that fails is no reason to give up: then all of the traffic goes
// back at once.
func (l *life) staging() {
	s := &l.s
	until := s.Entered.Add(l.p.Rollback.Over / backStages)
	switch {
	case l.failure != "":
		l.allBack(l.failure)
	case l.seen != nil && l.seen.Failed && l.ours(*l.seen):
		l.allBack("the target gave up: " + l.seen.Text)
	case s.Op != "" && !l.now.Before(s.Entered.Add(l.p.Rollback.Timeout)):
		s.Op = ""
		l.allBack("no outcome within " + short(l.p.Rollback.Timeout))
	case s.Op != "":
		l.because("waiting for the outcome of %s", s.Op)
	case l.now.Before(until):
		l.because("stage %d of %d on the way back, the next is in %s", s.Back, backStages, short(until.Sub(l.now)))
	default:
		s.Back++
		s.Attempt = 0
		l.because("on to stage %d of %d", s.Back, backStages)
		l.attempt()
	}
}

func (l *life) allBack(why string) {
	l.because("stage %d of %d failed: %s; all of the traffic goes back at once", l.s.Back, backStages, why)
	l.s.Back, l.s.Attempt = backStages, 0
	l.attempt()
}
