package api

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Private

// gatherFor is how long what is sent on a stream may wait for more. Messages come in bursts, and each that were sent by
// itself would cost a system call and a packet.
const gatherFor = 2 * time.Millisecond

// isStream tells whether a request is answered by a stream.
func isStream(r *http.Request) bool {
	path := r.URL.Path
	if r.Method == http.MethodPost { // gRPC
		_, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return strings.HasPrefix(method, "Watch") || strings.HasPrefix(method, "Stream")
	}
	return strings.HasSuffix(path, ":watch") || strings.HasSuffix(path, ":stream")
}

// gathered answers a stream, and flushes what is sent within a short time at once. The handler has a head of its own: it
// goes on to set trailers while another goroutine flushes.
type gathered struct {
	inner  http.ResponseWriter
	header http.Header

	mu      sync.Mutex
	waiting *time.Timer // nil: nothing waits to be flushed
	headed  bool        // the head was handed on: what the handler sets from here on are trailers
	ended   bool
}

// gather has a handler answer through one.
func gather(w http.ResponseWriter, r *http.Request, next http.Handler) {
	g := &gathered{inner: w, header: w.Header().Clone()}
	defer g.end()
	next.ServeHTTP(g, r)
}

// Header returns what belongs to the handler.
func (g *gathered) Header() http.Header { return g.header }

// Write writes what the next flush sends.
func (g *gathered) Write(data []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.head()
	return g.inner.Write(data)
}

// WriteHeader writes the head.
func (g *gathered) WriteHeader(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.head()
	g.inner.WriteHeader(status)
}

// Flush sends what was written, soon. A head that nothing was written after is sent at once, for it is to be sent before the
// trailers are known.
func (g *gathered) Flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended:
	case !g.headed:
		g.head()
		g.send()
	case g.waiting == nil:
		g.waiting = time.AfterFunc(gatherFor, g.flush)
	}
}

func (g *gathered) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting = nil; !g.ended {
		g.send()
	}
}

// send is for who holds the lock.
func (g *gathered) send() {
	if inner, can := g.inner.(http.Flusher); can {
		inner.Flush()
	}
}

// head hands on what the handler has set, once. It is for the handler's goroutine, with the lock.
func (g *gathered) head() {
	if !g.headed {
		g.headed = true
		replace(g.inner.Header(), g.header)
	}
}

// end is before the handler returns: afterwards nobody may touch the answer.
func (g *gathered) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended = true; g.waiting != nil {
		g.waiting.Stop()
	}
	replace(g.inner.Header(), g.header)
}

func replace(have, want http.Header) {
	clear(have)
	maps.Copy(have, want)
}
