package sqlite

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Now is the wall clock at the time of opening and the time that has passed since, so a wall clock that is set while
// the store is open moves nothing.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	if ctx.Err() != nil {
		return time.Time{}, context.Cause(ctx)
	}
	return s.clock.now(), nil
}

// Private

type clock struct {
	read   func() time.Time
	opened time.Time
	passed atomic.Int64
}

func newClock(read func() time.Time) *clock { return &clock{read: read, opened: read()} }

func (c *clock) now() time.Time {
	for {
		last := c.passed.Load()
		passed := max(last, int64(c.read().Sub(c.opened)))
		if passed == last || c.passed.CompareAndSwap(last, passed) {
			return c.opened.Round(0).UTC().Add(time.Duration(passed))
		}
	}
}

// forever is later than every time that can be stored.
const forever = math.MaxInt64

var earliest, latest = time.Unix(0, math.MinInt64), time.Unix(0, forever)

// nanos is a time as it is stored: 0 for the zero time, clamped to what 64 bits hold (the years 1677 to 2262).
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.After(latest):
		return forever
	case t.Before(earliest):
		return math.MinInt64
	}
	return t.UnixNano()
}

func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// ending is when something ends, as it is stored: the zero time is never.
func ending(t time.Time) int64 {
	if t.IsZero() {
		return forever
	}
	return nanos(t)
}

// endOf is the time that ending has stored.
func endOf(nanos int64) time.Time {
	if nanos == forever {
		return time.Time{}
	}
	return timeOf(nanos)
}
