package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
)

// A database begins without a write-ahead log: who is killed then leaves a journal that has to be rolled back.
func TestDatabaseOfAProcessThatWasKilledWhileItMadeItIsOpened(t *testing.T) {
	begun, left := t.TempDir(), t.TempDir()
	path := filepath.Join(begun, databaseName)
	must(t, touch(path))
	db, err := openRaw(path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	must(t, migrate(t.Context(), db))
	for _, statement := range []string{
		"PRAGMA cache_size = 1", "BEGIN", "CREATE TABLE half (x)",
		"INSERT INTO half WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT randomblob(1000) FROM n",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	for _, name := range []string{databaseName, databaseName + "-journal"} {
		text, err := os.ReadFile(filepath.Join(begun, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(left, name), text, 0o600))
	}
	s, err := Open(t.Context(), left, Options{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	var tables int
	must(t, s.reads.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name = 'half'").Scan(&tables))
	if tables != 0 {
		t.Error("what was left half-way is there")
	}
}

// openRaw opens a database as SQLite does by itself.
func openRaw(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, "rw", "journal_mode(DELETE)"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}
