package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/serve"
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

// Whoever sends the head of a request and then nothing would keep his connection for good, and with enough of them everybody
// else out. Nobody has to be logged in for that.
func TestWhoSendsNoneOfTheBodyThatHeAnnouncedIsCutOff(t *testing.T) {
	set := settings.Settings{
		Limits:   settings.Limits{Request: 50 * time.Millisecond},
		Metrics:  settings.Metrics{Token: adg.NewSecret("s3cret")},
		Webhooks: map[string]settings.Webhook{"ci": {Type: "cloudevents", Secret: adg.NewSecret("the secret of the webhook"), Service: "shop", Environment: "production"}},
	}
	s := &server{set: set, metrics: telemetry.NewMetrics("test"), log: slog.New(slog.DiscardHandler), rate: serve.NewRate(1000, 1000)}
	for name, handler := range map[string]http.Handler{"the main port": s.outside(http.NotFoundHandler()), "the port of the metrics": s.asked(s.apart())} {
		port, err := serve.Listen(t.Context(), serve.Options{Listen: "127.0.0.1:0", Drain: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- port.Run(ctx, func(<-chan struct{}) http.Handler { return handler }) }()
		for _, asked := range []string{"POST /hooks/ci", "POST /hooks/unknown", "GET /livez", "GET /metrics"} {
			for _, length := range []string{"Content-Length: 10", "Transfer-Encoding: chunked"} {
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", port.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", asked, length)
				if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: %s with %s keeps its connection", name, asked, length)
				}
				_ = conn.Close()
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
