package postgres

import (
	"cmp"
	"context"
	"math"

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
	var w where
	if f.Deployment != "" {
		n, err := s.number(ctx, f.Deployment)
		if err != nil {
			return nil, 0, err
		}
		w.add("f.deployment = %s", n)
	}
	last, err := s.LastEvent(ctx)
	order := ""
	switch {
	case err != nil:
		return nil, f.After, err
	case f.Newest:
		w.add("f.cursor < %s", cmp.Or(f.After, math.MaxInt64))
		order, last = " DESC", 0
	case last <= f.After:
		return nil, f.After, nil
	default:
		w.add("f.cursor > %s AND f.cursor <= %s", f.After, last)
	}
	w.equal("f.service", f.Service)
	w.equal("f.environment", f.Environment)
	if len(f.Kinds) > 0 {
		kinds := make([]string, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = k.String()
		}
		w.add("f.kind = ANY (%s::text[])", kinds)
	}
	limit := row.Limit(f.Limit, 100, 1000)
	events, err = collect(ctx, s, readEvent, "SELECT f.cursor, f.fact FROM facts f"+w.clause()+" ORDER BY f.cursor"+order+" LIMIT "+w.arg(limit), w.args...)
	switch {
	case err != nil:
		return nil, 0, err
	case len(events) == limit:
		return events, events[limit-1].Cursor, nil
	}
	return events, last, nil
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

func readEvent(rows pgx.CollectableRow) (e adg.Event, err error) {
	var text string
	if err := rows.Scan(&e.Cursor, &text); err != nil {
		return e, err
	}
	e.Fact, err = row.Decode[adg.Fact](text)
	return e, err
}
