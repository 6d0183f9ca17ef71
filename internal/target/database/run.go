package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
)

// Private

// idle is the status of a connection with no transaction.
const idle = 'I'

// converge brings the schema to where it is wanted, and says what was done.
func (s *session) converge(ctx context.Context, want adg.Desired) (said string, err error) {
	folder, err := s.t.folder()
	if err != nil {
		return "", err
	}
	now, err := s.read(ctx)
	if err != nil {
		return "", err
	}
	p, err := s.t.plan(folder, now, want)
	if err != nil || len(p.steps) == 0 {
		return p.said, err
	}
	s.t.log.Info("the schema is brought to another revision", "op", want.OpID, "from", p.now, "to", p.needed, "migrations", len(p.steps), "down", p.down)
	if err := s.makeBook(ctx); err != nil {
		return "", err
	}
	if p.down {
		if err := s.progress(ctx, want.OpID, "makes a backup before migrations are taken back", ""); err != nil {
			return "", err
		}
		if err := s.backUp(ctx, want, p); err != nil {
			return "", err
		}
	}
	for i, one := range p.steps {
		text := fmt.Sprintf("runs %s, %d of %d", one, i+1, len(p.steps))
		if err := s.run(ctx, want.OpID, one, text); err != nil {
			return "", s.salvage(ctx, want, p, one, err)
		}
	}
	return p.said, nil
}

func (s *session) makeBook(ctx context.Context) error {
	const doing = "make the table of migrations"
	found, err := s.exists(ctx, s.table)
	if err != nil || found {
		return err
	}
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return s.t.explain(ctx, doing, err)
	}
	defer rollBack(ctx, tx)
	for _, statement := range s.book.create() {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return s.t.explain(ctx, doing, err)
		}
	}
	return s.explained(ctx, doing, tx.Commit(ctx))
}

// run does one step, and reads back what stands in the book then.
func (s *session) run(ctx context.Context, op string, one step, text string) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "stopped before %s: %w", one, cause)
	}
	var err error
	if one.script().NoTx {
		err = s.runAlone(ctx, op, one, text)
	} else {
		err = s.runWhole(ctx, op, one, text)
	}
	if err != nil {
		return err
	}
	now, err := s.read(ctx)
	if err != nil {
		return err
	}
	return s.arrived(one, now)
}

// arrived believes the book, not the statement that wrote it.
func (s *session) arrived(one step, now state) error {
	if s.t.format.Compare(now.revision, one.to) == 0 {
		return nil
	}
	return adg.Errorf(adg.Unavailable, "%s was run, and %s says that the schema is at revision %s: look at who else writes there", one, s.table, now.revision)
}

// runWhole does a step in one transaction with the book: it is there as a whole or not at all.
func (s *session) runWhole(ctx context.Context, op string, one step, text string) error {
	if line := one.script().EndsTransaction(); line > 0 {
		return adg.Permanent(adg.Errorf(adg.Invalid, "nothing was run: %s:%d ends the transaction that the migration runs in: take that away, or write -- +goose NO TRANSACTION", one.script().File, line))
	}
	if err := s.progress(ctx, op, text, ""); err != nil {
		return err
	}
	begun := time.Now() //nolint:forbidigo // how long a migration took is real time
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return s.t.explain(ctx, one.String(), err)
	}
	defer rollBack(ctx, tx)
	err = s.exec(ctx, one.script().Text, 0, one)
	if s.conn.PgConn().TxStatus() == idle {
		return s.escaped(ctx, op, one, text, err)
	}
	if err == nil {
		err = s.reset(ctx)
	}
	if err != nil {
		return err
	}
	took := time.Since(begun) //nolint:forbidigo // see above
	if err := s.book.done(ctx, tx, one, took); err != nil {
		return s.t.explain(ctx, "note "+one.String(), err)
	}
	now, err := s.book.read(ctx, tx)
	if err != nil {
		return s.t.explain(ctx, "read "+s.table.String(), err)
	}
	if err := s.arrived(one, now); err != nil {
		return err // and nothing is kept
	}
	return s.explained(ctx, "commit "+one.String(), tx.Commit(ctx))
}

