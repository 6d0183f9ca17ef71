package serve

import (
	"container/list"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Policy of content: everything comes from this server; styles may be set by scripts, as charts and components do.
const contentPolicy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Headers sets what browsers need to be told to keep a page from harm. Answers are not to be kept by anybody unless the
// handler says otherwise. secure says that the server is reached by TLS only.
func Headers(secure bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// Bodies refuses requests whose body is larger than that, in bytes, or takes longer to come than that. Streams of gRPC
// limit their messages themselves.
func Bodies(limit int64, within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limit {
			http.Error(w, "the request is larger than "+strconv.FormatInt(limit, 10)+" bytes", http.StatusRequestEntityTooLarge)
			return
		}
		if !GRPC(r) {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		if r.Body != http.NoBody && r.ContentLength != 0 {
			at := http.NewResponseController(w)
			if at.SetReadDeadline(time.Now().Add(within)) == nil { //nolint:forbidigo // it is a real connection's
				r.Body = &timed{r.Body, func() { _ = at.SetReadDeadline(time.Time{}) }}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// GRPC tells whether a request is one of gRPC: by HTTP/2 only, whatever its header says.
func GRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// Rate is how much each of many callers may ask for. All methods are safe for concurrent use.
type Rate struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu      sync.Mutex
	callers map[string]*list.Element
	recent  *list.List // of *caller, the one that asked last in front
}

// NewRate lets each caller ask so many times per second on average, and burst times at once.
func NewRate(perSecond float64, burst int) *Rate {
	return &Rate{limit: rate.Limit(perSecond), burst: burst, now: time.Now, callers: map[string]*list.Element{}, recent: list.New()} //nolint:forbidigo // rates are of real time
}

// Allow tells whether a caller may ask now; if not, when to ask again.
func (r *Rate) Allow(key string) (ok bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.callers[key]
	if !known {
		if r.recent.Len() >= maxCallers {
			oldest := r.recent.Back()
			delete(r.callers, oldest.Value.(*caller).key)
			r.recent.Remove(oldest)
		}
		at = r.recent.PushFront(&caller{key: key, limiter: rate.NewLimiter(r.limit, r.burst)})
		r.callers[key] = at
	}
	r.recent.MoveToFront(at)
	now := r.now()
	reserved := at.Value.(*caller).limiter.ReserveN(now, 1)
	if wait = reserved.DelayFrom(now); wait > 0 {
		reserved.CancelAt(now)
		return false, wait
	}
	return true, 0
}

// Private

// timed is a body that has to come within a time. Once it is there the connection has all the time of the world again:
// the answer may be a long one.
type timed struct {
	io.ReadCloser
	there func()
}

// Read reads on.
func (t *timed) Read(into []byte) (int, error) {
	n, err := t.ReadCloser.Read(into)
	if errors.Is(err, io.EOF) {
		t.there()
	}
	return n, err
}

// maxCallers are remembered by a Rate, those that asked last.
const maxCallers = 20_000

type caller struct {
	key     string
	limiter *rate.Limiter
}
