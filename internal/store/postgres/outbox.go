package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

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
	err := s.write(ctx, false, func(ctx context.Context, t *tx) error {
		rows, err := t.Query(ctx, undeliveredQuery, t.now, min(limit, maxTaken), after(t.now, claim))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, readQueued)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b queued) int { return cmp.Compare(a.n, b.n) })
	return deliveries(all)
}

// Delivered takes a delivery off the queue.
func (s *Store) Delivered(ctx context.Context, d adg.Delivery) error {
	return s.onQueue(ctx, d, func(ctx context.Context, t *tx, q queued) error {
		if _, err := t.exec(ctx, "DELETE FROM outbox WHERE n = $1", q.n); err != nil {
			return err
		}
		return t.next(ctx, q)
	})
}

// Postpone keeps a delivery at the head of its queue until then.
func (s *Store) Postpone(ctx context.Context, d adg.Delivery, until time.Time, why string) error {
	return s.onQueue(ctx, d, func(ctx context.Context, t *tx, q queued) error {
		_, err := t.exec(ctx, "UPDATE outbox SET due = $1, tries = tries + 1, why = $2 WHERE n = $3", row.Nanos(until), row.Readable(why), q.n)
		return err
	})
}

// Abandon takes a delivery off the queue and keeps it in Dead.
func (s *Store) Abandon(ctx context.Context, d adg.Delivery, why string) error {
	return s.onQueue(ctx, d, func(ctx context.Context, t *tx, q queued) error {
		if _, err := t.exec(ctx, "UPDATE outbox SET due = NULL, dead = true, tries = tries + 1, why = $1, ended = $2 WHERE n = $3", row.Readable(why), t.now, q.n); err != nil {
			return err
		}
		return t.next(ctx, q)
	})
}

// Waiting counts what is on the queues of a deployment.
func (s *Store) Waiting(ctx context.Context, deployment string) (waiting int, err error) {
	n, err := s.number(ctx, deployment)
	if err != nil {
		return 0, err
	}
	err = s.scan(ctx, []any{&waiting}, "SELECT count(*) FROM outbox WHERE deployment = $1 AND NOT dead", n)
	return waiting, err
}

// Dead are the deliveries that were given up, the oldest first.
func (s *Store) Dead(ctx context.Context, f adg.DeadFilter) ([]adg.DeadDelivery, error) {
	query, args := deadQuery(f)
	return collect(ctx, s, func(rows pgx.CollectableRow) (d adg.DeadDelivery, err error) {
		var fact string
		var ended int64
		if err := rows.Scan(&d.Cursor, &d.Notifier, &d.Tries, &d.Why, &ended, &fact); err != nil {
			return d, err
		}
		d.At = row.Time(ended)
		d.Fact, err = row.Decode[adg.Fact](fact)
		return d, err
	}, query, args...)
}

