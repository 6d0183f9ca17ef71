package rollout

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
)

// Plan is what a deployment will ask of its target when all goes well, in order: each step, and after the last one
// the removal of the old release where the strategy keeps it for a while. The effects have no OpID yet.
func Plan(d adg.Deployment) []adg.Desired {
	var plan []adg.Desired
	for step := firstStep(&d.Spec); step < len(d.Spec.Policy.Strategy.Steps); step++ {
		plan = append(plan, Desired(d, step))
	}
	if keeps(&d.Spec) {
		plan = append(plan, alone(d))
	}
	return plan
}

// Desired is the complete state that a step asks for, without OpID: the candidate with its share, idle where that is
// zero, and the last good release with the rest. At 100 % the last good release stays idle where the strategy keeps
// it, and goes where it does not.
func Desired(d adg.Deployment, step int) adg.Desired {
	share := d.Spec.Policy.Strategy.Steps[step].Share
	candidate := adg.Placement{Release: d.Spec.Release, Share: share, Role: adg.CandidateRole}
	if share == 0 {
		candidate.Role = adg.IdleRole
	}
	releases := []adg.Placement{candidate}
	if d.Spec.WayBack() {
		stable := adg.Placement{Release: *d.Spec.LastGood, Share: 100 - share, Role: adg.StableRole}
		switch {
		case share < 100:
			releases = append(releases, stable)
		case keeps(&d.Spec):
			stable.Role = adg.IdleRole
			releases = append(releases, stable)
		}
	}
	return adg.Desired{Deployment: d.ID, Releases: releases, Timeout: d.Spec.Policy.Settle}
}

// Restored is the state that a rollback asks for, without OpID. There has to be a way back.
func Restored(d adg.Deployment) adg.Desired {
	return adg.Desired{
		Deployment: d.ID,
		Releases: []adg.Placement{
			{Release: *d.Spec.LastGood, Share: 100, Role: adg.StableRole},
			{Release: d.Spec.Release, Share: 0, Role: adg.IdleRole},
		},
		Rollback: true,
		Timeout:  d.Spec.Policy.Rollback.Timeout,
	}
}

// Private

// alone is the state after the last step: nothing but the new release.
func alone(d adg.Deployment) adg.Desired {
	return adg.Desired{
		Deployment: d.ID,
		Releases:   []adg.Placement{{Release: d.Spec.Release, Share: 100, Role: adg.StableRole}},
		Timeout:    d.Spec.Policy.Settle,
	}
}

// firstStep is where a deployment begins: without a release to share the traffic with there is only all of it.
func firstStep(spec *adg.Spec) int {
	if spec.WayBack() {
		return 0
	}
	return len(spec.Policy.Strategy.Steps) - 1
}

// keeps tells whether the old release stays idle for a while after the last step.
func keeps(spec *adg.Spec) bool { return spec.Policy.Strategy.Keep > 0 && spec.WayBack() }

func opID(deployment string, n int) string { return fmt.Sprintf("%s/%d", deployment, n) }

// apply begins an effect: the guard stores the intent with this decision and acts on it.
func (l *life) apply(want adg.Desired) {
	l.s.Ops++
	l.s.Op = opID(l.d.ID, l.s.Ops)
	l.s.Entered = l.now
	want.OpID = l.s.Op
	l.dec.Apply = &want
}

// backoff is the wait after the n-th failed attempt in a row: 1 s, 2 s, 4 s and so on, at most a minute.
func backoff(n int) time.Duration {
	if n > 6 {
		return time.Minute
	}
	return time.Second << max(n-1, 0)
}
