package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// AppendAudit puts entries on record. Bytes that are no text are replaced before the digest is made.
func (s *Store) AppendAudit(ctx context.Context, entries ...adg.AuditEntry) (chained []adg.AuditEntry, err error) {
	if err := fewEnough(0, len(entries)); err != nil {
		return nil, err
	}
	if entries, err = row.Legible(entries); err != nil || len(entries) == 0 {
		return nil, err
	}
	err = s.write(ctx, true, func(ctx context.Context, t *tx) (err error) {
		chained, err = s.appendAudit(ctx, t, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return chained, nil
}

// Audit are the entries that a filter selects.
func (s *Store) Audit(ctx context.Context, f adg.AuditFilter) ([]adg.AuditEntry, error) {
	var w where
	order := " ORDER BY seq"
	switch {
	case !f.Newest:
		w.add("seq > %s", f.After)
	case f.After > 0:
		w.add("seq < %s", f.After)
	}
	if f.Newest {
		order += " DESC"
	}
	w.equal("actor", f.Actor)
	w.equal("resource", f.Resource)
	w.equal("service", f.Service)
	w.equal("environment", f.Environment)
	if strings.HasSuffix(f.Action, ".") {
		w.add("starts_with(action, %s)", f.Action)
	} else {
		w.equal("action", f.Action)
	}
	if !f.From.IsZero() {
		w.add("at >= %s", row.Nanos(f.From))
	}
	if !f.To.IsZero() {
		w.add("at <= %s", row.Nanos(f.To))
	}
	query := "SELECT " + auditColumns + " FROM audit" +
		w.clause() + order + " LIMIT " + w.arg(row.Limit(f.Limit, 100, 1000))
	return collect(ctx, s, readAudit, query, w.args...)
}

// Private

const auditColumns = "seq, at, actor, origin, action, resource, service, environment, outcome, reason, detail, prev, digest"

// onRecord makes a change together with its entries in the audit log.
func (s *Store) onRecord(ctx context.Context, entries []adg.AuditEntry, change func(context.Context, *tx) error) error {
	if err := fewEnough(0, len(entries)); err != nil {
		return err
	}
	entries, err := row.Legible(entries)
	if err != nil {
		return err
	}
	return s.write(ctx, true, func(ctx context.Context, t *tx) error {
		if err := change(ctx, t); err != nil {
			return err
		}
		_, err := s.appendAudit(ctx, t, entries)
		return err
	})
}

// appendAudit continues the chain with legible entries, and the event log with what people are told of them. Who appends
// waits until the one before has committed.
func (s *Store) appendAudit(ctx context.Context, t *tx, entries []adg.AuditEntry) ([]adg.AuditEntry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if err := t.lock(ctx, lockAudit); err != nil {
		return nil, err
	}
	var seq, last int64
	var prev string
	err := t.QueryRow(ctx, "SELECT seq, at, digest FROM audit ORDER BY seq DESC LIMIT 1").Scan(&seq, &last, &prev)
	if err != nil && !errors.Is(err, errNone) {
		return nil, err
	}
	at := row.Time(max(t.now, last)) // this transaction may have begun before the one it waited for
	chained := make([]adg.AuditEntry, len(entries))
	batch := &pgx.Batch{}
	for i, e := range entries {
		seq++
		e.Seq, e.At = seq, at
		e = e.Chained(prev)
		prev = e.Digest
		detail, err := row.Encode(e.Detail)
		if err != nil {
			return nil, err
		}
		batch.Queue("INSERT INTO audit ("+auditColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			e.Seq, row.Nanos(e.At), e.Actor, e.From, e.Action, e.Resource, e.Service, e.Environment, e.Outcome.String(), e.Reason, detail, e.Prev, e.Digest)
		if err := s.announce(batch, e, t.now); err != nil {
			return nil, err
		}
		chained[i] = e
	}
	return chained, t.SendBatch(ctx, batch).Close()
}

// announce queues what people are told of an entry.
func (s *Store) announce(batch *pgx.Batch, e adg.AuditEntry, now int64) error {
	f, told := e.Fact()
	if !told {
		return nil
	}
	fact, err := row.Encode(f)
	if err != nil {
		return err
	}
	if len(s.tell) > 0 {
		batch.Queue(lockQuery, lockClass, lockChanges)
	}
	batch.Queue(factQuery, f.ID, ofNone, f.Service, f.Environment, f.Kind.String(), fact, s.tell, now)
	return nil
}

func readAudit(rows pgx.CollectableRow) (e adg.AuditEntry, err error) {
	var at int64
	var outcome, detail string
	if err := rows.Scan(&e.Seq, &at, &e.Actor, &e.From, &e.Action, &e.Resource, &e.Service, &e.Environment, &outcome, &e.Reason, &detail, &e.Prev, &e.Digest); err != nil {
		return e, err
	}
	e.At = row.Time(at)
	if err := e.Outcome.UnmarshalText([]byte(outcome)); err != nil {
		return e, err
	}
	e.Detail, err = row.Decode[map[string]string](detail)
	return e, err
}
