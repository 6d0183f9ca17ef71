package guard

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
)

// Start checks that a deployment can be guarded, finds where a rollback would go, and stores the deployment; Run does
// the rest. It changes nothing at the target.
//
// A rollback goes to spec.LastGood where the caller names one, which says that it is good; else to the release that
// was found good last; else to the release that is live now, if the checks say that it is healthy. When none of
// these exists the deployment starts all the same, and says that it cannot be rolled back.
func (g *Guard) Start(ctx context.Context, spec adg.Spec) (adg.Deployment, error) {
	spec.Policy = spec.Policy.WithDefaults()
	if err := spec.Policy.Validate(); err != nil {
		return adg.Deployment{}, err
	}
	if err := spec.Release.Validate(); err != nil {
		return adg.Deployment{}, err
	}
	now, err := g.store.Now(ctx)
	if err != nil {
		return adg.Deployment{}, err
	}
	spec.Created = now
	d := adg.Deployment{ID: newID(spec), Spec: spec}
	target, err := g.world.Target(ctx, d)
	if err != nil {
		return d, err
	}
	if err := suits(spec.Policy.Strategy, target.Can()); err != nil {
		return d, err
	}
	if d.Spec.LastGood, err = g.lastGood(ctx, d, target); err != nil {
		return d, err
	}
	if good := d.Spec.LastGood; good != nil && good.Identity() == spec.Release.Identity() {
		return d, adg.Errorf(adg.Conflict, "%s %s is the last good release already: there is nothing to deploy", spec.Release.Service, spec.Release.Version)
	}
	if err := g.store.CreateDeployment(ctx, d); err != nil {
		return d, err
	}
	return g.store.Deployment(ctx, d.ID)
}

// Private

// newID sorts by nothing and says what it is of: people read it in chat, in logs and on the command line.
func newID(spec adg.Spec) string {
	return fmt.Sprintf("%s-%s-%s", spec.Policy.Service, spec.Release.Version, strings.ToLower(rand.Text()[:8]))
}

// suits refuses a strategy that the target cannot follow, before anything is stored.
func suits(s adg.Strategy, can adg.Capabilities) error {
	for _, step := range s.Steps {
		switch {
		case step.Share == 0 && !can.Idle:
			return adg.Errorf(adg.Invalid, "strategy %s: the target cannot keep a release without traffic", s.Kind)
		case step.Share > 0 && step.Share < 100 && !can.Shares:
			return adg.Errorf(adg.Invalid, "strategy %s: the target cannot split traffic, so a step of %g %% is out of its reach: use recreate or rolling", s.Kind, step.Share)
		}
	}
	return nil
}

func (g *Guard) lastGood(ctx context.Context, d adg.Deployment, target adg.Target) (*adg.Release, error) {
	service, environment := d.Spec.Policy.Service, d.Spec.Policy.Environment
	if named := d.Spec.LastGood; named != nil {
		return named, g.trustNamed(ctx, d, *named)
	}
	record, err := g.store.LastGood(ctx, service, environment)
	if err == nil {
		return &record.Release, nil
	}
	if adg.CodeOf(err) != adg.NotFound {
		return nil, err
	}
	return g.adopt(ctx, d, target)
}

// trustNamed puts on record that somebody called a release good, unless it was rolled back: then a human has to mark
// it good again first, and knowingly.
func (g *Guard) trustNamed(ctx context.Context, d adg.Deployment, named adg.Release) error {
	if err := named.Validate(); err != nil {
		return err
	}
	service, environment := d.Spec.Policy.Service, d.Spec.Policy.Environment
	record, err := g.store.Standing(ctx, service, environment, named.Identity())
	switch {
	case err == nil && record.Standing == adg.StandingRolledBack:
		return adg.Errorf(adg.Conflict, "%s %s was itself rolled back on %s (%s): a rollback never goes there; name another release",
			service, named.Version, record.Since.Format("2006-01-02 15:04 MST"), record.Why)
	case err == nil && record.Standing == adg.StandingGood:
		return nil
	case err != nil && adg.CodeOf(err) != adg.NotFound:
		return err
	}
	return g.store.Mark(ctx, adg.ReleaseRecord{
		Environment: environment, Release: named, Standing: adg.StandingGood, Since: d.Spec.Created,
		Deployment: d.ID, Why: "named as the release before by " + d.Spec.Actor,
	})
}

// adopt takes the release that is live now as the last good one, if it is alone and the checks find it healthy.
func (g *Guard) adopt(ctx context.Context, d adg.Deployment, target adg.Target) (*adg.Release, error) {
	seen, err := target.Current(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what is live now: %w", err)
	}
	if len(seen.Releases) != 1 || seen.Releases[0].Share < 100 {
		return nil, nil
	}
	live := seen.Releases[0].Release
	live.Service = d.Spec.Policy.Service
	if live.Validate() != nil || live.Version == d.Spec.Release.Version {
		return nil, nil
	}
	d.Spec.LastGood = &live
	in := adg.Input{Now: d.Spec.Created}
	all := make([]int, len(d.Spec.Policy.Checks))
	for i := range all {
		all[i] = i
	}
	g.assess(ctx, d, rollout.Need{Checks: all, Counted: all, Subject: live}, nil, &in)
	if in.Assessment.Health != adg.Healthy {
		g.o.Log.Warn("the live release is not adopted as the last good one", "version", live.Version, "health", in.Assessment.Health, "why", in.Assessment.Text)
		return nil, context.Cause(ctx)
	}
	return &live, g.store.Mark(ctx, adg.ReleaseRecord{
		Environment: d.Spec.Policy.Environment, Release: live, Standing: adg.StandingGood, Since: d.Spec.Created,
		Deployment: d.ID, Why: "live and healthy before the deployment: " + in.Assessment.Text,
	})
}

// gates are what has to be open before a deployment begins.
func (g *Guard) gates(ctx context.Context, d adg.Deployment) ([]adg.Gate, error) {
	policy := d.Spec.Policy
	hold, err := g.store.HoldOf(ctx, policy.Service, policy.Environment, d.Spec.Release.Identity())
	switch {
	case err == nil:
		text := fmt.Sprintf("%s is on hold since %s, by %s: %s", d.Spec.Release.Version, hold.Since.Format("2006-01-02 15:04 MST"), hold.Actor, hold.Reason)
		return []adg.Gate{{Name: "hold", Open: adg.GateRefused, Text: text}}, nil
	case adg.CodeOf(err) == adg.NotFound:
		return []adg.Gate{{Name: "hold", Open: adg.GateOpen, Text: "the release is not on hold"}}, nil
	default:
		return nil, err
	}
}
