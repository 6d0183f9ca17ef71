package pipelinetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// Case is a platform under test.
type Case struct {
	// Serve is the stand-in.
	Serve func(*World, http.ResponseWriter, *http.Request)
	// Open opens a target at the stand-in, with the options of the frame and targettest.Planted as every credential.
	Open func(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target
	// Starts tells the request that starts a run.
	Starts func(*http.Request) bool
	// Others says that runs of others are seen.
	Others bool
	// Job is the name of the job that fails in the stand-in; empty: the platform cannot tell.
	Job string
	// Listed says that the platform knows a run only where it lists it.
	Listed bool
	// NoPause says that its runs cannot wait for a person, or that the stand-in has none that do.
	NoPause bool
	// Waits is what the platform says about a run that no runner takes.
	Waits string
}

// Conform runs every case.
func Conform(t *testing.T, c Case) {
	for name, test := range map[string]func(*testing.T, Case){
		"contract on one machine":                                                                 func(t *testing.T, c Case) { c.contract(t, true, true) },
		"contract on many machines, and without a witness":                                        func(t *testing.T, c Case) { c.contract(t, false, false) },
		"killed at any request and taken over by another machine, an operation is one run":        func(t *testing.T, c Case) { c.takeover(t, false, false) },
		"killed at any request and taken over on its machine, an operation is one run":            TakenOver,
		"killed at any request and taken over by another machine, a rollback replaces a run once": func(t *testing.T, c Case) { c.takeover(t, false, true) },
		"killed at any request and taken over on its machine, a rollback replaces a run once":     func(t *testing.T, c Case) { c.takeover(t, true, true) },
		"a run that fails is failed, with its job and the end of its log":                         fails,
		"a run that succeeds and changes nothing is not believed":                                 lies,
		"a run that somebody cancelled is failed, and says so":                                    cancelled,
		"a run that was deleted is not taken for done":                                            deleted,
		"a run that no runner takes is not done, and says why":                                    neverStarts,
		"a rollback cancels a run that has not started, and waits for others":                     replaces,
		"a rollback interrupts a run where the policy says so":                                    interrupts,
		"what the platform refuses is an error of its kind":                                       refused,
		"a rehearsal starts nothing and finds what is not there":                                  rehearses,
		"a platform that asks to wait is not asked for more":                                      throttled,
		"the run goes on when the context ends":                                                   detached,
		"the runs of others are seen":                                                             foreign,
		"an owner whose time is over is refused on another machine too":                           outdated,
		"an older run's end says nothing about an operation that never began":                     notStarted,
		"targets that share a pipeline leave each other's runs alone":                             shared,
		"a target without a run is at rest, and no operation is done by that":                     atRest,
		"a run that shows late is not started again by another machine":                           showsLate,
		"a run that is not listed among those of others is still waited for":                      crowded,
		"a rollback cancels a run that waits for a person":                                        awaitsPerson,
		"a rollback whose run fails has failed, and nothing is done about it":                     worsens,
		"a run that cannot be cancelled just now is not replaced":                                 staysBusy,
		"credentials that expire while a run is under way change nothing":                         expires,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// TakenOver kills a target at each request of an operation in turn, and lets another process on the same machine take over.
func TakenOver(t *testing.T, c Case) { c.takeover(t, true, false) }

// Private

const patience = time.Minute

func (c Case) open(t *testing.T, w *World, dir string, change ...func(*pipeline.Options)) adg.Target {
	t.Helper()
	target := c.Open(t, w.Server.URL, func(o *pipeline.Options) {
		o.Poll, o.Appear = time.Millisecond, 20*time.Millisecond
		o.Environment = "production"
		o.Verify.URL, o.Verify.Path = w.Server.URL+"/live", "build.version"
		for _, f := range change {
			f(o)
		}
	}, adg.Host{Name: "shop", Dir: dir})
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func noWitness(o *pipeline.Options) { o.Verify.URL, o.Verify.Path = "", "" }

func (c Case) contract(t *testing.T, witness, sameMachine bool) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := New(t, c.Serve)
			dir := t.TempDir()
			var change []func(*pipeline.Options)
			if !witness {
				change = append(change, noWitness)
			}
			return targettest.Fixture{Target: c.open(t, w, dir, change...), World: w, Reopen: func(t *testing.T) adg.Target {
				if !sameMachine {
					dir = t.TempDir()
				}
				return c.open(t, w, dir, change...)
			}}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		// What is compared at the platform is not compared in one step with the start, so owners that act at the very
		// same moment are told apart on one machine only.
		Fences: sameMachine,
	})
}

// finish reads the state until it is done or failed.
func finish(t *testing.T, target adg.Target) adg.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		seen, err := target.Current(ctx)
		if err != nil {
			t.Fatalf("current: %v", err)
		}
		if seen.Done || seen.Failed {
			return seen
		}
	}
}