// Retry puts a delivery that was given up at the end of its queue. It locks the queue, as onQueue does.
func (s *Store) Retry(ctx context.Context, d adg.Delivery) error {
	return s.write(ctx, true, func(ctx context.Context, t *tx) error {
		q := queued{notifier: d.Notifier}
		fact, err := t.lockQueue(ctx, d.Fact.ID, &q)
		if err == nil {
			err = t.QueryRow(ctx, "SELECT n, tries FROM outbox WHERE fact = $1 AND notifier = $2 AND dead", fact, d.Notifier).Scan(&q.n, &q.tries)
		}
		switch {
		case errors.Is(err, errNone):
			return row.NotGivenUp(d)
		case err != nil:
			return err
		case q.tries != d.Tries:
			return row.TriedSince(d, q.tries)
		}
		if _, err := t.exec(ctx, "DELETE FROM outbox WHERE n = $1", q.n); err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO outbox (fact, deployment, notifier, due)
			VALUES ($1, $2, $3, CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE deployment = $2 AND notifier = $3 AND NOT dead) THEN NULL ELSE $4::bigint END)`,
			fact, q.deployment, q.notifier, t.now)
		return err
	})
}

// Private

func deadQuery(f adg.DeadFilter) (query string, args []any) {
	var w where
	w.add("o.dead")
	w.add("o.n > %s", f.After)
	w.equal("o.notifier", f.Notifier)
	w.equal("f.id", f.Fact)
	query = "SELECT o.n, o.notifier, o.tries, o.why, o.ended, f.fact FROM outbox o JOIN facts f ON f.n = o.fact" + w.clause()
	return query + " ORDER BY o.n LIMIT " + w.arg(row.Limit(f.Limit, 100, maxRows)), w.args
}

const undeliveredQuery = `
UPDATE outbox o SET due = $3 FROM facts f
WHERE f.n = o.fact AND o.n = ANY (ARRAY(
	SELECT n FROM outbox WHERE due IS NOT NULL AND due <= $1 ORDER BY n LIMIT $2
	FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING o.n, o.notifier, o.tries, f.fact`

// factQuery stores a fact and puts it on the queue of each notifier, where it is due if nothing is before it. A fact is
// told once, however often it is decided.
const factQuery = `
WITH f AS (
	INSERT INTO facts (id, deployment, service, environment, kind, fact) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (id) DO NOTHING RETURNING n
)
INSERT INTO outbox (fact, deployment, notifier, due)
SELECT f.n, $2, x.notifier, CASE
	WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.deployment = $2 AND o.notifier = x.notifier AND NOT o.dead) THEN NULL
	ELSE $8::bigint END
FROM f, (SELECT DISTINCT unnest($7::text[]) AS notifier) x`

// queued is a delivery as it is stored.
type queued struct {
	n, deployment  int64
	notifier, fact string
	tries          int
}

func readQueued(rows pgx.CollectableRow) (q queued, err error) {
	return q, rows.Scan(&q.n, &q.notifier, &q.tries, &q.fact)
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

// ofNone is the number in place of a deployment's, where a fact is of none. All of them are one queue.
const ofNone int64 = 0

// lockQueue locks the queue that a fact is on, and says which number the fact has. It is the deployment that is locked: a
// fact that a tick puts behind this one at the same time must not be left without a due time. Those of none have a lock of
// their own.
func (t *tx) lockQueue(ctx context.Context, id string, q *queued) (fact int64, err error) {
	err = t.QueryRow(ctx, "SELECT f.n, d.n FROM facts f JOIN deployments d ON d.n = f.deployment WHERE f.id = $1 FOR NO KEY UPDATE OF d", id).Scan(&fact, &q.deployment)
	if !errors.Is(err, errNone) {
		return fact, err
	}
	err = t.QueryRow(ctx, "SELECT n, deployment FROM facts WHERE id = $1", id).Scan(&fact, &q.deployment)
	if err == nil && q.deployment != ofNone {
		err = errNone // the deployment was forgotten a moment ago, and its fact with it
	}
	if err != nil {
		return 0, err
	}
	return fact, t.lock(ctx, lockChanges)
}

// onQueue finds a delivery that is neither made nor given up.
func (s *Store) onQueue(ctx context.Context, d adg.Delivery, do func(context.Context, *tx, queued) error) error {
	return s.write(ctx, false, func(ctx context.Context, t *tx) error {
		q := queued{notifier: d.Notifier}
		fact, err := t.lockQueue(ctx, d.Fact.ID, &q)
		if err == nil {
			err = t.QueryRow(ctx, "SELECT n FROM outbox WHERE fact = $1 AND notifier = $2 AND NOT dead", fact, d.Notifier).Scan(&q.n)
		}
		if errors.Is(err, errNone) {
			return adg.Errorf(adg.NotFound, "fact %s does not wait to be told to %s", d.Fact.ID, d.Notifier)
		}
		if err != nil {
			return err
		}
		return do(ctx, t, q)
	})
}

// next makes the head of a queue due after the one before it has left.
func (t *tx) next(ctx context.Context, q queued) error {
	_, err := t.exec(ctx, `UPDATE outbox SET due = $1 WHERE due IS NULL AND n =
		(SELECT n FROM outbox WHERE deployment = $2 AND notifier = $3 AND NOT dead ORDER BY n LIMIT 1)`, t.now, q.deployment, q.notifier)
	return err
}
