package rollout

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// verifying goes through the phases of a release that is fully live.
func (l *life) verifying() {
	if l.judged() {
		return
	}
	if !l.s.Reached {
		l.removing()
		return
	}
	if l.lookAway() {
		return
	}
	phase := phaseOf(l.spec, &l.s)
	elapsed := l.now.Sub(l.s.Entered)
	needed := min(phase.For, 2*pace(l.spec, &l.s))
	switch {
	case elapsed < phase.For:
		l.because("phase %s: %s of %s, health %s", phase.Name, short(elapsed), short(phase.For), l.describe())
	case !l.known() || l.s.Good < needed:
		l.because("phase %s is over and waits for good health: good for %s of %s, now %s", phase.Name, short(l.s.Good), short(needed), l.describe())
	default:
		l.pass(fmt.Sprintf("phase %s ended well: good for %s", phase.Name, short(l.s.Good)))
	}
}

// pass goes on from a phase that is done.
func (l *life) pass(why string) {
	if l.s.Phase+1 >= len(l.p.Verify) {
		l.finish(why)
		return
	}
	l.because("%s", why)
	l.enter(adg.Verifying)
	l.phase(l.s.Phase + 1)
	l.tell(adg.FactPromoted, fmt.Sprintf("on to phase %s: %s", l.p.Verify[l.s.Phase].Name, why))
}

// finish ends a good deployment. Where the old release is kept for a while, it waits for that and then has it taken
// away; a human's promote shortens the wait.
func (l *life) finish(why string) {
	switch {
	case !keeps(l.spec):
		l.succeed(why)
	case !l.obeyed && l.now.Before(l.s.ReachedAt.Add(l.p.Strategy.Keep)):
		l.because("%s; the old release is kept for another %s", why, short(l.s.ReachedAt.Add(l.p.Strategy.Keep).Sub(l.now)))
	case l.stopped():
	default:
		l.because("%s; the old release is taken away", why)
		l.enter(adg.Verifying)
		l.dec.Kind = adg.Promote
		l.s.Reached, l.s.Attempt = false, 0
		l.apply(alone(l.d))
		l.tell(adg.FactPromoted, "taking the old release away: "+why)
	}
}

// Private

// phase begins a phase.
func (l *life) phase(i int) {
	l.dec.Kind = adg.Promote
	s := &l.s
	s.Phase = i
	l.fresh()
	for _, c := range counted(l.spec, s) {
		if soon := l.now.Add(intervalOf(l.spec, s, c)); s.Checks[c].Due.After(soon) {
			s.Checks[c].Due = soon
		}
	}
}

// removing waits until the old release is gone. The new one is verified already, so a target that cannot take the old
// one away is worth a warning and no more.
func (l *life) removing() {
	s := &l.s
	if s.Op == "" && s.Attempt == 0 && l.seen != nil && l.removed(*l.seen) {
		l.succeed("every phase ended well, and the old release is gone")
		return
	}
	late := l.p.Settle > 0 && !l.now.Before(s.Entered.Add(l.p.Settle)) && (s.Op != "" || s.Attempt == 0)
	if s.Attempt > maxRetries || late || l.seen != nil && l.seen.Failed {
		l.because("the old release could not be taken away%s", l.cause())
		l.tell(adg.FactWarning, "the old release could not be taken away and still runs")
		l.succeed("every phase ended well")
		return
	}
	l.converge(func() { l.apply(alone(l.d)) })
}

func (l *life) succeed(why string) {
	spec := l.spec
	l.because("%s", why)
	l.enter(adg.Succeeded)
	l.dec.Kind = adg.Promote
	l.dec.Standing = &adg.ReleaseRecord{
		Environment: spec.Policy.Environment, Release: spec.Release, Standing: adg.StandingGood, Since: l.now, Deployment: l.d.ID, Why: why,
	}
	l.tell(adg.FactSucceeded, fmt.Sprintf("succeeded after %s", short(l.now.Sub(spec.Created).Round(time.Second))))
}