// escaped writes down that a step has ended the transaction that it was run in: nobody knows what is kept of it.
func (s *session) escaped(ctx context.Context, op string, one step, text string, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if failed == nil {
		failed = adg.Permanent(adg.Errorf(adg.Invalid, "%s has ended the transaction that it was run in: take that away, or write -- +goose NO TRANSACTION", one.script().File))
	}
	if err := s.reset(ctx); err != nil {
		return errors.Join(halfDone{failed}, err)
	}
	if err := s.progress(ctx, op, text, s.underWay(one)); err != nil {
		return errors.Join(halfDone{failed}, err)
	}
	if err := s.book.begin(ctx, s.conn, one); err != nil {
		return errors.Join(halfDone{failed}, s.t.explain(ctx, "note "+one.String(), err))
	}
	return halfDone{failed}
}

// runAlone does a step statement by statement. It is noted before as half done, and after as done.
func (s *session) runAlone(ctx context.Context, op string, one step, text string) error {
	if err := s.progress(ctx, op, text, s.underWay(one)); err != nil {
		return err
	}
	if err := s.book.begin(ctx, s.conn, one); err != nil {
		return s.t.explain(ctx, "note "+one.String(), err)
	}
	begun := time.Now() //nolint:forbidigo // how long a migration took is real time
	if err := s.execEach(ctx, one); err != nil {
		return halfDone{err}
	}
	took := time.Since(begun) //nolint:forbidigo // see above
	if err := s.book.done(ctx, s.conn, one, took); err != nil {
		return s.t.explain(ctx, "note "+one.String(), err)
	}
	return s.progress(ctx, op, text, "")
}

// execEach runs a script statement by statement, and leaves nothing open behind it.
func (s *session) execEach(ctx context.Context, one step) error {
	for _, statement := range migration.Split(one.script().Text) {
		if err := s.exec(ctx, statement.Text, statement.Line-1, one); err != nil {
			_ = s.settle(ctx) // why the script failed says more
			return err
		}
	}
	left := s.conn.PgConn().TxStatus() != idle
	if err := s.settle(ctx); err != nil || !left {
		return err
	}
	return adg.Permanent(adg.Errorf(adg.Invalid, "%s begins a transaction and does not end it, and what was done in there is undone: write COMMIT at its end", one.script().File))
}

// settle ends a transaction that a script has left open, and puts the session's settings back, also after the context has
// ended.
func (s *session) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if s.conn.PgConn().TxStatus() != idle {
		if _, err := s.conn.Exec(ctx, "ROLLBACK"); err != nil {
			return s.t.explain(ctx, "end the transaction that a migration has left open", err)
		}
	}
	return s.reset(ctx)
}

// reset puts back the session's settings, which a script may have changed.
func (s *session) reset(ctx context.Context) error {
	if _, err := s.conn.PgConn().Exec(ctx, "RESET ROLE; RESET ALL").ReadAll(); err != nil {
		return s.t.explain(ctx, "put the session's settings back", err)
	}
	return s.limit(ctx)
}

// underWay is what the journal says of a step without a transaction, where the tool's own book cannot.
func (s *session) underWay(one step) string {
	switch s.t.format {
	case migration.Goose, migration.SQL:
		return one.String()
	case migration.GolangMigrate, migration.Flyway:
	}
	return ""
}

// halfDone is an error after which nobody knows how far a migration came.
type halfDone struct{ error }

// Unwrap gives the cause.
func (h halfDone) Unwrap() error { return h.error }

// exec runs SQL as it is written. lines is how many come before it in the script.
func (s *session) exec(ctx context.Context, text string, lines int, one step) error {
	_, err := s.conn.PgConn().Exec(ctx, text).ReadAll()
	if err == nil {
		return nil
	}
	where := one.script().File
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Position > 0 {
		before := []rune(text)
		before = before[:min(int(server.Position)-1, len(before))]
		where = fmt.Sprintf("%s:%d", where, one.script().Line+lines+strings.Count(string(before), "\n"))
	}
	return s.t.explain(ctx, one.String()+" failed: "+where, err)
}
