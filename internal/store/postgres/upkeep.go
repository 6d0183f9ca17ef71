package postgres

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Backlog is what waits to be done.
func (s *Store) Backlog(ctx context.Context) (b adg.Backlog, err error) {
	nanos, err := s.now(ctx)
	if err != nil {
		return b, err
	}
	var due int64
	var oldest sql.NullString
	if err := s.scan(ctx, []any{&b.Due, &due, &b.Held, &b.Expired, &b.Undelivered, &oldest, &b.Dead}, backlogQuery, nanos); err != nil {
		return adg.Backlog{}, err
	}
	return row.Waits(b, row.Time(nanos), due, oldest.String)
}

// Forget forgets in small transactions, so that ticks need not wait for it.
func (s *Store) Forget(ctx context.Context, old adg.Retention) (gone int64, err error) {
	if _, err := s.LastEvent(ctx); err != nil { // who reads the log gives the cursors, and perhaps nobody does
		return 0, err
	}
	return row.ForgetParts(ctx,
		row.Part{Before: old.Dead, Page: s.agedDead, Forget: s.forgetDead},
		row.Part{Before: old.Events, Page: s.agedFacts, Forget: s.forgetFacts},
		row.Part{Before: old.Decisions, Page: s.agedDeployments, Forget: s.forgetDeployments})
}

// Private

const backlogQuery = `
SELECT
	(SELECT count(*) FROM deployments WHERE live AND due <= $1 AND until <= $1),
	coalesce((SELECT min(due) FROM deployments WHERE live AND due > 0 AND due <= $1 AND until <= $1), 0),
	(SELECT count(*) FROM deployments WHERE live AND owner <> '' AND until > $1),
	(SELECT count(*) FROM deployments WHERE live AND owner <> '' AND until <= $1),
	(SELECT count(*) FROM outbox WHERE NOT dead),
	(SELECT fact FROM facts WHERE n = (SELECT min(fact) FROM outbox WHERE NOT dead)),
	(SELECT count(*) FROM outbox WHERE dead)`

const agedDeadQuery = "SELECT o.n, f.fact, false FROM outbox o JOIN facts f ON f.n = o.fact WHERE o.dead AND o.n > $1 ORDER BY o.n LIMIT $2"

// The newest fact stays: its cursor is where the log ends. What has no cursor yet, or is still to be told, stays, too. Without
// OFFSET the planner would read all that others refer to at once, for each page.
const agedFactsQuery = `
SELECT f.n, f.fact, coalesce(d.live, false) OR f.cursor IS NULL OR f.cursor = (SELECT max(cursor) FROM facts) OR EXISTS (SELECT 1 FROM outbox o WHERE o.fact = f.n OFFSET 0)
FROM facts f LEFT JOIN deployments d ON d.n = f.deployment WHERE f.n > $1 ORDER BY f.n LIMIT $2`

const agedDeploymentsQuery = `
SELECT d.n, s.spec, t.status,
	d.live OR EXISTS (SELECT 1 FROM outbox o WHERE o.deployment = d.n AND NOT o.dead OFFSET 0)
		OR EXISTS (SELECT 1 FROM facts f WHERE f.deployment = d.n AND (f.cursor IS NULL OR f.cursor = (SELECT max(cursor) FROM facts)) OFFSET 0)
FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n
WHERE d.n > $1 ORDER BY d.n LIMIT $2`

// evidence is what there may be much of.
var evidence = []string{"measurements", "ticks"}

func forgetEvidenceQuery(table string) string {
	return "DELETE FROM " + table + " WHERE n = ANY (ARRAY(SELECT n FROM " + table + " WHERE deployment = $1 LIMIT $2))"
}

// forgetQueries forget the rest of deployments.
var forgetQueries = []string{
	"DELETE FROM outbox WHERE deployment = ANY ($1)", "DELETE FROM facts WHERE deployment = ANY ($1)",
	"DELETE FROM baselines WHERE deployment = ANY ($1)", "DELETE FROM commands WHERE deployment = ANY ($1)", "DELETE FROM effects WHERE deployment = ANY ($1)",
	"DELETE FROM specs WHERE deployment = ANY ($1)", "DELETE FROM statuses WHERE deployment = ANY ($1)", "DELETE FROM deployments WHERE n = ANY ($1)",
}

func (s *Store) agedDead(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, agedFact, agedDeadQuery, after, row.ForgetPage)
}

func (s *Store) agedFacts(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, agedFact, agedFactsQuery, after, row.ForgetPage)
}

func agedFact(rows pgx.CollectableRow) (a row.Aged, err error) {
	var fact string
	if err := rows.Scan(&a.N, &fact, &a.Kept); err != nil {
		return a, err
	}
	a.Begun, err = row.FactTime(fact)
	a.Ended = a.Begun
	return a, err
}

func (s *Store) agedDeployments(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, func(rows pgx.CollectableRow) (a row.Aged, err error) {
		var spec, status string
		if err := rows.Scan(&a.N, &spec, &status, &a.Kept); err != nil {
			return a, err
		}
		a.Begun, a.Ended, err = row.Times(spec, status)
		return a, err
	}, agedDeploymentsQuery, after, row.ForgetPage)
}

func (s *Store) forgetDead(ctx context.Context, numbers []int64) (int64, error) {
	return s.forgetAll(ctx, numbers, "DELETE FROM outbox WHERE n = ANY ($1) AND dead")
}

func (s *Store) forgetFacts(ctx context.Context, numbers []int64) (int64, error) {
	return s.forgetAll(ctx, numbers, "DELETE FROM facts WHERE n = ANY ($1)")
}

func (s *Store) forgetAll(ctx context.Context, numbers []int64, queries ...string) (gone int64, err error) {
	err = s.write(ctx, false, func(ctx context.Context, t *tx) error {
		gone = 0
		for _, query := range queries {
			rows, err := t.exec(ctx, query, numbers)
			if err != nil {
				return err
			}
			gone += rows
		}
		return nil
	})
	return gone, err
}

// forgetDeployments forgets the evidence first, which may be much; what is left when it is interrupted goes next time.
func (s *Store) forgetDeployments(ctx context.Context, numbers []int64) (gone int64, err error) {
	for _, n := range numbers {
		for _, table := range evidence {
			for rows := int64(compactRows); rows == compactRows; gone += rows {
				err := s.write(ctx, false, func(ctx context.Context, t *tx) (err error) {
					rows, err = t.exec(ctx, forgetEvidenceQuery(table), n, compactRows)
					return err
				})
				if err != nil {
					return gone, err
				}
			}
		}
		rows, err := s.forgetAll(ctx, []int64{n}, forgetQueries...)
		gone += rows
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}
