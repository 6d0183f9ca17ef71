// Package flagtest tests targets that are feature flags: it stands between the target and the platform, and counts and
// spoils what passes.
package flagtest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// The versions that a flag under test stands for.
const (
	On  = "v2"
	Off = "v1"
)

// Platform is a platform with one flag, seen from the side that ADG does not see.
type Platform interface {
	// Share is the percentage of users who really get the flag on.
	Share(t *testing.T) float64
	// Set is somebody else who changes the flag by hand.
	Set(t *testing.T, share float64)
	// Archive takes the flag away.
	Archive(t *testing.T)
}

// Step is what happens to a request.
type Step uint8

// The steps.
const (
	Pass     Step = iota
	Refuse        // it does not reach the platform
	Lose          // it reaches the platform, and the answer does not come back
	Stall         // there is no answer, until the next script
	Pretend       // it is answered with thanks, and does not reach the platform
	Throttle      // 429, to come again after 7 s
	Deny          // 401
	Clash         // 409
)

// World is a platform behind a proxy. It is a targettest.World, safe for concurrent use.
type World struct {
	Platform
	URL    string // of the proxy
	Secret string // what the target was opened with, which errors of the platform repeat; targettest.Planted

	mu      sync.Mutex
	script  func(n int, changes bool) Step
	seen    int // requests since the script began
	renewed chan struct{}
	effects []targettest.Effect
	pause   int    // the request before which during is called
	during  func() // nil: nothing happens, or it has
}

// Wait is how long Throttle asks to wait, in seconds.
const Wait = "7"

// NewWorld puts a proxy before a platform. Reads tells which requests with a body change nothing; nil: none.
func NewWorld(t *testing.T, p Platform, platform http.Handler, reads func(*http.Request) bool) *World {
	w := &World{Platform: p, Secret: targettest.Planted, script: pass, renewed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		changes := in.Method != http.MethodGet && (reads == nil || !reads(in))
		w.serve(out, in, platform, changes)
	}))
	t.Cleanup(func() {
		w.Script(pass) // lets go of those who wait
		server.Close()
	})
	w.URL = server.URL
	return w
}

// Proxy is the handler that hands on to a server.
func Proxy(t *testing.T, address string) http.Handler {
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
}

// Script says what happens to requests from now on, which are counted from 1; changes tells those that may change
// something.
func (w *World) Script(script func(n int, changes bool) Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script, w.seen = script, 0
	close(w.renewed)
	w.renewed = make(chan struct{})
}

// Meanwhile has something happen once, before the platform gets the n-th request from now on.
func (w *World) Meanwhile(n int, happens func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause, w.during = w.seen+n, happens
}

// Seen is how many requests there were since the script began.
func (w *World) Seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// Shares is who gets what.
func (w *World) Shares(t *testing.T) map[string]float64 {
	share := w.Share(t)
	return map[string]float64{On: share, Off: 100 - share}
}

// Effects are the requests that changed something.
func (w *World) Effects(*testing.T) []targettest.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]targettest.Effect{}, w.effects...)
}

// Break has the platform misbehave in the ways of the conformance suite.
func (w *World) Break(_ *testing.T, fault targettest.Fault) func() {
	changed := 0
	w.Script(func(_ int, changes bool) Step {
		switch {
		case fault == targettest.Unreachable:
			return Refuse
		case fault == targettest.Hang:
			return Stall
		case !changes:
			return Pass
		case fault == targettest.Lie:
			return Pretend
		}
		if changed++; changed == 2 { // half-way: the one before was taken, and those after it are again
			return Refuse
		}
		return Pass
	})
	return func() { w.Script(pass) }
}

// Private

func pass(int, bool) Step { return Pass }

func (w *World) serve(out http.ResponseWriter, in *http.Request, platform http.Handler, changes bool) {
	w.mu.Lock()
	w.seen++
	step, renewed := w.script(w.seen, changes), w.renewed
	var happens func()
	if w.seen == w.pause {
		happens, w.during = w.during, nil
	}
	w.mu.Unlock()
	if happens != nil {
		happens()
	}
	switch step {
	case Refuse:
		http.Error(out, "no backend for "+w.Secret, http.StatusBadGateway)
	case Stall:
		_, _ = io.Copy(io.Discard, in.Body) // or the server does not see that the other side has gone
		select {
		case <-in.Context().Done():
		case <-renewed:
		}
	case Pretend:
		_, _ = io.WriteString(out, "{}")
	case Throttle:
		out.Header().Set("Retry-After", Wait)
		http.Error(out, "slowly", http.StatusTooManyRequests)
	case Deny:
		http.Error(out, w.Secret+" is no token", http.StatusUnauthorized)
	case Clash:
		http.Error(out, "a conflict", http.StatusConflict)
	case Lose:
		kept := httptest.NewRecorder()
		w.handOn(kept, in, platform, changes)
		panic(http.ErrAbortHandler)
	case Pass:
		w.handOn(out, in, platform, changes)
	}
}

// handOn counts a change when the platform has said yes.
func (w *World) handOn(out http.ResponseWriter, in *http.Request, platform http.Handler, changes bool) {
	status := &statusWriter{ResponseWriter: out, status: http.StatusOK}
	platform.ServeHTTP(status, in)
	if changes && status.status < 300 {
		w.mu.Lock()
		w.effects = append(w.effects, targettest.Effect{})
		w.mu.Unlock()
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

var errHome = errors.New("the operator went home")
