package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

func TestMain(m *testing.M) {
	if task := children[os.Getenv("EMBEDDED_TEST_CHILD")]; task != nil {
		os.Exit(task(os.Getenv("EMBEDDED_TEST_DIR")))
	}
	goleak.VerifyTestMain(m)
}

// interval is short enough for tests and within what options allow.
const interval = 100 * time.Millisecond

func options() embedded.Options { return embedded.Driver.Options.(embedded.Options) }

// scraping is options with jobs.
func scraping(jobs ...embedded.Job) embedded.Options {
	o := options()
	for _, j := range jobs {
		if j.Interval == 0 {
			j.Interval = interval
		}
		o.Scrape = append(o.Scrape, j)
	}
	return o
}

// listening is options with an open door for pushes.
func listening() embedded.Options {
	o := options()
	o.Listen, o.Token = "127.0.0.1:0", adg.NewSecret(token)
	return o
}

const token = "correct-horse-battery"

// start opens a source that the test's end closes.
func start(t *testing.T, o embedded.Options) *embedded.Source {
	t.Helper()
	return startIn(t, o, adg.Host{Name: "local", Dir: t.TempDir(), Log: testLog(t)})
}

func startIn(t *testing.T, o embedded.Options, host adg.Host) *embedded.Source {
	t.Helper()
	opened, err := embedded.Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	s := opened.(*embedded.Source)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s io.Closer) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// record is a log that the test reads.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *record) log(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: level}))
}

// eventually asks again and again until the answer is yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("still not so: %s", what)
		}
	}
}

func ask(t *testing.T, s adg.Source, q adg.Query) adg.Answer {
	t.Helper()
	if q.At.IsZero() {
		q.At = time.Now()
	}
	if q.Window == 0 {
		q.Window = time.Minute
	}
	answer, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatalf("query %s: %v", q.Text, err)
	}
	return answer
}

// value is the one number that a query answers with; false if it answers with none.
func value(t *testing.T, s adg.Source, text string) (float64, bool) {
	t.Helper()
	series := ask(t, s, adg.Query{Text: text}).Series
	switch {
	case len(series) == 0:
		return 0, false
	case len(series) > 1 || len(series[0].Samples) != 1:
		t.Fatalf("%s answers with more than one value: %v", text, series)
	}
	return series[0].Samples[0].Value, true
}

func eventuallyIs(t *testing.T, s adg.Source, text string, want float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s = %g", text, want), func() bool {
		got, found := value(t, s, text)
		return found && got == want
	})
}

// refused tells that an error says "asking again cannot help" and has the code.
func refused(t *testing.T, err error, code adg.Code) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	if !adg.IsPermanent(err) || adg.CodeOf(err) != code {
		t.Fatalf("%v: permanent %v, code %v; want a permanent %v", err, adg.IsPermanent(err), adg.CodeOf(err), code)
	}
}

// exposition is a target whose metrics the test sets.
type exposition struct {
	*httptest.Server
	mu   sync.Mutex
	text string
}

func expose(t *testing.T, text string) *exposition {
	t.Helper()
	e := &exposition{text: text}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, e.text)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *exposition) set(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = text
}

func (e *exposition) address() string { return address(e.Server) }

func address(s *httptest.Server) string { return s.Listener.Addr().String() }
