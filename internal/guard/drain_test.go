package guard_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
)

// ended starts a deployment, tells the guard to end while the target is busy with it for ten seconds, and gives what is
// on record of the effect then, and how long the guard took to end.
func ended(t *testing.T, o guard.Options) (effect adg.Effect, took time.Duration, leases int) {
	t.Helper()
	play(t, func(t *testing.T, s *stage) {
		s.cancel()
		s.guards.Wait() // this one is none of the stage's
		busy := make(chan struct{}, 10)
		s.target.before = func(ctx context.Context, _ adg.Desired) {
			busy <- struct{}{}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
		}
		o.Owner, o.Poll, o.Log = "ending", time.Second, slog.New(slog.DiscardHandler)
		g := guard.New(s.store, s, o)
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = g.Run(ctx)
		}()
		s.guard = g
		d := s.start(policy())
		<-busy
		synctest.Wait()
		leases = g.Leases()
		began := time.Now()
		cancel()
		<-over
		took = time.Since(began)
		effects, err := s.store.Effects(t.Context(), d.ID)
		if err != nil || len(effects) != 1 {
			t.Fatal(effects, err)
		}
		effect = effects[0]
		if g.Leases() != 0 {
			t.Error("the guard that has ended still counts a lease")
		}
		time.Sleep(time.Minute)
		work, err := s.store.Take(t.Context(), "next", time.Minute, 10)
		if err != nil || len(work) != 1 || (work[0].Open == nil) != (effect.Outcome != nil) {
			t.Errorf("the next owner finds %+v, %v", work, err)
		}
	})
	return effect, took, leases
}

func TestWhatIsUnderWayIsFinishedWithinTheDrain(t *testing.T) {
	effect, took, leases := ended(t, guard.Options{Drain: 30 * time.Second})
	if effect.Outcome == nil || effect.Outcome.Err != "" || took != 10*time.Second || leases != 1 {
		t.Errorf("outcome %+v after %s, %d leases before", effect.Outcome, took, leases)
	}
}

func TestWhatTakesLongerThanTheDrainIsLeftOnRecordAsBegun(t *testing.T) {
	effect, took, _ := ended(t, guard.Options{Drain: 3 * time.Second})
	if effect.Outcome != nil || took < 3*time.Second || took > 5*time.Second {
		t.Errorf("outcome %+v after %s", effect.Outcome, took)
	}
	effect, took, _ = ended(t, guard.Options{})
	if effect.Outcome != nil || took > 2*time.Second {
		t.Errorf("without a drain: outcome %+v after %s", effect.Outcome, took)
	}
}

func TestAnEffectTakesNoLongerThanTheServerAllows(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.cancel()
		s.guards.Wait()
		s.target.before = func(ctx context.Context, _ adg.Desired) { <-ctx.Done() }
		g := guard.New(s.store, s, guard.Options{Owner: "strict", Effect: 7 * time.Second, Poll: time.Second, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(context.Background())
		s.ends = append(s.ends, cancel)
		s.guards.Go(func() { _ = g.Run(ctx) })
		s.guard = g
		d := s.start(policy())
		time.Sleep(20 * time.Second)
		effects, err := s.store.Effects(t.Context(), d.ID)
		if err != nil || len(effects) == 0 || effects[0].Outcome == nil || effects[0].Outcome.Took.Round(time.Second) != 7*time.Second {
			t.Errorf("%+v, %v", effects, err)
		}
	})
}
