package app

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // freeze windows are by time zones, and the container has none

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/store/postgres"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/telemetry"
)

// server runs until it is told to end; then it finishes what is under way.
func (a *App) server(ctx context.Context, o cli.ServerOptions, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	set, warnings, err := settings.Load(o.Config, os.Environ(), o.Flags)
	if err != nil {
		return err
	}
	s := &server{app: a, set: set, out: out, metrics: telemetry.NewMetrics(a.version)}
	s.log = s.metrics.Log(telemetry.TraceIDs(handler(set.Log, a.terminal.Err)))
	for _, w := range warnings {
		s.log.Warn("the configuration is doubtful", "what", w.String())
	}
	if end, err := s.traces(ctx); err != nil {
		return err
	} else if end != nil {
		defer func() { err = errors.Join(err, ended(end)) }()
	}
	if s.store, err = openStore(ctx, set, s.log); err != nil {
		return err
	}
	defer both(&err, s.store.Close)
	if len(set.Egress.Allow) > 0 {
		remote.Restrict(set.Egress.Allows)
	}
	return s.run(ctx)
}

// checkConfig reads a server's configuration as the server would, its certificate and keys included.
func (a *App) checkConfig(ctx context.Context, o cli.ServerOptions) ([]string, error) {
	set, doubts, err := settings.Load(o.Config, os.Environ(), o.Flags)
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, w := range doubts {
		warnings = append(warnings, w.String())
	}
	return warnings, set.Probe(ctx, os.Environ())
}

// Private

// server is one replica.
type server struct {
	app     *App
	set     settings.Settings
	out     io.Writer
	log     *slog.Logger
	metrics *telemetry.Metrics
	store   adg.Store

	directory *identity.Directory
	control   *control.Control
	guard     *guard.Guard
}

// starter is the guard, which comes to be after the control that it needs.
type starter struct{ *guard.Guard }

func (s *server) run(ctx context.Context) (err error) {
	world, err := s.assemble(ctx)
	if err != nil {
		return err
	}
	defer both(&err, world.Close)
	door, err := s.door()
	if err != nil {
		return err
	}
	defer both(&err, door.Close)
	port, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if err := s.welcome(ctx, port); err != nil {
		return errors.Join(err, port.Close())
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	failed := make(chan error, 2)
	parts.Go(func() { _ = s.guard.Run(running) })
	parts.Go(func() { s.forget(running) })
	if s.set.Metrics.Listen != "" {
		parts.Go(func() {
			if err := s.watched(running); err != nil {
				failed <- err
			}
		})
	}
	parts.Go(func() {
		failed <- port.Run(running, func(draining <-chan struct{}) http.Handler {
			handler, err := door.Handler(draining)
			if err != nil {
				failed <- err
				return http.NotFoundHandler()
			}
			return s.outside(handler)
		})
	})
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.log.Info("ending: what is under way is finished first", "within", s.set.Drain)
	}
	stop()
	return err
}

// assemble makes the parts that know each other.
func (s *server) assemble(ctx context.Context) (*control.World, error) {
	ring, err := s.set.Keyring(ctx, os.Environ())
	if err != nil {
		return nil, err
	}
	if s.directory, err = identity.New(s.store, identity.Options{Log: s.log}); err != nil {
		return nil, err
	}
	late := &starter{}
	s.control = control.New(control.Options{
		Store: s.store, Starter: late, Drivers: drivers(), Keyring: ring, Log: s.log,
		Secrets: control.Secrets{Env: os.LookupEnv, EnvPrefix: "ADG_SECRET_", Dir: filepath.Join(s.set.Data, "secrets")},
		Host:    adg.Host{Dir: filepath.Join(s.set.Data, "connections"), Commands: len(s.set.Commands.Allow) > 0, Programs: s.set.Commands.Allow},
	})
	world := control.NewWorld(s.control, control.Wrap{Source: s.metrics.Source, Notifier: s.metrics.Notifier})
	s.guard = guard.New(s.store, world, guard.Options{
		Owner: s.set.Guard.Name, Lease: s.set.Guard.Lease, Workers: s.set.Guard.Workers, Poll: s.set.Guard.Poll, Log: s.log,
		Watch: s.metrics.Committed, Turned: s.metrics.Turned,
	})
	late.Guard = s.guard
	return world, nil
}

