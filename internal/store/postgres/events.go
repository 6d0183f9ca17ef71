package postgres

import (
	"cmp"
	"context"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// The order of the event log is made by those who read it. A number that a writer took would not do: of two writers the
// one with the smaller number may commit later, and a reader who went by has missed it. (Handing out only what is older
// than every open transaction would do, but lets any long transaction on that server, also in another database, hold
// all events back.) So a fact is stored without a cursor, and whoever reads next gives cursors to the facts that are
// committed by then, one reader at a time. What is committed later gets a larger one; no writer ever waits.

// Events are the next ones.
func (s *Store) Events(ctx context.Context, f adg.EventFilter) (events []adg.Event, next int64, err error) {
	var deployment int64
	if f.Deployment != "" {
		if deployment, err = s.number(ctx, f.Deployment); err != nil {
			return nil, 0, err
		}
	}
	last, err := s.LastEvent(ctx)
	switch {
	case err != nil:
		return nil, f.After, err
	case f.Newest:
		next = 0
	case last <= f.After:
		return nil, f.After, nil
	default:
		next = last
	}
	limit := row.Limit(f.Limit, 100, 1000)
	query, args := eventQuery(f, deployment, last, limit)
	events, err = collect(ctx, s, readEvent, query, args...)
	switch {
	case err != nil:
		return nil, 0, err
	case len(events) == limit:
		return events, events[limit-1].Cursor, nil
	}
	return events, next, nil
}

// LastEvent is the cursor of the last fact that is committed.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	for given := int64(maxCursors); given == maxCursors; {
		waiting := false
		if err := s.scan(ctx, []any{&waiting, &last}, "SELECT EXISTS (SELECT 1 FROM facts WHERE cursor IS NULL), coalesce((SELECT max(cursor) FROM facts), 0)"); err != nil || !waiting {
			return last, err
		}
		if given, err = s.giveCursors(ctx); err != nil {
			return 0, err
		}
	}
	err = s.scan(ctx, []any{&last}, "SELECT coalesce(max(cursor), 0) FROM facts")
	return last, err
}

// Private

const maxCursors = 5000 // given in one transaction

// giveCursors continues the order with facts that are committed: those of one deployment in the order in which they
// became true, since its ticks are committed one after the other. It says how many there were.
func (s *Store) giveCursors(ctx context.Context) (given int64, err error) {
	err = s.write(ctx, true, func(ctx context.Context, t *tx) error {
		if err := t.lock(ctx, lockEvents); err != nil {
			return err
		}
		given, err = t.exec(ctx, cursorsQuery, maxCursors)
		return err
	})
	return given, err
}

const cursorsQuery = `
WITH new AS MATERIALIZED (SELECT n FROM facts WHERE cursor IS NULL ORDER BY n LIMIT $1),
numbered AS MATERIALIZED (SELECT n, nextval('facts_cursor') AS cursor FROM new)
UPDATE facts SET cursor = numbered.cursor FROM numbered WHERE facts.n = numbered.n`

// eventQuery selects the facts after the cursor up to the last one, or the newest ones before it. What is of one service or
// environment and what is of none are read apart, a page of each as the index has them in order, and put together.
func eventQuery(f adg.EventFilter, deployment, last int64, limit int) (query string, args []any) {
	var w where
	order := ""
	if f.Newest {
		w.add("f.cursor < %s", cmp.Or(f.After, math.MaxInt64))
		order = " DESC"
	} else {
		w.add("f.cursor > %s AND f.cursor <= %s", f.After, last)
	}
	if f.Deployment != "" {
		w.add("f.deployment = %s", deployment)
	}
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = k.String()
		}
		w.add("f.kind = ANY (%s::text[])", kinds)
	}
	page := " ORDER BY cursor" + order + " LIMIT " + w.arg(limit)
	parts := []string{"SELECT f.cursor, f.fact FROM facts f" + w.clause()}
	for _, c := range [][2]string{{"f.service", f.Service}, {"f.environment", f.Environment}} {
		if c[1] == "" {
			continue
		}
		one, none := " AND "+c[0]+" = "+w.arg(c[1]), " AND "+c[0]+" = ''"
		var apart []string
		for _, part := range parts {
			apart = append(apart, part+one, part+none)
		}
		parts = apart
	}
	if len(parts) == 1 {
		return parts[0] + page, w.args
	}
	return "(" + strings.Join(parts, page+") UNION ALL (") + page + ")" + page, w.args
}

func readEvent(rows pgx.CollectableRow) (e adg.Event, err error) {
	var text string
	if err := rows.Scan(&e.Cursor, &text); err != nil {
		return e, err
	}
	e.Fact, err = row.Decode[adg.Fact](text)
	return e, err
}
