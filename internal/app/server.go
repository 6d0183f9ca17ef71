package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	_ "time/tzdata" // freeze windows are by time zones, and the container has none

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/oidc"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/patrol"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/telemetry"
	"github.com/deployguardian/adg/internal/watchdog"
)

// server runs until it is told to end; then it finishes what is under way. Told a second time, the process ends at once.
func (a *App) server(ctx context.Context, o cli.ServerOptions, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by itself
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	all, err := settings.LoadAll(o.Config, os.Environ(), o.Flags)
	if err != nil {
		return err
	}
	set := all.Settings
	s := &server{app: a, unsignal: stop, set: set, listed: listed(all.Listed), out: out, metrics: telemetry.NewMetrics(a.version)}
	s.log = s.metrics.Log(telemetry.TraceIDs(handler(set.Log, a.terminal.Err)))
	for _, w := range all.Warnings {
		s.log.Warn("the configuration is doubtful", "what", w.String())
	}
	end, err := s.traces(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ended(end)) }()
	if len(set.Egress.Allow) > 0 {
		remote.Restrict(set.Egress.Allows)
	}
	if err := remote.UseProxy(set.Egress.Proxy); err != nil {
		return err
	}
	if s.store, err = openStore(ctx, set, s.log); err != nil {
		return err
	}
	defer both(&err, s.store.Close)
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
	_, brokers := consumers(set.Intake, slog.New(slog.DiscardHandler), nil)
	return warnings, errors.Join(set.Probe(ctx, os.Environ()), brokers)
}

// Private

// gcPercent has a server collect its garbage half as often as Go does by itself: it has little that stays, and makes much
// that does not. GOGC in the environment wins.
const gcPercent = 200

// server is one replica.
type server struct {
	app      *App
	unsignal func() // from then on signals do what they do by themselves
	set      settings.Settings
	listed   []control.Setting
	out      io.Writer
	log      *slog.Logger
	metrics  *telemetry.Metrics
	store    adg.Store

	directory *identity.Directory
	control   *control.Control
	world     *control.World
	oracle    *oracle.Oracle
	guard     *guard.Guard
	dog       *watchdog.Watchdog
	patrol    *patrol.Patrol
	late      delays
	proxies   []netip.Prefix
	providers map[string]*oidc.Provider
	consumers []consumer
	rate      *serve.Rate
	demo      *showcase                                   // nil: there is none
	greet     func(ctx context.Context, url string) error // in place of telling how to begin; nil: nobody
}

// run opens everything, has all parts run until one of them fails or the context ends, and closes in the order in which
// they need each other: the port, the guard, what it uses.
func (s *server) run(ctx context.Context) (err error) {
	world, err := s.assemble(ctx)
	if err != nil {
		return err
	}
	defer both(&err, world.Close)
	if s.demo != nil {
		defer s.demo.close()
	}
	if err := s.prepare(); err != nil {
		return err
	}
	for _, p := range s.providers {
		defer p.Close()
	}
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
	return s.serve(ctx, door, port)
}

// serve runs the parts. The guard and what announces begin to end with the context; the port answers on until requests
// under way have ended.
func (s *server) serve(ctx context.Context, door *api.API, port *serve.Server) (err error) {
	running, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	failed := make(chan error, 3)
	for _, part := range []func(context.Context){func(ctx context.Context) { _ = s.guard.Run(ctx) }, s.oracle.Run, s.dog.Run, s.compacted, s.reach, s.announced, s.patrolled, s.tended, s.beating} {
		parts.Go(func() { part(running) })
	}
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
		s.unsignal() // before it is said that a second signal ends it
		s.log.Info("ending: what is under way is finished first, a second signal ends it at once", "within", s.set.Drain)
	}
	return err
}

func (s *server) traces(ctx context.Context) (func(context.Context) error, error) {
	t := s.set.Telemetry
	secure, err := t.TLS.Config()
	if err != nil {
		return nil, err
	}
	return telemetry.Traces(ctx, telemetry.Collector{Endpoint: t.Endpoint, Headers: t.Headers, TLS: secure, Share: float64(t.Sample) / 100, Log: s.log}, s.app.version)
}

func ended(end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return end(ctx)
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
