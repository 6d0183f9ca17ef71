package router

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// upstream is a release that runs.
type upstream struct {
	release   adg.Release
	proxy     *httputil.ReverseProxy
	transport *http.Transport

	// Guarded by the router.
	running int           // requests
	idle    chan struct{} // closed when none runs; nil: nobody waits
}

func newUpstream(release adg.Release, addr string) *upstream {
	u := &upstream{release: release, transport: &http.Transport{
		MaxIdleConnsPerHost: 64, MaxConnsPerHost: 1024, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
	}}
	target := &url.URL{Scheme: "http", Host: addr}
	u.proxy = &httputil.ReverseProxy{
		Transport:    u.transport,
		ErrorHandler: unanswered,
		ErrorLog:     log.New(io.Discard, "", 0), // what fails is counted
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
			if p.In.ContentLength == 0 {
				// The transport sends a request without a body again when a connection breaks; with this one it does not,
				// and sends no body either.
				p.Out.Body = io.NopCloser(strings.NewReader(""))
				return
			}
			p.Out.Body = http.MaxBytesReader(nil, p.Out.Body, maxBody)
		},
	}
	return u
}

func unanswered(w http.ResponseWriter, _ *http.Request, err error) {
	w.(*answer).failed = true
	status := http.StatusBadGateway
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusGatewayTimeout
	}
	http.Error(w, "the release gave no answer", status)
}

// answer remembers what the client got.
type answer struct {
	http.ResponseWriter
	status int
	failed bool // the answer is the router's own
	whole  bool // the release's answer came to its end
}

// WriteHeader remembers the status; informational ones do not count.
func (a *answer) WriteHeader(status int) {
	if status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController the writer below.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
