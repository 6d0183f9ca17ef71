package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// misfortune is what happens once, at one of the driver's changes.
type misfortune struct {
	// happens tells whether the engine never has the change.
	happens func(t *testing.T, w *world, rw http.ResponseWriter, r *http.Request, cut func()) bool
	fits    func(error) bool // tells whether the error is the one that should come of it
}

func TestWhateverHappensOnceAtEveryWriteTheSameOwnerGoesOnAndChangesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]misfortune{
		"its time is over": {
			func(_ *testing.T, _ *world, _ http.ResponseWriter, _ *http.Request, cut func()) bool {
				cut()
				panic(http.ErrAbortHandler)
			},
			func(err error) bool {
				return adg.CodeOf(err) == adg.Unavailable && !adg.IsPermanent(err) && strings.Contains(err.Error(), "went home")
			},
		},
		"the engine breaks off": {
			func(*testing.T, *world, http.ResponseWriter, *http.Request, func()) bool { panic(http.ErrAbortHandler) },
			func(err error) bool { return adg.CodeOf(err) == adg.Unavailable && !adg.IsPermanent(err) },
		},
		"the engine is asked too often": {
			refusal(http.StatusTooManyRequests),
			func(err error) bool {
				after, throttled := adg.RetryAfter(err)
				return throttled && after == 7*time.Second && !adg.IsPermanent(err)
			},
		},
		"the credentials have expired": {
			refusal(http.StatusUnauthorized),
			func(err error) bool { return adg.CodeOf(err) == adg.Unauthorized && adg.IsPermanent(err) },
		},
		"somebody else changes the service first": {
			func(t *testing.T, w *world, _ http.ResponseWriter, r *http.Request, _ func()) bool {
				w.edit(t, serviceIn(r), func(spec *swarm.ServiceSpec) { spec.Labels["operator."+r.URL.Query().Get("version")] = "was here" })
				return false
			},
			func(err error) bool { return err == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, 2, 1, "live=yes")
			target := openTarget(t, w.options())
			apply(t, target, targettest.Want("shop-v2-abc/1", 1, 0)) // v2 is ready from here on
			const writes = 4                                         // two claims, and the label of each service
			for point := 1; m.strike(t, w, target, point); point++ {
				if point > writes {
					t.Fatalf("it came to change %d, and there should be %d", point, writes)
				}
			}
		})
	}
}

// strike has it happen at one change, and the same owner try again. It tells whether the owner came to the change at all.
func (m misfortune) strike(t *testing.T, w *world, target adg.Target, point int) bool {
	t.Helper()
	want := targettest.Want(fmt.Sprintf("shop-v2-abc/%d", point+1), 1, 100)
	if point%2 == 0 {
		want = targettest.Rollback(want.OpID, 1)
	}
	ctx, cut := context.WithCancelCause(t.Context())
	defer cut(nil)
	notes := operators(t, w)
	var n atomic.Int64
	var met, passed atomic.Bool
	w.refusing(func(rw http.ResponseWriter, r *http.Request) bool {
		if !updates(r) || n.Add(1) != int64(point) {
			return false
		}
		met.Store(true)
		refused := m.happens(t, w, rw, r, func() { cut(errors.New("the operator went home")) })
		passed.Store(!refused)
		return refused
	})
	_, err := target.Apply(ctx, want)
	w.refusing(nil)
	if sent := n.Load(); met.Load() && !passed.Load() && sent != int64(point) {
		t.Errorf("at change %d: %d changes were sent all the same", point, sent-int64(point))
	}
	if met.Load() && !m.fits(err) || !met.Load() && err != nil {
		t.Errorf("at change %d: %v", point, err)
	}
	apply(t, target, want)
	seen := settled(t, target)
	if share, _ := seen.Share(wanted(want)); !seen.Done || share != 100 || w.Shares(t)[wanted(want)] != 100 {
		t.Errorf("at change %d: %+v, really %v", point, seen, w.Shares(t))
	}
	if made := w.made(t, want.OpID); made != 2 {
		t.Errorf("at change %d: %d changes at the services, want 2", point, made)
	}
	if more := operators(t, w) - notes; passed.Load() != (more == 1) {
		t.Errorf("at change %d: %d changes of somebody else are still there", point, more)
	}
	return met.Load()
}

// refusal is an answer of the engine that the driver has to tell from others.
func refusal(status int) func(*testing.T, *world, http.ResponseWriter, *http.Request, func()) bool {
	return func(_ *testing.T, _ *world, rw http.ResponseWriter, _ *http.Request, _ func()) bool {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Retry-After", "7")
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, `{"message":"no"}`)
		return true
	}
}

// operators counts the labels that somebody else has put.
func operators(t *testing.T, w *world) (n int) {
	t.Helper()
	for _, name := range w.names {
		for label := range w.service(t, name).Spec.Labels {
			if strings.HasPrefix(label, "operator.") {
				n++
			}
		}
	}
	return n
}
