package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/deployguardian/adg"
)

// Migrations only ever add: tables, columns that have a default, indexes. A replica of the version before knows nothing
// of them, goes on, and may start again. What nobody needs any more is taken away two versions later: one version stops
// using it and raises understood, the next takes it away with a migration that begins a new thousand. The thousands of a
// schema's number are its mark; whoever does not understand it is refused.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Private

const (
	understood = 0 // the highest mark of a schema that this version works with
	thousand   = 1000

	versionTable = "adg_schema_version"
	// migrationLock keeps replicas that start at the same time from migrating at the same time.
	migrationLock = 0x41444731_00000001
	// Waiting for a table's lock keeps everybody else from the table, so a migration does not wait for long: it lets
	// them pass and tries again. One that makes an index CONCURRENTLY gives itself more time.
	migrationLimits = "SET statement_timeout = 0; SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = 0"
	lockTries       = 300 // a second apart
	migrationTries  = 10  // likewise
)

func shipped() fs.FS {
	sources, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("postgres: " + err.Error()) // the name is a constant
	}
	return sources
}

// upToDate migrates a database that is older than the sources. One with a mark that is not understood is a Conflict, also
// if it got that while this waited for its turn.
func upToDate(ctx context.Context, config *pgx.ConnConfig, sources fs.FS, log *slog.Logger) (err error) {
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, migrationLimits)
		return err
	}))
	defer func() { err = errors.Join(err, db.Close()) }()
	newest := newestIn(sources)
	version, err := inspect(ctx, db)
	if err != nil || version >= newest {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, lockTries))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, sources, goose.WithTableName(versionTable), goose.WithSessionLocker(locker),
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if err := migrate(ctx, provider, log); err != nil {
		return err
	}
	_, err = inspect(ctx, db)
	return err
}

// migrate tries again where somebody works with a table for long, as a backup does.
func migrate(ctx context.Context, provider *goose.Provider, log *slog.Logger) error {
	for try := 1; ; try++ {
		done, err := provider.Up(ctx)
		for _, m := range done {
			log.Info("the database was brought up to date", "migration", m.Source.Version, "took", m.Duration.Round(time.Millisecond))
		}
		if codeOf(err) != locked && !passing(err) || try == migrationTries {
			return err
		}
		log.Warn("the database is not up to date yet, somebody works with one of its tables for long", "try", try)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// inspect is the version of the schema, 0 where there is none yet.
func inspect(ctx context.Context, db *sql.DB) (version int64, err error) {
	exists := false
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", versionTable).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&version)
	if mark := version / thousand; err == nil && mark > understood {
		err = adg.Errorf(adg.Conflict, "the database was written by a newer version of adg (its schema has the mark %d, this one understands %d): use that version", mark, understood)
	}
	return version, err
}

// newestIn is the number of the last migration.
func newestIn(sources fs.FS) (newest int64) {
	names, _ := fs.Glob(sources, "*.sql") // the pattern is a constant
	for _, name := range names {
		digits, _, _ := strings.Cut(name, "_")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}
