package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Document is one document.
func (s *Store) Document(ctx context.Context, kind, key string) (adg.Document, error) {
	found, err := collect(ctx, s, scanDocument, "SELECT "+documentColumns+", data FROM documents WHERE kind = ? AND key = ? AND expires > ?", kind, key, row.Nanos(s.clock.now()))
	switch {
	case err != nil:
		return adg.Document{}, err
	case len(found) == 0:
		return adg.Document{}, adg.Errorf(adg.NotFound, "there is no %s %q", kind, key)
	}
	return found[0], nil
}

// ListDocuments gives the documents of one kind by key.
func (s *Store) ListDocuments(ctx context.Context, f adg.DocumentFilter) ([]adg.Document, error) {
	if f.Kind == "" {
		return nil, adg.Errorf(adg.Invalid, "say which kind of documents to list")
	}
	rows, err := s.reads.QueryContext(ctx, documentsQuery(f.Bare),
		f.Kind, f.After, f.Prefix, f.Prefix+afterAllText, row.Nanos(s.clock.now()), row.Limit(f.Limit, 100, 1000))
	if err != nil {
		return nil, explain(s.dir, err)
	}
	defer rows.Close()
	var page []adg.Document
	for size := 0; size < adg.MaxPage && rows.Next(); {
		d, err := scanDocument(rows)
		if err != nil {
			return nil, explain(s.dir, err)
		}
		page = append(page, d)
		size += len(d.Data)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(s.dir, err)
	}
	return page, nil
}

// WriteDocuments makes the changes in their order, each upon what the one before has left.
func (s *Store) WriteDocuments(ctx context.Context, writes []adg.Write, entries ...adg.AuditEntry) ([]adg.Document, error) {
	for _, w := range writes {
		if err := row.ValidDocument(w.Document); err != nil {
			return nil, err
		}
	}
	entries, err := row.Legible(entries)
	if err != nil {
		return nil, err
	}
	if len(writes) == 0 && len(entries) == 0 {
		return nil, nil
	}
	var stored []adg.Document
	err = s.write(ctx, true, func(t *tx) error {
		stored = nil
		now := s.clock.now()
		for _, w := range writes {
			d, err := t.writeDocument(w, now)
			if err != nil {
				return err
			}
			if !w.Drop {
				stored = append(stored, d)
			}
		}
		_, err := s.audit(t, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// Purge forgets the documents that expired first.
func (s *Store) Purge(ctx context.Context, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	gone := int64(0)
	err := s.write(ctx, false, func(t *tx) (err error) {
		gone, err = t.exec(purgeQuery, row.Nanos(s.clock.now()), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(gone), nil
}

// Private

const (
	documentColumns = "kind, key, version, updated, expires"
	afterAllText    = "\xff" // no text holds this byte
)

// The condition on the largest integer is what the index is made with.
const purgeQuery = `
DELETE FROM documents WHERE n IN (
	SELECT n FROM documents INDEXED BY documents_expires WHERE expires <= ? AND expires < 9223372036854775807 ORDER BY expires LIMIT ?
)`

func documentsQuery(bare bool) string {
	data := "data"
	if bare {
		data = "NULL"
	}
	return "SELECT " + documentColumns + ", " + data + " FROM documents WHERE kind = ? AND key > ? AND key >= ? AND key < ? AND expires > ? ORDER BY key LIMIT ?"
}

func scanDocument(rows *sql.Rows) (d adg.Document, err error) {
	var updated, expires int64
	err = rows.Scan(&d.Kind, &d.Key, &d.Version, &updated, &expires, &d.Data)
	d.Updated, d.Expires = row.Time(updated), row.EndTime(expires)
	return d, err
}

// writeDocument puts or drops a document that has the version that it must have.
func (t *tx) writeDocument(w adg.Write, now time.Time) (d adg.Document, err error) {
	d = w.Document
	version := int64(0)
	err = t.row([]any{&version}, "SELECT version FROM documents WHERE kind = ? AND key = ? AND expires > ?", d.Kind, d.Key, row.Nanos(now))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return d, err
	}
	if err := row.VersionAllows(w, version); err != nil {
		return d, err
	}
	if w.Drop {
		_, err = t.exec("DELETE FROM documents WHERE kind = ? AND key = ?", d.Kind, d.Key)
		return d, err
	}
	expires := row.End(d.Expires)
	d.Version, d.Updated, d.Expires = version+1, now, row.EndTime(expires)
	d.Data = append([]byte{}, d.Data...) // not the caller's, and never NULL
	_, err = t.exec(`INSERT INTO documents (kind, key, version, updated, expires, data) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, updated = excluded.updated, expires = excluded.expires, data = excluded.data`,
		d.Kind, d.Key, d.Version, row.Nanos(d.Updated), expires, d.Data)
	return d, err
}
