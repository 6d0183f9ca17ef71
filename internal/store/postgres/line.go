package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Fleet is the state of everything else, in one look.
func (s *Store) Fleet(ctx context.Context, environment, deployment string) (f adg.Fleet, err error) {
	now, err := s.now(ctx)
	if err != nil {
		return f, err
	}
	f.Limits = s.limits
	err = s.scan(ctx, []any{&f.Rollbacks, &f.TurnedBad, &f.Stopped, &f.Rolling}, fleetQuery, after(now, -rollbacksWithin), environment, after(now, -s.limits.WithDefaults().Within), deployment)
	return f, err
}

// StopLine stops a scope, or puts another reason on record.
func (s *Store) StopLine(ctx context.Context, stop adg.Stop, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(ctx context.Context, t *tx) error {
		if err := t.lock(ctx, lockLine); err != nil {
			return err
		}
		if _, err := t.exec(ctx, endStopQuery, stop.Service, stop.Environment, t.now, stop.Actor); err != nil {
			return err
		}
		_, err := t.exec(ctx, "INSERT INTO stops (service, environment, actor, reason, at) VALUES ($1, $2, $3, $4, $5)", stop.Service, stop.Environment, stop.Actor, stop.Reason, t.now)
		return err
	})
}

// ResumeLine ends the stop of a scope.
func (s *Store) ResumeLine(ctx context.Context, scope adg.Scope, actor string, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(ctx context.Context, t *tx) error {
		ended, err := t.exec(ctx, endStopQuery, scope.Service, scope.Environment, t.now, actor)
		if err == nil && ended == 0 {
			err = adg.Errorf(adg.NotFound, "nothing is stopped for exactly this scope (service %q, environment %q): look at the stops in force", scope.Service, scope.Environment)
		}
		return err
	})
}

// Stops are the stops in force.
func (s *Store) Stops(ctx context.Context) ([]adg.Stop, error) {
	return collect(ctx, s, func(rows pgx.CollectableRow) (stop adg.Stop, err error) {
		var at int64
		err = rows.Scan(&stop.Service, &stop.Environment, &stop.Actor, &stop.Reason, &at)
		stop.At = row.Time(at)
		return stop, err
	}, "SELECT service, environment, actor, reason, at FROM stops WHERE ended IS NULL ORDER BY "+widest+", service, environment LIMIT $1", maxRows)
}

// Private

// widest puts what is stopped everywhere first, then whole environments, then whole services.
const widest = "(service <> '')::int + (environment <> '')::int, service <> ''"

const endStopQuery = "UPDATE stops SET ended = $3, ended_by = $4 WHERE service = $1 AND environment = $2 AND ended IS NULL"

const fleetQuery = `
SELECT
	(SELECT count(*) FROM slots WHERE at > $1),
	(SELECT count(DISTINCT service) FROM deployments WHERE environment = $2 AND bad_since > $3),
	coalesce((
		SELECT CASE WHEN reason = '' THEN actor ELSE actor || ': ' || reason END FROM stops
		WHERE ended IS NULL AND environment IN ('', $2) AND (service = '' OR service = (SELECT service FROM deployments WHERE id = $4))
		ORDER BY ` + widest + ` LIMIT 1
	), ''),
	coalesce((
		SELECT o.id FROM deployments d
		JOIN deployments o ON o.service = d.service AND o.environment = d.environment AND o.live
		WHERE d.id = $4 AND o.n <> d.n AND o.state IN ('rolling_back', 'verifying_rollback')
		ORDER BY o.n LIMIT 1
	), '')`
