package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// A process may be killed before the first write of a rollback or after any of them. Whoever takes over finishes it, and
// changes nothing twice.
func TestKilledAfterAnyWriteAnotherOneFinishesTheRollback(t *testing.T) {
	t.Parallel()
	for name, fresh := range everyWorld {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := live(t, fresh)
			writes, changes := w.Written(), len(w.Effects(t))
			killed := targettest.Rollback("shop-v2-abc/2", 2)
			apply(t, w, killed)
			w.eventually(t, done)
			writes, changes = w.Written()-writes, len(w.Effects(t))-changes
			if writes == 0 || changes == 0 {
				t.Fatalf("a rollback of %d writes and %d changes", writes, changes)
			}
			for after := range writes + 1 {
				t.Run(fmt.Sprintf("after %d of %d writes", after, writes), func(t *testing.T) {
					t.Parallel()
					takenOver(t, live(t, fresh), killed, after, changes)
				})
			}
		})
	}
}

// everyWorld has v1 live, in each way in which a release can be.
var everyWorld = map[string]func(*testing.T) *world{
	"deployment":  func(t *testing.T) *world { return rollingWorld(t, "deployment") },
	"statefulset": func(t *testing.T) *world { return rollingWorld(t, "statefulset") },
	"daemonset":   func(t *testing.T) *world { return rollingWorld(t, "daemonset") },
	blueGreen:     func(t *testing.T) *world { return pairWorld(t, blueGreen, 2) },
	replicas:      func(t *testing.T) *world { return pairWorld(t, replicas, 4) },
	route:         routeWorld,
}

// live has v2 live, and v1 to go back to.
func live(t *testing.T, fresh func(*testing.T) *world) *world {
	t.Helper()
	w := fresh(t)
	apply(t, w, targettest.Want("shop-v2-abc/1", 1, 100))
	w.eventually(t, done)
	return w
}

// takenOver has another one take over from a process that is killed when so many of its writes were done; of the last one
// it does not hear.
func takenOver(t *testing.T, w *world, want adg.Desired, after, changes int) {
	before := len(w.Effects(t))
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	var seen atomic.Int64
	w.Cut = func(r *http.Request) kubetest.Cut {
		if !kubetest.Writes(r) {
			return kubetest.Never
		}
		switch n := int(seen.Add(1)); {
		case after == 0 && n == 1:
			kill()
			return kubetest.Beforehand
		case n == after:
			return kubetest.Afterwards
		}
		return kubetest.Never
	}
	if _, err := w.open(t).Apply(ctx, want); err == nil {
		t.Fatal("nobody noticed that the process was killed")
	}
	want.Fence++
	apply(t, w, want)
	w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == want.OpID })
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
	effects := w.Effects(t)[before:]
	if len(effects) != changes {
		t.Errorf("%d changes, want %d, as without a kill: %+v", len(effects), changes, effects)
	}
	stale := want
	stale.Fence, stale.OpID = want.Fence-1, "shop-v2-abc/9"
	if _, err := w.open(t).Apply(t.Context(), stale); err == nil {
		t.Error("the one that was killed may go on")
	}
}
