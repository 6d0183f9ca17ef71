package guard

import (
	"context"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

const (
	deliveries      = 32               // taken from the outbox at a time
	deliveryTimeout = 10 * time.Second // for one notifier to take one fact
	deliveryTries   = 20               // then a delivery is given up, and stays visible

	// deliveryClaim is how long nobody else tells what this guard is telling, and so how long that waits after its end.
	deliveryClaim  = deliveryTimeout + 5*time.Second
	longestBackoff = 10 * time.Minute
)

// deliver empties the outbox until the context ends. Facts of one deployment reach one notifier in order: the store
// hands out the next one when the one before it is delivered or given up. What is being told is told to its end, within
// the context of work under way.
func (g *Guard) deliver(ctx, working context.Context) {
	wait := g.o.Poll
	for {
		batch, err := g.store.Undelivered(ctx, g.o.Owner, deliveryClaim, deliveries)
		if err != nil && ctx.Err() == nil {
			g.o.Log.Error("reading the outbox failed", "error", err)
		}
		g.sendAll(working, batch)
		if len(batch) > 0 {
			continue
		}
		wait = g.pause(wait, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Drain delivers what waits for the deployment, until all is delivered or given up or the context ends. It needs no
// running guard and disturbs none.
func (g *Guard) Drain(ctx context.Context, deployment string) error {
	for {
		waiting, err := g.store.Waiting(ctx, deployment)
		if err != nil || waiting == 0 {
			return err
		}
		batch, err := g.store.Undelivered(ctx, g.o.Owner, deliveryClaim, deliveries)
		if err != nil {
			return err
		}
		g.sendAll(ctx, batch)
		if len(batch) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "%d notifications are still undelivered: %w", waiting, context.Cause(ctx))
		case <-time.After(g.o.Poll):
		}
	}
}

// Private

// sendAll sends at the same time what was claimed at the same time, so that no claim ends before its fact is sent.
func (g *Guard) sendAll(ctx context.Context, batch []adg.Delivery) {
	var sending sync.WaitGroup
	for _, d := range batch {
		sending.Go(func() { g.send(ctx, d) })
	}
	sending.Wait()
}

func (g *Guard) send(ctx context.Context, d adg.Delivery) {
	if !g.o.Only(d.Fact.Service, d.Fact.Environment) {
		return // the claim expires, and whoever knows this notifier takes it
	}
	log := g.o.Log.With("fact", d.Fact.ID, "notifier", d.Notifier, "try", d.Tries+1)
	err := g.notify(ctx, d)
	if ctx.Err() != nil {
		return // not an outcome: the claim expires, and the fact is sent again
	}
	switch {
	case err == nil:
		g.reached(pointTold)
		err = g.store.Delivered(ctx, d)
	case adg.IsPermanent(err) || d.Tries+1 >= deliveryTries:
		log.Error("a notification could not be delivered and was given up", "error", err)
		err = g.store.Abandon(ctx, d, err.Error())
	default:
		log.Warn("a notification was not taken, it will be sent again", "error", err)
		err = g.postpone(ctx, d, err)
	}
	if err != nil && ctx.Err() == nil {
		log.Error("recording a delivery failed, the fact will be sent again", "error", err)
	}
}

func (g *Guard) notify(ctx context.Context, d adg.Delivery) error {
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, adg.Errorf(adg.Unavailable, "not taken within %s", adg.Short(deliveryTimeout)))
	defer cancel()
	notifier, err := g.world.Notifier(ctx, d.Notifier)
	if err != nil {
		return err
	}
	return notifier.Notify(ctx, d.Fact)
}

func (g *Guard) postpone(ctx context.Context, d adg.Delivery, cause error) error {
	now, err := g.store.Now(ctx)
	if err != nil {
		return err
	}
	wait := min(time.Second<<min(d.Tries, 20), longestBackoff)
	if asked, ok := adg.RetryAfter(cause); ok {
		wait = min(max(wait, asked), longestBackoff)
	}
	return g.store.Postpone(ctx, d, now.Add(wait), cause.Error())
}
