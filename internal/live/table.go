package live

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// TableStore is what rows are read from.
type TableStore interface {
	adg.Clock
	adg.Deployments
}

// Table is a row for each live deployment, and what becomes of them. It is safe for concurrent use.
type Table[R any] struct {
	store TableStore
	pulse *pulse
	rows  RowsOf[R]
	same  func(a, b R) bool

	// The reader's alone.
	versions map[string]int64 // of the live and the newest deployments

	mu      sync.RWMutex
	live    map[string]R
	changes []Change[R] // the newest ones. Elements are never changed, so a part of it can be lent
	number  int         // of the change that comes next
	now     time.Time
}

// RowsOf makes the rows of deployments, in their order. was are the rows that there are, by id: they are not to be
// written to.
type RowsOf[R any] func(ctx context.Context, found []adg.Deployment, was map[string]R) ([]R, error)

// Change is what became of a deployment.
type Change[R any] struct {
	ID    string
	Was   R    // as it was while it was live
	Known bool // it was live before
	Is    R
	Ended bool
}

// Rows is what there is to tell.
type Rows[R any] struct {
	Live    map[string]R // by id, the first time only: all that are live
	Changes []Change[R]  // afterwards: what happened since, in order
	Now     time.Time    // the store's
}

// NewTable makes one that asks the store that often (zero: Every), with those rows. A change that leaves the row the
// same is none.
func NewTable[R any](store TableStore, every time.Duration, rows RowsOf[R], same func(a, b R) bool) *Table[R] {
	t := &Table[R]{store: store, rows: rows, same: same}
	t.pulse = newPulse(every, t.read)
	return t
}

// Follow calls see with all rows, and then with what changes, until the context ends, the store cannot be read, or see
// gives an error. If nothing changes for that long, see is called without changes. Who is so slow that changes are
// forgotten before he has seen them is Unavailable: he has to begin again. Changes that follow each other closely may be
// told as one.
func (t *Table[R]) Follow(ctx context.Context, quiet time.Duration, see func(Rows[R]) error) error {
	leave, err := t.pulse.join(ctx)
	if err != nil {
		return err
	}
	defer leave()
	rows, at := t.all()
	if err := see(rows); err != nil {
		return err
	}
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	for {
		next := t.pulse.next()
		changes, now, err := t.since(at)
		if err != nil {
			return err
		}
		at += len(changes)
		told := len(changes) > 0
		if !told {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-next:
				if err := t.pulse.failure(); err != nil {
					return err
				}
				continue
			case <-silence.C:
			}
		}
		if err := see(Rows[R]{Changes: changes, Now: now}); err != nil {
			return err
		}
		silence.Reset(quiet)
	}
}

// Private

const keptChanges = 8192 // at least, once there were so many

func (t *Table[R]) all() (rows Rows[R], at int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Rows[R]{Live: maps.Clone(t.live), Now: t.now}, t.number
}

func (t *Table[R]) since(at int) ([]Change[R], time.Time, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	first := t.number - len(t.changes)
	if at < first {
		return nil, t.now, adg.Advised(adg.Errorf(adg.Unavailable, "this watcher is too slow for what happens"), "watch again, and less of it")
	}
	return t.changes[at-first:], t.now, nil
}

func (t *Table[R]) read(ctx context.Context, first bool) (news bool, err error) {
	now, err := t.store.Now(ctx)
	if err != nil {
		return false, err
	}
	versions, err := t.store.Versions(ctx, nil)
	if err != nil {
		return false, err
	}
	if first {
		t.forget()
	}
	var changed []string
	for id, version := range versions {
		if version > t.versions[id] {
			changed = append(changed, id)
		}
	}
	// The reader is the only one who writes, so it reads without a lock.
	for id := range t.live {
		if _, there := versions[id]; !there {
			changed = append(changed, id) // it has ended
		}
	}
	slices.Sort(changed)
	var found []adg.Deployment
	if err := each(ctx, t.store, changed, func(d adg.Deployment) { found = append(found, d) }); err != nil {
		return false, err
	}
	rows, err := t.rows(ctx, found, t.live)
	if err != nil {
		return false, err
	}
	for _, d := range found {
		if _, there := versions[d.ID]; there {
			versions[d.ID] = d.Version
		}
	}
	t.versions = versions
	return t.keep(found, rows, now, first), nil
}

// forget begins again: nobody has watched for a while.
func (t *Table[R]) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.versions, t.live, t.changes = nil, map[string]R{}, nil
}

// keep puts rows into the table.
func (t *Table[R]) keep(found []adg.Deployment, rows []R, now time.Time, first bool) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	for i, d := range found {
		is, ended := rows[i], d.Status.State.Ended()
		was, known := t.live[d.ID]
		if ended {
			delete(t.live, d.ID)
		} else {
			t.live[d.ID] = is
		}
		if first || known && !ended && t.same(was, is) {
			continue
		}
		t.changes = append(t.changes, Change[R]{ID: d.ID, Was: was, Known: known, Is: is, Ended: ended})
		t.number++
		news = true
	}
	if excess := len(t.changes) - keptChanges; excess > keptChanges {
		t.changes = slices.Clone(t.changes[excess:])
	}
	return news
}
