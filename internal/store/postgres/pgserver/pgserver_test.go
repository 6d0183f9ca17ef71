package pgserver

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func started(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ask(t *testing.T, s *Server, dsn, query string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), s.Program("psql"), "-Atc", query, dsn).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", query, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestServerLivesFromStartToCloseAndThroughRestarts(t *testing.T) {
	s := started(t, Options{Settings: map[string]string{"max_connections": "17"}})
	if got := ask(t, s, s.DSN(Superuser), "SHOW max_connections"); got != "17" {
		t.Errorf("max_connections is %s", got)
	}
	before, err := s.PID()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restart("immediate"); err != nil {
		t.Fatal(err)
	}
	after, err := s.PID()
	if err != nil || after == before {
		t.Errorf("process %d before the restart and %d after, %v", before, after, err)
	}
	if got := ask(t, s, s.Through(s.Address(), Superuser), "SELECT 1"); got != "1" {
		t.Errorf("over TCP: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what it wrote is left: %v", err)
	}
	if conn, err := net.Dial("tcp", s.Address()); err == nil {
		t.Error("it still answers", conn.Close())
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	_, err := Start(Options{Settings: map[string]string{"max_connections": "several"}})
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "several") {
		t.Error(err)
	}
}
