package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Take leases what is due.
func (s *Store) Take(ctx context.Context, owner string, ttl time.Duration, limit int) ([]adg.Work, error) {
	if owner == "" || ttl <= 0 {
		return nil, adg.Errorf(adg.Invalid, "a lease needs an owner and a time")
	}
	if limit <= 0 {
		return nil, nil
	}
	var all []taken
	var now time.Time
	err := s.write(ctx, false, func(t *tx) error {
		all = all[:0]
		now = s.clock.now()
		err := t.rows(func(rows *sql.Rows) error {
			var w taken
			all = append(all, w)
			return all[len(all)-1].scan(rows)
		}, takeQuery, row.Nanos(now), min(limit, maxTaken))
		for i := 0; i < len(all) && err == nil; i++ {
			w := &all[i]
			w.fence++
			_, err = t.exec("UPDATE deployments SET owner = ?, fence = ?, until = ?, ttl = ? WHERE n = ?", owner, w.fence, row.Nanos(now.Add(ttl)), int64(ttl), w.n)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	work := make([]adg.Work, len(all))
	for i, w := range all {
		work[i].Lease, work[i].Now = adg.Lease{Deployment: w.id, Owner: owner, Fence: w.fence, Until: now.Add(ttl)}, now
		if err := w.fill(&work[i]); err != nil {
			return nil, err
		}
	}
	return work, nil
}

// Renew extends a lease from now on.
func (s *Store) Renew(ctx context.Context, lease adg.Lease, ttl time.Duration) (adg.Lease, error) {
	err := s.write(ctx, false, func(t *tx) error {
		now := s.clock.now()
		lease.Until = now.Add(ttl)
		renewed, err := t.exec("UPDATE deployments SET until = ?, ttl = ? WHERE id = ? AND owner = ? AND fence = ? AND until > ?",
			row.Nanos(lease.Until), int64(ttl), lease.Deployment, lease.Owner, lease.Fence, row.Nanos(now))
		if err == nil && renewed == 0 {
			err = adg.ErrFenced
		}
		return err
	})
	return lease, err
}

// GiveBack ends a lease.
func (s *Store) GiveBack(ctx context.Context, lease adg.Lease) error {
	return s.write(ctx, false, func(t *tx) error {
		_, err := t.exec("UPDATE deployments SET owner = '', until = 0 WHERE id = ? AND owner = ? AND fence = ?", lease.Deployment, lease.Owner, lease.Fence)
		return err
	})
}

// Private

const maxTaken = 1000

// takeQuery reads what is due and not leased, with all that its next tick depends on.
const takeQuery = `
SELECT d.n, d.id, d.version, d.fence, s.spec, t.status, e.effect, c.command, (
	SELECT w.id FROM deployments w INDEXED BY deployments_live
	WHERE w.service = d.service AND w.environment = d.environment AND w.live = 1 AND w.n > d.n
	ORDER BY w.n DESC LIMIT 1
)
FROM (
	SELECT * FROM deployments
	WHERE live = 1 AND due <= ?1 AND until <= ?1
	ORDER BY due, n LIMIT ?2
) d
JOIN specs s ON s.deployment = d.n
JOIN statuses t ON t.deployment = d.n
LEFT JOIN effects e ON e.deployment = d.n AND e.outcome IS NULL
LEFT JOIN commands c ON c.n = (SELECT min(n) FROM commands INDEXED BY commands_waiting WHERE deployment = d.n AND answered IS NULL)
ORDER BY d.due, d.n`

// taken is work as it is stored.
type taken struct {
	record
	n, fence               int64
	effect, command, newer sql.NullString
}

func (w *taken) scan(rows *sql.Rows) error {
	return rows.Scan(&w.n, &w.id, &w.version, &w.fence, &w.spec, &w.status, &w.effect, &w.command, &w.newer)
}

func (w *taken) fill(work *adg.Work) (err error) {
	if work.Deployment, err = w.deployment(); err != nil {
		return err
	}
	if work.Open, err = row.Maybe[adg.Effect](w.effect.String); err != nil {
		return err
	}
	work.Command, err = row.Maybe[adg.Command](w.command.String)
	work.Newer = w.newer.String
	return err
}

// held is the row of a deployment whose lease is held.
type held struct {
	n, version int64
	bad        bool
}

// holding finds the deployment of a lease that is in force, or is ErrFenced.
func (t *tx) holding(lease adg.Lease, now int64) (h held, err error) {
	err = t.row([]any{&h.n, &h.version, &h.bad}, "SELECT n, version, bad FROM deployments WHERE id = ? AND owner = ? AND fence = ? AND until > ?",
		lease.Deployment, lease.Owner, lease.Fence, now)
	if errors.Is(err, sql.ErrNoRows) {
		return h, adg.ErrFenced
	}
	return h, err
}
