package router_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/router"
	"github.com/deployguardian/adg/internal/demo/tally"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is releases as servers of this process, behind a router.
type world struct {
	router *router.Router
	front  *httptest.Server

	mu      sync.Mutex
	running map[string]*httptest.Server // by version
	started map[string]int
	served  map[string]int
	start   func(ctx context.Context, version string) error // what may go wrong at a start
	stop    func(version string) error
	handle  func(version string, w http.ResponseWriter, r *http.Request)
}

func open(t *testing.T, o router.Options) *world {
	t.Helper()
	w := &world{running: map[string]*httptest.Server{}, started: map[string]int{}, served: map[string]int{}}
	o.Start, o.Stop = w.startRelease, w.stopRelease
	if o.Timeout == 0 {
		o.Timeout = time.Minute // the router's own limit would make failures of pauses
	}
	w.router = router.New(o)
	w.front = httptest.NewServer(w.router)
	t.Cleanup(func() {
		w.front.Close()
		w.router.Close()
		for _, s := range w.running {
			s.Close()
		}
	})
	apply(t, w.router, adg.Desired{OpID: "start/1", Deployment: "start", Releases: []adg.Placement{placed("v1", 100, adg.StableRole)}})
	return w
}

func (w *world) startRelease(ctx context.Context, release adg.Release) (string, error) {
	if w.start != nil {
		if err := w.start(ctx, release.Version); err != nil {
			return "", err
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.served[release.Version]++
		handle := w.handle
		w.mu.Unlock()
		if handle != nil {
			handle(release.Version, out, r)
			return
		}
		_, _ = io.WriteString(out, release.Version)
	}))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[release.Version] = s
	w.started[release.Version]++
	return s.Listener.Addr().String(), nil
}

func (w *world) stopRelease(_ context.Context, release adg.Release) error {
	if w.stop != nil {
		if err := w.stop(release.Version); err != nil {
			return err
		}
	}
	w.mu.Lock()
	s := w.running[release.Version]
	delete(w.running, release.Version)
	w.mu.Unlock()
	s.Close()
	return nil
}

// answer says what releases do with requests from now on.
func (w *world) answer(handle func(version string, out http.ResponseWriter, r *http.Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handle = handle
}

func (w *world) runs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.running))
}

// Shares are those of the requests that really arrive.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	const n = 60
	w.mu.Lock()
	before := maps.Clone(w.served)
	w.mu.Unlock()
	for range n {
		recorder := httptest.NewRecorder()
		w.router.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", http.NoBody))
		if recorder.Code != http.StatusOK {
			t.Fatalf("answered %d: %s", recorder.Code, recorder.Body)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	shares := map[string]float64{}
	for version, served := range w.served {
		if d := served - before[version]; d > 0 {
			// To the nearest of the shares that the suite asks for: the precise ones are tested below.
			shares[version] = nearest(100 * float64(d) / n)
		}
	}
	return shares
}

func nearest(share float64) float64 {
	return slices.MinFunc([]float64{0, 5, 25, 50, 75, 95, 100}, func(a, b float64) int {
		return int(1000 * (math.Abs(a-share) - math.Abs(b-share)))
	})
}

// Effects are the router's moves of the suite.
func (w *world) Effects(*testing.T) []targettest.Effect {
	var effects []targettest.Effect
	for _, m := range w.router.Moves()[1:] {
		effects = append(effects, targettest.Effect{OpID: m.OpID, Fence: m.Fence})
	}
	return effects
}

// Break is not asked for: the router is in this process.
func (w *world) Break(t *testing.T, fault targettest.Fault) func() {
	t.Fatalf("no fault %d here", fault)
	return nil
}

func TestTheRouterIsATargetLikeAnyOther(t *testing.T) {
	targettest.Run(t, targettest.Case{Fences: true, Open: func(t *testing.T) targettest.Fixture {
		w := open(t, router.Options{Seed: 1})
		return targettest.Fixture{Target: w.router, World: w, Reopen: func(*testing.T) adg.Target { return w.router }}
	}})
}

func placed(version string, share float64, role adg.Role) adg.Placement {
	return adg.Placement{Release: targettest.Release(version), Share: share, Role: role}
}

func apply(t *testing.T, r *router.Router, want adg.Desired) {
	t.Helper()
	seen, err := r.Apply(t.Context(), want)
	if err != nil || !seen.Done || seen.OpID != want.OpID {
		t.Fatalf("apply %s: %+v, %v", want.OpID, seen, err)
	}
	if diff := cmp.Diff(want.Releases, seen.Releases); diff != "" {
		t.Fatalf("apply %s:\n%s", want.OpID, diff)
	}
}

func (w *world) get(t *testing.T, method string) (status int, body string) {
	t.Helper()
	payload := "bread"
	if method == http.MethodGet {
		payload = ""
	}
	// A body that cannot be had again keeps the client from sending a request twice.
	request, err := http.NewRequestWithContext(t.Context(), method, w.front.URL+"/cart", io.NopCloser(strings.NewReader(payload)))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(payload))
	response, err := w.front.Client().Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// count waits until the version has served n requests: the log is written after the client has its answer.
func (w *world) count(t *testing.T, version string, n int64) tally.Count {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has served %d", version, n), func() bool { return w.router.Counts()[version].Requests >= n })
	return w.router.Counts()[version]
}

func TestAReleaseThatGivesNoAnswerIsCountedAndNotAskedTwice(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int           // 0: the client gets no whole answer either
		timeout time.Duration // zero: one that is not reached
		handle  func(w http.ResponseWriter, r *http.Request)
	}{
		{"it hangs", http.StatusGatewayTimeout, 3 * time.Second, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		{"it cuts the connection", http.StatusBadGateway, 0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"it breaks off in the middle", 0, 0, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}},
		{"it starts to answer and hangs", 0, 3 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, router.Options{Timeout: c.timeout})
			if status, _ := w.get(t, http.MethodGet); status != http.StatusOK { // leaves a connection that can be used again
				t.Fatalf("before: %d", status)
			}
			w.answer(func(_ string, out http.ResponseWriter, r *http.Request) { c.handle(out, r) })
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if status, body := w.get(t, method); status != c.status {
					t.Errorf("%s: %d %s, want %d", method, status, body, c.status)
				}
			}
			if got := w.count(t, "v1", 3); got.Bad != 2 || got.Unanswered != 2 || got.FirstHarm.IsZero() {
				t.Errorf("counted %+v", got)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.served["v1"] != 3 {
				t.Errorf("the release was asked %d times, want 3", w.served["v1"])
			}
		})
	}
}

