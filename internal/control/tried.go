package control

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/rehearsal"
)

// PolicyTest is a policy whose queries are asked once.
type PolicyTest struct {
	adg.Scope
	Text     string      // YAML; empty: the newest version
	Release  adg.Release // what $version stands for; without a version: the live release
	Previous string      // the version that $baseline stands for and that a rollback goes to; empty: none, and the last good one on record
	Checks   []string    // names; none: all
}

// PolicyTested is what came of it.
type PolicyTested struct {
	Spec      adg.Spec // of a deployment of that release
	Checks    []guard.Tried
	Obstacles []adg.Obstacle // in the way back from it
	Doubt     string         // why that could not be found out; empty: it could
}

// TestPolicy asks every query of a policy once, now, with the connections that its service may use. Nothing is stored. A
// query that is not answered is a measurement with an error. It takes 20 s at most, and less where the caller waits less.
// Whoever brings a text has to be somebody who may put it: its queries are asked with the server's credentials.
func (w *World) TestPolicy(ctx context.Context, who identity.Caller, t PolicyTest) (config.File, PolicyTested, error) {
	needed := identity.PolicyRead
	if t.Text != "" {
		needed = identity.PolicyWrite
	}
	p := Policy{Service: t.Service, Environment: t.Environment}
	if err := w.c.allowed(ctx, who, needed, t.Scope, adg.AuditEntry{Action: "policy.test", Resource: p.resource()}); err != nil {
		return config.File{}, PolicyTested{}, err
	}
	leave, err := enter(w.c.trials, "tests")
	if err != nil {
		return config.File{}, PolicyTested{}, err
	}
	defer leave()
	file, err := w.c.meant(ctx, t.Text, t.Scope)
	if err != nil {
		return file, PolicyTested{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience(ctx))
	defer cancel()
	spec := adg.Spec{Policy: file.Policy.WithDefaults(), Release: t.Release}
	if len(t.Checks) > 0 {
		if spec.Policy.Checks, err = chosen(spec.Policy.Checks, t.Checks); err != nil {
			return file, PolicyTested{}, err
		}
	}
	if err := w.releases(ctx, &spec, t); err != nil {
		return file, PolicyTested{}, err
	}
	tested := PolicyTested{Checks: guard.Try(ctx, w, spec)}
	if spec.LastGood == nil {
		if good, err := w.c.o.Store.LastGood(ctx, t.Service, t.Environment); err == nil && good.Release.Identity() != spec.Release.Identity() {
			spec.LastGood = &good.Release
		}
	}
	tested.Spec = spec
	tested.Obstacles, tested.Doubt = w.rehearse(ctx, who, spec)
	return file, tested, nil
}

// Backtest is a policy that is tried on what is on record.
type Backtest struct {
	adg.Scope
	Text     string    // YAML; empty: the newest version
	From, To time.Time // deployments begun in this time; zero: no limit
	Limit    int       // deployments at most, the newest; 0: 100, at most 1,000
}

// BacktestPolicy tells what a policy would have done with the recorded deployments, case by case as they become known,
// and then what they come to. An error of each ends it. Nothing is stored. It takes 2 minutes at most.
func (c *Control) BacktestPolicy(ctx context.Context, who identity.Caller, b Backtest, each func(done, all int, one backtest.Case) error) (backtest.Summary, error) {
	p := Policy{Service: b.Service, Environment: b.Environment}
	for _, needed := range []identity.Permission{identity.PolicyRead, identity.DeploymentRead} {
		if err := c.allowed(ctx, who, needed, b.Scope, adg.AuditEntry{Action: "policy.backtest", Resource: p.resource()}); err != nil {
			return backtest.Summary{}, err
		}
	}
	if b.Limit < 0 || b.Limit > 1000 {
		return backtest.Summary{}, adg.Errorf(adg.Invalid, "limit is 1 to 1000, or 0 for 100")
	}
	if b.Limit == 0 {
		b.Limit = 100
	}
	leave, err := enter(c.backtests, "backtests")
	if err != nil {
		return backtest.Summary{}, err
	}
	defer leave()
	file, err := c.meant(ctx, b.Text, b.Scope)
	if err != nil {
		return backtest.Summary{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, backtestLimit, adg.Advised(adg.Errorf(adg.Unavailable, "this takes longer than %s", adg.Short(backtestLimit)), "ask for fewer deployments, or a shorter time"))
	defer cancel()
	var failed error
	result, err := backtest.Recorded(ctx, c.o.Store, file.Policy, backtest.Options{
		From: b.From, To: b.To, Limit: b.Limit, Workers: min(2, runtime.GOMAXPROCS(0)),
		Each: func(done, all int, one backtest.Case) {
			if failed == nil {
				if failed = each(done, all, one); failed != nil {
					cancel()
				}
			}
		},
	})
	if failed != nil {
		return backtest.Summary{}, failed
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return result.Summary, err
}

// Rehearse says what is in the way back from a release that is not deployed, and, where that cannot be found out, why. Who
// may not start the deployment may not have its target try anything either: it starts programs there.
func (w *World) Rehearse(ctx context.Context, who identity.Caller, spec adg.Spec) (found []adg.Obstacle, doubt string) {
	leave, err := enter(w.c.trials, "rehearsals")
	if err != nil {
		return nil, err.Error()
	}
	defer leave()
	return w.rehearse(ctx, who, spec)
}

// Private

const (
	testLimit     = 20 * time.Second
	backtestLimit = 2 * time.Minute
)

// patience is how long queries may take: less than the caller waits, so that what was answered is told.
func patience(ctx context.Context) time.Duration {
	until, bounded := ctx.Deadline()
	if !bounded {
		return testLimit
	}
	return min(testLimit, time.Until(until)*3/4) //nolint:forbidigo // how long somebody waits is real time
}

func chosen(checks []adg.Check, names []string) ([]adg.Check, error) {
	var some []adg.Check
	for _, name := range names {
		i := slices.IndexFunc(checks, func(c adg.Check) bool { return c.Name == name })
		if i < 0 {
			return nil, adg.Errorf(adg.Invalid, "the policy has no check %.80q", name)
		}
		some = append(some, checks[i])
	}
	return some, nil
}

// releases fills in which release is asked about, and where one is named the one beside it.
func (w *World) releases(ctx context.Context, spec *adg.Spec, t PolicyTest) (err error) {
	if spec.Release.Version == "" {
		if spec.Release, err = w.live(ctx, *spec); err != nil {
			return err
		}
	}
	spec.Release.Service = t.Service
	if err := spec.Release.Validate(); err != nil || t.Previous == "" {
		return err
	}
	previous, err := guard.Recall(ctx, w.c.o.Store, spec.Policy, adg.Release{Service: t.Service, Version: t.Previous})
	if err != nil {
		return err
	}
	if err := previous.Validate(); err != nil {
		return err
	}
	spec.LastGood = &previous
	return spec.ValidWayBack()
}

// live is the last release that was found good there, or what the target reports to have most of the traffic.
func (w *World) live(ctx context.Context, spec adg.Spec) (adg.Release, error) {
	record, err := w.c.o.Store.LastGood(ctx, spec.Policy.Service, spec.Policy.Environment)
	if err == nil || adg.CodeOf(err) != adg.NotFound {
		return record.Release, err
	}
	most := adg.Placement{}
	t, err := w.Target(ctx, adg.Deployment{Spec: spec})
	if err == nil {
		var seen adg.Observed
		seen, err = t.Current(ctx)
		for _, p := range seen.Releases {
			if p.Share > most.Share {
				most = p
			}
		}
	}
	if err != nil || most.Share == 0 {
		return adg.Release{}, adg.Advised(adg.Errorf(adg.Invalid, "no release is known to be live there, so there is nothing for $version to stand for"), "name a release")
	}
	return most.Release, nil
}

func (w *World) rehearse(ctx context.Context, who identity.Caller, spec adg.Spec) (found []adg.Obstacle, doubt string) {
	if spec.LastGood != nil && may(who, identity.DeploymentStart, scopeOf(adg.Deployment{Spec: spec})) != nil {
		return nil, "the target is asked for those who may start the deployment"
	}
	found, err := rehearsal.Of(ctx, w.Target, adg.Deployment{ID: spec.Release.Service + "-plan", Spec: spec})
	if err != nil {
		return found, err.Error()
	}
	return found, ""
}
