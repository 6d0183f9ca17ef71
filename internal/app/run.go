package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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
	store, err := sqlite.Open(ctx, o.DataDir, sqlite.Options{Log: a.log})
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	w := newWorld(file, o.DataDir, a.log, o.DryRun)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Open(ctx); err != nil {
		return d, err
	}
	return guarded(ctx, store, w, session{options: o, policy: file.Policy, view: view, person: person, log: a.log})
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
	g := guard.New(store, w, guard.Options{Log: s.log, Poll: pollOf(s.policy), Watch: func(d adg.Deployment, t adg.Tick) {
		if id, ok := following.Load("id"); !ok || id != d.ID {
			return
		}
		s.view.Tick(d, t)
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
		drain, cancel := context.WithTimeoutCause(ctx, drainTime, adg.Errorf(adg.Unavailable, "gave up after %s; they are tried again by the next run", drainTime))
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

// begin finds the deployment that this run goes on with, or starts it.
func begin(ctx context.Context, store adg.Store, g *guard.Guard, s session) (adg.Deployment, error) {
	release := s.options.Release
	release.Service = s.policy.Service
	live, err := store.ListDeployments(ctx, adg.DeploymentFilter{Service: s.policy.Service, Environment: s.policy.Environment, Live: true})
	if err != nil {
		return adg.Deployment{}, err
	}
	for _, d := range live {
		if d.Spec.Release.Identity() == release.Identity() {
			s.view.Say(fmt.Sprintf("going on with %s, which is %s", d.ID, d.Status.State))
			return d, nil
		}
	}
	spec := adg.Spec{Release: release, Policy: s.policy, Actor: s.options.Actor, Reason: s.options.Reason}
	if s.options.Previous != "" {
		spec.LastGood = &adg.Release{Service: s.policy.Service, Version: s.options.Previous}
	}
	return g.Start(ctx, spec)
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
				s.view.Say("asked to " + wish.Command.String())
				err := store.Ask(ctx, adg.Command{
					ID: rand.Text(), Deployment: d.ID, Kind: wish.Command, Actor: s.options.Actor, Reason: "said at the run's terminal",
				})
				if err != nil {
					s.view.Say(wish.Command.String() + " could not be asked for: " + err.Error())
				}
			}
		}
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
