package kube

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
)

// Swap reads, changes and writes an object, which is what attempt does, until nobody else has written it meanwhile. Where
// several write, as controllers do to a status, the pauses between attempts grow, to five seconds in all; then it is
// Unavailable, with the last refusal.
func Swap(ctx context.Context, attempt func() (conflict bool, err error)) error {
	pause := shortestPause
	for n := 1; ; n++ {
		conflict, err := attempt()
		if !conflict {
			return err
		}
		if n == maxConflicts {
			return adg.Errorf(adg.Unavailable, "%d times in a row: %w", n, err)
		}
		select {
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "somebody else has written it %d times: %w", n, context.Cause(ctx))
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// Private

const (
	maxConflicts  = 16
	shortestPause = 5 * time.Millisecond
	longestPause  = 500 * time.Millisecond
)