func TestBadAnswersAndSlowOnesAreTheReleasesOwn(t *testing.T) {
	w := open(t, router.Options{Log: tally.NewLog(20 * time.Millisecond)})
	w.answer(func(_ string, out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "bread" {
			t.Errorf("the body arrives as %q", body)
		}
		if r.Method == http.MethodPost {
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		timer := time.NewTimer(40 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
	})
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		w.get(t, method)
	}
	if got := w.count(t, "v1", 2); got.Bad != 1 || got.Unanswered != 0 || got.Slow != 1 {
		t.Errorf("counted %+v", got)
	}
}

func TestAClientThatLeavesIsNotTheReleasesFault(t *testing.T) {
	w := open(t, router.Options{})
	arrived := make(chan struct{})
	w.answer(func(_ string, _ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.front.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-arrived; cancel() }()
	if response, err := w.front.Client().Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("there is an answer")
	}
	if got := w.count(t, "v1", 1); got.Abandoned != 1 || got.Bad != 0 || got.Unanswered != 0 {
		t.Errorf("counted %+v", got)
	}
}

func TestWithoutReleasesThereIsNoService(t *testing.T) {
	recorder := httptest.NewRecorder()
	router.New(router.Options{}).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", recorder.Code)
	}
}

func TestNoTrafficMovesBeforeTheReleaseRuns(t *testing.T) {
	why := errors.New("out of memory")
	w := open(t, router.Options{})
	w.start = func(context.Context, string) error { return why }
	want := targettest.Want("d/1", 1, 100)
	if _, err := w.router.Apply(t.Context(), want); !errors.Is(err, why) || adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("error %v", err)
	}
	seen, err := w.router.Current(t.Context())
	if share, _ := seen.Share("v1"); share != 100 || seen.Done || err != nil {
		t.Errorf("after a failed start: %+v, %v", seen, err)
	}
	late := errors.New("the lease is over")
	w.start = func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) }
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	if _, err := w.router.Apply(ctx, want); !errors.Is(err, late) {
		t.Errorf("error %v", err)
	}
	if _, body := w.get(t, http.MethodGet); body != "v1" {
		t.Errorf("%s answers", body)
	}
	w.start = nil
	apply(t, w.router, want)
	if _, body := w.get(t, http.MethodGet); body != "v2" {
		t.Errorf("%s answers", body)
	}
}

