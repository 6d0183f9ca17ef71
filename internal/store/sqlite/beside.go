package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/deployguardian/adg"
)

// Beside is the documents, the audit log and the end of holds of a data directory, also while another process guards with it: whoever
// writes waits until the other has written. It gives up after 5 s, which is Unavailable. It is safe for concurrent use.
type Beside struct {
	adg.Clock
	adg.Documents
	adg.AuditLog
	store *Store
}

// OpenBeside opens the database of a data directory, and makes or updates it where it does not exist or is older. Only
// for that the directory has to be free: Conflict, if it is not.
func OpenBeside(ctx context.Context, dir string, o Options) (_ *Beside, err error) {
	o = o.withDefaults()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "create the data directory: %w", err)
	}
	s := &Store{dir: dir, limits: o.Limits, clock: newClock(o.Clock)}
	s.close = sync.OnceValue(s.release)
	if err := s.join(ctx, o.Name); err != nil {
		return nil, errors.Join(explain(dir, err), s.Close())
	}
	return &Beside{Clock: s, Documents: s, AuditLog: s, store: s}, nil
}

// LiftHold ends a hold; NotFound where there is none.
func (b *Beside) LiftHold(ctx context.Context, service, environment, identity string, entries ...adg.AuditEntry) error {
	return b.store.LiftHold(ctx, service, environment, identity, entries...)
}

// Close ends it; what was not written yet is refused. A second Close does nothing.
func (b *Beside) Close() error { return b.store.Close() }

// Private

// join opens the database without the lock. It has no reserve: what is left on a full disk is for decisions.
func (s *Store) join(ctx context.Context, name string) error {
	path := filepath.Join(s.dir, name)
	version, err := inspect(ctx, path, "ro")
	if err != nil {
		return err
	}
	if version < newestSchema() {
		if err := updateFree(ctx, s.dir, name); err != nil {
			return err
		}
	}
	return s.connect(ctx, path, newestSchema(), nil)
}

// updateFree makes or updates the database of a directory that nobody uses. It has the lock no longer than that.
func updateFree(ctx context.Context, dir, name string) (err error) {
	path := filepath.Join(dir, name)
	held, busy := lock(dir)
	if busy == nil {
		defer func() { err = errors.Join(err, held.Close()) }()
	}
	// Whoever has or had the lock may just have brought it up to date.
	version, err := inspect(ctx, path, "ro")
	switch {
	case err != nil || version == newestSchema():
		return err
	case adg.CodeOf(busy) == adg.Conflict:
		return adg.Errorf(adg.Conflict, "the database in %s has to be brought up to date first, which needs the directory for itself: %w", dir, busy)
	case busy != nil:
		return busy
	}
	if err := touch(path); err != nil {
		return err
	}
	db, err := openWrites(path)
	if err != nil {
		return err
	}
	return errors.Join(migrate(ctx, db), db.Close())
}
