package guard

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
	"github.com/deployguardian/adg/internal/risk"
	"github.com/deployguardian/adg/internal/rollout"
)

// Start checks that a deployment can be guarded, finds where a rollback would go, and stores the deployment; Run does
// the rest. It changes nothing at the target.
//
// A rollback goes to spec.LastGood where the caller names one, which says that it is good; else to the release that
// was found good last; else to the release that is live now, if the checks say that it is healthy. When none of
// these exists the deployment starts all the same, and says that it cannot be rolled back. Only a strategy of several
// steps does not start while nobody knows how the live release is: without a way back it would be made one step.
func (g *Guard) Start(ctx context.Context, spec adg.Spec) (adg.Deployment, error) {
	d, news, err := g.begin(ctx, spec)
	if err != nil {
		return d, err
	}
	if news != nil {
		if err := g.store.Mark(ctx, *news); err != nil {
			return d, err
		}
	}
	if err := g.store.CreateDeployment(ctx, d); err != nil {
		return d, err
	}
	return g.store.Deployment(ctx, d.ID)
}

// Plan is what Start would store now. It refuses what Start refuses, in the same words; it stores nothing.
func (g *Guard) Plan(ctx context.Context, spec adg.Spec) (adg.Spec, error) {
	d, _, err := g.begin(ctx, spec)
	return d.Spec, err
}

// Before is how a release that is live alone is doing, and what the policy's checks said of it until now. What a source
// does not answer, the baselines say. It stores nothing and changes nothing.
func (g *Guard) Before(ctx context.Context, spec adg.Spec, live adg.Release) (adg.Assessment, []adg.Baseline, error) {
	now, err := g.store.Now(ctx)
	if err != nil {
		return adg.Assessment{}, nil, err
	}
	spec.Policy, spec.Created = spec.Policy.WithDefaults(), now
	found, frozen := g.healthOf(ctx, adg.Deployment{Spec: spec}, live)
	return found, frozen, context.Cause(ctx)
}

// Gates are what has to be open before a deployment begins, as they are now.
func (g *Guard) Gates(ctx context.Context, d adg.Deployment) ([]adg.Gate, error) {
	hold, err := g.holdGate(ctx, d)
	if err != nil {
		return nil, err
	}
	turn, err := g.turnGate(ctx, d)
	if err != nil {
		return nil, err
	}
	frozen, err := g.freezeGate(ctx, d)
	if err != nil {
		return nil, err
	}
	return []adg.Gate{hold, turn, frozen}, nil
}

// Recall completes a release that is named by its version alone with what is on record: its artifact, without which
// the target could not bring it back, and its configuration. Of several the one that was found good counts, else the
// newest.
func Recall(ctx context.Context, store adg.Store, policy adg.Policy, named adg.Release) (adg.Release, error) {
	if named.Identity() != named.Version {
		return named, nil
	}
	past, err := store.ListDeployments(ctx, adg.DeploymentFilter{Service: policy.Service, Environment: policy.Environment, Limit: remembered})
	if err != nil {
		return named, err
	}
	var known []adg.Release
	for _, p := range past {
		for _, r := range []*adg.Release{&p.Spec.Release, p.Spec.LastGood} {
			if r != nil && r.Version == named.Version && !slices.Contains(known, *r) {
				known = append(known, *r)
			}
		}
	}
	for _, r := range known {
		record, err := store.Standing(ctx, policy.Service, policy.Environment, r.Identity())
		switch {
		case err == nil && record.Standing == adg.StandingGood:
			return r, nil
		case err != nil && adg.CodeOf(err) != adg.NotFound:
			return named, err
		}
	}
	if len(known) > 0 {
		return known[0], nil
	}
	return named, nil
}

// Private

// remembered is how many deployments are looked through for a release that is named by its version alone.
const remembered = 200

// begin is the deployment that a spec comes to, and what is to be put on record first about the release that it would go
// back to; nil: nothing. It stores nothing itself.
func (g *Guard) begin(ctx context.Context, spec adg.Spec) (d adg.Deployment, news *adg.ReleaseRecord, err error) {
	spec.Policy = spec.Policy.WithDefaults()
	if err := spec.Policy.Validate(); err != nil {
		return d, nil, err
	}
	if err := spec.Release.Validate(); err != nil {
		return d, nil, err
	}
	if err := spec.ValidWayBack(); err != nil {
		return d, nil, err
	}
	if p := spec.Prediction; p != nil {
		spec.Policy, spec.Steered = risk.Steer(spec.Policy, *p)
	}
	if spec.Created, err = g.store.Now(ctx); err != nil {
		return d, nil, err
	}
	d = adg.Deployment{ID: cmp.Or(spec.ID, newID(spec)), Spec: spec}
	target, err := g.world.Target(ctx, d)
	if err != nil {
		return d, nil, err
	}
	if err := suits(spec.Policy.Strategy, target.Can()); err != nil {
		return d, nil, err
	}
	d.Spec.LastGood, news, err = g.lastGood(ctx, d, target)
	return d, news, err
}

