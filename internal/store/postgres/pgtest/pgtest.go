// Package pgtest gives tests databases of their own on a private PostgreSQL server, which each test process starts
// once and which ends with it.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database makes an empty database for a test and gives its DSN. It is dropped when the test ends, whoever is still
// connected. Where PostgreSQL is not installed the test is skipped; in CI it fails.
func Database(t testing.TB) string {
	t.Helper()
	s, dsn := running(t), Lasting(t, "")
	t.Cleanup(func() { Exec(t, s.dsn(superuser), "DROP DATABASE "+nameOf(t, dsn)+" WITH (FORCE)") })
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
	Exec(t, s.dsn(superuser), create)
	return s.dsn(name)
}

// OverTCP is the DSN of the same database by way of the loopback interface, where the server wants a password.
func OverTCP(t testing.TB, dsn string) string {
	t.Helper()
	s := running(t)
	address := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Host: s.address(), Path: nameOf(t, dsn), RawQuery: "sslmode=disable"}
	return address.String()
}

// Password is the one that OverTCP has in it.
func Password(t testing.TB) string {
	t.Helper()
	return running(t).password
}

// Exec runs statements in a database, as its owner.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also while the test's own context has ended
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Private

const (
	superuser = "postgres" // and the name of its database
	patience  = 30 * time.Second
)

// server is the one of this process.
type server struct {
	dir      string // of everything that it writes, and of its socket
	port     int
	password string
	alive    io.Closer // the server ends when this is closed, at the latest with the process
}

var (
	start = sync.OnceValues(launch)
	count atomic.Int64
)

// errMissing tells that PostgreSQL is not installed.
var errMissing = fmt.Errorf("PostgreSQL is not installed: there is no initdb in %s", strings.Join(folders, " or "))

// folders are where distributions keep the server's programs, which are on nobody's path.
var folders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/bin", "/usr/bin"}

func running(t testing.TB) *server {
	t.Helper()
	s, err := start()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return s
}

func (s *server) dsn(name string) string {
	q := url.Values{"host": {s.dir}, "port": {fmt.Sprint(s.port)}, "user": {superuser}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + name, RawQuery: q.Encode()}).String()
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func nameOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// programs is the folder of the newest server that is installed; empty: none.
func programs() (newest string) {
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, "initdb")) // the patterns are constants
		for _, initdb := range found {
			newest = max(newest, filepath.Dir(initdb))
		}
		if newest != "" {
			return newest
		}
	}
	return ""
}

// launch makes a server and waits until it answers. Another program may take the port in between: then once more.
func launch() (*server, error) {
	bin := programs()
	if bin == "" {
		return nil, errMissing
	}
	var err error
	for range 3 {
		var s *server
		if s, err = launchOnce(bin); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func launchOnce(bin string) (*server, error) {
	dir, err := os.MkdirTemp("/tmp", "adg-postgres-") // a socket's path has to be short
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 12)
	_, _ = rand.Read(secret) // it never fails
	s := &server{dir: dir, port: port, password: hex.EncodeToString(secret)}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(s.password), 0o600); err != nil {
		return nil, err
	}
	if err := s.run(bin); err != nil {
		return nil, err
	}
	return s, s.await()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// await waits until the server answers.
func (s *server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.dsn(superuser))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
