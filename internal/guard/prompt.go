package guard

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// prompt is a store of which a turn's questions are answered soon or not at all. A connection that was lost without a
// word would keep them for as long as a store waits for anything: the deployment had an owner all that time who keeps
// the lease and does nothing, or nobody asked for what else is due.
type prompt struct {
	adg.Store
	limit time.Duration
}

var errHangs = adg.Errorf(adg.Unavailable, "the store did not answer in time")

func (p prompt) Now(ctx context.Context) (time.Time, error) {
	return soon(ctx, p.limit, p.Store.Now)
}

func (p prompt) Take(ctx context.Context, owner string, ttl time.Duration, limit int) ([]adg.Work, error) {
	return soon(ctx, p.limit, func(ctx context.Context) ([]adg.Work, error) { return p.Store.Take(ctx, owner, ttl, limit) })
}

func (p prompt) Fleet(ctx context.Context, environment, deployment string) (adg.Fleet, error) {
	return soon(ctx, p.limit, func(ctx context.Context) (adg.Fleet, error) { return p.Store.Fleet(ctx, environment, deployment) })
}

func (p prompt) Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error) {
	return soon(ctx, p.limit, func(ctx context.Context) ([]adg.Baseline, error) { return p.Store.Baselines(ctx, deployment) })
}

// Commit may wait for the disk, and so for longer.
func (p prompt) Commit(ctx context.Context, t adg.Tick) (adg.Deployment, error) {
	return soon(ctx, 2*p.limit, func(ctx context.Context) (adg.Deployment, error) { return p.Store.Commit(ctx, t) })
}

func (p prompt) Undelivered(ctx context.Context, owner string, claim time.Duration, limit int) ([]adg.Delivery, error) {
	return soon(ctx, p.limit, func(ctx context.Context) ([]adg.Delivery, error) {
		return p.Store.Undelivered(ctx, owner, claim, limit)
	})
}

func soon[T any](ctx context.Context, limit time.Duration, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errHangs)
	defer cancel()
	return ask(ctx)
}
