package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Take leases what is due.
func (s *Store) Take(ctx context.Context, owner string, ttl time.Duration, limit int) (work []adg.Work, err error) {
	if owner == "" || ttl <= 0 {
		return nil, adg.Errorf(adg.Invalid, "a lease needs an owner and a time")
	}
	if limit <= 0 {
		return nil, nil
	}
	err = s.write(ctx, false, func(ctx context.Context, t *tx) error {
		until := after(t.now, ttl)
		rows, err := t.Query(ctx, takeQuery, t.now, min(limit, maxTaken), owner, until, int64(ttl))
		if err != nil {
			return err
		}
		taken, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(taken) == 0 {
			work = nil
			return err
		}
		// In a statement of its own: what it sees is at least as new as the rows that are locked now.
		if rows, err = t.Query(ctx, workQuery, taken); err != nil {
			return err
		}
		work, err = pgx.CollectRows(rows, func(rows pgx.CollectableRow) (adg.Work, error) {
			w := adg.Work{Lease: adg.Lease{Owner: owner, Until: row.Time(until)}, Now: row.Time(t.now)}
			return w, scanWork(rows, &w)
		})
		if err == nil {
			err = s.specify(ctx, t, work)
		}
		if err == nil && slices.ContainsFunc(work, func(w adg.Work) bool { return w.Open != nil }) {
			_, err = t.exec(ctx, durably)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return work, nil
}

// Renew extends a lease from now on.
func (s *Store) Renew(ctx context.Context, lease adg.Lease, ttl time.Duration) (adg.Lease, error) {
	err := s.write(ctx, false, func(ctx context.Context, t *tx) error {
		until := after(t.now, ttl)
		renewed, err := t.exec(ctx, "UPDATE deployments SET until = $1, ttl = $2 WHERE id = $3 AND owner = $4 AND fence = $5 AND until > $6",
			until, int64(ttl), lease.Deployment, lease.Owner, lease.Fence, t.now)
		if err == nil && renewed == 0 {
			err = adg.ErrFenced
		}
		lease.Until = row.Time(until)
		return err
	})
	return lease, err
}

// GiveBack ends a lease.
func (s *Store) GiveBack(ctx context.Context, lease adg.Lease) error {
	return s.write(ctx, false, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, "UPDATE deployments SET owner = '', until = 0 WHERE id = $1 AND owner = $2 AND fence = $3", lease.Deployment, lease.Owner, lease.Fence)
		return err
	})
}

// Private

const maxTaken = 1000

// durably makes a transaction wait for the disk after all. Whoever takes an open effect goes to the target before it
// writes anything: a server that crashed and forgot the lease would give the same fence to the next owner.
const durably = "SET LOCAL synchronous_commit TO DEFAULT"

// takeQuery takes what is due and not leased. What another replica has in hand at this moment is left to it.
const takeQuery = `
UPDATE deployments SET owner = $3, fence = fence + 1, until = $4, ttl = $5
WHERE n = ANY (ARRAY(
	SELECT n FROM deployments
	WHERE live AND due <= $1 AND until <= $1
	ORDER BY due, n LIMIT $2
	FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING n`

// workQuery reads all that the next ticks of some deployments depend on, but their specs.
const workQuery = `
SELECT d.id, d.version, d.fence, t.status, coalesce(e.effect, ''), coalesce(c.command, ''), coalesce((
	SELECT w.id FROM deployments w
	WHERE w.service = d.service AND w.environment = d.environment AND w.live AND w.n > d.n
	ORDER BY w.n DESC LIMIT 1
), '')
FROM deployments d
JOIN statuses t ON t.deployment = d.n
LEFT JOIN effects e ON e.deployment = d.n AND e.outcome IS NULL
LEFT JOIN LATERAL (SELECT command FROM commands WHERE deployment = d.n AND answered IS NULL ORDER BY n LIMIT 1) c ON true
WHERE d.n = ANY ($1::bigint[])
ORDER BY d.due, d.n`

func scanWork(rows pgx.CollectableRow, w *adg.Work) (err error) {
	d := &w.Deployment
	var status, effect, command string
	if err := rows.Scan(&d.ID, &d.Version, &w.Lease.Fence, &status, &effect, &command, &w.Newer); err != nil {
		return err
	}
	w.Lease.Deployment = d.ID
	if d.Status, err = row.StatusOf(status); err != nil {
		return err
	}
	if w.Open, err = row.Maybe[adg.Effect](effect); err != nil {
		return err
	}
	w.Command, err = row.Maybe[adg.Command](command)
	return err
}

const specsQuery = "SELECT d.id, s.spec FROM deployments d JOIN specs s ON s.deployment = d.n WHERE d.id = ANY ($1::text[])"

// specify gives work its specs, of which those that are not remembered are read.
func (s *Store) specify(ctx context.Context, t *tx, work []adg.Work) error {
	var unknown []string
	for i := range work {
		d, found := &work[i].Deployment, false
		if d.Spec, found = s.specs.Get(d.ID); !found {
			unknown = append(unknown, d.ID)
		}
	}
	if unknown == nil {
		return nil
	}
	rows, err := t.Query(ctx, specsQuery, unknown)
	if err != nil {
		return err
	}
	var id, text string
	_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() (err error) {
		at := slices.IndexFunc(work, func(w adg.Work) bool { return w.Deployment.ID == id })
		work[at].Deployment.Spec, err = s.decoded(id, text)
		return err
	})
	return err
}
