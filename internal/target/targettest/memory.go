package targettest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
)

// Memory is a target that is its own world: what the wrappers are tested around, and the shortest program that keeps
// the contract.
type Memory struct {
	mu      sync.Mutex
	seen    adg.Observed
	fences  map[string]int64
	done    map[string]bool
	effects []Effect
	fault   *Fault
	mended  chan struct{}
	Closed  bool // set by Close
}

// NewMemory has v1 of the service shop live at 100 %.
func NewMemory() *Memory {
	return &Memory{
		seen:   adg.Observed{Releases: []adg.Placement{placed("v1", 100, adg.StableRole)}, Done: true},
		fences: map[string]int64{}, done: map[string]bool{},
	}
}

// Current is the state.
func (m *Memory) Current(ctx context.Context) (adg.Observed, error) {
	if err := m.misbehave(ctx); err != nil {
		return adg.Observed{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.observed(), nil
}

// Apply changes the state at once.
func (m *Memory) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	if err := m.misbehave(ctx); err != nil {
		return adg.Observed{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if want.Fence < m.fences[want.Deployment] {
		return adg.Observed{}, adg.ErrFenced
	}
	m.fences[want.Deployment] = want.Fence
	if m.done[want.OpID] {
		return m.observed(), nil
	}
	m.effects = append(m.effects, Effect{OpID: want.OpID, Fence: want.Fence})
	if m.fault != nil && *m.fault == Halfway {
		m.fault = nil
		m.seen.Done = false
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: failed half-way", want.OpID)
	}
	if m.fault == nil {
		m.seen.Releases = slices.Clone(want.Releases)
	}
	m.done[want.OpID], m.seen.Done, m.seen.OpID = true, true, want.OpID
	return m.observed(), nil
}

// Can is everything but the database.
func (m *Memory) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Drain: true, Reports: true}
}

// Close is on record.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Closed = true
	return nil
}

// Shares is the state as the world sees it.
func (m *Memory) Shares(*testing.T) map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	shares := map[string]float64{}
	for _, p := range m.seen.Releases {
		shares[p.Release.Version] = p.Share
	}
	maps.DeleteFunc(shares, func(_ string, share float64) bool { return share == 0 })
	return shares
}

// Effects are the changes.
func (m *Memory) Effects(*testing.T) []Effect {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.effects)
}

// Break makes it misbehave.
func (m *Memory) Break(_ *testing.T, fault Fault) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault, m.mended = &fault, make(chan struct{})
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.fault = nil
		close(m.mended)
	})
}

// Private

func (m *Memory) observed() adg.Observed {
	seen := m.seen
	seen.Releases = slices.Clone(seen.Releases)
	return seen
}

func (m *Memory) misbehave(ctx context.Context) error {
	if ctx.Err() != nil {
		return adg.Errorf(adg.Unavailable, "did nothing: %w", context.Cause(ctx))
	}
	m.mu.Lock()
	fault, mended := m.fault, m.mended
	m.mu.Unlock()
	if fault == nil || *fault == Halfway || *fault == Lie {
		return nil
	}
	if *fault == Hang {
		select {
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "no answer: %w", context.Cause(ctx))
		case <-mended:
			return nil
		}
	}
	return adg.Errorf(adg.Unavailable, "connect: %w", errors.New("connection refused"))
}