func apply(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
	return seen
}

func fails(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Failed)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	seen := finish(t, target)
	if !seen.Failed || seen.Done || !strings.Contains(seen.Text, "failed") || !strings.Contains(seen.Text, c.Job) {
		t.Errorf("got %+v", seen)
	}
	if !strings.HasSuffix(seen.Log, "the last line of the log") || len(seen.Log) > adg.MaxLog || len(seen.Log) < 200 ||
		strings.Contains(seen.Log, targettest.Planted) || !strings.Contains(seen.Log, "using [redacted]") || strings.ContainsRune(seen.Log, '\x1b') {
		t.Errorf("a log of %d bytes: %q", len(seen.Log), seen.Log)
	}
	if again := apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100)); !again.Failed || len(w.Effects(t)) != 1 {
		t.Errorf("the operation that failed was done again: %+v", w.Effects(t))
	}
	w.End(pipeline.Succeeded)
	apply(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	if seen := finish(t, target); !seen.Done || seen.OpID != "shop-v2-abc/2" {
		t.Errorf("the rollback: %+v", seen)
	}
}

func lies(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.Break(t, targettest.Lie)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for said := false; !said; {
		seen, err := target.Current(ctx)
		if err != nil || seen.Done {
			t.Fatalf("got %+v, %v", seen, err)
		}
		said = strings.Contains(seen.Text, "succeeded") && strings.Contains(seen.Text, "but v1 is live, and not v2")
	}
}

func neverStarts(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Queued)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for said := false; !said; {
		seen, err := target.Current(ctx)
		if err != nil || seen.Done || seen.Failed || !strings.Contains(seen.Text, "not started") {
			t.Fatalf("got %+v, %v", seen, err)
		}
		said = strings.Contains(seen.Text, c.Waits)
	}
}

func refused(t *testing.T, c Case) {
	for _, r := range []struct {
		name      string
		status    int
		header    map[string]string
		code      adg.Code
		permanent bool
		wait      time.Duration
	}{
		{"an expired token", http.StatusUnauthorized, nil, adg.Unauthorized, true, 0},
		{"a token without the right to start", http.StatusForbidden, nil, adg.Unauthorized, true, 0},
		{"a pipeline that vanished", http.StatusNotFound, nil, adg.NotFound, true, 0},
		{"too many requests", http.StatusTooManyRequests, map[string]string{"Retry-After": "7"}, adg.Unavailable, false, 7 * time.Second},
		{"a conflict", http.StatusConflict, nil, adg.Unavailable, false, 0},
		{"a platform under maintenance", http.StatusServiceUnavailable, map[string]string{"Retry-After": "30"}, adg.Unavailable, false, 30 * time.Second},
	} {
		w := New(t, c.Serve)
		target := c.open(t, w, t.TempDir())
		mend := w.Refuse(r.status, r.header, `{"message":"no, `+targettest.Planted+`"}`, c.Starts)
		_, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
		if err == nil || adg.CodeOf(err) != r.code && !isCode(err, r.code) || adg.IsPermanent(err) != r.permanent || strings.Contains(err.Error(), targettest.Planted) {
			t.Errorf("%s: %v (%s, permanent: %v)", r.name, err, adg.CodeOf(err), adg.IsPermanent(err))
		}
		if wait, asked := adg.RetryAfter(err); wait != r.wait || asked != (r.wait > 0) {
			t.Errorf("%s: wait %s, %v", r.name, wait, asked)
		}
		mend()
		apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
		if seen := finish(t, target); !seen.Done || len(w.Effects(t)) != 1 {
			t.Errorf("%s, mended: %+v, %d runs", r.name, seen, len(w.Effects(t)))
		}
	}
}

func isCode(err error, code adg.Code) bool {
	e, found := errors.AsType[*adg.Error](err)
	return found && e.Code == code
}

