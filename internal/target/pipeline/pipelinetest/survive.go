package pipelinetest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// Private

// takeover cuts the connection at each request of an operation in turn, before it is served and after, and lets another
// process take over with what was on disk at that moment, or without it. The operation is a deployment, or a rollback
// that replaces a run which has not started.
func (c Case) takeover(t *testing.T, sameMachine, rollback bool) {
	const most = 12 // after that an operation only asks the same again
	for _, served := range []bool{false, true} {
		last := 0
		for at := 1; at <= most && c.takenOverAt(t, at, served, sameMachine, rollback); at++ {
			last = at
		}
		if last < 4 {
			t.Errorf("an operation has %d requests: nothing was cut", last)
		}
	}
}

// takenOverAt cuts the connection at one request; false: there are fewer.
func (c Case) takenOverAt(t *testing.T, at int, served, sameMachine, rollback bool) bool {
	w := New(t, c.Serve)
	dir, left := t.TempDir(), t.TempDir()
	first := c.open(t, w, dir)
	want, again, runs, live := targettest.Want("shop-v2-abc/1", 1, 100), targettest.Want("shop-v2-abc/1", 2, 100), 1, "v2"
	if rollback {
		w.End(pipeline.Queued)
		apply(t, first, want)
		want, again, runs, live = targettest.Rollback("shop-v2-abc/2", 1), targettest.Rollback("shop-v2-abc/2", 2), 2, "v1"
	}
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	hit := w.cutAt(at, served, func() {
		if sameMachine {
			copyDir(t, dir, left)
		}
		kill()
	})
	seen, err := first.Apply(ctx, want)
	for err == nil && !seen.Done && !rollback {
		seen, err = first.Current(ctx)
	}
	if !hit.Load() {
		return false
	}
	second := c.open(t, w, left)
	apply(t, second, again)
	w.End(pipeline.Succeeded)
	if seen := finish(t, second); !seen.Done || seen.OpID != want.OpID {
		t.Errorf("cut at request %d (served: %v): %+v", at, served, seen)
	}
	effects := w.Effects(t)
	if len(effects) != runs || effects[runs-1].OpID != want.OpID || effects[runs-1].Overlapped || w.Shares(t)[live] != 100 {
		t.Errorf("cut at request %d (served: %v): %+v, live %v", at, served, effects, w.Shares(t))
	}
	if run, _ := w.Run("101"); rollback && run.State != pipeline.Cancelled {
		t.Errorf("cut at request %d (served: %v): the run that was to be replaced is %v", at, served, run.State)
	}
	return true
}

func copyDir(t *testing.T, from, to string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, e.Name()), text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func cancelled(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Running)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	w.Cancel("101", "mallory")
	if seen := finish(t, target); !seen.Failed || seen.Done || !strings.Contains(seen.Text, "cancelled") {
		t.Errorf("got %+v", seen)
	}
}

func deleted(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	w.Forget()
	if seen := finish(t, target); !seen.Failed || seen.Done || !strings.Contains(seen.Text, "not there any more") {
		t.Errorf("got %+v", seen)
	}
}

func replaces(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Queued)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	if run, _ := w.Run("101"); run.State != pipeline.Cancelled {
		t.Errorf("the run that had not started is %v", run.State)
	}
	w.End(pipeline.Running)
	for run, _ := w.Run("102"); run.State != pipeline.Running; run, _ = w.Run("102") {
		if _, err := target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.cutAt(20, false, func() { cancel(errors.New("the lease is over")) })
	_, err := target.Apply(ctx, targettest.Rollback("shop-v2-abc/3", 1))
	if err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "102 is running") || !strings.Contains(err.Error(), "shop-v2-abc/2") {
		t.Errorf("while another run is under way: %v", err)
	}
	w.End(pipeline.Succeeded)
	apply(t, target, targettest.Rollback("shop-v2-abc/3", 1))
	if seen := finish(t, target); !seen.Done || seen.OpID != "shop-v2-abc/3" {
		t.Errorf("got %+v", seen)
	}
	for _, e := range w.Effects(t) {
		if e.Overlapped {
			t.Errorf("%s overlapped", e.OpID)
		}
	}
}

func interrupts(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir(), func(o *pipeline.Options) { o.Interrupt = true })
	w.End(pipeline.Running)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	for run, _ := w.Run("101"); run.State != pipeline.Running; run, _ = w.Run("101") {
		if _, err := target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	run, _ := w.Run("101")
	if effects := w.Effects(t); run.State != pipeline.Cancelled || len(effects) != 2 || effects[1].Overlapped {
		t.Errorf("the run under way is %v, runs %+v", run.State, effects)
	}
}

