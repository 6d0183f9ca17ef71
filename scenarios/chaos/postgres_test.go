//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg/internal/store/postgres/pgserver"
)

// database is a PostgreSQL server that tests may restart and crash.
type database struct{ *pgserver.Server }

// startDatabase starts a server of the test's own. What was committed without waiting for the disk is written after
// walDelay; the tests that crash the server choose it.
func startDatabase(t testing.TB, walDelay time.Duration) *database {
	t.Helper()
	s, err := pgserver.Start(pgserver.Options{Settings: map[string]string{
		"max_connections": "200", "shared_buffers": "64MB", "fsync": "off", "wal_writer_delay": fmt.Sprintf("%dms", walDelay.Milliseconds()),
	}})
	if errors.Is(err, pgserver.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &database{s}
}

// dsn is the test's own way to the server, which no fault stands in.
func (d *database) dsn() string { return d.DSN(pgserver.Superuser) }

// through is the DSN of the same database by way of an address.
func (d *database) through(address string) string { return d.Through(address, pgserver.Superuser) }

// connect opens a connection of the test's own.
func (d *database) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return pgx.Connect(ctx, d.dsn())
}

// rows reads the first column of a query as lines; for stories, where an error is a line as good as any.
func (d *database) rows(query string, args ...any) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.dsn())
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { _ = conn.Close(ctx) }()
	found, err := conn.Query(ctx, query, args...)
	if err != nil {
		return []string{err.Error()}
	}
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return append(lines, err.Error())
	}
	return lines
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func joined(lines []string) string { return "  " + strings.Join(lines, "\n  ") }