func rehearses(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	rehearser, can := adg.PowerOf[adg.Rehearser](target)
	if !can {
		t.Fatal("it cannot be rehearsed")
	}
	if found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); err != nil || len(found) != 0 {
		t.Errorf("nothing is wrong, and it finds %+v, %v", found, err)
	}
	w.Refuse(http.StatusNotFound, nil, `{"message":"404 Not Found"}`, nil)
	found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if err != nil || len(found) != 1 || !found[0].Final || found[0].Name != "access" || found[0].Text == "" {
		t.Errorf("the pipeline is not there: %+v, %v", found, err)
	}
	w.Refuse(http.StatusBadGateway, nil, "", nil)
	if found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); err == nil {
		t.Errorf("the platform does not answer, and it finds %+v", found)
	}
	if n := len(w.Effects(t)); n != 0 {
		t.Errorf("%d runs were started", n)
	}
}

func throttled(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir(), func(o *pipeline.Options) { o.Poll = time.Minute })
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	w.Refuse(http.StatusTooManyRequests, nil, "", nil)
	for range 10 {
		if seen, err := target.Current(t.Context()); err != nil || seen.Done {
			t.Fatalf("within the interval: %+v, %v", seen, err)
		}
	}
	other := c.open(t, w, t.TempDir())
	if _, err := other.Current(t.Context()); err == nil {
		t.Error("no error")
	} else if _, asked := adg.RetryAfter(err); !asked {
		t.Errorf("it is not throttled: %v", err)
	}
}

func outdated(t *testing.T, c Case) {
	w := New(t, c.Serve)
	first, second := c.open(t, w, t.TempDir()), c.open(t, w, t.TempDir())
	apply(t, first, targettest.Want("shop-v2-abc/1", 7, 100))
	finish(t, first)
	if seen, err := second.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 6)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("got %+v, %v", seen, err)
	}
	other := targettest.Want("shop-v2-xyz/1", 1, 100)
	other.Deployment = "shop-v2-xyz"
	apply(t, second, other) // fences are counted by deployment
	if n := len(w.Effects(t)); n != 2 {
		t.Errorf("%d runs, want 2", n)
	}
}

func notStarted(t *testing.T, c Case) {
	w := New(t, c.Serve)
	target := c.open(t, w, t.TempDir())
	w.End(pipeline.Failed)
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	finish(t, target)
	w.Refuse(http.StatusBadGateway, nil, "", c.Starts)
	other := targettest.Want("shop-v2-xyz/1", 1, 100)
	other.Deployment = "shop-v2-xyz"
	if _, err := target.Apply(t.Context(), other); err == nil {
		t.Fatal("no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		seen, err := target.Current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if seen.OpID == "shop-v2-xyz/1" && !seen.Failed && !seen.Done {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("got %+v", seen)
		}
	}
}

func shared(t *testing.T, c Case) {
	w := New(t, c.Serve)
	environment := func(name string) func(*pipeline.Options) {
		return func(o *pipeline.Options) { o.Environment, o.Interrupt = name, true }
	}
	production, staging := c.open(t, w, t.TempDir(), environment("production")), c.open(t, w, t.TempDir(), environment("staging"))
	w.End(pipeline.Queued)
	apply(t, production, targettest.Rollback("shop-v2-abc/2", 1))
	apply(t, staging, targettest.Rollback("shop-v2-xyz/1", 1))
	if run, _ := w.Run("101"); run.State != pipeline.Queued {
		t.Errorf("the run of the other environment is %v", run.State)
	}
	another := c.open(t, w, t.TempDir(), environment("production"))
	if seen, err := another.Current(t.Context()); err != nil || seen.OpID != "shop-v2-abc/2" {
		t.Errorf("production sees %+v, %v", seen, err)
	}
	cart := targettest.Rollback("cart-v2-abc/1", 1)
	for i := range cart.Releases {
		cart.Releases[i].Release.Service = "cart"
	}
	apply(t, another, cart)
	if run, _ := w.Run("101"); run.State != pipeline.Queued {
		t.Errorf("the run of the other service is %v", run.State)
	}
}

func atRest(t *testing.T, c Case) {
	w := New(t, c.Serve)
	seen, err := c.open(t, w, t.TempDir(), noWitness).Current(t.Context())
	if err != nil || !seen.Done || seen.OpID == "" || strings.Contains(seen.OpID, "/") {
		t.Errorf("got %+v, %v", seen, err)
	}
}
