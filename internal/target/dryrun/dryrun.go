// Package dryrun wraps a target so that nothing is changed: Apply says what it would do, and from then on the state
// is reported as if it had been done.
package dryrun

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/deployguardian/adg"
)

// New wraps a target. What would be done goes to host.Log, once per operation.
func New(inner adg.Target, host adg.Host) adg.Target {
	log := host.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &target{inner: inner, log: log, fences: map[string]int64{}}
}

// Private

type target struct {
	inner adg.Target
	log   *slog.Logger

	mu        sync.Mutex
	simulated *adg.Observed // nil: nothing was applied yet, so reality counts
	fences    map[string]int64
}

// Can is what the target can.
func (t *target) Can() adg.Capabilities { return t.inner.Can() }

// Current reads the real state, so that what fails in earnest fails here too, and returns the simulated one if there
// is one.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	live, err := t.inner.Current(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state(live), nil
}

// Apply refuses what a target refuses, and changes nothing but the simulation.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	live, err := t.inner.Current(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	if cause := context.Cause(ctx); cause != nil { // a target that reports nothing may not have noticed
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "simulate %s: %w", want.OpID, cause)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if want.Fence < t.fences[want.Deployment] {
		return adg.Observed{}, adg.ErrFenced
	}
	t.fences[want.Deployment] = want.Fence
	before := t.state(live)
	if t.simulated != nil && before.OpID == want.OpID {
		return before, nil
	}
	text := "dry run: would bring " + changes(before, want)
	t.log.Info(text, "op", want.OpID, "deployment", want.Deployment, "rollback", want.Rollback)
	t.simulated = &adg.Observed{Releases: slices.Clone(want.Releases), Done: true, Text: text, OpID: want.OpID}
	return t.state(live), nil
}

// Check has the target look at this machine, which changes nothing.
func (t *target) Check() error {
	if inner, can := adg.PowerOf[adg.Checker](t.inner); can {
		return inner.Check()
	}
	return nil
}

// Rehearse changes nothing anyway.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if inner, can := adg.PowerOf[adg.Rehearser](t.inner); can {
		return inner.Rehearse(ctx, want)
	}
	return nil, nil
}

// Close closes the target, where it can be closed.
func (t *target) Close() error {
	if c, ok := t.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// state is the simulated state if there is one, in a copy that the caller may keep.
func (t *target) state(live adg.Observed) adg.Observed {
	if t.simulated == nil {
		return live
	}
	seen := *t.simulated
	seen.Releases = slices.Clone(seen.Releases)
	return seen
}

// changes says what differs, for people.
func changes(before adg.Observed, want adg.Desired) string {
	var parts []string
	for _, p := range want.Releases {
		share, found := before.Share(p.Release.Version)
		from := fmt.Sprintf("%g %%", share)
		if !found {
			from = "nowhere"
		}
		parts = append(parts, fmt.Sprintf("%s from %s to %g %%", p.Release.Version, from, p.Share))
	}
	for _, p := range before.Releases {
		wanted := slices.ContainsFunc(want.Releases, func(w adg.Placement) bool { return w.Release.Version == p.Release.Version })
		if !wanted {
			parts = append(parts, fmt.Sprintf("%s from %g %% to nowhere", p.Release.Version, p.Share))
		}
	}
	return strings.Join(parts, ", ")
}
