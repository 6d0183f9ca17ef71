package live

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// EventStore is what events are read from.
type EventStore interface {
	adg.Clock
	adg.EventLog
}

// Events is the event log for any number of readers. It is safe for concurrent use.
type Events struct {
	store EventStore
	pulse *pulse

	mu    sync.RWMutex
	ring  []adg.Event // the newest ones, without gaps. Elements are never changed, so a part of it can be lent
	floor int64       // all events after it, up to head, are in the ring
	head  int64
	now   time.Time
}

// Page is what has happened after the page before.
type Page struct {
	Events []adg.Event // those that match; none in a sign of life
	Cursor int64       // to go on after
	Now    time.Time   // the store's
}

// NewEvents makes one that asks the store that often; zero: Every.
func NewEvents(store EventStore, every time.Duration) *Events {
	e := &Events{store: store}
	e.pulse = newPulse(every, e.read)
	return e
}

// Follow calls see with what matches the filter and has happened since f.After, and goes on with what happens, until the
// context ends, the store cannot be read, or see gives an error. No event is left out, none comes twice, and their order
// is the log's. If there is nothing to tell for that long, see is called with no events. A slow reader keeps nobody
// waiting: what is not in memory any more when he comes to it is read from the store for him.
func (e *Events) Follow(ctx context.Context, f adg.EventFilter, quiet time.Duration, see func(Page) error) error {
	leave, err := e.pulse.join(ctx)
	if err != nil {
		return err
	}
	defer leave()
	f.Limit = pageSize
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	for told := true; ; {
		next := e.pulse.next()
		page, found := e.recent(f)
		if !found {
			if page.Events, page.Cursor, err = e.store.Events(ctx, f); err != nil {
				return err
			}
		}
		if f.After = page.Cursor; told || len(page.Events) > 0 {
			if err := see(page); err != nil {
				return err
			}
			silence.Reset(quiet)
		}
		if told = false; !found {
			continue
		}
		select {
		case <-silence.C:
			told = true
		case <-next:
			if err := e.pulse.failure(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Private

const (
	ringSize = 8192 // events that are kept in memory at least, once there were so many
	pageSize = 1000
)

// recent is what matches in the ring. It is not found if there is something before it.
func (e *Events) recent(f adg.EventFilter) (page Page, found bool) {
	e.mu.RLock()
	ring, floor, head, now := e.ring, e.floor, e.head, e.now
	e.mu.RUnlock()
	page = Page{Cursor: max(f.After, head), Now: now}
	if f.After < floor {
		return page, false
	}
	ring = ring[sort.Search(len(ring), func(i int) bool { return ring[i].Cursor > f.After }):]
	for _, one := range ring {
		if matches(f, one.Fact) {
			page.Events = append(page.Events, one)
		}
	}
	return page, true
}

func matches(f adg.EventFilter, fact adg.Fact) bool {
	return (f.Deployment == "" || f.Deployment == fact.Deployment) && concerns(fact.Service, f.Service) &&
		concerns(fact.Environment, f.Environment) && (len(f.Kinds) == 0 || slices.Contains(f.Kinds, fact.Kind))
}

// concerns tells whether what is of one, or of none, which is the business of each, is meant by who asks for one, or for all.
func concerns(of, asked string) bool { return of == "" || asked == "" || of == asked }

func (e *Events) read(ctx context.Context, first bool) (news bool, err error) {
	now, err := e.store.Now(ctx)
	if err != nil {
		return false, err
	}
	if first {
		last, err := e.store.LastEvent(ctx)
		if err != nil {
			return false, err
		}
		e.mu.Lock()
		e.ring, e.floor, e.head, e.now = nil, last, last, now
		e.mu.Unlock()
		return true, nil
	}
	for range ringSize / pageSize {
		page, next, err := e.store.Events(ctx, adg.EventFilter{After: e.head, Limit: pageSize})
		if err != nil {
			return news, err
		}
		e.keep(page, next, now)
		news = news || len(page) > 0
		if len(page) < pageSize {
			break
		}
	}
	return news, nil
}

// keep adds a page to the ring, and forgets the oldest events when there are twice as many as there have to be.
func (e *Events) keep(page []adg.Event, next int64, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ring, e.head, e.now = append(e.ring, page...), next, now
	if excess := len(e.ring) - ringSize; excess > ringSize {
		e.floor = e.ring[excess-1].Cursor
		e.ring = slices.Clone(e.ring[excess:])
	}
}
