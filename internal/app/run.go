package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// drainTime is how long the end of a run waits for notifications that are still on their way.
const drainTime = 30 * time.Second

// run guards one deployment in this process. A deployment of the same release that the data directory knows and that
// has not ended goes on; else a new one is started.
func (a *App) run(ctx context.Context, o cli.RunOptions, view cli.View, person cli.Person) (d adg.Deployment, err error) {
	file, err := a.load(o.File)
	if err != nil {
		return d, err
	}
	for _, w := range file.Warnings {
		view.Say("warning: " + w.String())
	}
	if o.DryRun {
		view.Say("dry run: nothing is changed at the target, and nobody is told")
	}
	store, err := sqlite.Open(ctx, o.DataDir, sqlite.Options{Log: a.log})
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	w, err := newWorld(file, o.DataDir, a.log, o.DryRun)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Open(ctx); err != nil {
		return d, err
	}
	if o.DryRun {
		file.Policy.Notify = nil // nothing of it happens, so there is nothing to tell
		if err := remind(ctx, store, o, file.Policy); err != nil {
			return d, err
		}
	}
	d, err = guarded(ctx, store, w, session{options: o, policy: file.Policy, view: view, person: person, log: a.log})
	if wayOut := outOfHold(ctx, store, o, d); wayOut != "" {
		view.Say(wayOut)
	}
	return d, err
}

// outOfHold says how the release of a blocked deployment may be deployed all the same; empty: a hold is not what blocked it.
func outOfHold(ctx context.Context, store adg.Store, o cli.RunOptions, d adg.Deployment) string {
	if d.Status.State != adg.Blocked || o.DryRun {
		return ""
	}
	p, r := d.Spec.Policy, d.Spec.Release
	if _, err := store.HoldOf(ctx, p.Service, p.Environment, r.Identity()); err != nil {
		return "" // there is none, or nothing is known of it
	}
	which := "--version " + r.Version
	if r.Artifact != "" {
		which += " --artifact " + r.Artifact
	}
	if r.Config != "" {
		which += " --config-revision " + r.Config
	}
	return fmt.Sprintf("deploy another version, or say that this one may be deployed: adg hold lift --data-dir %s -s %s -e %s %s --reason WHY",
		o.DataDir, p.Service, p.Environment, which)
}

// liftHold ends a hold of a data directory, also while a run guards with it.
func (a *App) liftHold(ctx context.Context, dataDir, identity string, entry adg.AuditEntry) (err error) {
	known, err := sqlite.OpenReadOnly(ctx, dataDir) // so that a directory that is not there is not made
	if err != nil {
		return err
	}
	if err := known.Close(); err != nil {
		return err
	}
	beside, err := sqlite.OpenBeside(ctx, dataDir, sqlite.Options{Log: a.log})
	if err != nil {
		return err
	}
	defer both(&err, beside.Close)
	entry.Action, entry.Resource, entry.Outcome = "hold.lift", "hold/"+identity, adg.AuditDone
	return beside.LiftHold(ctx, entry.Service, entry.Environment, identity, entry)
}

// remind tells a dry run's store what is known in earnest: which release is good, and whether this one is on hold.
func remind(ctx context.Context, store adg.Store, o cli.RunOptions, p adg.Policy) (err error) {
	known, err := sqlite.OpenReadOnly(ctx, o.Known)
	if adg.CodeOf(err) == adg.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer both(&err, known.Close)
	good, err := known.LastGood(ctx, p.Service, p.Environment)
	if err == nil {
		err = store.Mark(ctx, good)
	}
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return err
	}
	hold, err := known.HoldOf(ctx, p.Service, p.Environment, o.Release.Identity())
	if err == nil {
		err = store.PutHold(ctx, hold)
	}
	if adg.CodeOf(err) == adg.NotFound {
		return nil
	}
	return err
}

// session is one run of a guard for one deployment.
type session struct {
	options cli.RunOptions
	policy  adg.Policy
	view    cli.View
	person  cli.Person
	log     *slog.Logger
}

// guarded begins or goes on with the deployment and guards it until it ends, or a person leaves it.
func guarded(ctx context.Context, store adg.Store, w guard.World, s session) (adg.Deployment, error) {
	ended := make(chan struct{}, 1)
	var following sync.Map // the deployment that is shown
	g := guard.New(store, w, guard.Options{Log: s.log, Poll: pollOf(s.policy), Only: s.own, Watch: func(d adg.Deployment, t adg.Tick) {
		if id, ok := following.Load("id"); !ok || id != d.ID {
			return
		}
		s.view.Tick(d, t)
		if t.Input.Command != nil && !t.Decision.Changed() {
			s.view.Say(strings.Join(t.Decision.Reasons, "; ")) // why it was refused
		}
		if d.Status.State.Ended() {
			select {
			case ended <- struct{}{}:
			default:
			}
		}
	}})
	d, err := begin(ctx, store, g, s)
	if err != nil {
		return d, err
	}
	following.Store("id", d.ID)
	if d.Status.State.Ended() {
		ended <- struct{}{}
	}
	running, stop := context.WithCancel(ctx)
	var guards sync.WaitGroup
	guards.Go(func() { _ = g.Run(running) })
	finish := func() {
		stop()
		guards.Wait()
	}
	left := s.follow(ctx, store, d, ended)
	if left == nil {
		drain, cancel := context.WithTimeoutCause(ctx, drainTime, adg.Errorf(adg.Unavailable, "gave up after %s; they are tried again by the next run", adg.Short(drainTime)))
		if err := g.Drain(drain, d.ID); err != nil && ctx.Err() == nil {
			s.view.Say("warning: " + err.Error())
		}
		cancel()
	}
	finish()
	d, err = store.Deployment(context.WithoutCancel(ctx), d.ID)
	return d, errors.Join(err, left)
}

