package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Fleet is the state of everything else, in one look.
func (s *Store) Fleet(ctx context.Context, environment, deployment string) (adg.Fleet, error) {
	now := s.clock.now()
	f := adg.Fleet{Limits: s.limits}
	err := s.reads.QueryRowContext(ctx, fleetQuery, row.Nanos(now.Add(-rollbacksWithin)), environment, row.Nanos(now.Add(-s.limits.WithDefaults().Within)), deployment).
		Scan(&f.Rollbacks, &f.TurnedBad, &f.Stopped, &f.Rolling)
	return f, explain(s.dir, err)
}

// StopLine stops what is within a scope, in place of the stop of the same scope that there is.
func (s *Store) StopLine(ctx context.Context, stop adg.Stop, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(t *tx) error {
		now := row.Nanos(s.clock.now())
		if _, err := t.endStop(stop.Scope, stop.Actor, now); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO stops (service, environment, actor, reason, at) VALUES (?, ?, ?, ?, ?)",
			stop.Service, stop.Environment, stop.Actor, stop.Reason, now)
		return err
	})
}

// ResumeLine ends the stop of a scope.
func (s *Store) ResumeLine(ctx context.Context, scope adg.Scope, actor string, entries ...adg.AuditEntry) error {
	return s.onRecord(ctx, entries, func(t *tx) error {
		ended, err := t.endStop(scope, actor, row.Nanos(s.clock.now()))
		if err == nil && ended == 0 {
			err = adg.Errorf(adg.NotFound, "nobody has stopped just this (service %q, environment %q): resume one of the stops that are in force", scope.Service, scope.Environment)
		}
		return err
	})
}

// Stops are the stops in force.
func (s *Store) Stops(ctx context.Context) ([]adg.Stop, error) {
	return collect(ctx, s, func(rows *sql.Rows) (stop adg.Stop, err error) {
		var at int64
		err = rows.Scan(&stop.Service, &stop.Environment, &stop.Actor, &stop.Reason, &at)
		stop.At = row.Time(at)
		return stop, err
	}, "SELECT service, environment, actor, reason, at FROM stops WHERE ended IS NULL ORDER BY "+widestFirst+", service, environment LIMIT ?", maxRows)
}

// Private

const rollbacksWithin = time.Hour

// widestFirst: everything, an environment, a service, a service in an environment.
const widestFirst = "service <> '', environment <> ''"

const fleetQuery = `
SELECT
	(SELECT count(*) FROM slots WHERE at > ?1),
	(SELECT count(DISTINCT service) FROM deployments WHERE environment = ?2 AND bad_since > ?3),
	coalesce((
		SELECT actor || iif(reason = '', '', ': ' || reason) FROM stops
		WHERE ended IS NULL AND service IN ('', (SELECT service FROM deployments WHERE id = ?4)) AND environment IN ('', ?2)
		ORDER BY ` + widestFirst + ` LIMIT 1
	), ''),
	coalesce((
		SELECT o.id FROM deployments d
		JOIN deployments o INDEXED BY deployments_live ON o.service = d.service AND o.environment = d.environment AND o.live = 1
		WHERE d.id = ?4 AND o.n <> d.n AND o.state IN ('rolling_back', 'verifying_rollback')
		ORDER BY o.n LIMIT 1
	), '')`

// endStop tells how many stops have ended: one or none.
func (t *tx) endStop(scope adg.Scope, actor string, now int64) (int64, error) {
	return t.exec("UPDATE stops SET ended = ?, ended_by = ? WHERE service = ? AND environment = ? AND ended IS NULL", now, actor, scope.Service, scope.Environment)
}
