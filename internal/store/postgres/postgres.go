// Package postgres remembers deployments in a PostgreSQL database that any number of replicas share: who works on what
// is settled by leases and row locks, and the database's clock is everybody's.
//
// A call whose connection is lost is adg.Unavailable. What it wrote is not there, unless the connection was lost while
// the answer to the COMMIT was under way: then it may be. Every call can be repeated: one that was stored the first time
// is told so (Conflict, from CreateDeployment, Commit and WriteDocuments with a version), changes nothing (Ask, GiveBack,
// StopLine, Mark, PutHold), or is not there any more (NotFound, from Delivered, Abandon, LiftHold and ResumeLine).
// Entries of the audit log that come along, and those of AppendAudit, are on record a second time then. Take and
// Undelivered hand out what was lost when the time that it was taken for is over.
package postgres

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/recall"
)

// Options are the store's settings; zero fields take the defaults.
type Options struct {
	// DSN is a URL or a list of keywords and values, as libpq reads them. TLS is as its sslmode says; verify-full is the
	// one that is safe. It never appears in errors or logs.
	DSN      adg.Secret
	MaxConns int          // how many connections there are at most; zero: 16
	Limits   adg.Limits   // of the fleet
	Changes  []string     // the notifiers that are told of every change (adg.FactChanged)
	Log      *slog.Logger // zero: discard
}

// Store is an adg.Store. Transactions that got into each other's way are repeated before anybody hears of it.
type Store struct {
	pool   *pgxpool.Pool
	limits adg.Limits
	tell   []string // the notifiers that are told of every change
	clock  clock
	specs  *recall.Map[string, adg.Spec] // of live deployments, by their ids: they never change, and each tick needs one
	log    *slog.Logger
	close  func()

	doubtful atomic.Bool // the connections were dropped a moment ago
}

// maxSpecs bounds the memory that specs take: those past it are read again.
const maxSpecs = 16_384

var _ adg.Store = (*Store)(nil)

