package live

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Deployments tells of single deployments when they have changed. It is safe for concurrent use.
type Deployments struct {
	store adg.Deployments
	pulse *pulse

	mu      sync.Mutex
	watched map[string]*watched
}

// NewDeployments makes one that asks the store that often; zero: Every.
func NewDeployments(store adg.Deployments, every time.Duration) *Deployments {
	d := &Deployments{store: store, watched: map[string]*watched{}}
	d.pulse = newPulse(every, d.read)
	return d
}

// Follow calls see with a deployment, which was just read, and again each time that it has changed, until it has ended,
// the context ends, the store cannot be read, or see gives an error. Changes that follow each other closely may be seen
// as one. All who follow a deployment see the same one: it is not to be written to.
func (w *Deployments) Follow(ctx context.Context, d adg.Deployment, see func(adg.Deployment) error) error {
	one := w.watch(d)
	defer w.unwatch(d.ID)
	leave, err := w.pulse.join(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for {
		if err := see(d); err != nil || d.Status.State.Ended() {
			return err
		}
		for seen := d.Version; d.Version <= seen; {
			failed := w.pulse.next()
			now, changed := w.current(one)
			if d = now; d.Version > seen {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-changed:
			case <-failed:
				if err := w.pulse.failure(); err != nil {
					return err
				}
			}
		}
	}
}

// Private

// watched is a deployment that somebody follows.
type watched struct {
	watchers int
	now      adg.Deployment
	changed  chan struct{} // closed at the next change
}

func (w *Deployments) watch(d adg.Deployment) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.watched[d.ID]
	if one == nil {
		one = &watched{now: d, changed: make(chan struct{})}
		w.watched[d.ID] = one
	}
	one.watchers++
	one.become(d)
	return one
}

func (w *Deployments) unwatch(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.watched[id]; one.watchers > 1 {
		one.watchers--
	} else {
		delete(w.watched, id)
	}
}

func (w *Deployments) current(one *watched) (adg.Deployment, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return one.now, one.changed
}

// become tells of a newer version.
func (one *watched) become(d adg.Deployment) {
	if d.Version > one.now.Version {
		one.now = d
		close(one.changed)
		one.changed = make(chan struct{})
	}
}

func (w *Deployments) read(ctx context.Context, _ bool) (news bool, err error) {
	w.mu.Lock()
	known := make(map[string]int64, len(w.watched))
	for id, one := range w.watched {
		known[id] = one.now.Version
	}
	w.mu.Unlock()
	versions, err := w.store.Versions(ctx, slices.AppendSeq([]string{}, maps.Keys(known)))
	if err != nil {
		return false, err
	}
	var changed []string
	for id, version := range versions {
		if version > known[id] {
			changed = append(changed, id)
		}
	}
	// Those who follow a deployment are woken one by one: there are no news for all.
	return false, each(ctx, w.store, changed, func(d adg.Deployment) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if one := w.watched[d.ID]; one != nil {
			one.become(d)
		}
	})
}

// each reads deployments.
func each(ctx context.Context, store adg.Deployments, ids []string, do func(adg.Deployment)) error {
	for part := range slices.Chunk(ids, pageSize) {
		page, err := store.ListDeployments(ctx, adg.DeploymentFilter{IDs: part, Limit: pageSize})
		if err != nil {
			return err
		}
		for _, d := range page {
			do(d)
		}
	}
	return nil
}
