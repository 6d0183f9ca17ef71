// Package guard is the loop: it takes a deployment that is due, measures, has it judged, decides, stores the
// decision and its intent, acts, stores the outcome, and sees that people are told.
package guard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// World is what the guard reaches out to. All methods are safe for concurrent use, and what they return stays open
// until the world's owner closes it.
type World interface {
	Source(ctx context.Context, d adg.Deployment, name string) (adg.Source, error)
	Target(ctx context.Context, d adg.Deployment) (adg.Target, error)
	Notifier(ctx context.Context, name string) (adg.Notifier, error)
}

// Options are the guard's settings; zero fields take the defaults.
type Options struct {
	Owner   string        // of the leases; zero: host, process and a random part
	Lease   time.Duration // how long a deployment stays with an owner that says nothing more; zero: 8 s
	Workers int           // ticks at the same time; zero: 16
	Poll    time.Duration // how often the store is asked for work when there is none; zero: 100 ms
	// Only tells which services in which environments this guard takes care of; others are left to theirs. Zero: all.
	Only func(service, environment string) bool
	Log  *slog.Logger // zero: discard
	// Watch is called after each committed tick, from many goroutines; it must not block.
	Watch func(adg.Deployment, adg.Tick)
	// Turned is called after each turn of a deployment, from many goroutines: how long it took, and why it failed.
	Turned func(took time.Duration, err error)
	// Failpoint is called at each of Failpoints; tests die there. Zero: nothing.
	Failpoint func(name string)
}

// Guard takes care of deployments. Any number of guards may share a store.
type Guard struct {
	store     adg.Store
	world     World
	o         Options
	baselines baselines
	unread    sync.Map // deployment → why its target's state could not be read, as it was logged last
}

// New makes a guard; Run starts it.
func New(store adg.Store, world World, o Options) *Guard {
	if o.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unnamed"
		}
		o.Owner = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
	}
	if o.Lease == 0 {
		o.Lease = 8 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Poll == 0 {
		o.Poll = 100 * time.Millisecond
	}
	if o.Only == nil {
		o.Only = func(string, string) bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Watch == nil {
		o.Watch = func(adg.Deployment, adg.Tick) {}
	}
	if o.Turned == nil {
		o.Turned = func(time.Duration, error) {}
	}
	return &Guard{store: store, world: world, o: o, baselines: newBaselines(maxCachedBaselines)}
}

// Run works until the context ends, and returns once everything that it began has come to a stop. A store that does
// not answer is asked again: only the context ends the guard.
func (g *Guard) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { g.deliver(ctx) })

	free := make(chan struct{}, g.o.Workers)
	for range g.o.Workers {
		free <- struct{}{}
	}
	done := make(chan struct{}, 1)
	wait := g.o.Poll
	for {
		taken, err := g.take(ctx, len(free))
		if err != nil && ctx.Err() == nil {
			g.o.Log.Error("taking work failed", "error", err)
		}
		for _, work := range taken {
			<-free
			running.Go(func() {
				g.work(ctx, work)
				free <- struct{}{}
				select {
				case done <- struct{}{}:
				default:
				}
			})
		}
		if len(taken) > 0 && len(free) > 0 {
			continue
		}
		wait = g.pause(wait, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-done: // a worker is free again, or has made another tick due
		case <-time.After(wait):
		}
	}
}

// Private

// retryPause is how long a deployment whose tick failed is left alone.
const retryPause = time.Second

func (g *Guard) take(ctx context.Context, limit int) ([]adg.Work, error) {
	if limit == 0 {
		return nil, nil
	}
	return g.store.Take(ctx, g.o.Owner, g.o.Lease, limit)
}

// pause is how long to wait before the store is asked again: longer and longer while it does not answer.
func (g *Guard) pause(before time.Duration, err error) time.Duration {
	if err == nil {
		return g.o.Poll
	}
	return min(2*before, 2*time.Second)
}

// work is one turn of a deployment, from lease to lease. What fails is logged and tried again when the lease is free:
// nothing was decided that is not stored.
func (g *Guard) work(ctx context.Context, w adg.Work) {
	if policy := w.Deployment.Spec.Policy; !g.o.Only(policy.Service, policy.Environment) {
		return // the lease runs out by itself: given back at once, it would be taken again without end
	}
	log := g.o.Log.With("deployment", w.Deployment.ID, "fence", w.Lease.Fence)
	held, stop := g.keep(ctx, w.Lease)
	defer stop()
	g.reached(pointLeased)
	begin := time.Now() //nolint:forbidigo // how long a turn takes is real time, and decides nothing
	err := g.turn(held, w)
	g.o.Turned(time.Since(begin), err) //nolint:forbidigo // see above
	switch {
	case err == nil:
	case errors.Is(err, adg.ErrFenced):
		log.Warn("another owner has taken the deployment over")
	case ctx.Err() != nil:
		log.Info("stopped while working on the deployment")
	default:
		log.Error("a tick failed, it will be tried again", "error", err)
	}
	if err != nil {
		g.letGo(ctx, w.Lease)
	}
}

// letGo gives the lease of a failed tick back, after a pause, so that a deployment whose ticks fail does not keep
// everybody busy. When the process stops there is no pause: the next owner need not wait for the lease to expire. An
// error here costs that wait and nothing else.
func (g *Guard) letGo(ctx context.Context, lease adg.Lease) {
	select {
	case <-ctx.Done():
	case <-time.After(retryPause):
	}
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := g.store.GiveBack(free, lease); err != nil {
		g.o.Log.Warn("giving a lease back failed, it will expire", "deployment", lease.Deployment, "error", err)
	}
}

// errUnrenewed ends work whose lease the store did not renew in time.
var errUnrenewed = adg.Errorf(adg.Unavailable, "the store did not renew the lease in time")

// keep renews a lease for as long as the work lasts. When it is lost, or about to be, the work's context ends: whoever
// has it next must find nobody else at the target.
func (g *Guard) keep(ctx context.Context, lease adg.Lease) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(g.o.Lease / 4)
		defer every.Stop()
		missed := 0
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			// A store that hangs is as good as a lost lease: the work ends before the lease does, a quarter of it to spare.
			limited, done := context.WithTimeout(ctx, g.o.Lease/4)
			_, err := g.store.Renew(limited, lease, g.o.Lease)
			done()
			if err == nil {
				missed = 0
				continue
			}
			missed++
			switch {
			case errors.Is(err, adg.ErrFenced):
				cancel(adg.ErrFenced)
				return
			case missed > 1:
				cancel(fmt.Errorf("%w: %w", errUnrenewed, err))
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}