// newID sorts by nothing and says what it is of: people read it in chat, in logs and on the command line.
func newID(spec adg.Spec) string {
	return fmt.Sprintf("%s-%s-%s", spec.Policy.Service, spec.Release.Version, strings.ToLower(rand.Text()[:8]))
}

// suits refuses a strategy that the target cannot follow, before anything is stored.
func suits(s adg.Strategy, can adg.Capabilities) error {
	for _, step := range s.Steps {
		switch {
		case step.Share == 0 && !can.Idle:
			return adg.Errorf(adg.Invalid, "strategy %s: the target cannot keep a release without traffic: use recreate or rolling", s.Kind)
		case step.Share > 0 && step.Share < 100 && !can.Shares:
			return adg.Errorf(adg.Invalid, "strategy %s: the target cannot split traffic, so a step of %g %% is out of its reach: use recreate or rolling", s.Kind, step.Share)
		}
	}
	return nil
}

// lastGood finds where a rollback would go, and what is to be put on record about it; nil: nothing.
func (g *Guard) lastGood(ctx context.Context, d adg.Deployment, target adg.Target) (*adg.Release, *adg.ReleaseRecord, error) {
	if named := d.Spec.LastGood; named != nil {
		good, err := Recall(ctx, g.store, d.Spec.Policy, *named)
		if err == nil {
			err = other(d, good)
		}
		if err != nil {
			return nil, nil, err
		}
		news, err := g.trustNamed(ctx, d, good)
		return &good, news, err
	}
	record, err := g.store.LastGood(ctx, d.Spec.Policy.Service, d.Spec.Policy.Environment)
	if err == nil {
		if err := g.drifted(ctx, d, record.Release, target); err != nil {
			return nil, nil, err
		}
		return &record.Release, nil, other(d, record.Release)
	}
	if adg.CodeOf(err) != adg.NotFound {
		return nil, nil, err
	}
	return g.adopt(ctx, d, target)
}

// drifted refuses to begin where something is live alone that is neither the last good release on record nor the one
// to deploy: the first step would take it away, and nobody asked for that.
func (g *Guard) drifted(ctx context.Context, d adg.Deployment, good adg.Release, target adg.Target) error {
	if !target.Can().Reports {
		return nil
	}
	seen, err := target.Current(ctx)
	if err != nil {
		return fmt.Errorf("reading what is live now: %w", err)
	}
	if len(seen.Releases) != 1 {
		return nil
	}
	live := seen.Releases[0].Release.Version
	if live == good.Version || live == d.Spec.Release.Version {
		return nil
	}
	if bad, err := g.knownBad(ctx, d, live); bad || err != nil {
		return err
	}
	return adg.Advised(adg.Errorf(adg.Conflict, "%s is live, and the last good release on record is %s", live, good.Version),
		"say which one a rollback goes to, with --previous %s if it is good, or --previous %s", live, good.Version)
}

// knownBad tells whether the newest deployment brought the version that is live, and left it there although it is bad: it
// waits for a human to act, or its rollback failed. The next release, which mends that, has not to be told what is good.
func (g *Guard) knownBad(ctx context.Context, d adg.Deployment, live string) (bool, error) {
	policy := d.Spec.Policy
	newest, err := g.store.ListDeployments(ctx, adg.DeploymentFilter{Service: policy.Service, Environment: policy.Environment, Limit: 1})
	if err != nil || len(newest) == 0 || newest[0].Spec.Release.Version != live {
		return false, err
	}
	s := newest[0].Status
	return s.State == adg.RollbackFailed || s.State == adg.Held && s.Paging, nil
}

// other refuses to go from a release to itself.
func other(d adg.Deployment, good adg.Release) error {
	if good.Identity() != d.Spec.Release.Identity() {
		return nil
	}
	return adg.Errorf(adg.Conflict, "%s %s is the last good release already: there is nothing to deploy", good.Service, good.Version)
}

// trustNamed is what is to be put on record where somebody calls a release good; nil: it is there already. It refuses one
// that was rolled back: a human has to mark it good again first, and knowingly.
func (g *Guard) trustNamed(ctx context.Context, d adg.Deployment, named adg.Release) (*adg.ReleaseRecord, error) {
	if err := named.Validate(); err != nil {
		return nil, err
	}
	service, environment := d.Spec.Policy.Service, d.Spec.Policy.Environment
	record, err := g.store.Standing(ctx, service, environment, named.Identity())
	switch {
	case err == nil && record.Standing == adg.StandingRolledBack:
		return nil, adg.Advised(adg.Errorf(adg.Conflict, "%s %s was itself rolled back on %s (%s): a rollback never goes there",
			service, named.Version, record.Since.Format("2006-01-02 15:04 MST"), record.Why), "name another release")
	case err == nil && record.Standing == adg.StandingGood:
		return nil, nil
	case err != nil && adg.CodeOf(err) != adg.NotFound:
		return nil, err
	}
	return good(d, named, "named as the release before by "+d.Spec.Actor), nil
}

