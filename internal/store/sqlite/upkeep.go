package sqlite

import (
	"context"
	"database/sql"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Backlog is what waits to be done.
func (s *Store) Backlog(ctx context.Context) (b adg.Backlog, err error) {
	now := s.clock.now()
	var due int64
	var oldest sql.NullString
	err = s.reads.QueryRowContext(ctx, backlogQuery, row.Nanos(now)).Scan(&b.Due, &due, &b.Held, &b.Expired, &b.Undelivered, &oldest, &b.Dead)
	if err != nil {
		return adg.Backlog{}, explain(s.dir, err)
	}
	return row.Waits(b, now, due, oldest.String)
}

// Forget forgets in small transactions, so that ticks need not wait for it.
func (s *Store) Forget(ctx context.Context, old adg.Retention) (gone int64, err error) {
	return row.ForgetParts(ctx,
		row.Part{Before: old.Dead, Page: s.agedDead, Forget: s.forgetDead},
		row.Part{Before: old.Events, Page: s.agedFacts, Forget: s.forgetFacts},
		row.Part{Before: old.Decisions, Page: s.agedDeployments, Forget: s.forgetDeployments})
}

// Private

const backlogQuery = `
SELECT
	(SELECT count(*) FROM deployments WHERE live = 1 AND due <= ?1 AND until <= ?1),
	coalesce((SELECT min(due) FROM deployments WHERE live = 1 AND due > 0 AND due <= ?1 AND until <= ?1), 0),
	(SELECT count(*) FROM deployments WHERE live = 1 AND owner <> '' AND until > ?1),
	(SELECT count(*) FROM deployments WHERE live = 1 AND owner <> '' AND until <= ?1),
	(SELECT count(*) FROM outbox WHERE dead = 0),
	(SELECT fact FROM facts WHERE n = (SELECT min(fact) FROM outbox WHERE dead = 0)),
	(SELECT count(*) FROM outbox WHERE dead = 1)`

const agedDeadQuery = "SELECT o.n, f.fact, 0 FROM outbox o JOIN facts f ON f.n = o.fact WHERE o.dead = 1 AND o.n > ? ORDER BY o.n LIMIT ?"

// The newest fact stays: its number is where the next one's goes on from. What is still to be told stays, too.
const agedFactsQuery = `
SELECT f.n, f.fact, coalesce(d.live, 0) = 1 OR f.n = (SELECT max(n) FROM facts) OR EXISTS (SELECT 1 FROM outbox o WHERE o.fact = f.n)
FROM facts f LEFT JOIN deployments d ON d.n = f.deployment WHERE f.n > ? ORDER BY f.n LIMIT ?`

const agedDeploymentsQuery = `
SELECT d.n, s.spec, t.status,
	d.live = 1 OR EXISTS (SELECT 1 FROM outbox o WHERE o.deployment = d.n AND o.dead = 0)
		OR EXISTS (SELECT 1 FROM facts f WHERE f.deployment = d.n AND f.n = (SELECT max(n) FROM facts))
FROM deployments d JOIN specs s ON s.deployment = d.n JOIN statuses t ON t.deployment = d.n
WHERE d.n > ? ORDER BY d.n LIMIT ?`

// evidence is what there may be much of.
var evidence = []string{"measurements", "ticks"}

func forgetEvidenceQuery(table string) string {
	return "DELETE FROM " + table + " WHERE n IN (SELECT n FROM " + table + " WHERE deployment = ? LIMIT ?)"
}

// forgetQueries forget the rest of a deployment.
var forgetQueries = []string{
	"DELETE FROM outbox WHERE deployment = ?", "DELETE FROM facts WHERE deployment = ?", "DELETE FROM baselines WHERE deployment = ?",
	"DELETE FROM commands WHERE deployment = ?", "DELETE FROM effects WHERE deployment = ?", "DELETE FROM specs WHERE deployment = ?",
	"DELETE FROM statuses WHERE deployment = ?", "DELETE FROM deployments WHERE n = ?",
}

func (s *Store) agedDead(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, agedFact, agedDeadQuery, after, row.ForgetPage)
}

func (s *Store) agedFacts(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, agedFact, agedFactsQuery, after, row.ForgetPage)
}

func agedFact(rows *sql.Rows) (a row.Aged, err error) {
	var fact string
	if err := rows.Scan(&a.N, &fact, &a.Kept); err != nil {
		return a, err
	}
	a.Begun, err = row.FactTime(fact)
	a.Ended = a.Begun
	return a, err
}

func (s *Store) agedDeployments(ctx context.Context, after int64) ([]row.Aged, error) {
	return collect(ctx, s, func(rows *sql.Rows) (a row.Aged, err error) {
		var spec, status string
		if err := rows.Scan(&a.N, &spec, &status, &a.Kept); err != nil {
			return a, err
		}
		a.Begun, a.Ended, err = row.Times(spec, status)
		return a, err
	}, agedDeploymentsQuery, after, row.ForgetPage)
}

func (s *Store) forgetDead(ctx context.Context, numbers []int64) (int64, error) {
	return s.forgetEach(ctx, numbers, "DELETE FROM outbox WHERE n = ? AND dead = 1")
}

func (s *Store) forgetFacts(ctx context.Context, numbers []int64) (int64, error) {
	return s.forgetEach(ctx, numbers, "DELETE FROM facts WHERE n = ?")
}

func (s *Store) forgetEach(ctx context.Context, numbers []int64, queries ...string) (gone int64, err error) {
	err = s.write(ctx, false, func(t *tx) error {
		gone = 0
		for _, n := range numbers {
			for _, query := range queries {
				rows, err := t.exec(query, n)
				if err != nil {
					return err
				}
				gone += rows
			}
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
				err := s.write(ctx, false, func(t *tx) (err error) {
					rows, err = t.exec(forgetEvidenceQuery(table), n, compactRows)
					return err
				})
				if err != nil {
					return gone, err
				}
			}
		}
		rows, err := s.forgetEach(ctx, []int64{n}, forgetQueries...)
		gone += rows
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}
