package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestBrokenOffAtAnyRequestAnotherOwnerGoesOnAndTheEndpointActsOnce(t *testing.T) {
	for _, end := range []string{"refused", "lost", "cancelled"} {
		for n := range int64(2) { // what is wanted is sent, and what is live is asked
			name := fmt.Sprintf("%s at request %d", end, n+1)
			r := startReceiver(t)
			if _, err := openTarget(t, r.options()).Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var count atomic.Int64
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				at := count.Add(1) - 1
				switch {
				case at < n:
					r.ServeHTTP(w, req)
					return
				case at == n && end == "lost":
					r.ServeHTTP(httptest.NewRecorder(), req)
				case at == n && end == "cancelled":
					_, _ = io.Copy(io.Discard, req.Body) // or the server does not see that the other side has gone
					cancel()
					<-req.Context().Done()
				}
				panic(http.ErrAbortHandler) // the dead ask for nothing
			}))
			t.Cleanup(front.Close)
			o := r.options()
			o.URL, o.CurrentURL = front.URL+"/apply", front.URL+"/current"
			old := openTarget(t, o)
			if seen, err := old.Apply(ctx, targettest.Rollback("d/2", 1)); adg.IsPermanent(err) || err == nil && seen.Done || count.Load() <= n {
				t.Errorf("%s: %+v, %v, after %d requests", name, seen, err, count.Load())
			}
			seen, err := openTarget(t, r.options()).Apply(t.Context(), targettest.Rollback("d/2", 2))
			if share := r.Shares(t)["v1"]; err != nil || !seen.Done || share != 100 {
				t.Errorf("%s, then taken over: %+v, %v, really %g %%", name, seen, err, share)
			}
			if effects := r.Effects(t); len(effects) != 2 {
				t.Errorf("%s: %d changes, want 2: %+v", name, len(effects), effects)
			}
			if _, err := openTarget(t, r.options()).Apply(t.Context(), targettest.Want("d/3", 1, 50)); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("%s: the one before woke up: %v", name, err)
			}
		}
	}
}