func TestAReleaseIsStoppedOnlyAfterItsLastRequest(t *testing.T) {
	w := open(t, router.Options{})
	arrived, leave := make(chan struct{}), make(chan struct{})
	w.answer(func(version string, out http.ResponseWriter, _ *http.Request) {
		if version == "v1" {
			close(arrived)
			<-leave
		}
		_, _ = io.WriteString(out, version)
	})
	last := make(chan string)
	go func() {
		_, body := w.get(t, http.MethodPost)
		last <- body
	}()
	<-arrived
	want := targettest.Want("d/1", 1, 100)
	want.Releases = want.Releases[:1] // v1 goes
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	applied := make(chan error, 1)
	go func() {
		_, err := w.router.Apply(ctx, want)
		applied <- err
	}()
	eventually(t, "the shares are changed", func() bool { return len(w.router.Moves()) == 2 })
	cancel()
	if err := <-applied; err == nil || !strings.Contains(err.Error(), "still run at v1") {
		t.Errorf("a request runs, and the release goes: %v", err)
	}
	if seen, err := w.router.Current(t.Context()); seen.Done || err != nil {
		t.Errorf("%+v, %v", seen, err)
	}
	if !slices.Contains(w.runs(), "v1") {
		t.Error("the release was stopped under its last request")
	}
	if _, body := w.get(t, http.MethodGet); body != "v2" {
		t.Errorf("new requests go to %s", body)
	}
	close(leave)
	if body := <-last; body != "v1" {
		t.Errorf("the last request got %q", body)
	}
	why := errors.New("it does not listen")
	w.stop = func(string) error { return why }
	if _, err := w.router.Apply(t.Context(), want); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	w.stop = nil
	apply(t, w.router, want)
	if runs := w.runs(); !slices.Equal(runs, []string{"v2"}) {
		t.Errorf("running: %v", runs)
	}
	if n := len(w.router.Moves()); n != 2 {
		t.Errorf("%d moves, want 2: an operation that goes on moves nothing again", n)
	}
}

func TestAnIdleReleaseGoesOnRunningAndIsNotStartedTwice(t *testing.T) {
	w := open(t, router.Options{})
	apply(t, w.router, targettest.Want("d/1", 1, 0))
	apply(t, w.router, targettest.Want("d/2", 1, 100))
	apply(t, w.router, targettest.Rollback("d/3", 1))
	if diff := cmp.Diff(map[string]int{"v1": 1, "v2": 1}, w.started); diff != "" {
		t.Errorf("starts:\n%s", diff)
	}
	if runs := w.runs(); !slices.Equal(runs, []string{"v1", "v2"}) {
		t.Errorf("running: %v", runs)
	}
}

func TestAReleaseCannotBeWantedTwice(t *testing.T) {
	w := open(t, router.Options{})
	want := targettest.Want("d/1", 1, 50)
	want.Releases[1].Release = want.Releases[0].Release
	if _, err := w.router.Apply(t.Context(), want); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("error %v", err)
	}
}

func TestAnOperationThatFailedBeginsAgainAfterOthersHaveActed(t *testing.T) {
	w := open(t, router.Options{})
	w.start = func(context.Context, string) error { return errors.New("not now") }
	if _, err := w.router.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err == nil {
		t.Fatal("no error")
	}
	w.start = nil
	apply(t, w.router, targettest.Want("d/2", 1, 50))
	apply(t, w.router, targettest.Want("d/1", 1, 25))
	if seen, _ := w.router.Apply(t.Context(), targettest.Want("d/2", 1, 50)); seen.OpID != "d/1" {
		t.Errorf("an operation that was done is done again: %+v", seen)
	}
}

func TestShiftsLoseNoRequest(t *testing.T) {
	w := open(t, router.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var sent, lost atomic.Int64
	var customers sync.WaitGroup
	for range 8 {
		customers.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if status, _ := w.get(t, http.MethodPost); status != http.StatusOK {
					lost.Add(1)
				}
			}
		})
	}
	for round := range 20 {
		for step, share := range []float64{5, 50, 100} {
			apply(t, w.router, targettest.Want(fmt.Sprintf("d/%d.%d", round, step), 1, share))
		}
		alone := targettest.Rollback(fmt.Sprintf("d/%d.back", round), 1)
		alone.Releases = alone.Releases[:1] // v2 is stopped each time
		apply(t, w.router, alone)
		eventually(t, "customers ask between the shifts", func() bool { return sent.Load() > int64(10*(round+1)) })
	}
	cancel()
	customers.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d of %d requests were lost", lost.Load(), sent.Load())
	}
	if w.started["v2"] != 20 {
		t.Errorf("v2 was started %d times", w.started["v2"])
	}
}

// eventually waits for a condition, for a minute at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-ticker.C:
		}
	}
}
