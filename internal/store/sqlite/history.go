package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/deployguardian/adg"
)

// Entries are the decisions on record.
func (s *Store) Entries(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error) {
	return s.entries(ctx, deployment, "AND keep = 1", after, limit)
}

// Ticks are the entries of all ticks.
func (s *Store) Ticks(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error) {
	return s.entries(ctx, deployment, "", after, limit)
}

// Effects are all effects of a deployment, oldest first.
func (s *Store) Effects(ctx context.Context, deployment string) ([]adg.Effect, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, func(rows *sql.Rows) (adg.Effect, error) {
		var begun string
		var ended sql.NullString
		if err := rows.Scan(&begun, &ended); err != nil {
			return adg.Effect{}, err
		}
		e, err := decode[adg.Effect](begun)
		if err == nil && ended.Valid {
			var o outcome
			o, err = decode[outcome](ended.String)
			plain := o.plain()
			e.Outcome = &plain
		}
		return e, err
	}, "SELECT effect, outcome FROM effects WHERE deployment = ? ORDER BY n LIMIT ?", n, maxRows)
}

// Assessments are those of a deployment; the filter's check is of no account.
func (s *Store) Assessments(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Assessment, error) {
	f.Check = ""
	return thinned(ctx, s, deployment, f, "ticks", "tick", "assessed = 1", tick.assessment)
}

// Measurements are those of a deployment.
func (s *Store) Measurements(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Measurement, error) {
	return thinned(ctx, s, deployment, f, "measurements", "measurement", "(?4 = '' OR name = ?4)", measurement.plain)
}

// Baselines are those that were frozen for a deployment.
func (s *Store) Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error) {
	return listed(ctx, s, deployment, "SELECT baseline FROM baselines WHERE deployment = ? ORDER BY n LIMIT ?", baseline.plain)
}

// Facts are those of a deployment, oldest first.
func (s *Store) Facts(ctx context.Context, deployment string) ([]adg.Fact, error) {
	return listed(ctx, s, deployment, "SELECT fact FROM facts WHERE deployment = ? ORDER BY n LIMIT ?", same[adg.Fact])
}

// Compact forgets in small transactions, so that ticks need not wait for it. The evidence of decisions that changed
// something stays.
func (s *Store) Compact(ctx context.Context, before time.Time) (int64, error) {
	gone := int64(0)
	for _, table := range []string{"ticks", "measurements"} {
		ended, err := collect(ctx, s, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) },
			`SELECT n FROM deployments d WHERE live = 0
			AND EXISTS (SELECT 1 FROM `+table+` WHERE deployment = d.n AND at < ? AND keep = 0)`, nanos(before))
		if err != nil {
			return gone, err
		}
		for _, n := range ended {
			for {
				var rows int64
				err := s.write(ctx, false, func(t *tx) (err error) {
					rows, err = t.exec("DELETE FROM "+table+" WHERE n IN (SELECT n FROM "+table+" WHERE deployment = ? AND at < ? AND keep = 0 LIMIT ?)", n, nanos(before), compactRows)
					return err
				})
				gone += rows
				if err != nil {
					return gone, err
				}
				if rows < compactRows {
					break
				}
			}
		}
	}
	return gone, nil
}

// Private

const (
	maxRows     = 10_000 // of one answer
	compactRows = 2_000  // forgotten in one transaction
)

func (s *Store) entries(ctx context.Context, deployment, where string, after int64, limit int) ([]adg.Entry, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, func(rows *sql.Rows) (e adg.Entry, err error) {
		var seq int64
		var text string
		if err := rows.Scan(&seq, &text); err != nil {
			return e, err
		}
		stored, err := decode[tick](text)
		if err != nil {
			return e, err
		}
		e = stored.plain()
		e.Deployment, e.Seq = deployment, seq
		return e, nil
	}, "SELECT seq, tick FROM ticks WHERE deployment = ? AND seq > ? "+where+" ORDER BY seq LIMIT ?", n, after, bounded(limit, 1000, maxRows))
}

// listed reads the rows of one deployment that are stored as JSON.
func listed[S, T any](ctx context.Context, s *Store, deployment, query string, plain func(S) T) ([]T, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, decoding(plain), query, n, maxRows)
}

func decoding[S, T any](plain func(S) T) func(*sql.Rows) (T, error) {
	return func(rows *sql.Rows) (one T, err error) {
		var text string
		if err := rows.Scan(&text); err != nil {
			return one, err
		}
		stored, err := decode[S](text)
		if err != nil {
			return one, err
		}
		return plain(stored), nil
	}
}

// thinned reads the rows that a filter selects. Of more than the limit it takes as many as the limit, evenly: the row
// r of t rows is one of them if its share of the limit is another than that of the row before.
func thinned[S, T any](ctx context.Context, s *Store, deployment string, f adg.MeasurementFilter, table, column, where string, plain func(S) T) ([]T, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	until := int64(forever)
	if !f.To.IsZero() {
		until = nanos(f.To)
	}
	return collect(ctx, s, decoding(plain), `
		WITH selected AS (
			SELECT n, at, row_number() OVER (ORDER BY at, n) - 1 AS r, count(*) OVER () AS t
			FROM `+table+` WHERE deployment = ?1 AND at >= ?2 AND at <= ?3 AND `+where+`
		)
		SELECT `+column+` FROM selected JOIN `+table+` USING (n)
		WHERE t <= ?5 OR r = 0 OR r * (?5 - 1) / (t - 1) <> (r - 1) * (?5 - 1) / (t - 1)
		ORDER BY selected.at, n`, n, nanos(f.From), until, f.Check, bounded(f.Limit, 1000, maxRows))
}