// Private

// own tells whether the policy of this run is about that service. A data directory may hold deployments of others,
// which have targets, sources and notifiers of their own.
func (s session) own(service, environment string) bool {
	return service == s.policy.Service && environment == s.policy.Environment
}

// begin finds the deployment that this run goes on with, or starts it.
func begin(ctx context.Context, store adg.Store, g *guard.Guard, s session) (adg.Deployment, error) {
	release := s.options.Release
	release.Service = s.policy.Service
	live, err := store.ListDeployments(ctx, adg.DeploymentFilter{Live: true})
	if err != nil {
		return adg.Deployment{}, err
	}
	for _, d := range live {
		if p := d.Spec.Policy; !s.own(p.Service, p.Environment) {
			s.view.Say(fmt.Sprintf("warning: %s in %s is %s, and this run does not guard it: go on with it under its own policy", d.ID, p.Environment, d.Status.State))
		}
	}
	for _, d := range live {
		if p := d.Spec.Policy; s.own(p.Service, p.Environment) && d.Spec.Release.Identity() == release.Identity() {
			s.goingOn(d)
			return d, nil
		}
	}
	spec := adg.Spec{Release: release, Policy: s.policy, Actor: s.options.Actor, Reason: s.options.Reason}
	if s.options.Previous != "" {
		spec.LastGood = &adg.Release{Service: s.policy.Service, Version: s.options.Previous}
	}
	if err := s.expect(ctx, store, g, &spec); err != nil {
		return adg.Deployment{}, err
	}
	return g.Start(ctx, spec)
}

// goingOn says what this run takes over, and what of its arguments does not count any more.
func (s session) goingOn(d adg.Deployment) {
	s.view.Say(fmt.Sprintf("going on with %s, which is %s", d.ID, d.Status.State))
	if d.Spec.Policy.Digest != s.policy.Digest {
		s.view.Say("warning: the policy file has changed since: the deployment keeps the policy that it was started with; sources, target and notifiers are those of the file")
	}
	good := "nowhere"
	if d.Spec.LastGood != nil {
		good = "to " + d.Spec.LastGood.Version
	}
	if p := s.options.Previous; p != "" && good != "to "+p {
		s.view.Say(fmt.Sprintf("warning: --previous %s comes too late: a rollback goes %s", p, good))
	}
}

// follow waits for the end, and does what a person who interrupts wants. A run that is left gives an error.
func (s session) follow(ctx context.Context, store adg.Store, d adg.Deployment, ended <-chan struct{}) error {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	wishes := make(chan cli.Wish)
	go func() {
		for asking.Err() == nil {
			wish := s.person.Ask(asking, d.Spec.Policy.OnInterrupt)
			select {
			case wishes <- wish:
			case <-asking.Done():
			}
		}
	}()
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case wish := <-wishes:
			if wish.Leave {
				return cli.ErrLeft
			}
			if wish.Command != adg.CommandNone {
				s.ask(ctx, store, d.ID, wish.Command)
			}
		}
	}
}

// ask stores what a person wants. To roll back what has not begun is to cancel it: refused, it would begin.
func (s session) ask(ctx context.Context, store adg.Store, id string, kind adg.CommandKind) {
	if d, err := store.Deployment(ctx, id); err == nil && kind == adg.CommandRollBack && (d.Status.State == adg.Pending || d.Status.State == adg.Gated) {
		kind = adg.CommandCancel
	}
	s.view.Say("asked to " + kind.String())
	err := store.Ask(ctx, adg.Command{ID: rand.Text(), Deployment: id, Kind: kind, Actor: s.options.Actor, Reason: "said at the run's terminal"})
	if err != nil {
		s.view.Say(kind.String() + " could not be asked for: " + err.Error())
	}
}

// pollOf is often enough for the shortest interval of the policy.
func pollOf(p adg.Policy) time.Duration {
	shortest := p.WithDefaults().Interval
	for _, c := range p.Checks {
		if c.Interval > 0 {
			shortest = min(shortest, c.Interval)
		}
	}
	for _, phase := range p.Verify {
		if phase.Interval > 0 {
			shortest = min(shortest, phase.Interval)
		}
	}
	return min(max(shortest/5, 5*time.Millisecond), 100*time.Millisecond)
}

// load reads a policy file.
func (a *App) load(path string) (config.File, error) { return config.Load(path, drivers(), a.env) }
