// Package pgtest gives tests databases of their own on a private PostgreSQL server, which each test process starts
// once and which ends with it.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/deployguardian/adg/internal/store/postgres/pgserver"
)

// Database makes an empty database for a test and gives its DSN. It is dropped when the test ends, whoever is still
// connected. Where PostgreSQL is not installed the test is skipped; in CI it fails.
func Database(t testing.TB) string {
	t.Helper()
	s, dsn := running(t), Lasting(t, "")
	t.Cleanup(func() { Exec(t, s.DSN(pgserver.Superuser), "DROP DATABASE "+nameOf(t, dsn)+" WITH (FORCE)") })
	return dsn
}

// Lasting is Database for as long as the process lives. It has in it what the original has, to which nobody may be
// connected; no original, nothing.
func Lasting(t testing.TB, original string) string {
	t.Helper()
	s := running(t)
	name := fmt.Sprintf("t%d", count.Add(1))
	create := "CREATE DATABASE " + name
	if original != "" {
		create += " STRATEGY file_copy TEMPLATE " + nameOf(t, original)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := execute(ctx, s.DSN(pgserver.Superuser), create)
		// The server waits for 5 s for those who have just left the original, which take longer on a busy machine.
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == inUse && ctx.Err() == nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return s.DSN(name)
	}
}

// OverTCP is the DSN of the same database by way of the loopback interface, where the server wants a password.
func OverTCP(t testing.TB, dsn string) string {
	t.Helper()
	s := running(t)
	return s.Through(s.Address(), nameOf(t, dsn))
}

// Password is the one that OverTCP has in it.
func Password(t testing.TB) string {
	t.Helper()
	return running(t).Password()
}

// Exec runs statements in a database, as its owner.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also while the test's own context has ended
	defer cancel()
	if err := execute(ctx, dsn, statements...); err != nil {
		t.Fatal(err)
	}
}

// Run runs one of PostgreSQL's own programs, such as pg_dump.
func Run(t testing.TB, program string, args ...string) {
	t.Helper()
	s := running(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if said, err := exec.CommandContext(ctx, s.Program(program), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, said)
	}
}

// Files are those that the server keeps a database in, as they are on the disk now: its tables, the write-ahead log of
// all databases, and what the server said. Some may be gone by the time that they are read.
func Files(t testing.TB, dsn string) []string {
	t.Helper()
	s := running(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	folder := ""
	if err := conn.QueryRow(ctx, "SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()").Scan(&folder); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(s.Dir(), "log")}
	for _, folder := range []string{folder, "pg_wal"} {
		entries, err := os.ReadDir(filepath.Join(s.Dir(), "data", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() {
				files = append(files, filepath.Join(s.Dir(), "data", folder, entry.Name()))
			}
		}
	}
	return files
}

// Private

const patience = 2 * time.Minute

// inUse is the code of what is refused because somebody is connected.
const inUse = "55006"

// settings trade what a crash would lose for speed.
var settings = map[string]string{
	"fsync": "off", "full_page_writes": "off", "max_connections": "400", "shared_buffers": "64MB", "autovacuum": "off", "deadlock_timeout": "100ms", "wal_keep_size": "256MB",
}

var (
	// The server sorts text as people do, so that a column that wants the order of bytes has to say so.
	start = sync.OnceValues(func() (*pgserver.Server, error) {
		return pgserver.Start(pgserver.Options{Initdb: []string{"--locale-provider=icu", "--icu-locale=und"}, Settings: settings})
	})
	count atomic.Int64
)

// running is the server of this process.
func running(t testing.TB) *pgserver.Server {
	t.Helper()
	s, err := start()
	switch {
	case err == nil:
	case errors.Is(err, pgserver.ErrMissing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return s
}

func execute(ctx context.Context, dsn string, statements ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func nameOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}
