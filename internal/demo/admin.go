package demo

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Private

// adminHandler shows the stage, and takes what the haproxy target's prepare program hands on.
func (s *Stage) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry(), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version/{version}/{path...}", s.direct)
	mux.HandleFunc("POST "+preparePath, s.prepare)
	return http.NewCrossOriginProtection().Handler(mux) // no web page may prepare anything
}

// direct asks a version past the router.
func (s *Stage) direct(w http.ResponseWriter, r *http.Request) {
	version := r.PathValue("version")
	addr, runs := s.fleet.Addr(version)
	if !runs {
		http.Error(w, version+" does not run", http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport: direct,
		ErrorLog:  log.New(io.Discard, "", 0), // whoever asks sees the 502
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Path, p.Out.URL.RawPath = "/"+r.PathValue("path"), ""
			p.SetURL(&url.URL{Scheme: "http", Host: addr})
		},
	}
	proxy.ServeHTTP(w, r)
}

// direct's connections are not kept: a version may be gone before the next question.
var direct = &http.Transport{DisableKeepAlives: true}
