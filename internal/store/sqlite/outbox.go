package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Undelivered claims deliveries that are due. A claim is a due time in the future: no owner needs to be remembered.
func (s *Store) Undelivered(ctx context.Context, _ string, claim time.Duration, limit int) ([]adg.Delivery, error) {
	if claim <= 0 {
		return nil, adg.Errorf(adg.Invalid, "a claim needs a time")
	}
	if limit <= 0 {
		return nil, nil
	}
	var all []queued
	err := s.write(ctx, false, func(t *tx) error {
		all = all[:0]
		now := s.clock.now()
		err := t.rows(func(rows *sql.Rows) error {
			var q queued
			err := rows.Scan(&q.n, &q.notifier, &q.tries, &q.fact)
			all = append(all, q)
			return err
		}, undeliveredQuery, row.Nanos(now), min(limit, maxTaken))
		for i := 0; i < len(all) && err == nil; i++ {
			_, err = t.exec("UPDATE outbox SET due = ? WHERE n = ?", row.Nanos(now.Add(claim)), all[i].n)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return deliveries(all)
}

// Delivered takes a delivery off the queue.
func (s *Store) Delivered(ctx context.Context, d adg.Delivery) error {
	return s.onQueue(ctx, d, func(t *tx, q queued) error {
		if _, err := t.exec("DELETE FROM outbox WHERE n = ?", q.n); err != nil {
			return err
		}
		return t.next(q, s.clock.now())
	})
}

// Postpone keeps a delivery at the head of its queue until then.
func (s *Store) Postpone(ctx context.Context, d adg.Delivery, until time.Time, why string) error {
	return s.onQueue(ctx, d, func(t *tx, q queued) error {
		_, err := t.exec("UPDATE outbox SET due = ?, tries = tries + 1, why = ? WHERE n = ?", row.Nanos(until), why, q.n)
		return err
	})
}

// Abandon takes a delivery off the queue and keeps it in Dead.
func (s *Store) Abandon(ctx context.Context, d adg.Delivery, why string) error {
	return s.onQueue(ctx, d, func(t *tx, q queued) error {
		now := s.clock.now()
		if _, err := t.exec("UPDATE outbox SET due = NULL, dead = 1, tries = tries + 1, why = ?, ended = ? WHERE n = ?", why, row.Nanos(now), q.n); err != nil {
			return err
		}
		return t.next(q, now)
	})
}

// Waiting counts what is on the queues of a deployment.
func (s *Store) Waiting(ctx context.Context, deployment string) (int, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return 0, err
	}
	waiting := 0
	err = s.reads.QueryRowContext(ctx, "SELECT count(*) FROM outbox WHERE deployment = ? AND dead = 0", n).Scan(&waiting)
	return waiting, explain(s.dir, err)
}

// Dead are the deliveries that were given up, the oldest first.
func (s *Store) Dead(ctx context.Context, f adg.DeadFilter) ([]adg.DeadDelivery, error) {
	query, args := deadQuery(f)
	return collect(ctx, s, func(rows *sql.Rows) (d adg.DeadDelivery, err error) {
		var fact string
		var ended int64
		if err := rows.Scan(&d.Cursor, &d.Notifier, &d.Tries, &d.Why, &ended, &fact); err != nil {
			return d, err
		}
		d.At, d.Why = row.Time(ended), row.Readable(d.Why)
		d.Fact, err = row.Decode[adg.Fact](fact)
		return d, err
	}, query, args...)
}

// Retry puts a delivery that was given up at the end of its queue.
func (s *Store) Retry(ctx context.Context, d adg.Delivery) error {
	return s.write(ctx, true, func(t *tx) error {
		q := queued{notifier: d.Notifier}
		err := t.row([]any{&q.n, &q.deployment, &q.tries}, `SELECT o.n, o.deployment, o.tries FROM facts f JOIN outbox o ON o.fact = f.n
			WHERE f.id = ? AND o.notifier = ? AND o.dead = 1`, d.Fact.ID, d.Notifier)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return row.NotGivenUp(d)
		case err != nil:
			return err
		case q.tries != d.Tries:
			return row.TriedSince(d, q.tries)
		}
		if _, err := t.exec("DELETE FROM outbox WHERE n = ?", q.n); err != nil {
			return err
		}
		return t.enqueue(d.Fact.ID, q.deployment, q.notifier, s.clock.now())
	})
}

// Private

// The planner would rather read the outbox in its order than sort the few rows that are due.
const undeliveredQuery = `
SELECT o.n, o.notifier, o.tries, f.fact FROM outbox o INDEXED BY outbox_due JOIN facts f ON f.n = o.fact
WHERE o.due <= ? ORDER BY o.n LIMIT ?`

func deadQuery(f adg.DeadFilter) (query string, args []any) {
	query = "SELECT o.n, o.notifier, o.tries, o.why, o.ended, f.fact FROM outbox o JOIN facts f ON f.n = o.fact WHERE o.dead = 1 AND o.n > ?"
	args = []any{f.After}
	if f.Notifier != "" {
		query, args = query+" AND o.notifier = ?", append(args, f.Notifier)
	}
	if f.Fact != "" {
		query, args = query+" AND f.id = ?", append(args, f.Fact)
	}
	return query + " ORDER BY o.n LIMIT ?", append(args, row.Limit(f.Limit, 100, maxRows))
}

// queued is a delivery as it is stored.
type queued struct {
	n, deployment  int64
	notifier, fact string
	tries          int
}

func deliveries(all []queued) ([]adg.Delivery, error) {
	made := make([]adg.Delivery, len(all))
	for i, q := range all {
		f, err := row.Decode[adg.Fact](q.fact)
		if err != nil {
			return nil, err
		}
		made[i] = adg.Delivery{Fact: f, Notifier: q.notifier, Tries: q.tries}
	}
	return made, nil
}

// onQueue finds a delivery that is neither made nor given up.
func (s *Store) onQueue(ctx context.Context, d adg.Delivery, do func(*tx, queued) error) error {
	return s.write(ctx, false, func(t *tx) error {
		q := queued{notifier: d.Notifier}
		err := t.row([]any{&q.n, &q.deployment}, `SELECT o.n, o.deployment FROM facts f JOIN outbox o ON o.fact = f.n
			WHERE f.id = ? AND o.notifier = ? AND o.dead = 0`, d.Fact.ID, d.Notifier)
		if errors.Is(err, sql.ErrNoRows) {
			return adg.Errorf(adg.NotFound, "fact %s does not wait to be told to %s", d.Fact.ID, d.Notifier)
		}
		if err != nil {
			return err
		}
		return do(t, q)
	})
}

// ofNone is the number in place of a deployment's, where a fact is of none. All of them are one queue.
const ofNone = 0

// storeFact stores a fact, and puts it on the queue of each notifier. It is told once, however often it is decided.
func (t *tx) storeFact(id string, deployment int64, fact string, notifiers []string, now time.Time) error {
	stored, err := t.exec("INSERT INTO facts (id, deployment, fact) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", id, deployment, fact)
	if err != nil || stored == 0 {
		return err
	}
	for _, notifier := range notifiers {
		if err := t.enqueue(id, deployment, notifier, now); err != nil {
			return err
		}
	}
	return nil
}

// enqueue puts a stored fact on the queue of a notifier. It is due if nothing is before it.
func (t *tx) enqueue(fact string, deployment int64, notifier string, now time.Time) error {
	_, err := t.exec(`INSERT INTO outbox (fact, deployment, notifier, due)
		SELECT n, ?2, ?3, iif(EXISTS (SELECT 1 FROM outbox WHERE deployment = ?2 AND notifier = ?3 AND dead = 0), NULL, ?4) FROM facts WHERE id = ?1
		ON CONFLICT DO NOTHING`, fact, deployment, notifier, row.Nanos(now))
	return err
}

// next makes the head of a queue due after the one before it has left.
func (t *tx) next(q queued, now time.Time) error {
	_, err := t.exec(`UPDATE outbox SET due = ? WHERE due IS NULL AND n =
		(SELECT min(n) FROM outbox WHERE deployment = ? AND notifier = ? AND dead = 0)`, row.Nanos(now), q.deployment, q.notifier)
	return err
}
