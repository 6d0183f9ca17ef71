package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Archive is everything in a data directory as it was when it was opened. Until Close nobody else guards with the
// directory. It is not safe for concurrent use.
type Archive struct {
	dir  string
	lock *os.File
	db   *sql.DB
	conn *sql.Conn // with the transaction that sees one moment
}

var _ row.Archive = (*Archive)(nil)

// OpenArchive opens a data directory in order to read all of it. One in use is a Conflict that names by whom, one without
// a database is NotFound. What an older version has left is brought up to date first; nothing else is changed.
func OpenArchive(ctx context.Context, dir string) (_ *Archive, err error) {
	path := filepath.Join(dir, databaseName)
	version, err := inspect(ctx, path, "ro")
	switch {
	case err != nil:
		return nil, explain(dir, err)
	case version == 0:
		return nil, nothingIn(dir)
	case version < newestSchema():
		if err := updateFree(ctx, dir, databaseName); err != nil {
			return nil, explain(dir, err)
		}
	}
	a := &Archive{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(explain(dir, err), a.Close())
		}
	}()
	if a.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if a.db, err = openReads(path); err != nil {
		return nil, err
	}
	if a.conn, err = a.db.Conn(ctx); err != nil {
		return nil, err
	}
	// Whoever keeps documents beside may still write: the first statement after BEGIN fixes what is seen here.
	if _, err = a.conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return nil, err
	}
	return a, a.conn.QueryRowContext(ctx, "SELECT max(n) FROM deployments").Scan(new(sql.NullInt64))
}

// Count is how many rows a table has.
func (a *Archive) Count(ctx context.Context, t row.Table) (count int64, err error) {
	err = a.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+t.Name).Scan(&count)
	return count, explain(a.dir, err)
}

// Rows are the rows of a table.
func (a *Archive) Rows(ctx context.Context, t row.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := a.conn.QueryContext(ctx, archiveQuery(t))
		if err != nil {
			yield(nil, explain(a.dir, err))
			return
		}
		defer func() { _ = rows.Close() }() // what went wrong is in Err
		cells := cellsOf(t)
		for rows.Next() {
			if err := rows.Scan(cells.dest...); err != nil {
				yield(nil, explain(a.dir, err))
				return
			}
			if !yield(cells.values(), nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, explain(a.dir, err))
		}
	}
}

// Close gives the directory back. A second Close does nothing.
func (a *Archive) Close() error {
	var errs []error
	if a.conn != nil {
		errs = append(errs, a.conn.Close())
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	*a = Archive{dir: a.dir}
	return errors.Join(errs...)
}

// Private

// elsewhere says where a column is found that has another name here, or none.
var elsewhere = map[string]string{
	"facts.service":     "coalesce((SELECT d.service FROM deployments d WHERE d.n = facts.deployment), facts.service)",
	"facts.environment": "coalesce((SELECT d.environment FROM deployments d WHERE d.n = facts.deployment), facts.environment)",
	"facts.kind":        "fact ->> 'kind'",
	"facts.cursor":      "n",
	"stops.ended_by":    "coalesce(ended_by, '')",
	"audit.origin":      "address",
}

func archiveQuery(t row.Table) string {
	columns := t.Names()
	for i, name := range columns {
		if found, other := elsewhere[t.Name+"."+name]; other {
			columns[i] = found
		}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + t.Name + " ORDER BY 1"
}

// cells are what one row is read into.
type cells struct {
	table row.Table
	dest  []any
	row   []any
}

func cellsOf(t row.Table) cells {
	c := cells{table: t, row: make([]any, len(t.Columns))}
	for _, column := range t.Columns {
		var dest any
		switch column.Holds {
		case row.Number:
			dest = new(sql.NullInt64)
		case row.Truth:
			dest = new(sql.NullBool)
		case row.Text:
			dest = new(sql.NullString)
		case row.Bytes:
			dest = new([]byte)
		}
		c.dest = append(c.dest, dest)
	}
	return c
}

func (c cells) values() []any {
	for i, dest := range c.dest {
		c.row[i] = nil
		switch v := dest.(type) {
		case *sql.NullInt64:
			if v.Valid {
				c.row[i] = v.Int64
			}
		case *sql.NullBool:
			if v.Valid {
				c.row[i] = v.Bool
			}
		case *sql.NullString:
			if v.Valid {
				c.row[i] = v.String
			}
		case *[]byte:
			c.row[i] = append([]byte{}, *v...) // never nil: no bytes are bytes, too
		}
	}
	return c.row
}

func nothingIn(dir string) error {
	return adg.Errorf(adg.NotFound, "%s holds no deployments: nothing was guarded with this data directory yet", dir)
}
