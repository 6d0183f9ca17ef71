package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counting is an answer that counts how often it is flushed.
type counting struct {
	http.ResponseWriter
	mu      sync.Mutex
	flushes int
}

func (c *counting) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes++
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushes
}

func TestBurstsOnAStreamGoOutAtOnceAndNothingAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &counting{ResponseWriter: httptest.NewRecorder()}
		gather(w, httptest.NewRequest(http.MethodGet, "/v1/events:stream", nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for burst := range 3 {
				for range 100 {
					_, _ = w.Write([]byte("event"))
					w.(http.Flusher).Flush()
				}
				time.Sleep(gatherFor + time.Nanosecond) // of the bubble
				synctest.Wait()
				if n := w.(*gathered).inner.(*counting).count(); n != burst+1 {
					t.Errorf("after %d bursts it was flushed %d times", burst+1, n)
				}
			}
			w.(http.Flusher).Flush()
		}))
		time.Sleep(time.Second) // of the bubble
		if n := w.count(); n != 3 {
			t.Errorf("flushed %d times", n)
		}
		if text := w.ResponseWriter.(*httptest.ResponseRecorder).Body.String(); text != strings.Repeat("event", 300) {
			t.Errorf("%d bytes came out", len(text))
		}
	})
}

// A server reads the head while it flushes, and the one of gRPC sets its trailers without waiting for that.
func TestTrailersMayBeSetWhileAnotherGoroutineFlushes(t *testing.T) {
	recorder := httptest.NewRecorder()
	flushed := make(chan struct{})
	inner := readsItsHead{recorder, func() { close(flushed) }}
	gather(inner, httptest.NewRequest(http.MethodGet, "/v1/events:stream", nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte("event"))
		w.(http.Flusher).Flush()
		for waiting := true; waiting; {
			w.Header().Set("Grpc-Status", "8")
			select {
			case <-flushed:
				waiting = false
			default:
			}
		}
	}))
	if got := recorder.Result().Trailer.Get("Grpc-Status"); got != "8" {
		t.Errorf("the trailer is %q", got)
	}
}

type readsItsHead struct {
	http.ResponseWriter
	then func()
}

func (r readsItsHead) Flush() {
	_ = r.Header().Get("Grpc-Status")
	r.then()
}

func TestOnlyStreamsAreGathered(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{"POST", "/adg.v1.EventService/StreamEvents", true},
		{"POST", "/adg.v1.DeploymentService/WatchDeployments", true},
		{"POST", "/adg.v1.EventService/ListEvents", false},
		{"POST", "/v1/deployments/d:hold", false},
		{"GET", "/v1/events:stream", true},
		{"GET", "/v1/deployments/d:watch", true},
		{"GET", "/v1/events", false},
	} {
		if got := isStream(httptest.NewRequest(c.method, c.path, nil)); got != c.want {
			t.Errorf("%s %s: %t", c.method, c.path, got)
		}
	}
}
