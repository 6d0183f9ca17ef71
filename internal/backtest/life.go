package backtest

import (
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
	"github.com/deployguardian/adg/internal/verdict"
)

// script is everything that happens to one simulated deployment.
type script struct {
	spec     adg.Spec
	frozen   []adg.Baseline
	answer   func(q verdict.Question, at time.Time) adg.Measurement
	from, to time.Time   // the candidate has traffic from then, and is known until then
	looks    []time.Time // when the record looked, rising

	canaryOnly bool // nothing is known of a release that has all of the requests: to get there is the end
}

// life is how a simulated deployment went. A time that does not exist is zero.
type life struct {
	end     End
	found   time.Time // the release was found bad, and it was not called off
	decided time.Time
	reasons []string
}

// maxTicks bounds one life: a day of looking every second, and room for what happens in between.
const maxTicks = 100_000

// play lets the deployment live, tick by tick, until it ends, is rolled back, or nothing more is known of it.
func (s script) play() life {
	p := player{script: s, d: adg.Deployment{ID: "backtest", Version: 1, Spec: s.spec}, seen: adg.Observed{Done: true}}
	if good := s.spec.LastGood; good != nil {
		p.seen.Releases = []adg.Placement{{Release: *good, Share: 100, Role: adg.StableRole}}
	}
	now := s.from
	for range maxTicks {
		p.tick(now)
		if p.over || p.d.Status.State.Ended() {
			break
		}
		next := p.d.Status.Due
		if next.After(s.to) || !next.After(now) {
			break
		}
		now = s.look(next)
	}
	return p.conclude(now)
}

// Private

type player struct {
	script
	d    adg.Deployment
	seen adg.Observed
	life life
	over bool // nothing that comes after is of interest
}

// look is when the next look is made: when the record looked, if that is soon after it is due. What was measured then is
// of that very time.
func (s script) look(due time.Time) time.Time {
	i, _ := slices.BinarySearchFunc(s.looks, due, time.Time.Compare)
	if i < len(s.looks) && s.looks[i].Sub(due) < s.spec.Policy.Interval/2 {
		return s.looks[i]
	}
	return due
}

// tick looks and decides once, and does what was decided as often as something is.
func (p *player) tick(now time.Time) {
	in := adg.Input{Now: now}
	need := rollout.Wants(p.d, now)
	if need.Observe {
		in.Observed = &p.seen
	}
	if len(need.Checks) > 0 {
		if asked := verdict.Questions(p.d, need, p.frozen, now); len(asked) > 0 {
			answers := make([]adg.Measurement, len(asked))
			for i, q := range asked {
				answers[i] = p.answer(q, now)
			}
			assessment, watches := verdict.Of(p.d, need, asked, answers, p.frozen, now)
			in.Assessment, in.Watches = &assessment, watches
		}
	}
	for {
		decision := rollout.Step(p.d, in)
		p.d.Status = decision.Next
		p.d.Version++
		p.hear(decision)
		want := decision.Apply
		if want == nil || p.over {
			return
		}
		if share, _ := (adg.Observed{Releases: want.Releases}).Share(p.spec.Release.Version); p.canaryOnly && share == 100 {
			p.life, p.over = life{end: Promoted, reasons: decision.Reasons}, true
			return
		}
		p.seen = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
		in = adg.Input{Now: now, Outcome: &adg.Outcome{OpID: want.OpID, At: now, Observed: p.seen}}
	}
}

// hear takes in what the decision would have told people.
func (p *player) hear(d adg.Decision) {
	l := &p.life
	for _, f := range d.Facts {
		end, bad := badNews[f.Kind]
		switch {
		case f.Kind == adg.FactReprieved:
			*l = life{}
		case bad && l.found.IsZero():
			*l = life{end: end, found: d.At, reasons: f.Reasons}
		case bad && end != "":
			l.end = end
		}
	}
	p.over = p.over || l.end == RolledBack || l.end == Asked
}

// badNews are the facts that say that a release is bad, and the ends that they lead to. One that is condemned is not
// rolled back yet: it has a grace.
var badNews = map[adg.FactKind]End{
	adg.FactCondemned: "", adg.FactSuggested: Suggested, adg.FactAsked: Asked, adg.FactRollbackStarted: RolledBack,
}

// conclude says how the life ended.
func (p *player) conclude(now time.Time) life {
	l := p.life
	l.decided = now
	s := p.d.Status
	switch {
	case l.end != "":
		return l
	case s.State == adg.Succeeded:
		l.end = Promoted
	case s.State == adg.Held:
		l.end = HeldBack
	case s.State.Ended():
		l.end = Undecided
	default:
		l.end, l.decided = EndedWithRecord, p.to
	}
	l.found, l.reasons = time.Time{}, s.Reasons
	return l
}
