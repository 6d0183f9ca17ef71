package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/deployguardian/adg"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a database as ours, so that another program's is never taken for one ("ADG1").
const applicationID = 0x41444731

// inspect looks at a database without changing it: a file that is none of ours, or newer than this program, is left
// alone. A file that does not exist or is empty has version 0. The mode is ro or rw: where a process was killed while it
// made the database, what it left half-way is undone first, which only one who may write can do.
func inspect(ctx context.Context, path, mode string) (version int64, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	db, err := sql.Open("sqlite", dsn(path, mode, "busy_timeout(5000)"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var id, tables int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	if tables == 0 {
		return 0, nil
	}
	if id != applicationID {
		return 0, adg.Errorf(adg.Invalid, "%s is the database of another program: use another directory", path)
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	if err == nil && version > newestSchema() {
		err = adg.Errorf(adg.Conflict, "%s was written by a newer version of adg (its schema is %d, this one knows %d): use that version", path, version, newestSchema())
	}
	return version, err
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	sources, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, sources, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Private

// newestSchema is the number of the last migration that this program knows.
func newestSchema() (newest int64) {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is a constant
	for _, name := range names {
		digits, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

// dsn names a database and what each connection to it starts with.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": pragmas, "_txlock": {"immediate"}}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}
