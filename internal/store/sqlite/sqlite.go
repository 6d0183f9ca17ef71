// Package sqlite remembers deployments in one SQLite database inside a data directory: for one process that guards,
// and for others that read along or keep documents in it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Options are the store's settings; zero fields take the defaults.
type Options struct {
	Name    string           // of the database's file; zero: adg.db
	Limits  adg.Limits       // of the fleet
	Changes []string         // the notifiers that are told of every change (adg.FactChanged)
	Clock   func() time.Time // for tests; zero: time.Now
	Log     *slog.Logger     // zero: discard
}

// Store is an adg.Store. Reads run beside each other and beside the one writer.
type Store struct {
	dir    string
	limits adg.Limits
	tell   []string // the notifiers that are told of every change
	clock  *clock
	lock   *os.File // nil: read-only
	reads  *sql.DB
	writes *sql.DB // nil: read-only
	writer *writer // nil: read-only
	close  func() error
}

var _ adg.Store = (*Store)(nil)

// Open opens or creates the database of a data directory, which belongs to this process until Close. A directory in
// use by another process is a Conflict that names it; what is no database of ours, damaged, or written by a newer
// version is refused and left as it is.
func Open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	o = o.withDefaults()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "create the data directory: %w", err)
	}
	s := &Store{dir: dir, limits: o.Limits, tell: o.Changes, clock: newClock(o.Clock)}
	s.close = sync.OnceValue(s.release)
	if s.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(explain(dir, err), s.Close())
	}
	return s, nil
}

// OpenReadOnly opens the database of a data directory for reading, also while another process writes it. Everything
// that writes is a Conflict. A directory without a database is NotFound.
func OpenReadOnly(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, databaseName)
	version, err := inspect(ctx, path, "ro")
	switch {
	case err != nil:
		return nil, explain(dir, err)
	case version == 0:
		return nil, nothingIn(dir)
	case version < newestSchema():
		return nil, adg.Errorf(adg.Conflict, "%s was written by an older version of adg: guard a deployment with this one first, that brings it up to date", dir)
	}
	s := &Store{dir: dir, clock: newClock(Options{}.withDefaults().Clock)}
	s.close = sync.OnceValue(s.release)
	if s.reads, err = openReads(path); err != nil {
		return nil, explain(dir, err)
	}
	return s, nil
}

// Close ends the store; what was not written yet is refused. A second Close does nothing.
func (s *Store) Close() error { return s.close() }

// Private

const databaseName = "adg.db"

// maxReaders is how many queries run at the same time; others wait.
const maxReaders = 4

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = databaseName
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // this is the store's clock, the only one that decides
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (s *Store) open(ctx context.Context, o Options) error {
	path := filepath.Join(s.dir, o.Name)
	version, err := inspect(ctx, path, "rw")
	if err != nil {
		return err
	}
	if err := touch(path); err != nil {
		return err
	}
	if err := s.connect(ctx, path, version, newReserve(filepath.Join(s.dir, "reserve"), s.clock.now, o.Log)); err != nil {
		return err
	}
	return s.heal(ctx)
}

// touch makes the database's file: SQLite would create it readable by everybody.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return adg.Errorf(adg.Unavailable, "create the database: %w", err)
	}
	return file.Close()
}

// connect brings the database up to date and starts its writer and its readers.
func (s *Store) connect(ctx context.Context, path string, version int64, r *reserve) (err error) {
	if s.writes, err = openWrites(path); err != nil {
		return err
	}
	if version < newestSchema() {
		if err := migrate(ctx, s.writes); err != nil {
			return err
		}
	}
	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return err
	}
	s.writer = startWriter(conn, r)
	s.reads, err = openReads(path)
	return err
}

// The writer begins with synchronous = FULL and lowers it where a commit may be lost with the power.
var (
	writePragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	readPragmas  = []string{"busy_timeout(5000)", "foreign_keys(1)", "query_only(1)"}
)

func openWrites(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "rw", writePragmas...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func openReads(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "ro", readPragmas...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(maxReaders)
	return db, nil
}

var healing = []string{
	"UPDATE deployments SET due = ?1 WHERE live = 1 AND due > ?1",
	"UPDATE deployments SET until = ?1 + ttl WHERE live = 1 AND until > ?1 + ttl",
	"UPDATE deployments SET bad_since = ?1 WHERE bad_since > ?1",
	"UPDATE outbox SET due = ?1 WHERE due > ?1",
	"UPDATE slots SET at = ?1 WHERE at > ?1",
}

// heal undoes what a process that is gone, or a clock that was wrong then, would keep this one waiting for: every
// live deployment and every delivery is due at once, a lease lasts no longer than it was taken for, and nothing lies
// in the future.
func (s *Store) heal(ctx context.Context) error {
	return s.write(ctx, true, func(t *tx) error {
		now := row.Nanos(s.clock.now())
		for _, query := range healing {
			if _, err := t.exec(query, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// write has do run by the writer. What do fills in is set only if there is no error.
func (s *Store) write(ctx context.Context, durable bool, do func(*tx) error) error {
	if s.writer == nil {
		return adg.Errorf(adg.Conflict, "the data directory %s is open for reading only", s.dir)
	}
	return explain(s.dir, s.writer.write(ctx, durable, do))
}

func (s *Store) release() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.stop())
	}
	if s.reads != nil {
		errs = append(errs, s.reads.Close())
	}
	// The last connection moves the log into the database, so it goes after the readers.
	if s.writes != nil {
		errs = append(errs, s.writes.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
