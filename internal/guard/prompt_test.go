package guard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
)

// deaf is a store whose connections have been lost without a word: nothing is answered before the caller gives up.
type deaf struct{ adg.Store }

func (deaf) Now(ctx context.Context) (time.Time, error)                { return wait[time.Time](ctx) }
func (deaf) Fleet(ctx context.Context, _, _ string) (adg.Fleet, error) { return wait[adg.Fleet](ctx) }
func (deaf) Commit(ctx context.Context, _ adg.Tick) (adg.Deployment, error) {
	return wait[adg.Deployment](ctx)
}
func (deaf) Baselines(ctx context.Context, _ string) ([]adg.Baseline, error) {
	return wait[[]adg.Baseline](ctx)
}
func (deaf) Take(ctx context.Context, _ string, _ time.Duration, _ int) ([]adg.Work, error) {
	return wait[[]adg.Work](ctx)
}
func (deaf) Undelivered(ctx context.Context, _ string, _ time.Duration, _ int) ([]adg.Delivery, error) {
	return wait[[]adg.Delivery](ctx)
}

func wait[T any](ctx context.Context) (none T, err error) {
	<-ctx.Done()
	return none, context.Cause(ctx)
}

func TestStoreThatDoesNotAnswerIsNotWaitedForLongerThanALease(t *testing.T) {
	for name, ask := range map[string]func(context.Context, adg.Store) error{
		"the time":       func(ctx context.Context, s adg.Store) error { _, err := s.Now(ctx); return err },
		"work":           func(ctx context.Context, s adg.Store) error { _, err := s.Take(ctx, "me", time.Minute, 1); return err },
		"the fleet":      func(ctx context.Context, s adg.Store) error { _, err := s.Fleet(ctx, "", ""); return err },
		"the baselines":  func(ctx context.Context, s adg.Store) error { _, err := s.Baselines(ctx, ""); return err },
		"a tick's place": func(ctx context.Context, s adg.Store) error { _, err := s.Commit(ctx, adg.Tick{}); return err },
		"the outbox": func(ctx context.Context, s adg.Store) error {
			_, err := s.Undelivered(ctx, "me", time.Minute, 1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(deaf{}, nil, Options{Lease: 8 * time.Second})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				begin := time.Now()
				if err := ask(ctx, g.store); !errors.Is(err, errHangs) {
					t.Errorf("got %v", err)
				}
				if waited := time.Since(begin); waited >= g.o.Lease {
					t.Errorf("waited for %s", waited)
				}
			})
		})
	}
}
