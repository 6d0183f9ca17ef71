package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Places jumps from place to place by the index: it costs what there are places, however long their histories are.
func (s *Store) Places(ctx context.Context, after adg.Scope, limit int) ([]adg.Scope, error) {
	return collect(ctx, s, func(rows pgx.CollectableRow) (place adg.Scope, err error) {
		return place, rows.Scan(&place.Service, &place.Environment)
	}, placesQuery, after.Service, after.Environment, row.Limit(limit, 100, 1000))
}

// Private

const placesQuery = `
	WITH RECURSIVE place(service, environment) AS (
		SELECT $1::text COLLATE "C", $2::text COLLATE "C"
		UNION ALL
		SELECT n.service, n.environment FROM place p, LATERAL (
			SELECT d.service, d.environment FROM deployments d WHERE (d.service, d.environment) > (p.service, p.environment)
			ORDER BY d.service, d.environment LIMIT 1
		) n
	)
	SELECT service, environment FROM place OFFSET 1 LIMIT $3`
