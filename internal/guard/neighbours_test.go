package guard_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
)

func TestNewerDeploymentWaitsUntilTheTargetIsDoneWithTheOlderOne(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		var busy, overlaps atomic.Int32
		s.target.before = func(ctx context.Context, want adg.Desired) {
			if busy.Add(1) > 1 {
				overlaps.Add(1)
			}
			if want.Releases[0].Release.Version == "v2" {
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
			}
			busy.Add(-1)
		}
		older := s.start(policy())
		s.until(older.ID, adg.Rolling)
		newer := s.startRelease(policy(), adg.Release{Service: "shop", Version: "v3"})
		s.until(older.ID, adg.Superseded)
		s.until(newer.ID, adg.Succeeded)
		if n := overlaps.Load(); n > 0 {
			t.Errorf("the target was asked for two things at once %d times", n)
		}
		s.wantShares("v2=5 v1=95", "v3=5 v1=95", "v3=50 v1=50", "v3=100")
	})
}

func TestGuardLeavesDeploymentsAndFactsAloneThatAreNotItsOwn(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.cancel()
		d := s.start(policy())
		work := func(g *guard.Guard) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_ = g.Run(ctx)
		}
		only := func(service string) guard.Options {
			return guard.Options{Owner: service, Poll: time.Second, Only: func(other, environment string) bool {
				return other == service && environment == "production"
			}}
		}
		work(guard.New(s.store, s, only("cart")))
		s.wantShares()
		if d, err := s.store.Deployment(t.Context(), d.ID); err != nil || d.Version != 1 {
			t.Errorf("a guard of another service moved it to %s, %v", d.Status.State, err)
		}

		s.hook = func(context.Context, adg.Fact) error { return adg.Errorf(adg.Unavailable, "no route") }
		time.Sleep(time.Minute) // the lease that was taken in vain has run out
		work(guard.New(s.store, s, only("shop")))
		s.wantShares("v2=5 v1=95")
		s.hook = nil
		time.Sleep(time.Hour)
		work(guard.New(s.store, s, only("cart")))
		if told := s.told(); len(told) > 0 {
			t.Errorf("a guard of another service told %v", told)
		}
		if waiting, err := s.store.Waiting(t.Context(), d.ID); err != nil || waiting == 0 {
			t.Errorf("%d facts wait to be told, %v", waiting, err)
		}
	})
}

func TestSampleFromBeforeTheStepSaysNothingAboutIt(t *testing.T) {
	play(t, func(_ *testing.T, s *stage) {
		p := policy()
		p.Checks[0].Window, p.Checks[0].MaxAge = 10*time.Minute, 10*time.Minute
		p.Deadline, p.AtDeadline = 8*time.Minute, adg.EndPage
		stuck := time.Now()
		s.answer = func(adg.Query) (adg.Answer, error) { // the exporter has died: its last word was a good one
			return adg.Answer{Series: []adg.Series{{Samples: []adg.Sample{{At: stuck, Value: 0.01}}}}}, nil
		}
		time.Sleep(time.Second)
		d := s.start(p)
		s.until(d.ID, adg.Undecided)
		s.wantShares("v2=5 v1=95")
	})
}
