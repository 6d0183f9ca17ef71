// Package ledger remembers, in a directory of a target's own, what the target was asked for: so that operations of
// several processes never overlap, none is done by an owner whose time is over, and none is done twice.
package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// State is how far an operation came.
type State string

// The states. A Running operation whose lock is free was interrupted: nobody knows how far it came.
const (
	Running State = "running"
	Failed  State = "failed"
	Done    State = "done"
)

// Entry is one operation.
type Entry struct {
	OpID       string `json:"op_id"`
	Deployment string `json:"deployment"`
	Fence      int64  `json:"fence"`
	State      State  `json:"state"`
}

// Ledger is a directory with the file of operations and the lock. It is safe for concurrent use by many processes.
type Ledger struct{ dir string }

// New gives the ledger of a directory, which is created by the first Begin.
func New(dir string) Ledger { return Ledger{dir} }

// Operation is one that was begun; it must be ended by End.
type Operation struct {
	Before State // how far the same operation came earlier; empty: it is new
	Latest bool  // no other operation was begun since then

	ledger Ledger
	want   adg.Desired
	lock   *os.File
}

// Begin waits until every operation before has ended, those of other processes and of programs that outlived them
// included, and writes down that this one begins. An owner whose fence is older than one seen for the deployment is
// refused with adg.ErrFenced; a context that ends while waiting gives Unavailable, naming who is waited for.
//
// An operation that is Done already is not begun again: Before says so.
func (l Ledger) Begin(ctx context.Context, want adg.Desired) (*Operation, error) {
	if l.dir == "" {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the target has no directory of its own to keep its operations in"))
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "keep the target's operations: %w", err)
	}
	lock, err := l.wait(ctx)
	if err != nil {
		return nil, err
	}
	o := &Operation{ledger: l, want: want, lock: lock}
	if err := o.begin(); err != nil {
		o.End(false)
		return nil, err
	}
	return o, nil
}

// Carry does an operation between its Begin and its End, and asks what is live then. do is told how the operation went
// before, and says whether something that it started may have outlived it. Where only what is live cannot be told, the
// operation is not done yet by what is reported, and no error.
func (l Ledger) Carry(ctx context.Context, want adg.Desired, do func(context.Context, adg.Desired, *Operation) (stillRuns bool, err error), current func(context.Context) (adg.Observed, error)) (adg.Observed, error) {
	operation, err := l.Begin(ctx, want)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	stillRuns, err := do(ctx, want, operation)
	operation.End(stillRuns)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	seen, err := current(ctx)
	if err != nil {
		// What was asked for is done. What is live now is not known, and the next look may tell.
		return adg.Observed{OpID: want.OpID, Text: "applied, but " + err.Error()}, nil
	}
	return seen, nil
}

// Lock is the open lock, for a program to inherit: the lock then lives as long as the program.
func (o *Operation) Lock() *os.File { return o.lock }

// Set writes down how the operation ended; it is on disk when Set returns.
func (o *Operation) Set(state State) error {
	b, err := o.ledger.load()
	if err != nil {
		return err
	}
	b.put(o.want, state)
	return o.ledger.save(b)
}

// End lets the next operation begin. With inherited, programs that got the Lock keep it until they have ended.
func (o *Operation) End(inherited bool) {
	if !inherited {
		_ = unlock(o.lock) // the close below does the same, unless a daemon was left behind that still holds the lock
	}
	_ = o.lock.Close() // nothing was written to it
}

// Last is the operation that was begun last and the one that was done last; empty entries: there is none.
func (l Ledger) Last() (begun, done Entry, err error) {
	b, err := l.load()
	if err != nil || len(b.Ops) == 0 {
		return Entry{}, Entry{}, err
	}
	begun = b.Ops[len(b.Ops)-1]
	for _, e := range slices.Backward(b.Ops) {
		if e.State == Done {
			return begun, e, nil
		}
	}
	return begun, Entry{}, nil
}

// Lock waits for the lock of a file, which it creates where it is missing, until the context ends. The lock is held until
// the file is closed, and by programs that inherit it until they have ended too.
func Lock(ctx context.Context, path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "lock the target's directory: %w", err)
	}
	ticker := time.NewTicker(poll) // a lock that is waited for in the kernel cannot be given up when the context ends
	defer ticker.Stop()
	for {
		if ctx.Err() != nil {
			_ = lock.Close() // nothing was written to it
			return nil, adg.Errorf(adg.Unavailable, "nothing was begun, another operation may still be running: %w", context.Cause(ctx))
		}
		taken, err := tryLock(lock)
		if taken {
			return lock, nil
		}
		if err != nil {
			_ = lock.Close() // nothing was written to it
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Private

const (
	fileName = "applied.json"
	lockName = "applied.lock"
	kept     = 64 // operations remembered; a deployment needs about ten
	poll     = 10 * time.Millisecond
)

// book is the file: operations in the order in which they were begun.
type book struct {
	Ops []Entry `json:"ops"`
}

func (l Ledger) load() (book, error) {
	var b book
	_, err := Load(filepath.Join(l.dir, fileName), &b)
	return b, err
}

func (l Ledger) save(b book) error { return Save(filepath.Join(l.dir, fileName), b) }

func (l Ledger) wait(ctx context.Context) (*os.File, error) {
	lock, err := Lock(ctx, filepath.Join(l.dir, lockName))
	if err != nil && ctx.Err() != nil {
		return nil, adg.Errorf(adg.Unavailable, "%s: %w", l.waitedFor(), context.Cause(ctx))
	}
	return lock, err
}

func (l Ledger) waitedFor() string {
	if begun, _, err := l.Last(); err == nil && begun.State == Running {
		return "nothing was begun, operation " + begun.OpID + " may still be running"
	}
	return "nothing was begun"
}

func (o *Operation) begin() error {
	b, err := o.ledger.load()
	if err != nil {
		return err
	}
	for _, e := range b.Ops {
		if e.Deployment == o.want.Deployment && e.Fence > o.want.Fence {
			return adg.ErrFenced
		}
	}
	at := b.find(o.want.OpID)
	state := Running
	if at >= 0 {
		o.Before, o.Latest = b.Ops[at].State, at == len(b.Ops)-1
		if o.Before == Done {
			state = Done
		}
	}
	b.put(o.want, state)
	return o.ledger.save(b)
}

func (b book) find(op string) int {
	return slices.IndexFunc(b.Ops, func(e Entry) bool { return e.OpID == op })
}

// put keeps the place of an operation that is done, and moves one that begins again to the end.
func (b *book) put(want adg.Desired, state State) {
	entry := Entry{OpID: want.OpID, Deployment: want.Deployment, Fence: want.Fence, State: state}
	at := b.find(want.OpID)
	if at >= 0 && b.Ops[at].State == Done {
		b.Ops[at] = entry
		return
	}
	if at >= 0 {
		b.Ops = slices.Delete(b.Ops, at, at+1)
	}
	b.Ops = append(b.Ops, entry)
	b.Ops = b.Ops[max(len(b.Ops)-kept, 0):]
}
