package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/row"
)

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	now, err := s.now(ctx)
	return row.Time(now), err
}

// Private

// standstill is how far the database's clock may be set back while the store is open: the store's stands still then
// until it is overtaken.
const standstill = time.Minute

// clock is the database's, which an administrator may set and another server may have set differently; the store's
// does not go back.
type clock struct{ last atomic.Int64 }

type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

func (c *clock) read(ctx context.Context, q querier) (now int64, err error) {
	if err := q.QueryRow(ctx, "SELECT adg_now()").Scan(&now); err != nil {
		return 0, err
	}
	return c.forward(now)
}

// forward is the time now, or the last one if the clock went back since.
func (c *clock) forward(now int64) (int64, error) {
	for {
		last := c.last.Load()
		if back := time.Duration(last - now); back > standstill {
			return 0, adg.Errorf(adg.Unavailable, "the clock of PostgreSQL was set back by %s: start adg again, so that it goes by the new time", adg.Span(back))
		}
		if now <= last {
			return last, nil
		}
		if c.last.CompareAndSwap(last, now) {
			return now, nil
		}
	}
}

func (s *Store) now(ctx context.Context) (int64, error) {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, err := s.clock.read(bounded, s.pool)
	s.doubt(err)
	return now, explain(ctx, err)
}

// after is a time that long after another one.
func after(now int64, d time.Duration) int64 { return row.Nanos(row.Time(now).Add(d)) }

var healing = []string{
	"UPDATE deployments SET until = $1::bigint + ttl WHERE live AND until > $1::bigint + ttl",
	"UPDATE deployments SET due = $1 WHERE live AND due > $1::bigint + 3600000000000",
	"UPDATE deployments SET bad_since = $1 WHERE bad_since > $1",
	"UPDATE outbox SET due = $1 WHERE due > $1::bigint + 3600000000000",
	"UPDATE slots SET at = $1 WHERE at > $1",
}

// heal undoes what a clock that was wrong before would keep everybody waiting for: a lease lasts no longer than it was
// taken for, nothing has happened in the future, and what is due in more than an hour is due at once. What other replicas
// hold stays theirs.
func (s *Store) heal(ctx context.Context) error {
	return s.write(ctx, true, func(ctx context.Context, t *tx) error {
		for _, query := range healing {
			if _, err := t.exec(ctx, query, t.now); err != nil {
				return err
			}
		}
		return nil
	})
}
