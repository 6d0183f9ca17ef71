package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Entries are the decisions on record.
func (s *Store) Entries(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error) {
	return s.entries(ctx, deployment, "AND keep", after, limit)
}

// Ticks are the entries of all ticks.
func (s *Store) Ticks(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error) {
	return s.entries(ctx, deployment, "", after, limit)
}

// Effects are all effects of a deployment, oldest first.
func (s *Store) Effects(ctx context.Context, deployment string) ([]adg.Effect, error) {
	n, err := s.number(ctx, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, func(rows pgx.CollectableRow) (adg.Effect, error) {
		var intent, outcome string
		if err := rows.Scan(&intent, &outcome); err != nil {
			return adg.Effect{}, err
		}
		return row.Effect(intent, outcome)
	}, "SELECT effect, coalesce(outcome, '') FROM effects WHERE deployment = $1 ORDER BY n LIMIT $2", n, maxRows)
}

// Assessments are those of a deployment; the filter's check is of no account.
func (s *Store) Assessments(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Assessment, error) {
	f.Check = ""
	return thinned(ctx, s, deployment, f, "ticks", "tick", "assessed AND $4 = ''", row.Assessment)
}

// Measurements are those of a deployment.
func (s *Store) Measurements(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Measurement, error) {
	return thinned(ctx, s, deployment, f, "measurements", "measurement", "($4 = '' OR name = $4)", row.Measurement)
}

// Baselines are those that were frozen for a deployment.
func (s *Store) Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error) {
	return listed(ctx, s, deployment, "SELECT baseline FROM baselines WHERE deployment = $1 ORDER BY n LIMIT $2", row.Baseline)
}

// Facts are those of a deployment, oldest first.
func (s *Store) Facts(ctx context.Context, deployment string) ([]adg.Fact, error) {
	return listed(ctx, s, deployment, "SELECT fact FROM facts WHERE deployment = $1 ORDER BY n LIMIT $2", row.Decode[adg.Fact])
}

// Compact forgets in small transactions, so that nobody has to wait for it. The evidence of decisions that changed
// something stays.
func (s *Store) Compact(ctx context.Context, before time.Time) (gone int64, err error) {
	for _, table := range []string{"ticks", "measurements"} {
		ended, err := collect(ctx, s, pgx.RowTo[int64],
			"SELECT n FROM deployments d WHERE NOT live AND EXISTS (SELECT 1 FROM "+table+" WHERE deployment = d.n AND at < $1 AND NOT keep)", row.Nanos(before))
		if err != nil {
			return gone, err
		}
		for _, n := range ended {
			rows, err := s.compact(ctx, table, n, row.Nanos(before))
			gone += rows
			if err != nil {
				return gone, err
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

func (s *Store) compact(ctx context.Context, table string, deployment, before int64) (gone int64, err error) {
	for {
		var rows int64
		err := s.write(ctx, false, func(ctx context.Context, t *tx) (err error) {
			rows, err = t.exec(ctx, "DELETE FROM "+table+" WHERE n = ANY (ARRAY(SELECT n FROM "+table+" WHERE deployment = $1 AND at < $2 AND NOT keep LIMIT $3))",
				deployment, before, compactRows)
			return err
		})
		gone += rows
		if err != nil || rows < compactRows {
			return gone, err
		}
	}
}

func (s *Store) entries(ctx context.Context, deployment, where string, after int64, limit int) ([]adg.Entry, error) {
	n, err := s.number(ctx, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, func(rows pgx.CollectableRow) (e adg.Entry, err error) {
		var seq int64
		var text string
		if err := rows.Scan(&seq, &text); err != nil {
			return e, err
		}
		return row.Entry(deployment, seq, text)
	}, "SELECT seq, tick FROM ticks WHERE deployment = $1 AND seq > $2 "+where+" ORDER BY seq LIMIT $3", n, after, row.Limit(limit, 1000, maxRows))
}

// listed reads the rows of one deployment that are stored as JSON.
func listed[T any](ctx context.Context, s *Store, deployment, query string, read func(string) (T, error)) ([]T, error) {
	n, err := s.number(ctx, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, decoding(read), query, n, maxRows)
}

func decoding[T any](read func(string) (T, error)) func(pgx.CollectableRow) (T, error) {
	return func(rows pgx.CollectableRow) (one T, err error) {
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
	n, err := s.number(ctx, deployment)
	if err != nil {
		return nil, err
	}
	return collect(ctx, s, decoding(read), `
		WITH selected AS (
			SELECT n, at, row_number() OVER (ORDER BY at, n) - 1 AS r, count(*) OVER () AS t
			FROM `+table+` WHERE deployment = $1 AND at >= $2 AND at <= $3 AND `+where+`
		)
		SELECT `+column+` FROM selected JOIN `+table+` USING (n)
		WHERE t <= $5::bigint OR r = 0 OR r * ($5 - 1) / nullif(t - 1, 0) <> (r - 1) * ($5 - 1) / nullif(t - 1, 0)
		ORDER BY selected.at, n`, n, row.Nanos(f.From), row.End(f.To), f.Check, row.Limit(f.Limit, 1000, maxRows))
}
