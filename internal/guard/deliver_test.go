package guard_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestFactWhoseTellerWasKilledIsToldByAnotherWithinSeconds(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		begun, killed := make(chan struct{}), make(chan struct{})
		var again atomic.Bool
		s.hook = func(context.Context, adg.Fact) error {
			if !again.Swap(true) {
				close(begun)
				<-killed
			}
			return nil
		}
		s.start(policy())
		<-begun
		defer close(killed) // until then the one that was killed says nothing
		s.crash()
		at := time.Now()
		for len(s.told()) == 0 && time.Since(at) < time.Hour {
			s.wait(time.Second)
		}
		if took := time.Since(at); took > 17*time.Second {
			t.Errorf("the fact was told after %s", took)
		}
	})
}

func TestNotifierThatHangsIsGivenUpBeforeAnotherTellsTheSame(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		var mu sync.Mutex
		telling, tries := map[string]bool{}, 0
		s.hook = func(ctx context.Context, f adg.Fact) error {
			mu.Lock()
			if telling[f.ID] {
				t.Errorf("%s is told by two at the same time", f.ID)
			}
			telling[f.ID] = true
			mu.Unlock()
			at := time.Now()
			<-ctx.Done()
			if took := time.Since(at); took > 10*time.Second {
				t.Errorf("the notifier was given %s", took)
			}
			mu.Lock()
			defer mu.Unlock()
			tries++
			telling[f.ID] = false
			return context.Cause(ctx)
		}
		var ids []string
		for _, service := range []string{"shop", "cart", "mail"} {
			p := policy()
			p.Service = service
			spec := s.spec(p)
			spec.Release.Service, spec.LastGood = service, &adg.Release{Service: service, Version: "v1"}
			d, err := s.guard.Start(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, d.ID)
		}
		s.wait(15 * time.Second)
		s.cancel()
		s.guards.Wait() // what it told goes to those who only drain
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var drains sync.WaitGroup
		for _, id := range ids {
			drains.Go(func() {
				if err := s.guard.Drain(ctx, id); err == nil {
					t.Error("what nobody took is said to be delivered")
				}
			})
		}
		drains.Wait()
		if tries < 3*len(ids) {
			t.Errorf("only %d tries", tries)
		}
	})
}
