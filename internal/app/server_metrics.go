package app

import (
	"context"
	"crypto/subtle"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/announce"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/watchdog"
)

// Private

// outside adds to the API what webhooks, load balancers and Prometheus ask for, the latter two where they have no port
// of their own.
func (s *server) outside(inner http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", inner)
	mux.Handle("POST "+announce.Path+"{name}", s.webhooks())
	if s.set.Metrics.Listen != "" {
		return mux
	}
	mux.Handle("GET /livez", s.asked(http.HandlerFunc(s.livez)))
	mux.Handle("GET /readyz", s.asked(http.HandlerFunc(s.readyz)))
	if !s.set.Metrics.Token.IsZero() {
		mux.Handle("GET /metrics", s.asked(s.exposed()))
	}
	return mux
}

// asked bounds how long the body of a request may take to come that needs none: a server reads it to its end all the same.
func (s *server) asked(inner http.Handler) http.Handler {
	return serve.Bodies(intake.MaxBody, s.set.Limits.Request, inner)
}

// watched serves metrics and probes on a port of their own.
func (s *server) watched(ctx context.Context) error {
	port, err := serve.Listen(ctx, serve.Options{Listen: s.set.Metrics.Listen, Drain: time.Second, Log: s.log})
	if err != nil {
		return err
	}
	return port.Run(ctx, func(<-chan struct{}) http.Handler { return s.asked(s.apart()) })
}

// apart is what that port answers.
func (s *server) apart() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", http.HandlerFunc(s.livez))
	mux.Handle("GET /readyz", http.HandlerFunc(s.readyz))
	mux.Handle("GET /metrics", s.exposed())
	return mux
}

// exposed are the metrics, for who shows their token; without one, for everybody who gets here.
func (s *server) exposed() http.Handler {
	metrics := promhttp.HandlerFor(s.metrics.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	token := s.set.Metrics.Token.Reveal()
	if token == "" {
		return metrics
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "the metrics need their token: metrics.token in the server's configuration", http.StatusUnauthorized)
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// livez says that the process answers: nothing that a restart would not mend makes it fail.
func (s *server) livez(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }

// readyz says whether requests can be answered: the store has to.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.store.Now(ctx); err != nil {
		s.log.Warn("not ready: the store does not answer", "error", err)
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// watchdog tells when the server itself is late or blind.
func (s *server) watchdog() (*watchdog.Watchdog, error) {
	name := s.set.Guard.Name
	if name == "" {
		name, _ = os.Hostname() // without a name there is still the alarm
	}
	w := s.set.Watchdog
	return watchdog.New(s.store, watchdog.Options{
		Server: name, Webhook: w.Webhook, Late: w.Late, Blind: w.Blind, Again: w.Again, Log: s.log, Seen: s.metrics.Observed,
	})
}

// repeat does something every so often until the context ends.
func (s *server) repeat(ctx context.Context, every time.Duration, what string, do func(context.Context) error) {
	due := time.NewTicker(every)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn(what+" could not be done, it will be tried again", "error", err)
		}
	}
}

// How often the server looks at what does not belong to one deployment.
const (
	patrolEvery  = time.Minute
	tendEvery    = 30 * time.Second
	compactEvery = 10 * time.Minute
)

func (s *server) patrolled(ctx context.Context) {
	s.repeat(ctx, patrolEvery, "looking after what rollbacks have suspended", s.patrol.Round)
}

func (s *server) tended(ctx context.Context) {
	s.repeat(ctx, tendEvery, "closing connections that are not registered any more", s.world.Tend)
}

func (s *server) compacted(ctx context.Context) {
	s.repeat(ctx, compactEvery, "forgetting what is over", s.compact)
}

// compact forgets what is older than it is kept, so that the store is as large as that and not as old as the installation.
// 0 keeps it for good.
func (s *server) compact(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	ago := func(keep time.Duration) (t time.Time) {
		if keep > 0 {
			t = now.Add(-keep)
		}
		return t
	}
	keep := s.set.Retention
	if before := ago(keep.Measurements); !before.IsZero() {
		gone, err := s.store.Compact(ctx, before)
		if err != nil {
			return err
		}
		s.log.Debug("measurements were forgotten", "rows", gone)
	}
	gone, err := s.store.Forget(ctx, adg.Retention{Decisions: ago(keep.Decisions), Events: ago(keep.Events), Dead: ago(keep.Dead)})
	if err != nil {
		return err
	}
	s.log.Debug("what is over was forgotten", "rows", gone)
	for purged := purgedAtOnce; purged == purgedAtOnce; {
		if purged, err = s.store.Purge(ctx, purgedAtOnce); err != nil {
			return err
		}
	}
	return nil
}

const purgedAtOnce = 1000
