package shop

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLatenciesAreLognormalAroundFifteenMilliseconds(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  Fault
		median time.Duration
	}{
		{"a healthy version", None, 15 * time.Millisecond},
		{"a slow version", Latency, 30 * time.Millisecond},
	} {
		f := newFates(Options{Fault: c.fault, Seed: 1})
		var took []time.Duration
		for range 20_000 {
			took = append(took, f.next().takes)
		}
		slices.Sort(took)
		for q, want := range map[float64]float64{
			.5: 1, .1587: math.Exp(-sigma), .8413: math.Exp(sigma), // a standard deviation each side
		} {
			got := float64(took[int(q*float64(len(took)))]) / float64(c.median)
			if math.Abs(got/want-1) > .05 {
				t.Errorf("%s: quantile %g is %.3f medians, want %.3f", c.name, q, got, want)
			}
		}
	}
}

func TestASlowVersionTakesTwiceAsLongAndOneThatLosesPaymentsNoLonger(t *testing.T) {
	mean := func(fault Fault) float64 {
		const n = 800
		var took time.Duration
		synctest.Test(t, func(t *testing.T) {
			handler := newShop(t.Context(), Options{Version: "v1", Fault: fault, Seed: 7}).handler()
			for i := range n {
				method, path := http.MethodGet, []string{"/", "/products"}[i%2]
				if i%4 == 3 {
					method, path = http.MethodPost, "/checkout"
				}
				begin := time.Now() // of the bubble's clock, for which only waiting takes time
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
				took += time.Since(begin)
			}
		})
		return took.Seconds() / n
	}
	healthy := mean(None)
	for fault, want := range map[Fault]float64{Latency: 2, Log: 1, Errors: 1} {
		if ratio := mean(fault) / healthy; math.Abs(ratio-want) > .01 {
			t.Errorf("the version with the fault %s takes %.2f times as long as a healthy one, want %g", fault, ratio, want)
		}
	}
}

func TestOneSeedMakesOneStory(t *testing.T) {
	one, same, other := newFates(Options{Seed: 5}), newFates(Options{Seed: 5}), newFates(Options{Seed: 6})
	differs := false
	for range 100 {
		a := one.next()
		if a != same.next() {
			t.Fatal("the same seed gives another story")
		}
		differs = differs || a != other.next()
	}
	if !differs {
		t.Error("another seed gives the same story")
	}
}

func TestCrashesComeOnAboutEveryTwoHundredthRequest(t *testing.T) {
	sum, lives := 0, 500
	for life := range lives {
		f := newFates(Options{Fault: Crash, Seed: 9, Restarts: life})
		n := 1
		for !f.next().crashes {
			n++
		}
		if n > 2*crashEvery {
			t.Errorf("the first crash comes after %d requests", n)
		}
		sum += n
	}
	if mean := sum / lives; mean < 180 || mean > 220 {
		t.Errorf("a crash after %d requests in the mean", mean)
	}
}

func TestALeakTakesTenMiBPerSecondUpToItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := newLeak(ctx)
		l.limit = 3 * leakStep
		if got := l.slowed(time.Second); got != time.Second {
			t.Errorf("without a leak a request takes %s", got)
		}
		l.begin()
		l.begin()
		for i, want := range []int64{1, 2, 3, 3, 3} {
			time.Sleep(100 * time.Millisecond) // of the bubble's clock
			synctest.Wait()
			if got := l.held.Load() >> 20; got != want {
				t.Errorf("after %d steps %d MiB are leaked, want %d", i+1, got, want)
			}
		}
		l.held.Store(leakDouble)
		if got := l.slowed(time.Second); got != 2*time.Second {
			t.Errorf("under pressure a request takes %s, want twice as long", got)
		}
		cancel()
		synctest.Wait()
	})
}