func staysBusy(t *testing.T, c Case) {
	for name, status := range map[string]int{"a conflict": http.StatusConflict, "too many requests": http.StatusTooManyRequests} {
		w := New(t, c.Serve)
		target := c.open(t, w, t.TempDir())
		w.End(pipeline.Queued)
		apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
		mend := w.Refuse(status, nil, "", func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/cancel") || strings.Contains(r.URL.Path, "/stop")
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("the lease is over"))
		if _, err := target.Apply(ctx, targettest.Rollback("shop-v2-abc/2", 1)); err == nil || adg.IsPermanent(err) || len(w.Effects(t)) != 1 {
			t.Errorf("%s: %v, %d runs", name, err, len(w.Effects(t)))
		}
		cancel()
		mend()
		apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
		run, _ := w.Run("101")
		if effects := w.Effects(t); run.State != pipeline.Cancelled || len(effects) != 2 || effects[1].Overlapped {
			t.Errorf("%s: the run that was in the way is %v, runs %+v", name, run.State, effects)
		}
	}
}

func showsLate(t *testing.T, c Case) {
	w := New(t, c.Serve)
	w.Lag(6)
	late := func(o *pipeline.Options) { o.Appear = time.Minute }
	first, second := c.open(t, w, t.TempDir(), late), c.open(t, w, t.TempDir(), late)
	lost := w.Break(t, targettest.Halfway)
	if _, err := first.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); err == nil {
		t.Error("the answer was lost, and there is no error")
	}
	lost()
	apply(t, second, targettest.Want("shop-v2-abc/1", 2, 100))
	if n := len(w.Effects(t)); n != 1 {
		t.Errorf("%d runs", n)
	}
}

func crowded(t *testing.T, c Case) {
	if c.Listed {
		return
	}
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Running)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	for run, _ := w.Run("101"); run.State != pipeline.Running; run, _ = w.Run("101") {
		if _, err := target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.Crowd()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.cutAt(20, false, func() { cancel(errors.New("the lease is over")) })
	if _, err := target.Apply(ctx, targettest.Rollback("shop-v2-abc/2", 1)); err == nil || !strings.Contains(err.Error(), "101 is running") {
		t.Errorf("while the run is under way: %v", err)
	}
	w.End(pipeline.Succeeded)
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	if effects := w.Effects(t); len(effects) != 2 || effects[1].Overlapped {
		t.Errorf("runs %+v", effects)
	}
}

func awaitsPerson(t *testing.T, c Case) {
	if c.NoPause {
		return
	}
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Waiting)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	for run, _ := w.Run("101"); run.State != pipeline.Waiting; run, _ = w.Run("101") {
		if _, err := target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	run, _ := w.Run("101")
	if effects := w.Effects(t); run.State != pipeline.Cancelled || len(effects) != 2 || effects[1].Overlapped {
		t.Errorf("the run that waits is %v, runs %+v", run.State, effects)
	}
}

func worsens(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	finish(t, target)
	w.End(pipeline.Failed)
	back := targettest.Rollback("shop-v2-abc/2", 1)
	apply(t, target, back)
	if seen := finish(t, target); !seen.Failed || seen.Done || seen.OpID != back.OpID || !strings.HasSuffix(seen.Log, "the last line of the log") {
		t.Errorf("got %+v", seen)
	}
	w.End(pipeline.Succeeded) // what is started from now on would work
	if again := apply(t, c.open(t, w, t.TempDir()), back); !again.Failed {
		t.Errorf("asked for again: %+v", again)
	}
	if n := len(w.Effects(t)); n != 2 || w.Shares(t)["v2"] != 100 {
		t.Errorf("%d runs, live %v", n, w.Shares(t))
	}
}

func expires(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Queued)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	mend := w.Refuse(http.StatusUnauthorized, nil, `{"message":"expired: `+targettest.Planted+`"}`, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := target.Current(ctx)
	for err == nil {
		_, err = target.Current(ctx)
	}
	_, also := target.Apply(ctx, targettest.Rollback("shop-v2-abc/2", 1))
	for what, err := range map[string]error{"Current": err, "Apply": also} {
		if !isCode(err, adg.Unauthorized) || !adg.IsPermanent(err) || strings.Contains(err.Error(), targettest.Planted) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if run, _ := w.Run("101"); run.State != pipeline.Queued || len(w.Effects(t)) != 1 {
		t.Errorf("the run is %v, runs %+v", run.State, w.Effects(t))
	}
	mend()
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	w.End(pipeline.Succeeded)
	if seen := finish(t, target); !seen.Done || seen.OpID != "shop-v2-abc/2" || len(w.Effects(t)) != 2 || w.Shares(t)["v1"] != 100 {
		t.Errorf("renewed: %+v, runs %+v", seen, w.Effects(t))
	}
}

func detached(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := target.Apply(ctx, targettest.Want("shop-v2-abc/1", 1, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if seen := finish(t, target); !seen.Done || w.Shares(t)["v2"] != 100 {
		t.Errorf("got %+v", seen)
	}
}

func foreign(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	finish(t, target)
	w.Begin(map[string]string{"version": "v3"})
	said := false
	for range 20 {
		seen, err := target.Current(t.Context())
		if err != nil || seen.OpID != "shop-v2-abc/1" {
			t.Fatalf("got %+v, %v", seen, err)
		}
		said = said || strings.Contains(seen.Text, "102 of the same pipeline was started by somebody else")
		time.Sleep(2 * time.Millisecond) // the interval at which the target asks
	}
	if said != c.Others {
		t.Errorf("said: %v", said)
	}
}
