package postgres

import (
	"context"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Fill brings a database up to date and stores everything of an archive in it, in one transaction: whatever goes wrong,
// nothing is there. It tells how far it is, now and then, and in the end how many rows each table has, counted again where
// they are now. A database that has something in it already is a Conflict; so is an archive whose audit log is not as it
// was written. While it runs no server can write to the database.
func Fill(ctx context.Context, o Options, from row.Archive, tell func(row.Moved)) ([]row.Moved, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	if err := upToDate(ctx, config.ConnConfig, shipped(), o.Log); err != nil {
		return nil, explain(ctx, err)
	}
	patient := config.ConnConfig.Copy()
	for name := range limits {
		if strings.HasSuffix(name, "_timeout") {
			patient.RuntimeParams[name] = "0" // it takes as long as it takes, and its own process looks after it
		}
	}
	patient.RuntimeParams["lock_timeout"] = "5s"
	conn, err := pgx.ConnectConfig(ctx, patient)
	if err != nil {
		return nil, explain(ctx, err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	defer func() { _ = conn.Close(last) }() // what was not committed comes to nothing
	f := &filler{conn: conn, from: from, tell: tell}
	moved, err := f.run(ctx)
	if err != nil {
		return nil, explain(ctx, err)
	}
	return moved, f.commit(ctx)
}

// Private

// filledAtOnce is how many rows the server takes in one statement. It remembers those of one statement until it has
// checked what they refer to.
const filledAtOnce = 20_000

type filler struct {
	conn *pgx.Conn
	tx   pgx.Tx
	from row.Archive
	tell func(row.Moved)
}

func (f *filler) run(ctx context.Context) (moved []row.Moved, err error) {
	if f.tx, err = f.conn.Begin(ctx); err != nil {
		return nil, err
	}
	if err := f.claim(ctx); err != nil {
		return nil, err
	}
	for _, t := range row.Tables {
		m, err := f.fill(ctx, t)
		if err != nil {
			return nil, err
		}
		moved = append(moved, m)
	}
	if err := f.goOn(ctx); err != nil {
		return nil, err
	}
	return moved, f.verify(ctx, moved)
}

// commit goes on when the caller has gone, so that nobody is told of an end that was none.
func (f *filler) commit(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // synchronous replicas may be far behind
	defer cancel()
	if err := f.tx.Commit(last); err != nil {
		return adg.Errorf(adg.Unavailable, "PostgreSQL did not say whether the copy was stored: copy again, which is refused if it was: %w", err)
	}
	return nil
}

// claim keeps everybody else from writing and makes sure that nobody has written.
func (f *filler) claim(ctx context.Context) error {
	names := make([]string, len(row.Tables))
	for i, t := range row.Tables {
		names[i] = t.Name
	}
	if _, err := f.tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN EXCLUSIVE MODE"); err != nil {
		return err
	}
	for _, name := range names {
		filled := false
		if err := f.tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&filled); err != nil {
			return err
		}
		if filled {
			return adg.Errorf(adg.Conflict, "the database is not empty, it has %s already: nothing was copied; make an empty one for the copy", name)
		}
	}
	return nil
}

// fill copies one table, with every row that the archive has.
func (f *filler) fill(ctx context.Context, t row.Table) (m row.Moved, err error) {
	m.Table = t.Name
	if m.All, err = f.from.Count(ctx, t); err != nil {
		return m, err
	}
	next, stop := iter.Pull2(f.from.Rows(ctx, t))
	defer stop()
	f.tell(m)
	for ended := false; !ended; {
		left := filledAtOnce
		stored, err := f.tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.Names(), pgx.CopyFromFunc(func() ([]any, error) {
			if left--; left < 0 {
				return nil, nil
			}
			values, err, more := next()
			if ended = !more; ended || err != nil {
				return nil, err
			}
			return clean(t, values), nil
		}))
		m.Done += stored
		if ctx.Err() != nil {
			return m, context.Cause(ctx)
		}
		if err != nil {
			return m, adg.Errorf(adg.CodeOf(explain(ctx, err)), "copying %s, after %d of %d: %w", t.Name, m.Done, m.All, err)
		}
		f.tell(m)
	}
	return m, nil
}

// clean replaces what PostgreSQL takes for no text, and SQLite does. What is in the audit log and in documents was
// refused or replaced when it was written.
func clean(t row.Table, values []any) []any {
	for i, c := range t.Columns {
		if text, is := values[i].(string); is && c.Holds == row.Text && (!utf8.ValidString(text) || strings.ContainsRune(text, 0)) {
			values[i] = row.Readable(text)
		}
	}
	return values
}

// goOn has what is stored from now on numbered after what was copied. Cursors of events stay good.
func (f *filler) goOn(ctx context.Context) error {
	for _, t := range row.Tables {
		if t.Columns[0].Name != "n" {
			continue
		}
		sequence := "pg_get_serial_sequence('" + t.Name + "', 'n')"
		if t.Name == "standings" {
			sequence = "'standings_order'"
		}
		if _, err := f.tx.Exec(ctx, "SELECT setval("+sequence+", max(n)) FROM "+t.Name+" HAVING max(n) IS NOT NULL"); err != nil {
			return err
		}
	}
	_, err := f.tx.Exec(ctx, "SELECT setval('facts_cursor', max(cursor)) FROM facts HAVING max(cursor) IS NOT NULL")
	return err
}

// verify counts what is there and follows the chain of the audit log to its end.
func (f *filler) verify(ctx context.Context, moved []row.Moved) error {
	for _, m := range moved {
		var there int64
		if err := f.tx.QueryRow(ctx, "SELECT count(*) FROM "+m.Table).Scan(&there); err != nil {
			return err
		}
		if there != m.All || there != m.Done {
			return adg.Errorf(adg.Internal, "of %d %s, %d are there after copying %d: nothing was kept", m.All, m.Table, there, m.Done)
		}
	}
	var last adg.AuditEntry
	for {
		rows, err := f.tx.Query(ctx, "SELECT "+auditColumns+" FROM audit WHERE seq > $1 ORDER BY seq LIMIT 1000", last.Seq)
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, readAudit)
		if err != nil || len(entries) == 0 {
			return err
		}
		if err := adg.VerifyAudit(last.Seq, last.Digest, entries); err != nil {
			return adg.Errorf(adg.Conflict, "the audit log of what is copied is not as it was written, and nothing was kept: %w", err)
		}
		last = entries[len(entries)-1]
	}
}
