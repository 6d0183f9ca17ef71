package router

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Current is what is served now.
func (r *Router) Current(ctx context.Context) (adg.Observed, error) {
	if err := context.Cause(ctx); err != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "read the router's state: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.observed(), nil
}

// Apply starts the releases that do not run, waits until they answer, changes the shares in one step, lets the requests
// end that run at releases without a share, and stops those that are not wanted any more. An error before the change
// leaves the shares as they are; the same operation goes on where it was.
func (r *Router) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := valid(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
	}
	if err := context.Cause(ctx); err != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: %w", want.OpID, err)
	}
	before, err := r.begin(want)
	if err != nil {
		return adg.Observed{}, err
	}
	if before < done {
		if err := r.converge(ctx, want, before); err != nil {
			return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: %w", want.OpID, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.observed(), nil
}

// Can is everything but the database.
func (r *Router) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Drain: true, Reports: true}
}

// Private

const kept = 256 // operations and moves remembered

// progress is how far an operation came.
type progress int

const (
	begun progress = iota
	moved          // the shares are changed, the rest is not cleared away
	done
)

type operation struct {
	id, deployment string
	fence          int64
	progress       progress
}

func valid(want adg.Desired) error {
	if err := want.Validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range want.Releases {
		if seen[p.Release.Version] {
			return adg.Errorf(adg.Invalid, "release %s is wanted twice", p.Release.Version)
		}
		seen[p.Release.Version] = true
	}
	return nil
}

// begin says how far the operation came earlier, and refuses one of an owner whose time is over.
func (r *Router) begin(want adg.Desired) (progress, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.ops {
		if o.deployment == want.Deployment && o.fence > want.Fence {
			return begun, adg.ErrFenced
		}
	}
	if i := r.find(want.OpID); i >= 0 {
		r.ops[i].fence = want.Fence
		last := i == len(r.ops)-1
		if r.ops[i].progress == done || last {
			return r.ops[i].progress, nil
		}
		r.ops = slices.Delete(r.ops, i, i+1) // others have acted since it failed: it begins again
	}
	r.ops = append(r.ops, operation{id: want.OpID, deployment: want.Deployment, fence: want.Fence})
	r.ops = r.ops[max(len(r.ops)-kept, 0):]
	return begun, nil
}

func (r *Router) converge(ctx context.Context, want adg.Desired, before progress) error {
	if before == begun {
		if err := r.start(ctx, want.Releases); err != nil {
			return err
		}
		r.move(want)
	}
	for _, u := range r.without(want.Releases) {
		select {
		case <-r.idle(u):
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "the shares are changed, requests still run at %s: %w", u.release.Version, context.Cause(ctx))
		}
		if wanted(want.Releases, u.release.Version) {
			continue // idle: it goes on running
		}
		if err := r.options.Stop(ctx, u.release); err != nil {
			return err
		}
		r.forget(u)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops[r.find(want.OpID)].progress = done
	return nil
}

// start makes every release run.
func (r *Router) start(ctx context.Context, releases []adg.Placement) error {
	for _, p := range releases {
		r.mu.Lock()
		_, runs := r.upstreams[p.Release.Version]
		r.mu.Unlock()
		if runs {
			continue
		}
		addr, err := r.options.Start(ctx, p.Release)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.upstreams[p.Release.Version] = newUpstream(p.Release, addr)
		r.mu.Unlock()
	}
	return nil
}

func (r *Router) move(want adg.Desired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shares = slices.Clone(want.Releases)
	r.ops[r.find(want.OpID)].progress = moved
	r.moves = append(r.moves, Move{At: time.Now(), OpID: want.OpID, Fence: want.Fence, Releases: slices.Clone(want.Releases)})
	r.moves = r.moves[max(len(r.moves)-kept, 0):]
}

// without are the upstreams that get no requests any more, in the order of their versions.
func (r *Router) without(releases []adg.Placement) []*upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*upstream
	for _, version := range slices.Sorted(maps.Keys(r.upstreams)) {
		served := slices.ContainsFunc(releases, func(p adg.Placement) bool { return p.Release.Version == version && p.Share > 0 })
		if !served {
			found = append(found, r.upstreams[version])
		}
	}
	return found
}

func (r *Router) forget(u *upstream) {
	u.transport.CloseIdleConnections()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.upstreams, u.release.Version)
}

func (r *Router) find(op string) int {
	return slices.IndexFunc(r.ops, func(o operation) bool { return o.id == op })
}

// observed is what is served, and whether the last operation came to its end.
func (r *Router) observed() adg.Observed {
	seen := adg.Observed{Releases: slices.Clone(r.shares), Done: true}
	if n := len(r.ops); n > 0 {
		seen.Done, seen.OpID = r.ops[n-1].progress == done, r.ops[n-1].id
	}
	return seen
}

func wanted(releases []adg.Placement, version string) bool {
	return slices.ContainsFunc(releases, func(p adg.Placement) bool { return p.Release.Version == version })
}
