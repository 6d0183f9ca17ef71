package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// AppendAudit puts entries on record. Bytes that are no text are replaced before the digest is made.
func (s *Store) AppendAudit(ctx context.Context, entries ...adg.AuditEntry) ([]adg.AuditEntry, error) {
	entries, err := row.Legible(entries)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	var stored []adg.AuditEntry
	err = s.write(ctx, true, func(t *tx) (err error) {
		stored, err = s.audit(t, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// Audit are the entries that a filter selects.
func (s *Store) Audit(ctx context.Context, f adg.AuditFilter) ([]adg.AuditEntry, error) {
	query, args := auditQuery(f)
	return collect(ctx, s, scanAudit, query, args...)
}

// Private

const auditColumns = "seq, at, actor, address, action, resource, service, environment, outcome, reason, detail, prev, digest"

// onRecord makes a change together with its entries in the audit log.
func (s *Store) onRecord(ctx context.Context, entries []adg.AuditEntry, change func(*tx) error) error {
	entries, err := row.Legible(entries)
	if err != nil {
		return err
	}
	return s.write(ctx, true, func(t *tx) error {
		if err := change(t); err != nil {
			return err
		}
		_, err := s.audit(t, entries)
		return err
	})
}

// audit appends legible entries to the chain, and what people are told of them to the event log.
func (s *Store) audit(t *tx, entries []adg.AuditEntry) ([]adg.AuditEntry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	now := s.clock.now()
	seq, prev := int64(0), ""
	err := t.row([]any{&seq, &prev}, "SELECT seq, digest FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	stored := make([]adg.AuditEntry, len(entries))
	for i, e := range entries {
		seq++
		e.Seq, e.At = seq, now
		e = e.Chained(prev)
		detail, err := row.Encode(e.Detail)
		if err != nil {
			return nil, err
		}
		if _, err := t.exec("INSERT INTO audit ("+auditColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			e.Seq, row.Nanos(e.At), e.Actor, e.From, e.Action, e.Resource, e.Service, e.Environment, e.Outcome.String(), e.Reason, detail, e.Prev, e.Digest); err != nil {
			return nil, err
		}
		if err := s.announce(t, e, now); err != nil {
			return nil, err
		}
		prev, stored[i] = e.Digest, e
	}
	return stored, nil
}

// announce stores what people are told of an entry.
func (s *Store) announce(t *tx, e adg.AuditEntry, now time.Time) error {
	f, told := e.Fact()
	if !told {
		return nil
	}
	fact, err := row.Encode(f)
	if err != nil {
		return err
	}
	return t.storeFact(f.ID, ofNone, fact, s.tell, now)
}

func auditQuery(f adg.AuditFilter) (query string, args []any) {
	where, order := []string{"true"}, "seq"
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	equal := func(column, value string) {
		if value != "" {
			add(column+" = ?", value)
		}
	}
	switch {
	case !f.Newest:
		add("seq > ?", f.After)
	case f.After > 0:
		add("seq < ?", f.After)
	}
	equal("actor", f.Actor)
	equal("resource", f.Resource)
	equal("service", f.Service)
	equal("environment", f.Environment)
	if area, all := strings.CutSuffix(f.Action, "."); all && f.Action != "" {
		add("action > ? AND action < ?", f.Action, area+"/") // '/' is next to '.'
	} else {
		equal("action", f.Action)
	}
	if !f.From.IsZero() {
		add("at >= ?", row.Nanos(f.From))
	}
	if !f.To.IsZero() {
		add("at <= ?", row.Nanos(f.To))
	}
	if f.Newest {
		order = "seq DESC"
	}
	return "SELECT " + auditColumns + " FROM audit WHERE " + strings.Join(where, " AND ") + " ORDER BY " + order + " LIMIT ?",
		append(args, row.Limit(f.Limit, 100, 1000))
}

func scanAudit(rows *sql.Rows) (e adg.AuditEntry, err error) {
	var at int64
	var outcome, detail string
	if err := rows.Scan(&e.Seq, &at, &e.Actor, &e.From, &e.Action, &e.Resource, &e.Service, &e.Environment, &outcome, &e.Reason, &detail, &e.Prev, &e.Digest); err != nil {
		return e, err
	}
	e.At = row.Time(at)
	if e.Detail, err = row.Decode[map[string]string](detail); err != nil {
		return e, err
	}
	return e, e.Outcome.UnmarshalText([]byte(outcome))
}
