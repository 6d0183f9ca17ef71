package sqlite

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Fleet is the state of everything else, in one look.
func (s *Store) Fleet(ctx context.Context, environment, deployment string) (adg.Fleet, error) {
	now := s.clock.now()
	var f adg.Fleet
	err := s.reads.QueryRowContext(ctx, fleetQuery, row.Nanos(now.Add(-rollbacksWithin)), environment, row.Nanos(now.Add(-turnedBadWithin)), deployment).
		Scan(&f.Rollbacks, &f.TurnedBad, &f.Stopped, &f.Rolling)
	return f, explain(s.dir, err)
}

// StopLine stops the line, or puts another reason on record.
func (s *Store) StopLine(ctx context.Context, actor, reason string) error {
	return s.setLine(ctx, true, actor, reason)
}

// ResumeLine lets a line run; one that does already goes on.
func (s *Store) ResumeLine(ctx context.Context, actor string) error {
	return s.setLine(ctx, false, actor, "")
}

// Private

const (
	rollbacksWithin = time.Hour
	turnedBadWithin = 5 * time.Minute
)

const fleetQuery = `
SELECT
	(SELECT count(*) FROM slots WHERE at > ?1),
	(SELECT count(DISTINCT service) FROM deployments WHERE environment = ?2 AND bad_since > ?3),
	coalesce((SELECT actor || iif(reason = '', '', ': ' || reason) FROM line WHERE n = (SELECT max(n) FROM line) AND stopped), ''),
	coalesce((
		SELECT o.id FROM deployments d
		JOIN deployments o INDEXED BY deployments_live ON o.service = d.service AND o.environment = d.environment AND o.live = 1
		WHERE d.id = ?4 AND o.n <> d.n AND o.state IN ('rolling_back', 'verifying_rollback')
		ORDER BY o.n LIMIT 1
	), '')`

func (s *Store) setLine(ctx context.Context, stopped bool, actor, reason string) error {
	return s.write(ctx, true, func(t *tx) error {
		_, err := t.exec("INSERT INTO line (at, stopped, actor, reason) VALUES (?, ?, ?, ?)", row.Nanos(s.clock.now()), stopped, actor, reason)
		return err
	})
}
