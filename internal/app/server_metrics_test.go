package app

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/telemetry"
)

func TestTheMetricsAskForTheirTokenOnWhicheverPortTheyAre(t *testing.T) {
	metrics := func(listen, token string) settings.Settings {
		return settings.Settings{Metrics: settings.Metrics{Listen: listen, Token: adg.NewSecret(token)}}
	}
	for name, c := range map[string]struct {
		set          settings.Settings
		open, closed int // the answer with the token, and without
	}{
		"on the main port":                     {metrics("", "s3cret"), http.StatusOK, http.StatusUnauthorized},
		"on the main port, without a token":    {metrics("", ""), http.StatusNotFound, http.StatusNotFound},
		"on a port of their own":               {metrics("127.0.0.1:0", "s3cret"), http.StatusOK, http.StatusUnauthorized},
		"on a port of their own with no token": {metrics("127.0.0.1:0", ""), http.StatusOK, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{set: c.set, metrics: telemetry.NewMetrics("test")}
			port := s.outside(http.NotFoundHandler())
			if c.set.Metrics.Listen != "" {
				port = s.apart()
			}
			ask := func(path, token string) int {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				w := httptest.NewRecorder()
				port.ServeHTTP(w, r)
				return w.Code
			}
			if with, without, wrong := ask("/metrics", "s3cret"), ask("/metrics", ""), ask("/metrics", "s3cre"); with != c.open || without != c.closed || wrong != c.closed {
				t.Errorf("with the token %d, without %d, with a wrong one %d; want %d and %d", with, without, wrong, c.open, c.closed)
			}
			if code := ask("/livez", ""); code != http.StatusOK {
				t.Errorf("a probe has no token: %d", code)
			}
		})
	}
}
