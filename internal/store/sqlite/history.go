package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
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
		var intent, outcome string
		if err := rows.Scan(&intent, &outcome); err != nil {
			return adg.Effect{}, err
		}
		return row.Effect(intent, outcome)
	}, "SELECT effect, coalesce(outcome, '') FROM effects WHERE deployment = ? ORDER BY n LIMIT ?", n, maxRows)
}

// Assessments are those of a deployment; the filter's check is of no account.
func (s *Store) Assessments(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Assessment, error) {
	f.Check = ""
	return thinned(ctx, s, deployment, f, "ticks", "tick", "assessed = 1", row.Assessment)
}

// Measurements are those of a deployment.
func (s *Store) Measurements(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Measurement, error) {
	return thinned(ctx, s, deployment, f, "measurements", "measurement", "(?4 = '' OR name = ?4)", row.Measurement)
}

// Baselines are those that were frozen for a deployment.
func (s *Store) Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error) {
	return listed(ctx, s, deployment, "SELECT baseline FROM baselines WHERE deployment = ? ORDER BY n LIMIT ?", row.Baseline)
}

// Facts are those of a deployment, oldest first.
func (s *Store) Facts(ctx context.Context, deployment string) ([]adg.Fact, error) {
	return listed(ctx, s, deployment, "SELECT fact FROM facts WHERE deployment = ? ORDER BY n LIMIT ?", row.Decode[adg.Fact])
}

// Compact forgets in small transactions, so that ticks need not wait for it. The evidence of decisions that changed
// something stays.
func (s *Store) Compact(ctx context.Context, before time.Time) (int64, error) {
	gone := int64(0)
	for _, table := range []string{"ticks", "measurements"} {
		ended, err := collect(ctx, s, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) },
			`SELECT n FROM deployments d WHERE live = 0
			AND EXISTS (SELECT 1 FROM `+table+` WHERE deployment = d.n AND at < ? AND keep = 0)`, row.Nanos(before))
		if err != nil {
			return gone, err
		}
		for _, n := range ended {
			for {
				var rows int64
				err := s.write(ctx, false, func(t *tx) (err error) {
					rows, err = t.exec("DELETE FROM "+table+" WHERE n IN (SELECT n FROM "+table+" WHERE deployment = ? AND at < ? AND keep = 0 LIMIT ?)", n, row.Nanos(before), compactRows)
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
		return row.Entry(deployment, seq, text)
	}, "SELECT seq, tick FROM ticks WHERE deployment = ? AND seq > ? "+where+" ORDER BY seq LIMIT ?", n, after, row.Limit(limit, 1000, maxRows))
}

// listed reads the rows of one deployment that are stored as JSON.
func listed[T any](ctx context.Context, s *Store, deployment, query string, read func(string) (T, error)) ([]T, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, decoding(read), query, n, maxRows)
}

func decoding[T any](read func(string) (T, error)) func(*sql.Rows) (T, error) {
	return func(rows *sql.Rows) (one T, err error) {
		var text string
		if err := rows.Scan(&text); err != nil {
			return one, err
		}
		return read(text)
	}
}

// thinned reads the rows that a filter selects. Of more than the limit it takes as many as the limit, evenly: the row
// r of t rows is one of them if its share of the limit is another than that of the row before.
func thinned[T any](ctx context.Context, s *Store, deployment string, f adg.MeasurementFilter, table, column, where string, read func(string) (T, error)) ([]T, error) {
	n, err := s.number(ctx, s.reads, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, decoding(read), `
		WITH selected AS (
			SELECT n, at, row_number() OVER (ORDER BY at, n) - 1 AS r, count(*) OVER () AS t
			FROM `+table+` WHERE deployment = ?1 AND at >= ?2 AND at <= ?3 AND `+where+`
		)
		SELECT `+column+` FROM selected JOIN `+table+` USING (n)
		WHERE t <= ?5 OR r = 0 OR r * (?5 - 1) / (t - 1) <> (r - 1) * (?5 - 1) / (t - 1)
		ORDER BY selected.at, n`, n, row.Nanos(f.From), row.End(f.To), f.Check, row.Limit(f.Limit, 1000, maxRows))
}