func (s *server) door() (*api.API, error) {
	var proxies []netip.Prefix
	for _, text := range s.set.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "trusted_proxies: %q is no network", text)
		}
		proxies = append(proxies, prefix)
	}
	return api.New(api.Options{
		Control: s.control, Directory: s.directory, Devices: device.New(s.store), Store: s.store, Metrics: s.metrics, Log: s.log, Version: s.app.version,
		BaseURL: s.set.BaseURL, Local: s.set.Login.Local, Secure: s.set.TLS != nil, Proxies: proxies,
		Rate: serve.NewRate(float64(s.set.Limits.PerSecond), s.set.Limits.Burst), Body: int64(s.set.Limits.Body), Request: s.set.Limits.Request, Watchers: s.set.Limits.Watchers,
	})
}

func (s *server) listen(ctx context.Context) (*serve.Server, error) {
	o := serve.Options{Listen: s.set.Listen, Drain: s.set.Drain, Log: s.log}
	if s.set.TLS != nil {
		secure, err := s.set.TLS.Config(s.log)
		if err != nil {
			return nil, err
		}
		o.TLS = secure
	}
	return serve.Listen(ctx, o)
}

// welcome says where the server is, and to the very first one who starts it how to begin.
func (s *server) welcome(ctx context.Context, port *serve.Server) error {
	scheme := "https"
	if s.set.TLS == nil {
		scheme = "http"
	}
	s.log.Info("serving", "address", scheme+"://"+port.Addr().String(), "version", s.app.version)
	token, err := s.directory.Bootstrap(ctx)
	if err != nil || token.IsZero() {
		return err
	}
	_, err = fmt.Fprintf(s.out, "There is no admin yet. This token makes the first one, within 24 hours, and ends with that:\n\n  %s\n\n"+
		"  export ADG_SERVER=%s://%s ADG_TOKEN=…\n  adg user create NAME\n  adg role grant user:NAME admin -s '*' -e '*'\n\n", token.Reveal(), scheme, port.Addr())
	return err
}

// outside adds to the API what load balancers and Prometheus ask for, where that has no port of its own.
func (s *server) outside(inner http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", inner)
	if s.set.Metrics.Listen != "" {
		return mux
	}
	mux.Handle("GET /livez", http.HandlerFunc(s.livez))
	mux.Handle("GET /readyz", http.HandlerFunc(s.readyz))
	if token := s.set.Metrics.Token.Reveal(); token != "" {
		metrics := s.exposed()
		mux.Handle("GET /metrics", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
				http.Error(w, "the metrics need their token: metrics.token in the server's configuration", http.StatusUnauthorized)
				return
			}
			metrics.ServeHTTP(w, r)
		}))
	}
	return mux
}

// watched serves metrics and probes on a port of their own.
func (s *server) watched(ctx context.Context) error {
	port, err := serve.Listen(ctx, serve.Options{Listen: s.set.Metrics.Listen, Drain: time.Second, Log: s.log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /livez", http.HandlerFunc(s.livez))
	mux.Handle("GET /readyz", http.HandlerFunc(s.readyz))
	mux.Handle("GET /metrics", s.exposed())
	return port.Run(ctx, func(<-chan struct{}) http.Handler { return mux })
}

func (s *server) exposed() http.Handler {
	return promhttp.HandlerFor(s.metrics.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
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

// forget keeps the store as large as what is kept, not as old as the installation.
func (s *server) forget(ctx context.Context) {
	every := time.NewTicker(10 * time.Minute)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := s.compact(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what is over could not be forgotten, it will be tried again", "error", err)
		}
	}
}

func (s *server) compact(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	if keep := s.set.Retention.Measurements; keep > 0 {
		gone, err := s.store.Compact(ctx, now.Add(-keep))
		if err != nil {
			return err
		}
		s.log.Debug("measurements were forgotten", "rows", gone)
	}
	_, err = s.store.Purge(ctx, 1000)
	return err
}

func (s *server) traces(ctx context.Context) (func(context.Context) error, error) {
	if s.set.Telemetry.Endpoint == "" {
		return nil, nil
	}
	return telemetry.Traces(ctx, s.set.Telemetry.Endpoint, s.app.version)
}

func ended(end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return end(ctx)
}

// openStore opens what the settings name.
func openStore(ctx context.Context, set settings.Settings, log *slog.Logger) (adg.Store, error) {
	if p := set.Store.Postgres; p != nil {
		return postgres.Open(ctx, postgres.Options{DSN: p.DSN, MaxConns: p.MaxConns, Log: log})
	}
	return sqlite.Open(ctx, set.Data, sqlite.Options{Log: log})
}

func handler(o settings.Log, out io.Writer) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.Level)) // one of the choices
	options := &slog.HandlerOptions{Level: level}
	if o.Format == "text" {
		return slog.NewTextHandler(out, options)
	}
	return slog.NewJSONHandler(out, options)
}
