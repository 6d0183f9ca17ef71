// Package pipelinetest has what the tests of pipelines on different platforms share: a world in which runs are started,
// make progress and end, behind a stand-in of each platform's interface; and the cases that every platform has to stand.
package pipelinetest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// LogText is what each run prints: colours, a secret, and more than is handed on.
var LogText = "\x1b[32mtoken " + targettest.Planted + "\x1b[0m\r\n" + string(bytes.Repeat([]byte("a line of the log\n"), 600)) +
	"using " + targettest.Planted + "\nthe last line of the log\n"

// Run is a run as the world knows it.
type Run struct {
	ID        int // from 101
	Variables map[string]string
	State     pipeline.State
	By        string // who cancelled it
	Began     bool   // a runner took it
	Overlaps  bool   // another run was under way when it was started
	looks     int
}

// Tag is what the run was started for; zero: by somebody else.
func (r Run) Tag() pipeline.Tag {
	for _, value := range r.Variables {
		if tag, found := pipeline.FindTag(value); found {
			return tag
		}
	}
	return pipeline.Tag{}
}

// World is a platform behind its stand-in, with one pipeline that deploys the service shop. Each request that it serves
// brings the runs a bit further, so that no test waits.
type World struct {
	Server *httptest.Server

	mu       sync.Mutex
	outcome  pipeline.State // how runs end
	live     string
	runs     []*Run
	fault    *targettest.Fault
	mended   chan struct{}
	requests int
	cut      func(request int, served bool) bool
	refuse   func(http.ResponseWriter, *http.Request) bool
	lag      int // requests for which a run does not show
	crowded  bool
}

// New starts a world; serve is the stand-in of the platform's interface. It calls the world's methods for what it
// answers with. GET /live answers with the version that is live.
func New(t *testing.T, serve func(*World, http.ResponseWriter, *http.Request)) *World {
	w := &World{live: "v1", outcome: pipeline.Succeeded}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(serve, rw, r) }))
	t.Cleanup(w.Server.Close)
	return w
}

// Begin starts a run, as a request of ADG or of somebody else does.
func (w *World) Begin(variables map[string]string) Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	run := &Run{ID: 101 + len(w.runs), Variables: maps.Clone(variables)}
	run.Overlaps = slices.ContainsFunc(w.runs, func(r *Run) bool { return !r.State.Ended() })
	w.runs = append(w.runs, run)
	return *run
}

// Runs are all runs that show, the newest first.
func (w *World) Runs() []Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Run
	for _, r := range slices.Backward(w.runs) {
		if r.looks >= w.lag && !w.crowded {
			all = append(all, *r)
		}
	}
	return all
}

// Run finds a run.
func (w *World) Run(id string) (Run, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if fmt.Sprint(r.ID) == id {
			return *r, true
		}
	}
	return Run{}, false
}

// Cancel ends a run.
func (w *World) Cancel(id, by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if fmt.Sprint(r.ID) == id && !r.State.Ended() {
			r.State, r.By = pipeline.Cancelled, by
		}
	}
}

// Forget deletes every run.
func (w *World) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = nil
}

// End says how runs end from now on; Queued: they do not begin, Running: they do not end; Waiting:
// they wait for a person.
func (w *World) End(state pipeline.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcome = state
}

// Lag has runs that are started from now on show only after that many requests.
func (w *World) Lag(requests int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lag = requests
}

// Crowd has no run show any more, as if those of others filled whatever the platform lists.
func (w *World) Crowd() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crowded = true
}

// Refuse answers requests with a status instead of serving them, those for which which is true.
func (w *World) Refuse(status int, header map[string]string, body string, which func(*http.Request) bool) (mend func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = func(rw http.ResponseWriter, r *http.Request) bool {
		if which != nil && !which(r) || r.URL.Path == "/live" {
			return false
		}
		for name, value := range header {
			rw.Header().Set(name, value)
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
		return true
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refuse = nil
	}
}

// Shares lets the runs that are under way end, and tells what is live then.
func (w *World) Shares(*testing.T) map[string]float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range 4 {
		w.progress()
	}
	return map[string]float64{w.live: 100}
}

// Effects are the runs of ADG.
func (w *World) Effects(*testing.T) []targettest.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []targettest.Effect
	for _, r := range w.runs {
		if tag := r.Tag(); !tag.IsZero() {
			all = append(all, targettest.Effect{OpID: tag.Op, Fence: tag.Fence, Overlapped: r.Overlaps})
		}
	}
	return all
}

// Break makes the platform misbehave.
func (w *World) Break(_ *testing.T, fault targettest.Fault) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.mended = &fault, make(chan struct{})
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fault = nil
		close(w.mended)
	})
}

// Private

// cutAt cuts the connection at a request from now on, before it is served or after, when f has been called.
func (w *World) cutAt(request int, served bool, f func()) (hit *atomic.Bool) {
	hit = new(atomic.Bool)
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.requests
	w.cut = func(n int, after bool) bool {
		if n-before != request || after != served {
			return false
		}
		hit.Store(true)
		f()
		return true
	}
	return hit
}

// progress brings every run one look further.
func (w *World) progress() {
	held := w.fault != nil && *w.fault == targettest.Halfway
	for _, r := range w.runs {
		r.looks++
		switch {
		case r.State.Ended() || held:
		case r.looks >= 2 && w.outcome >= pipeline.Running && r.State == pipeline.Queued:
			r.State, r.Began = pipeline.Running, true
		case r.looks >= 3 && w.outcome == pipeline.Waiting && r.State == pipeline.Running:
			r.State = pipeline.Waiting
		case r.looks >= 3 && w.outcome.Ended() && (r.State == pipeline.Running || r.State == pipeline.Waiting):
			if r.State = w.outcome; r.State == pipeline.Succeeded && (w.fault == nil || *w.fault != targettest.Lie) && !r.Tag().IsZero() {
				w.live = r.Tag().Version
			}
		}
	}
}

func (w *World) serve(serve func(*World, http.ResponseWriter, *http.Request), rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.requests++
	n, cut, refuse, fault, mended, before, live := w.requests, w.cut, w.refuse, w.fault, w.mended, len(w.runs), w.live
	w.progress()
	w.mu.Unlock()
	switch {
	case cut != nil && cut(n, false):
		panic(http.ErrAbortHandler)
	case fault != nil && *fault == targettest.Unreachable:
		http.Error(rw, "no backend for "+targettest.Planted, http.StatusBadGateway)
		return
	case fault != nil && *fault == targettest.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
		select {
		case <-r.Context().Done():
		case <-mended:
		}
		panic(http.ErrAbortHandler)
	case refuse != nil && refuse(rw, r):
		return
	}
	answer := httptest.NewRecorder()
	if r.URL.Path == "/live" {
		_, _ = fmt.Fprintf(answer, `{"build":{"version":%q}}`, live)
	} else {
		serve(w, answer, r)
	}
	w.mu.Lock()
	began := len(w.runs) > before
	w.mu.Unlock()
	if cut != nil && cut(n, true) {
		panic(http.ErrAbortHandler)
	}
	if began && fault != nil && *fault == targettest.Halfway {
		http.Error(rw, "the connection to the back end was lost, "+targettest.Planted, http.StatusBadGateway)
		return
	}
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = io.Copy(rw, answer.Body)
}
