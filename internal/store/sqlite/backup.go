package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/deployguardian/adg"
)

// Backup is what stands in a copy of a database.
type Backup struct {
	Bytes       int64
	Deployments int64
	LastAudit   adg.AuditEntry // zero: nothing is on record
}

// WriteBackup writes the database of a data directory into a new file as it is at one moment, also while another process
// guards with the directory, and checks the copy: that it is sound, and that its audit log is as it was written. The file
// appears when that is done, readable by its owner only. One that exists already is a Conflict; a directory without a
// database is NotFound.
//
// Two things are other in the copy, since whoever works with it has missed what happened after: everything is stopped, so
// that a human looks first, and targets take its owners for later ones than those of the original.
func WriteBackup(ctx context.Context, dir, file string) (b Backup, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return b, errors.Join(adg.Errorf(adg.Conflict, "%s exists already: name a new file for the backup", file), err)
	}
	path := filepath.Join(dir, databaseName)
	version, err := inspect(ctx, path, "ro")
	if err == nil && version == 0 {
		err = nothingIn(dir)
	}
	if err != nil {
		return b, explain(dir, err)
	}
	draft, err := os.MkdirTemp(filepath.Dir(file), ".adg-backup-")
	if err != nil {
		return b, adg.Errorf(adg.Unavailable, "write the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(draft)) }()
	err = writeCopy(ctx, path, filepath.Join(draft, databaseName))
	if err == nil {
		err = stopCopy(ctx, filepath.Join(draft, databaseName))
	}
	if full(err) {
		return b, explain(filepath.Dir(file), err)
	} else if err != nil {
		return b, explain(dir, err)
	}
	if b, err = checked(ctx, draft); err != nil {
		return b, explain(filepath.Dir(file), err)
	}
	return b, place(filepath.Join(draft, databaseName), file)
}

// Private

// writeCopy has SQLite write what one transaction sees.
func writeCopy(ctx context.Context, path, to string) (err error) {
	if err := touch(to); err != nil { // SQLite takes an empty file as it is, and would make one that everybody can read
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "ro", "busy_timeout(5000)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// stopCopy makes a copy safe to work with.
func stopCopy(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "rw"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, query := range []string{
		"UPDATE deployments SET fence = fence + 4294967296 WHERE live = 1",
		`INSERT INTO stops (service, environment, actor, reason, at)
			VALUES ('', '', 'backup', 'restored from a backup: compare what is live with what is on record, then resume', unixepoch() * 1000000000)
			ON CONFLICT DO NOTHING`,
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// checked looks at a copy as whoever needs it will.
func checked(ctx context.Context, dir string) (b Backup, err error) {
	path := filepath.Join(dir, databaseName)
	info, err := os.Stat(path)
	if err != nil {
		return b, err
	}
	b.Bytes = info.Size()
	db, err := openReads(path)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found := ""
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return b, err
	}
	if found != "ok" {
		return b, adg.Errorf(adg.Invalid, "the database is damaged, and no backup was made of it: %s", found)
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM deployments").Scan(&b.Deployments); err != nil {
		return b, err
	}
	b.LastAudit, err = endOfAudit(ctx, &Store{dir: dir, reads: db})
	return b, err
}

// endOfAudit follows the chain to its last entry.
func endOfAudit(ctx context.Context, log adg.AuditLog) (last adg.AuditEntry, err error) {
	for {
		entries, err := log.Audit(ctx, adg.AuditFilter{After: last.Seq, Limit: 1000})
		if err != nil || len(entries) == 0 {
			return last, err
		}
		if err := adg.VerifyAudit(last.Seq, last.Digest, entries); err != nil {
			return last, adg.Errorf(adg.Conflict, "no backup was made, since the audit log is not as it was written: keep the data directory as it is and look into it: %w", err)
		}
		last = entries[len(entries)-1]
	}
}

// place puts a finished file where it belongs, and never over another one. It is on disk then.
func place(draft, file string) error {
	if err := synced(draft); err != nil {
		return adg.Errorf(adg.Unavailable, "write the backup: %w", err)
	}
	if err := os.Link(draft, file); errors.Is(err, fs.ErrExist) {
		return adg.Errorf(adg.Conflict, "%s was made by somebody else meanwhile: name a new file for the backup", file)
	} else if err != nil {
		return adg.Errorf(adg.Unavailable, "write the backup: %w", err)
	}
	return synced(filepath.Dir(file))
}

func synced(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
