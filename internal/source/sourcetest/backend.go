package sourcetest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// Canary is the secret that the suite plants; it must show up nowhere.
const Canary = "canary/s3cret+9f2e"

// maxServed is how much of an endless answer may leave the server: what a source reads, and what buffers take.
const maxServed = 64 << 20

// Private

// fault is one way to misbehave and the error that it must become.
type fault struct {
	name      string
	serve     func(b *backend, w http.ResponseWriter, r *http.Request) // nil: nobody listens
	code      adg.Code
	permanent bool
	wait      time.Duration
	says      string
}

func faults(c Case) []fault {
	all := []fault{
		{name: "a refused connection is unavailable", code: adg.Unavailable, says: "refused"},
		{name: "refused credentials are permanent", serve: status(401), code: adg.Unauthorized, permanent: true, says: "credentials"},
		{name: "forbidden is permanent", serve: status(403), code: adg.Unauthorized, permanent: true, says: "credentials"},
		{name: "throttling is recognised with its wait", serve: status(429), code: adg.Unavailable, wait: 7 * time.Second, says: "7s"},
		{name: "a server error is unavailable", serve: status(500), code: adg.Unavailable, says: "500"},
		{name: "an overloaded server is unavailable", serve: status(502), code: adg.Unavailable, says: "502"},
		{name: "half an answer is unavailable", serve: half, code: adg.Unavailable, says: "ended early"},
		{name: "a hang-up is unavailable", serve: hangUp, code: adg.Unavailable, says: "closed"},
		{name: "an answer of 500 MB is refused and not read", serve: huge, code: adg.Invalid, permanent: true, says: "larger than"},
		{name: "garbage is unavailable", serve: garbage, code: adg.Unavailable, says: "answer"},
		{name: "a web page is unavailable", serve: say(200, "<!DOCTYPE html><title>Sign in</title>"), code: adg.Unavailable, says: "web page"},
		{name: "a redirect to a sign-in page is permanent", serve: redirect, code: adg.Invalid, permanent: true, says: "redirect"},
	}
	if c.ErrorBody != "" {
		all = append(all, fault{name: "an error in an answer with status 200 is an error", serve: say(200, c.ErrorBody), code: adg.Unavailable})
	}
	if c.TooMany != "" {
		all = append(all, fault{name: "too many series are refused", serve: say(200, c.TooMany), code: adg.Invalid, permanent: true, says: "series"})
	}
	return all
}

// backend is a server that misbehaves.
type backend struct {
	address     string
	connections atomic.Int64
	served      atomic.Int64
	asked       chan struct{} // closed when the first connection was made
	quit        chan struct{} // closed when the test is over
}

func start(t *testing.T, f fault) *backend {
	t.Helper()
	b := &backend{address: "127.0.0.1:1", asked: make(chan struct{}), quit: make(chan struct{})}
	if f.serve == nil {
		return b
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(b, w, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew && b.connections.Add(1) == 1 {
			close(b.asked)
		}
	}
	b.address = server.Listener.Addr().String()
	server.Start()
	t.Cleanup(func() { close(b.quit); server.CloseClientConnections(); server.Close() })
	return b
}

// status answers with a status and echoes the request, credentials included, as careless servers do.
func status(code int) func(*backend, http.ResponseWriter, *http.Request) {
	return func(_ *backend, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(code)
		fmt.Fprintf(w, "no: %s %v", r.URL, r.Header)
	}
}

func say(code int, text string) func(*backend, http.ResponseWriter, *http.Request) {
	return func(_ *backend, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}

func redirect(_ *backend, w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "https://login.invalid/?back="+url.QueryEscape(Canary), http.StatusFound)
}

func garbage(_ *backend, w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, "\x00\xff\x1b[31m{{{]]]")
}

func half(_ *backend, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `{"status":"succ`)
}

func hangUp(_ *backend, w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

func hang(b *backend, _ http.ResponseWriter, r *http.Request) {
	select {
	case <-b.quit:
	case <-r.Context().Done():
	}
}

func huge(b *backend, w http.ResponseWriter, _ *http.Request) {
	chunk := []byte(strings.Repeat(`{"status":"success"},`, 4096))
	for b.served.Load() < 500<<20 {
		n, err := w.Write(chunk)
		b.served.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// canaryForms are the spellings in which a secret gets out.
func canaryForms() []string {
	raw := []byte(Canary)
	return []string{
		Canary, url.QueryEscape(Canary), url.PathEscape(Canary), hex.EncodeToString(raw),
		base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		base64.StdEncoding.EncodeToString([]byte("user:" + Canary)),
	}
}
