package sqlite

import (
	"context"
	"database/sql"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Places jumps from place to place by the index: it costs what there are places, however long their histories are.
func (s *Store) Places(ctx context.Context, after adg.Scope, limit int) ([]adg.Scope, error) {
	var all []adg.Scope
	for range row.Limit(limit, 100, 1000) {
		next, err := collect(ctx, s, func(rows *sql.Rows) (place adg.Scope, err error) {
			return place, rows.Scan(&place.Service, &place.Environment)
		}, placeQuery, after.Service, after.Environment)
		if err != nil || len(next) == 0 {
			return all, err
		}
		all, after = append(all, next[0]), next[0]
	}
	return all, nil
}

// Private

// placeQuery is the next environment of the same service, or else the first one of the next service.
const placeQuery = `
	SELECT * FROM (SELECT service, environment FROM deployments WHERE service = ?1 AND environment > ?2 ORDER BY environment LIMIT 1)
	UNION ALL
	SELECT * FROM (SELECT service, environment FROM deployments WHERE service > ?1 ORDER BY service, environment LIMIT 1)
	LIMIT 1`
