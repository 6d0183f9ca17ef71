package sqlite

import (
	"context"
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
