package pgtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	one, two := Database(t), Database(t)
	Exec(t, one, "CREATE TABLE a (n int)")
	Exec(t, two, "CREATE TABLE a (n int)")
	Exec(t, Lasting(t, one), "INSERT INTO a VALUES (1)")
	if got := rows(t, one); got != 0 {
		t.Errorf("what was written into a copy is in the original, too: %d rows", got)
	}
}

func TestLoopbackWantsThePassword(t *testing.T) {
	dsn := OverTCP(t, Database(t))
	Exec(t, dsn, "SELECT 1")
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.Password = "guess"
	if conn, err := pgx.ConnectConfig(t.Context(), c); err == nil {
		_ = conn.Close(t.Context())
		t.Error("let in with a wrong password")
	}
}

func TestFilesHoldWhatWasStored(t *testing.T) {
	dsn := Database(t)
	Exec(t, dsn, "CREATE TABLE a (n text)", "INSERT INTO a VALUES ('needle' || '-in-a-haystack')")
	found := map[string]bool{}
	for _, path := range Files(t, dsn) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "needle-in-a-haystack") {
			found[filepath.Base(filepath.Dir(filepath.Dir(path)))] = true
		}
	}
	if !found["base"] || !found["data"] {
		t.Errorf("it is found in %v, and not in a table and in the write-ahead log", found)
	}
}

func rows(t *testing.T, dsn string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM a").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