// good is the record of a release that a deployment found good before it began.
func good(d adg.Deployment, release adg.Release, why string) *adg.ReleaseRecord {
	return &adg.ReleaseRecord{
		Environment: d.Spec.Policy.Environment, Release: release, Standing: adg.StandingGood, Since: d.Spec.Created, Deployment: d.ID, Why: why,
	}
}

// adopt takes the release that is live now as the last good one, if it is alone and the checks find it healthy.
func (g *Guard) adopt(ctx context.Context, d adg.Deployment, target adg.Target) (*adg.Release, *adg.ReleaseRecord, error) {
	seen, err := target.Current(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading what is live now: %w", err)
	}
	if len(seen.Releases) != 1 || seen.Releases[0].Share < 100 {
		return nil, nil, nil
	}
	live := seen.Releases[0].Release
	live.Service = d.Spec.Policy.Service
	if live.Validate() != nil || live.Version == d.Spec.Release.Version {
		return nil, nil, nil
	}
	found, _ := g.healthOf(ctx, d, live)
	if cause := context.Cause(ctx); cause != nil {
		return nil, nil, cause
	}
	if found.Health == adg.HealthUnknown && len(d.Spec.Policy.Strategy.Steps) > 1 {
		return nil, nil, adg.Advised(adg.Errorf(adg.Unavailable, "%s is live, and nobody knows whether it is good, so there would be no way back (%s)", live.Version, found.Text),
			"name it (--previous %s) if it is, or try again when the checks know", live.Version)
	}
	if found.Health != adg.Healthy {
		g.o.Log.Warn("the live release is not adopted as the last good one", "version", live.Version, "health", found.Health, "why", found.Text)
		return nil, nil, nil
	}
	return &live, good(d, live, "live and healthy before the deployment: "+found.Text), nil
}

// healthOf is how the release that is live alone is doing. What is compared is compared with its own past; a fault that
// was there then excuses nothing here.
func (g *Guard) healthOf(ctx context.Context, d adg.Deployment, live adg.Release) (adg.Assessment, []adg.Baseline) {
	d.Spec.LastGood = &live
	d.Spec.Policy.Checks = slices.Clone(d.Spec.Policy.Checks)
	all := make([]int, len(d.Spec.Policy.Checks))
	for i := range all {
		all[i] = i
		d.Spec.Policy.Checks[i].BlamePreexisting = true
	}
	in := adg.Input{Now: d.Spec.Created}
	frozen := g.freeze(ctx, d, in.Now)
	g.assess(ctx, d, rollout.Need{Checks: all, Counted: all, Subject: live}, frozen, &in)
	return *in.Assessment, frozen
}

// freezeGate is shut while a freeze window holds. A deployment that was begun as an emergency is not held up.
func (g *Guard) freezeGate(ctx context.Context, d adg.Deployment) (adg.Gate, error) {
	if why := d.Spec.Emergency; why != "" {
		return adg.Gate{Name: "freeze", Open: adg.GateOpen, Text: "an emergency, by " + d.Spec.Actor + ": " + why}, nil
	}
	windows, _, err := freeze.Load(ctx, g.store)
	if err != nil {
		return adg.Gate{}, err
	}
	now, err := g.store.Now(ctx)
	if err != nil {
		return adg.Gate{}, err
	}
	return freeze.Gate(windows, d.Spec.Policy.Service, d.Spec.Policy.Environment, now), nil
}

// holdGate refuses a release that is on hold.
func (g *Guard) holdGate(ctx context.Context, d adg.Deployment) (adg.Gate, error) {
	policy := d.Spec.Policy
	hold, err := g.store.HoldOf(ctx, policy.Service, policy.Environment, d.Spec.Release.Identity())
	switch {
	case err == nil:
		text := fmt.Sprintf("%s is on hold since %s, by %s: %s", d.Spec.Release.Version, hold.Since.Format("2006-01-02 15:04 MST"), hold.Actor, hold.Reason)
		return adg.Gate{Name: "hold", Open: adg.GateRefused, Text: text, Until: hold.Until}, nil
	case adg.CodeOf(err) == adg.NotFound:
		return adg.Gate{Name: "hold", Open: adg.GateOpen, Text: "the release is not on hold"}, nil
	default:
		return adg.Gate{}, err
	}
}

// turnGate is shut until the deployments before this one have ended: their effects must not meet at the target.
func (g *Guard) turnGate(ctx context.Context, d adg.Deployment) (adg.Gate, error) {
	policy := d.Spec.Policy
	live, err := g.store.ListDeployments(ctx, adg.DeploymentFilter{Service: policy.Service, Environment: policy.Environment, Live: true})
	if err != nil {
		return adg.Gate{}, err
	}
	// The newest come first, so what follows this one is older.
	if at := slices.IndexFunc(live, func(l adg.Deployment) bool { return l.ID == d.ID }); at >= 0 && at+1 < len(live) {
		older := live[at+1]
		return adg.Gate{Name: "turn", Open: adg.GateShut, Text: fmt.Sprintf("%s is %s and has to end first", older.ID, older.Status.State)}, nil
	}
	return adg.Gate{Name: "turn", Open: adg.GateOpen, Text: "no older deployment is under way"}, nil
}
