package load

import (
	"cmp"
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run sends to a server until stop says so, for a minute at most.
func run(t *testing.T, o Options, stop func(Stats) bool) Stats {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	g := New(o)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if stop(g.Stats()) {
				cancel()
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	g.Run(ctx)
	return g.Stats()
}

// answering is a server without a network.
type answering func(*http.Request) (*http.Response, error)

// RoundTrip answers.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func TestRequestsComeAtTheirRateWhateverBecomesOfThem(t *testing.T) {
	synctest.Test(t, requestsComeAtTheirRate)
}

func requestsComeAtTheirRate(t *testing.T) {
	var posts, gets atomic.Int64
	const rate, span = 200, 5 * time.Second
	g := New(Options{URL: "http://shop", Rate: rate})
	g.client.Transport = answering(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			posts.Add(1)
		} else {
			gets.Add(1)
		}
		if err != nil || (len(body) > 0) != (r.Method == http.MethodPost) {
			t.Errorf("%s with %d bytes: %v", r.Method, len(body), err)
		}
		if gets.Load()%10 == 0 {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}, nil
		}
		time.Sleep(31 * time.Millisecond) // of the bubble's clock
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	g.Run(ctx)
	s := g.Stats()
	if want := rate * span.Seconds(); math.Abs(float64(s.Sent)-want) > .02*want {
		t.Errorf("%d requests in %s, want %g ± 2 %%", s.Sent, span, want)
	}
	if n := posts.Load() + gets.Load(); n != s.Sent || s.OK+s.Bad != s.Sent || s.Bad != s.Failures["http_500"] || s.Shed != 0 {
		t.Errorf("the server saw %d requests, the generator counts %+v", n, s)
	}
	if share := float64(posts.Load()) / float64(s.Sent); math.Abs(share-3./8) > .08 {
		t.Errorf("%.2f of the requests are POST, want 3 in 8", share)
	}
	if s.P50 < 30*time.Millisecond || s.P99 < s.P95 || s.P95 < s.P50 {
		t.Errorf("quantiles %s, %s, %s", s.P50, s.P95, s.P99)
	}
	seen := int64(0)
	for i, x := range s.Seconds {
		seen += x.OK + x.Bad
		if i > 0 && i < len(s.Seconds)-1 && (x.OK+x.Bad < rate*8/10 || x.OK+x.Bad > rate*12/10) {
			t.Errorf("%d requests in one second", x.OK+x.Bad)
		}
	}
	if seen != s.Sent || len(s.Seconds) < 5 {
		t.Errorf("%d seconds hold %d requests of %d", len(s.Seconds), seen, s.Sent)
	}
}

func TestFailuresAreCountedByKindAndNeverTriedAgain(t *testing.T) {
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for _, c := range []struct {
		name, kind string
		limit      time.Duration // zero: one that no answer here takes
		handler    http.HandlerFunc
	}{
		{"an answer that says no", "http_404", 0, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }},
		{"a redirect is an answer", "", 0, func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || (len(body) > 0) != (r.Method == http.MethodPost) {
				t.Errorf("%s arrives with %d bytes: %v", r.Method, len(body), err)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}},
		{"no answer in time", "timeout", 100 * time.Millisecond, hangs},
		{"a connection that is cut", "reset", 0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"half an answer", "reset", 0, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}},
	} {
		var seen atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(1)
			c.handler(w, r)
		}))
		s := run(t, Options{URL: server.URL, Rate: 500, Timeout: c.limit}, func(s Stats) bool { return s.Sent >= 40 })
		server.Close()
		if c.kind == "" && s.OK != s.Sent || c.kind != "" && s.Failures[c.kind] != s.Sent {
			t.Errorf("%s: %+v", c.name, s)
		}
		// One that is late may be so before the server has seen it.
		if s.Sent < 40 || seen.Load() > s.Sent || seen.Load() < s.Sent && c.limit == 0 {
			t.Errorf("%s: the server saw %d requests, %d were sent", c.name, seen.Load(), s.Sent)
		}
	}
}

func TestNobodyThereIsRefused(t *testing.T) {
	s := run(t, Options{URL: "http://127.0.0.1:1"}, func(s Stats) bool { return s.Sent >= 10 })
	if s.Failures["refused"] != s.Sent || s.Sent < 10 {
		t.Errorf("%+v", s)
	}
}

func TestARequestIsNotRepeatedOnAConnectionThatTheServerGaveUp(t *testing.T) {
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if seen.Add(1)%2 == 0 { // on a connection that was good before
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	s := run(t, Options{URL: server.URL, Rate: 300, InFlight: 1}, func(s Stats) bool { return s.Sent >= 100 })
	if seen.Load() != s.Sent || s.Bad != s.Sent/2 || s.Sent < 100 {
		t.Errorf("the server saw %d requests, the generator counts %+v", seen.Load(), s)
	}
}

func TestWhatIsTooMuchIsShedAndNotSentLater(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		seen.Add(1)
		<-release
	}))
	defer server.Close()
	answer := func() { once.Do(func() { close(release) }) }
	defer answer() // or the server would wait for those that hang
	s := run(t, Options{URL: server.URL, Rate: 500, InFlight: 4}, func(s Stats) bool {
		if s.Shed < 20 {
			return false
		}
		answer()
		return true
	})
	if s.Shed < 20 || seen.Load() != s.Sent || s.Bad != 0 {
		t.Errorf("the server saw %d, the generator counts %+v", seen.Load(), s)
	}
}

func TestQuantilesAreAtMostFivePercentTooHigh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		var all []time.Duration
		for _, us := range rapid.SliceOfN(rapid.IntRange(100, 20_000_000), 1, 200).Draw(t, "microseconds") {
			all = append(all, time.Duration(us)*time.Microsecond)
			h.add(all[len(all)-1])
		}
		slices.Sort(all)
		q := rapid.Float64Range(.01, 1).Draw(t, "q")
		exact := float64(all[int(math.Ceil(q*float64(len(all))))-1])
		if got := float64(h.quantile(q)); got < exact*(1-1e-9) || got > exact*growth*(1+1e-9) {
			t.Fatalf("quantile %g of %v is %g", q, all, got)
		}
	})
	var empty histogram
	if empty.quantile(.5) != 0 {
		t.Error("without latencies there is a quantile")
	}
	empty.add(time.Hour) // longer than anything that can be told apart
	if empty.quantile(.5) < 20*time.Second {
		t.Error("an hour is counted as short")
	}
}

func TestOldSecondsAreForgottenAndLateOnesFindTheirPlace(t *testing.T) {
	l := newLedger()
	begin := time.Unix(1_000_000, 0)
	for i := range maxSeconds + 50 {
		l.count(begin.Add(time.Duration(i)*time.Second), time.Millisecond, "")
	}
	late := begin.Add(100*time.Second + 300*time.Millisecond)
	l.count(late, time.Second, timeout)
	s := l.read()
	if len(s.Seconds) != maxSeconds || !slices.IsSortedFunc(s.Seconds, func(a, b Second) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d seconds", len(s.Seconds))
	}
	at := slices.IndexFunc(s.Seconds, func(x Second) bool { return x.At.Equal(late.Truncate(time.Second)) })
	if at < 0 || s.Seconds[at].OK != 1 || s.Seconds[at].Bad != 1 || s.Seconds[at].P95 < time.Second {
		t.Errorf("the late one is not where it belongs: %d", at)
	}
}
