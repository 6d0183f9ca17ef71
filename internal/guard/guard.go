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
	"sync/atomic"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/recall"
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
	Workers int           // ticks at the same time, most of which wait for sources; zero: 64
	Batch   int           // deployments that are taken at once, at most; zero: as many as there are workers free
	Effect  time.Duration // how long one effect may take, whatever the policy says; zero: as long as it says
	Drain   time.Duration // how long work under way may go on when the guard has to end; zero: no longer, and the next owner goes on with it
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
	baselines *recall.Map[string, []adg.Baseline] // by deployment
	leases    atomic.Int64
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
		o.Workers = 64
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
	return &Guard{store: prompt{store, o.Lease / 4}, world: world, o: o, baselines: recall.New[string, []adg.Baseline](maxCachedBaselines)}
}

// Owner is what the guard is called in its leases.
func (g *Guard) Owner() string { return g.o.Owner }

// Leases is how many deployments the guard works on now.
func (g *Guard) Leases() int { return int(g.leases.Load()) }

// Run works until the context ends, and returns once everything that it began has come to a stop: by itself within
// Options.Drain, or cut off, in which case what is done at a target is on record as begun. A store that does not answer
// is asked again: only the context ends the guard.
func (g *Guard) Run(ctx context.Context) error {
	working, end := g.working(ctx)
	defer end()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { g.deliver(ctx, working) })

	free := make(chan struct{}, g.o.Workers)
	for range g.o.Workers {
		free <- struct{}{}
	}
	done := make(chan struct{}, 1)
	wait, apart := g.o.Poll, min(g.o.Poll/4, together)
	for {
		limit := g.limit(len(free))
		taken, err := g.take(ctx, limit)
		if err != nil && ctx.Err() == nil {
			g.o.Log.Error("taking work failed", "error", err)
		}
		for _, work := range taken {
			<-free
			running.Go(func() {
				g.work(working, work)
				free <- struct{}{}
				select {
				case done <- struct{}{}:
				default:
				}
			})
		}
		if limit > 0 && len(taken) == limit && len(free) > 0 {
			continue
		}
		wait = g.pause(wait, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(apart):
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-done: // a worker is free again, or has made another tick due
		case <-time.After(wait - apart):
		}
	}
}

// Private

// working is the context of work under way: it ends some time after the guard's own.
func (g *Guard) working(ctx context.Context) (context.Context, func()) {
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		if g.o.Drain > 0 {
			select {
			case <-time.After(g.o.Drain):
			case <-working.Done():
			}
		}
		cancel(context.Cause(ctx))
	})
	return working, func() {
		forget()
		cancel(nil)
	}
}

// together is how long the store is left alone after it was asked for work, so that it is asked once for the ticks of
// several deployments.
const together = 25 * time.Millisecond

// retryPause is how long a deployment whose tick failed is left alone.
const retryPause = time.Second

// limit is how many deployments are taken at once when so many workers are free.
func (g *Guard) limit(free int) int {
	if g.o.Batch > 0 {
		return min(free, g.o.Batch)
	}
	return free
}

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
	g.leases.Add(1)
	defer g.leases.Add(-1)
	g.reached(pointLeased)
	begin := time.Now() //nolint:forbidigo // how long a turn takes is real time, and decides nothing
	err := g.turn(traced(held, w), w)
	g.o.Turned(time.Since(begin), err) //nolint:forbidigo // see above
	said := traced(ctx, w)
	switch {
	case err == nil:
	case errors.Is(err, adg.ErrFenced):
		log.WarnContext(said, "another owner has taken the deployment over")
	case ctx.Err() != nil:
		log.InfoContext(said, "stopped while working on the deployment")
	default:
		log.ErrorContext(said, "a tick failed, it will be tried again", "error", err)
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
