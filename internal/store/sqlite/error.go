package sqlite

import (
	"context"
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/deployguardian/adg"
)

// errClosed refuses what comes after Close.
var errClosed = adg.Errorf(adg.Unavailable, "the store is closed")

// explain turns an error of the database into one that says what to do. Those that have a code already, and the end
// of a context, stay.
func explain(dir string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, coded := errors.AsType[*adg.Error](err); coded {
		return err
	}
	if full(err) {
		return adg.Errorf(adg.Unavailable, "the disk of %s is full: free some space, nothing that was stored is lost and the work goes on by itself: %w", dir, err)
	}
	switch codeOf(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return adg.Errorf(adg.Invalid, "the database in %s is damaged or is none: restore it from a backup, or move it away to begin anew; nothing in it was changed: %w", dir, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return adg.Errorf(adg.Unavailable, "the database in %s cannot be opened or written: check the permissions of the directory: %w", dir, err)
	case sqlite3.SQLITE_IOERR:
		return adg.Errorf(adg.Unavailable, "the disk of %s fails: look into the system's log: %w", dir, err)
	default:
		return adg.Errorf(adg.Unavailable, "the database in %s: %w", dir, err)
	}
}

// Private

// codeOf is the primary result code, 0 where err is none of SQLite's.
func codeOf(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

func full(err error) bool {
	return codeOf(err) == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// fatal tells whether an error may have ended the whole transaction, not only the statement.
func fatal(err error) bool {
	switch codeOf(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT:
		return true
	default:
		return false
	}
}
