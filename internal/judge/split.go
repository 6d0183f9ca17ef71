package judge

import (
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/traffic"
)

const (
	// shareOfTraffic is the part of the check's alpha that each of the two tests of the traffic has, on top of it.
	shareOfTraffic = 0.1
	// leastPart of its share is what a healthy candidate gets: starts are slow, and connections stay where they were.
	leastPart = 0.5
	// roughly is how far off the odds of the share may be: balancers split roughly, and by whole replicas.
	roughly = 0.5
	// horizonOfSilence is how long the detector of silence keeps its promise.
	horizonOfSilence = 24 * time.Hour
)

// split is what the traffic itself has shown since the candidate has the share that it has.
type split struct {
	Share    float64            `json:"share"`
	Together traffic.Dispersion `json:"together"` // how many requests go one way together
	Silence  traffic.Silence    `json:"silence"`
	Split    traffic.Split      `json:"split"`
}

// splits tells whether a part of the requests should go to each of the arms.
func (s *session) splits() bool { return s.Stable != nil && s.Share > 0 && s.Share < 100 }

// count adds the requests of a bucket. What has no meaning for the tests is refused by them and counts for nothing.
func (s *session) count(b bucket) {
	switch {
	case !s.splits():
		s.trial.Split = nil
		return
	case b.Index < s.trial.Whole: // one arm's first scrapes are earlier than the other's
		return
	}
	t, alpha := s.trial.Split, shareOfTraffic*orElse(s.Check.Sequential.Alpha, usualAlpha)
	if t == nil || t.Share != s.Share {
		next := split{Share: s.Share}
		if t != nil {
			next.Together = t.Together
		}
		t = &next
		t.Split, _ = traffic.NewSplit(roughly)
		t.Silence = s.listen(alpha)
	}
	if t.Silence.Finding().Found && b.Candidate.All > 0 { // it is back: from now on it may fall silent again
		t.Silence = s.listen(alpha)
	}
	one := traffic.Bucket{Candidate: b.Candidate.All, Baseline: b.control().All, Share: s.Share, Overdispersion: t.Together.Factor()}
	_ = t.Silence.Add(one)
	_ = t.Split.Add(one)
	var replicas [maxGroups]float64
	for g := range b.Groups {
		replicas[g] = b.Groups[g].All
	}
	_ = t.Together.Add(replicas[:len(s.trial.Replicas)])
	s.trial.Split = t
}

// traffic is the verdict on the requests themselves: none at all for the candidate, or another share than it should get.
func (s *session) traffic() adg.Judgement {
	t := s.trial.Split
	if t == nil || !s.splits() {
		return adg.Judgement{}
	}
	alpha := shareOfTraffic * orElse(s.Check.Sequential.Alpha, usualAlpha)
	j := adg.Judgement{N: t.Split.Candidate, BaseN: t.Split.Baseline}
	if f := t.Silence.Finding(); f.Found && t.Silence.Quiet.Baseline > 0 {
		j.Verdict, j.Why, j.Text = adg.Fail, adg.Silent, f.Text
		return j
	}
	if f := t.Split.Finding(alpha); f.Found && t.Split.LogE() >= f.LogLimit && !s.Check.Sequential.NoSplit {
		j.Verdict, j.Why, j.Text = adg.Warn, adg.WrongShare, f.Text
		j.Value, j.Limit = finite(t.Split.Estimate()/100), finite(s.Share/100)
		return j
	}
	return adg.Judgement{}
}

// listen starts the test for silence. Its numbers are in range whatever the policy says: alpha is below 1, and a bucket
// no longer than the horizon.
func (s *session) listen(alpha float64) traffic.Silence {
	silence, _ := traffic.NewSilence(alpha, float64(horizonOfSilence.Milliseconds())/float64(s.trial.Length), leastPart)
	return silence
}
