package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Health is how a connection has been answering on this server, since it started.
type Health struct {
	Success time.Time // it answered last; zero: never
	Failure time.Time // it failed last; zero: never
	Error   string    // what the last failure was
	Latency time.Duration
}

// Health is how a connection has been answering. Latency is the median of its last 100 calls.
func (w *World) Health(name string) Health { return w.health.named(name).now() }

// Private

// recent is how many calls the latency is of.
const recent = 100

// histories are those of all connections, by name.
type histories struct {
	mu sync.Mutex
	of map[string]*history
}

func (h *histories) named(name string) *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, found := h.of[name]
	if !found {
		one = &history{}
		h.of[name] = one
	}
	return one
}

// history is what became of the calls of one connection.
type history struct {
	mu    sync.Mutex
	last  Health
	took  [recent]time.Duration
	calls int
}

// called puts a call on record. One that was given up by whoever made it says nothing.
func (h *history) called(begin time.Time, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	end := time.Now() //nolint:forbidigo // how a connection answers is real time, and decides nothing
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took[h.calls%recent] = end.Sub(begin)
	h.calls++
	if err != nil {
		h.last.Failure, h.last.Error = end, err.Error()
		return
	}
	h.last.Success = end
}

func (h *history) now() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.last
	if n := min(h.calls, recent); n > 0 {
		now.Latency = slices.Sorted(slices.Values(h.took[:n]))[n/2]
	}
	return now
}

// asked is the time now, for called.
func asked() time.Time { return time.Now() } //nolint:forbidigo // see called

type watchedSource struct {
	adg.Source
	history *history
}

func (s watchedSource) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	begin := asked()
	answer, err := s.Source.Query(ctx, q)
	s.history.called(begin, err)
	return answer, err
}

func (s watchedSource) Lines(ctx context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	begin := asked()
	answer, err := adg.AskLines(ctx, s.Source, q)
	s.history.called(begin, err)
	return answer, err
}

func (s watchedSource) ForLines(text string) bool { return adg.ForLines(s.Source, text) }

func (s watchedSource) Close() error { return closeIt(s.Source) }

type watchedTarget struct {
	adg.Target
	history *history
}

func (t watchedTarget) Unwrap() adg.Target { return t.Target }

func (t watchedTarget) Current(ctx context.Context) (adg.Observed, error) {
	begin := asked()
	seen, err := t.Target.Current(ctx)
	t.history.called(begin, err)
	return seen, err
}

func (t watchedTarget) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	begin := asked()
	seen, err := t.Target.Apply(ctx, want)
	t.history.called(begin, err)
	return seen, err
}

func (t watchedTarget) Close() error { return closeIt(t.Target) }

type watchedNotifier struct {
	adg.Notifier
	history *history
}

func (n watchedNotifier) Notify(ctx context.Context, f adg.Fact) error {
	begin := asked()
	err := n.Notifier.Notify(ctx, f)
	n.history.called(begin, err)
	return err
}

func (n watchedNotifier) Close() error { return closeIt(n.Notifier) }
