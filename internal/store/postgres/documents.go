package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Document is one document that has not expired.
func (s *Store) Document(ctx context.Context, kind, key string) (adg.Document, error) {
	if !row.ValidWord(kind) || !row.ValidWord(key) {
		return adg.Document{}, noDocument(kind, key)
	}
	now, err := s.now(ctx)
	if err != nil {
		return adg.Document{}, err
	}
	d := adg.Document{Kind: kind, Key: key}
	var updated, expires int64
	err = s.scan(ctx, []any{&d.Version, &d.Data, &updated, &expires}, "SELECT version, data, updated, expires FROM documents WHERE kind = $1 AND key = $2 AND expires > $3", kind, key, now)
	if errors.Is(err, errNone) {
		return adg.Document{}, noDocument(kind, key)
	}
	d.Updated, d.Expires = row.Time(updated), row.EndTime(expires)
	return d, err
}

// ListDocuments are the documents of a kind that have not expired, in the order of their keys' bytes.
func (s *Store) ListDocuments(ctx context.Context, f adg.DocumentFilter) ([]adg.Document, error) {
	if f.Kind == "" {
		return nil, adg.Errorf(adg.Invalid, "a list of documents is of one kind: say which")
	}
	if !row.ValidWord(f.Kind) || f.Prefix != "" && !row.ValidWord(f.Prefix) {
		return nil, ctx.Err() // no document is there
	}
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	var w where
	w.add("kind = %s AND expires > %s AND key > %s", f.Kind, now, f.After)
	if f.Prefix != "" {
		// The bounds are for the index: it cannot make them of a prefix that it learns later.
		w.add("key >= %s AND key <= %s AND starts_with(key, %[1]s)", f.Prefix, f.Prefix+"\U0010FFFF")
	}
	data := "data"
	if f.Bare {
		data = "NULL::bytea AS data"
	}
	page := "SELECT key, version, " + data + ", updated, expires FROM documents" + w.clause() + " ORDER BY key LIMIT " + w.arg(row.Limit(f.Limit, 100, 1000))
	query := fmt.Sprintf(pageQuery, page, w.arg(int64(adg.MaxPage)))
	return collect(ctx, s, func(rows pgx.CollectableRow) (adg.Document, error) {
		d := adg.Document{Kind: f.Kind}
		var updated, expires int64
		err := rows.Scan(&d.Key, &d.Version, &d.Data, &updated, &expires)
		d.Updated, d.Expires = row.Time(updated), row.EndTime(expires)
		return d, err
	}, query, w.args...)
}

// WriteDocuments makes all changes and appends the audit entries, or nothing.
func (s *Store) WriteDocuments(ctx context.Context, writes []adg.Write, entries ...adg.AuditEntry) (put []adg.Document, err error) {
	keys := make([]string, len(writes))
	for i, w := range writes {
		if err := row.ValidDocument(w.Document); err != nil {
			return nil, err
		}
		keys[i] = w.Document.Kind + "/" + w.Document.Key
	}
	if err := fewEnough(len(writes), len(entries)); err != nil {
		return nil, err
	}
	if entries, err = row.Legible(entries); err != nil {
		return nil, err
	}
	err = s.write(ctx, true, func(ctx context.Context, t *tx) error {
		put = nil
		// The locks are on keys rather than rows, since there may be no row yet. All take theirs in the same order.
		if _, err := t.exec(ctx, lockDocumentsQuery, documentClass, keys); err != nil {
			return err
		}
		for _, w := range writes {
			d, err := t.writeDocument(ctx, w)
			if err != nil {
				return err
			}
			if !w.Drop {
				put = append(put, d)
			}
		}
		_, err := s.appendAudit(ctx, t, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return put, nil
}

// Purge forgets expired documents.
func (s *Store) Purge(ctx context.Context, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	var gone int64
	err := s.write(ctx, false, func(ctx context.Context, t *tx) (err error) {
		gone, err = t.exec(ctx, purgeQuery, t.now, min(limit, maxRows))
		return err
	})
	return int(gone), err
}

// Private

// maxWrites is how many documents, or audit entries, are written together.
const maxWrites = 10_000

// pageQuery ends a page with the document that brings its data to the bound. The data of those after it are not read:
// how long they are stands beside them.
const pageQuery = `
SELECT key, version, data, updated, expires FROM (
	SELECT *, sum(octet_length(data)) OVER (ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (%s) page
) summed WHERE coalesce(before, 0) < %s ORDER BY key`

const lockDocumentsQuery = `
SELECT pg_advisory_xact_lock($1, h) FROM (SELECT DISTINCT hashtext(k) AS h FROM unnest($2::text[]) k ORDER BY 1) ordered`

// purgeQuery leaves documents alone that are being written anew. The condition on the largest integer is what the index
// is made with.
const purgeQuery = `
DELETE FROM documents WHERE expires <= $1 AND ctid = ANY (ARRAY(
	SELECT ctid FROM documents WHERE expires <= $1 AND expires < 9223372036854775807 ORDER BY expires LIMIT $2
	FOR UPDATE SKIP LOCKED
))`

func fewEnough(writes, entries int) error {
	if max(writes, entries) > maxWrites {
		return adg.Errorf(adg.Invalid, "%d documents and %d audit entries are too many to write together: %d of each are the most", writes, entries, maxWrites)
	}
	return nil
}

// writeDocument makes one change, with the lock on the document's key.
func (t *tx) writeDocument(ctx context.Context, w adg.Write) (adg.Document, error) {
	d := w.Document
	version := int64(0) // there is none
	err := t.QueryRow(ctx, "SELECT version FROM documents WHERE kind = $1 AND key = $2 AND expires > $3", d.Kind, d.Key, t.now).Scan(&version)
	if err != nil && !errors.Is(err, errNone) {
		return d, err
	}
	if err := row.VersionAllows(w, version); err != nil {
		return d, err
	}
	if w.Drop {
		_, err := t.exec(ctx, "DELETE FROM documents WHERE kind = $1 AND key = $2", d.Kind, d.Key)
		return d, err
	}
	d.Version, d.Updated = version+1, row.Time(t.now)
	d.Expires = row.EndTime(row.End(d.Expires))
	d.Data = append([]byte{}, d.Data...) // not the caller's, and never NULL
	_, err = t.exec(ctx, `
		INSERT INTO documents (kind, key, version, data, updated, expires) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, data = excluded.data, updated = excluded.updated, expires = excluded.expires`,
		d.Kind, d.Key, d.Version, d.Data, t.now, row.End(d.Expires))
	return d, err
}

func noDocument(kind, key string) error {
	return adg.Errorf(adg.NotFound, "there is no %s %q", kind, key)
}