// Open connects to a database and brings its schema up to date, also while replicas of the version before are at work.
// One that a newer version has changed in a way that this one does not understand is a Conflict, and is left as it is.
func Open(ctx context.Context, o Options) (*Store, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	if err := upToDate(ctx, config.ConnConfig, shipped(), o.Log); err != nil {
		return nil, explain(ctx, err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, explain(ctx, err)
	}
	s := &Store{pool: pool, limits: o.Limits, tell: o.Changes, log: o.Log, specs: recall.New[string, adg.Spec](maxSpecs)}
	s.close = sync.OnceFunc(pool.Close)
	if err := s.heal(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Close ends the store after what is being read and written now. A second Close does nothing.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Private

// Tests on a busy machine wait for longer.
var (
	callTimeout   = 20 * time.Second // of one call, waiting for a connection included
	commitTimeout = 10 * time.Second // of a COMMIT, which goes on when the caller has gone
	quickTimeout  = 3 * time.Second  // of one that waits for no disk
)

const (
	pingTimeout = time.Second // of a connection that was idle, to show that somebody is there
	maxTries    = 8           // of a transaction
)

// limits hold on the server, for the day when this process is the one that hangs: a row lock ends with its transaction.
// Statements are planned once for all values: otherwise the more is stored, the more often they are planned, which takes
// longer than to do what they say. What the DSN says instead wins.
var limits = map[string]string{
	"application_name":                    "adg",
	"statement_timeout":                   "15s",
	"lock_timeout":                        "5s",
	"idle_in_transaction_session_timeout": "5s",
	"plan_cache_mode":                     "force_generic_plan",
}

func (o *Options) config() (*pgxpool.Config, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	config, err := pgxpool.ParseConfig(o.DSN.Reveal())
	if err != nil {
		// The cause repeats parts of what it could not read, and the password may be in any of them.
		return nil, adg.Errorf(adg.Invalid, "the DSN of PostgreSQL cannot be read: it has the form postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	if config.MaxConns = int32(o.MaxConns); o.MaxConns <= 0 {
		config.MaxConns = 16
	}
	if config.PingTimeout == 0 {
		config.PingTimeout = pingTimeout
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.BeforeClose = giveUp
	for name, value := range limits {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// giveUp ends the wait for the last words of a connection whose call was given up. It keeps its place in the pool until
// then: with all of them deaf nobody could ask for a quarter of a minute, although the server answers new ones.
func giveUp(conn *pgx.Conn) {
	if conn.IsClosed() {
		raw := conn.PgConn().Conn()
		time.AfterFunc(pingTimeout, func() { _ = raw.Close() })
	}
}

// tx is a transaction, and the time that it goes by.
type tx struct {
	pgx.Tx
	now int64
}

// exec runs a statement and says how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// lock waits for a lock that ends with the transaction.
func (t *tx) lock(ctx context.Context, l lockID) error {
	_, err := t.Exec(ctx, lockQuery, lockClass, l)
	return err
}

// lockID is one of the locks on what has no row of its own to lock.
type lockID int32

const (
	lockSlots lockID = 1 + iota
	lockLine
	lockEvents
	lockAudit
	lockChanges // the queues of what is of no deployment; after lockAudit
)

const (
	lockClass     int32 = 0x41444731 // "ADG1"
	documentClass int32 = 0x41444732 // with the hash of a document's key
	lockQuery           = "SELECT pg_advisory_xact_lock($1, $2)"
)

// write has do run in a transaction, once more if another one got in its way. It is on disk when it returns if it is
// durable; if not, it may be forgotten with the power. A context that ends before the COMMIT changes nothing; one that
// ends after that changes nothing of the answer.
func (s *Store) write(ctx context.Context, durable bool, do func(context.Context, *tx) error) error {
	return s.transact(ctx, durable, func(ctx context.Context, t *tx) (err error) {
		if t.now, err = s.clock.read(ctx, t); err != nil {
			return err
		}
		return do(ctx, t)
	})
}

// transact is write without the time, which do finds out itself if it needs it.
func (s *Store) transact(ctx context.Context, durable bool, do func(context.Context, *tx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for try := 1; ; try++ {
		err := s.attempt(bounded, durable, do)
		s.doubt(err)
		if try == maxTries || !passing(err) {
			return explain(ctx, err)
		}
		select {
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		case <-bounded.Done():
			return explain(ctx, err)
		}
	}
}

func (s *Store) attempt(ctx context.Context, durable bool, do func(context.Context, *tx) error) error {
	begin := "BEGIN"
	if !durable {
		begin = "BEGIN; SET LOCAL synchronous_commit = off"
	}
	begun, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return err
	}
	patience := commitTimeout
	if !durable {
		patience = quickTimeout // nothing has to reach the disk, so nothing takes long
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	// After the COMMIT it does nothing; where it fails the connection is lost, and the server does it by itself.
	defer func() { _ = begun.Rollback(last) }()
	if err := do(ctx, &tx{Tx: begun}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := begun.Commit(last); err != nil {
		return adg.Errorf(adg.Unavailable, "PostgreSQL did not say whether this was stored: read what is there, or repeat it: %w", err)
	}
	return nil
}

// collect reads rows into a list.
func collect[T any](ctx context.Context, s *Store, read func(pgx.CollectableRow) (T, error), query string, args ...any) ([]T, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := s.pool.Query(bounded, query, args...)
	if err != nil {
		s.doubt(err)
		return nil, explain(ctx, err)
	}
	all, err := pgx.AppendRows([]T(nil), rows, read)
	s.doubt(err)
	return all, explain(ctx, err)
}

// scan reads one row. None is errNone.
func (s *Store) scan(ctx context.Context, dest []any, query string, args ...any) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := s.pool.QueryRow(bounded, query, args...).Scan(dest...)
	if errors.Is(err, errNone) {
		return errNone
	}
	s.doubt(err)
	return explain(ctx, err)
}

// doubt drops the connections after one of them did not answer in time: the others lead to the same server, which may be
// gone without a word, and each would cost its own wait. It does so now and then only, so that a server that is merely
// slow is not kept busy with new ones.
func (s *Store) doubt(err error) {
	if !errors.Is(err, context.DeadlineExceeded) || !s.doubtful.CompareAndSwap(false, true) {
		return
	}
	s.pool.Reset()
	time.AfterFunc(doubtPause, func() { s.doubtful.Store(false) })
}

const doubtPause = 5 * time.Second

// errNone tells that there is no such row.
var errNone = pgx.ErrNoRows
