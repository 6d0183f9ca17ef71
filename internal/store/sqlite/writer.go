package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// writer is the one that writes. Everything that waits is written in one transaction, each write in a savepoint of
// its own, so that one that fails spoils no other; what has to survive a power cut shares one fsync.
type writer struct {
	conn     *sql.Conn
	reserve  *reserve
	prepared map[string]*sql.Stmt
	synced   bool // the connection is at synchronous = FULL
	jobs     chan *job
	quit     chan struct{}
	ended    sync.WaitGroup
}

// job is one write. do may run again, after everything that it did before was undone.
type job struct {
	ctx     context.Context
	durable bool // on disk when it returns, also if the power fails
	do      func(*tx) error
	err     error
	done    chan struct{}
}

// tx is what a job writes with. Its statements take no context: a batch is short, and is never left half-way.
type tx struct {
	*writer
	tight bool // the disk is full: write nothing that can be missed
}

// maxBatch bounds how long a commit waits for the others in its batch.
const maxBatch = 256

func startWriter(conn *sql.Conn, r *reserve) *writer {
	w := &writer{conn: conn, reserve: r, prepared: map[string]*sql.Stmt{}, synced: true, jobs: make(chan *job), quit: make(chan struct{})}
	w.ended.Go(w.run)
	return w
}

// write has do run in a transaction and returns when that has ended. A context that ends before the transaction
// begins changes nothing; after that it is too late, and the answer is what was written.
func (w *writer) write(ctx context.Context, durable bool, do func(*tx) error) error {
	j := &job{ctx: ctx, durable: durable, do: do, done: make(chan struct{})}
	select {
	case <-w.quit:
		return errClosed
	default:
	}
	select {
	case w.jobs <- j:
		<-j.done
		return j.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.quit:
		return errClosed
	}
}

// stop lets the batch that is being written end, and refuses all others.
func (w *writer) stop() error {
	close(w.quit)
	w.ended.Wait()
	var errs []error
	for _, s := range w.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// exec runs a statement and says how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	s, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row; none is sql.ErrNoRows.
func (t *tx) row(dest []any, query string, args ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(dest...)
}

// rows reads rows, one call of scan for each.
func (t *tx) rows(scan func(*sql.Rows) error, query string, args ...any) error {
	s, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	return scanAll(rows, scan)
}

// Private

func (w *writer) run() {
	for {
		select {
		case j := <-w.jobs:
			batch := w.collect(j)
			w.commit(batch)
			for _, j := range batch {
				close(j.done)
			}
		case <-w.quit:
			return
		}
	}
}

// collect adds what waits already; it waits for nothing.
func (w *writer) collect(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch. On a full disk it tries once more with the reserve, and writes what matters only.
func (w *writer) commit(batch []*job) {
	w.reserve.restore()
	err := w.attempt(batch)
	if full(err) && w.reserve.release() {
		w.recycle("RESTART")
		err = w.attempt(batch)
	}
	if err == nil && w.reserve.gone() {
		w.recycle("PASSIVE")
	}
	if full(err) && len(batch) > 1 {
		// One that is too large for what is left must not keep the others out.
		for i := range batch {
			w.commit(batch[i : i+1])
		}
		return
	}
	if err != nil {
		for _, j := range batch {
			j.err = err
		}
	}
}

// recycle moves what the log holds to where it belongs, so that its room can be used again. On a full disk that is done
// after each commit: a log that has grown into the last room leaves none for the database to grow into, and is stuck.
func (w *writer) recycle(how string) {
	_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint("+how+")")
}

// attempt is one transaction. An error undid everything; errors of single jobs are theirs.
func (w *writer) attempt(batch []*job) (err error) {
	durable := false
	for _, j := range batch {
		durable = durable || j.durable
	}
	if err := w.synchronous(durable); err != nil {
		return err
	}
	t := &tx{writer: w, tight: w.reserve.gone()}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// SQLite may have rolled back already: then there is nothing to do, and it says so.
			_, _ = t.exec("ROLLBACK")
		}
	}()
	for _, j := range batch {
		if err := t.single(j); err != nil {
			return err
		}
	}
	_, err = t.exec("COMMIT")
	return err
}

// single runs one job in its savepoint. It returns what ends the whole batch.
func (t *tx) single(j *job) error {
	if j.ctx.Err() != nil {
		j.err = context.Cause(j.ctx)
		return nil
	}
	if _, err := t.exec("SAVEPOINT job"); err != nil {
		return err
	}
	j.err = j.do(t)
	if fatal(j.err) {
		return j.err
	}
	if j.err != nil {
		if _, err := t.exec("ROLLBACK TO job"); err != nil {
			return err
		}
	}
	_, err := t.exec("RELEASE job")
	return err
}

// synchronous says whether the next commit waits for the disk. It cannot be changed inside a transaction, and it has
// to be run, not prepared.
func (w *writer) synchronous(durable bool) error {
	if durable == w.synced {
		return nil
	}
	level := "NORMAL"
	if durable {
		level = "FULL"
	}
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA synchronous = "+level); err != nil {
		return err
	}
	w.synced = durable
	return nil
}

// stmt prepares each statement once. All of them are constants of this package.
func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if s, ok := w.prepared[query]; ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.prepared[query] = s
	return s, nil
}

func scanAll(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
