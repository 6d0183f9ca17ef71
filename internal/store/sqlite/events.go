package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Events are facts in the order in which the one writer stored them. The newest is never forgotten, so their numbers only
// rise.
func (s *Store) Events(ctx context.Context, f adg.EventFilter) ([]adg.Event, int64, error) {
	// Read before the facts: what is stored in between is left for the next page.
	last, err := s.LastEvent(ctx)
	if err != nil {
		return nil, f.After, err
	}
	limit := row.Limit(f.Limit, 100, 1000)
	query, args, err := s.eventQuery(ctx, f, last, limit)
	if err != nil {
		return nil, f.After, err
	}
	events, err := collect(ctx, s, func(rows *sql.Rows) (e adg.Event, err error) {
		var fact string
		if err := rows.Scan(&e.Cursor, &fact); err != nil {
			return e, err
		}
		e.Fact, err = row.Decode[adg.Fact](fact)
		return e, err
	}, query, args...)
	switch {
	case err != nil:
		return nil, f.After, err
	case len(events) == limit:
		return events, events[limit-1].Cursor, nil
	case f.Newest:
		return events, 0, nil
	}
	return events, last, nil
}

// LastEvent is the number of the last fact.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	err = s.reads.QueryRowContext(ctx, "SELECT coalesce(max(n), 0) FROM facts").Scan(&last)
	return last, explain(s.dir, err)
}

// Private

// eventQuery selects the facts after the cursor up to the last one, or the newest ones before it. What is of one service or
// environment and what is of none are read by an index each, and merged as they come in order.
func (s *Store) eventQuery(ctx context.Context, f adg.EventFilter, last int64, limit int) (query string, args []any, err error) {
	where, args, order := []string{"n > ?", "n <= ?"}, []any{f.After, last}, " ORDER BY n"
	if f.Newest {
		where, args, order = []string{"n < ?"}, []any{cmp.Or(f.After, math.MaxInt64)}, " ORDER BY n DESC"
	}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Deployment != "" {
		n, err := s.number(ctx, s.reads, f.Deployment)
		if err != nil {
			return "", nil, err
		}
		add("deployment = ?", n)
	}
	if len(f.Kinds) > 0 {
		names := make([]any, len(f.Kinds))
		for i, k := range f.Kinds {
			names[i] = k.String()
		}
		add("fact ->> 'kind' IN (?"+strings.Repeat(", ?", len(names)-1)+")", names...)
	}
	merged, of := "", ""
	switch {
	case f.Deployment != "":
	case f.Service != "":
		merged, of = "service", f.Service
	case f.Environment != "":
		merged, of = "environment", f.Environment
	}
	if f.Service != "" && merged != "service" {
		add("service IN (?, '')", f.Service)
	}
	if f.Environment != "" && merged != "environment" {
		add("environment IN (?, '')", f.Environment)
	}
	query = "SELECT n, fact FROM facts WHERE " + strings.Join(where, " AND ")
	if merged != "" {
		query, args = query+" AND "+merged+" = ? UNION ALL "+query+" AND "+merged+" = ''", slices.Concat(args, []any{of}, args)
	}
	return query + order + " LIMIT ?", append(args, limit), nil
}
