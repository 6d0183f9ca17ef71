package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/identity/oidc"
	"github.com/deployguardian/adg/internal/patrol"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/store/postgres"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/trace"
)

// Private

// starter is the guard, which comes to be after the control that it needs.
type starter struct{ *guard.Guard }

// assemble makes the parts that know each other.
func (s *server) assemble(ctx context.Context) (*control.World, error) {
	ring, err := s.set.Keyring(ctx, os.Environ())
	if err != nil {
		return nil, err
	}
	s.rate = serve.NewRate(float64(s.set.Limits.PerSecond), s.set.Limits.Burst)
	s.directory, err = identity.New(s.store, identity.Options{
		Log: s.log, Attempts: s.set.Login.Attempts, Lockout: s.set.Login.Lockout,
		SessionLife: s.set.Sessions.Absolute, SessionIdle: s.set.Sessions.Idle, Sessions: s.set.Sessions.PerUser,
		TokenLife: s.set.Tokens.Default, MaxTokenLife: s.set.Tokens.Longest,
	})
	if err != nil {
		return nil, err
	}
	late, all := &starter{}, drivers()
	if s.set.Demo {
		if s.demo == nil {
			s.demo = newShowcase(s)
		}
		all = s.demo.drivers()
	}
	s.oracle = s.predictor(late)
	s.control = control.New(control.Options{
		Store: s.store, Starter: late, Drivers: all, Keyring: ring, Log: s.log, Predictor: s.oracle, Changes: changes(s.set.Repositories),
		Settings: s.listed, Features: offered(s.set),
		Secrets: control.Secrets{Env: os.LookupEnv, EnvPrefix: "ADG_SECRET_", Dir: filepath.Join(s.set.Data, "secrets")},
		Host: adg.Host{
			Dir: filepath.Join(s.set.Data, "connections"), Commands: len(s.set.Commands.Allow) > 0, Programs: s.set.Commands.Allow,
			Folders: s.set.Files.Allow,
		},
	})
	world := control.NewWorld(s.control, control.Wrap{Source: s.metrics.Source, Notifier: s.notifier})
	s.world, s.patrol = world, patrol.New(s.store, world, patrol.Options{Every: patrolEvery, Log: s.log})
	s.guard = guard.New(s.store, world, guard.Options{
		Owner: s.set.Guard.Name, Lease: s.set.Guard.Lease, Workers: s.set.Guard.Workers, Poll: s.set.Guard.Poll, Log: s.log,
		Batch: s.set.Guard.Batch, Effect: s.set.Guard.Effect, Drain: s.set.Drain, Watch: s.committed, Turned: s.metrics.Turned,
	})
	s.metrics.Leases(s.guard.Leases)
	late.Guard = s.guard
	return world, nil
}

// prepare makes what stands around them.
func (s *server) prepare() (err error) {
	for _, text := range s.set.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return adg.Errorf(adg.Invalid, "trusted_proxies: %q is no network", text)
		}
		s.proxies = append(s.proxies, prefix)
	}
	if s.providers, err = s.logins(); err != nil {
		return err
	}
	if s.consumers, err = consumers(s.set.Intake, s.log, s.metrics.Aside); err != nil {
		return err
	}
	s.dog, err = s.watchdog()
	return err
}

// committed counts a tick, and logs one that changed something within the trace of whoever asked for it.
func (s *server) committed(d adg.Deployment, t adg.Tick) {
	s.metrics.Committed(d, t)
	s.patrol.Ticked(d)
	now := time.Now() //nolint:forbidigo // the watchdog goes by this process's clock
	s.late.committed(t, now)
	s.dog.Ticked(d, now)
	if !t.Decision.Changed() {
		return
	}
	asked := d.Spec.Trace
	if t.Input.Command != nil && t.Input.Command.Trace != "" {
		asked = t.Input.Command.Trace
	}
	s.log.InfoContext(trace.Continued(context.Background(), asked), "decided", "deployment", d.ID, "decision", t.Decision.Kind.String(),
		"from", t.Decision.From.String(), "to", d.Status.State.String(), "because", strings.Join(t.Decision.Reasons, "; "))
}

// logins are the providers that people log in at.
func (s *server) logins() (map[string]*oidc.Provider, error) {
	made := map[string]*oidc.Provider{}
	for name, p := range s.set.OIDC {
		provider, err := oidc.New(s.store, oidc.Options{
			Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, TLS: p.TLS,
			RedirectURL: strings.TrimSuffix(s.set.BaseURL, "/") + "/login/oidc/" + name + "/callback",
			Scopes:      slices.DeleteFunc(slices.Clone(p.Scopes), func(scope string) bool { return scope == "openid" }), // which is always asked for
			Algorithms:  p.Algorithms, NameClaim: p.UserClaim, GroupsClaim: p.GroupsClaim, EmailDomains: p.Domains, UnverifiedEmail: p.UnverifiedMail, Skew: p.Skew,
		})
		if err != nil {
			return nil, fmt.Errorf("oidc.%s: %w", name, err)
		}
		made[name] = provider
	}
	return made, nil
}

// reach asks each provider about itself until it has answered: nobody should learn only at his login that it does not.
func (s *server) reach(ctx context.Context) {
	wait := time.Second
	for waiting := s.providers; len(waiting) > 0; wait = min(2*wait, time.Minute) {
		unreached := map[string]*oidc.Provider{}
		for name, p := range waiting {
			if err := p.Reach(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("nobody can log in at a provider that does not answer, it is asked again", "provider", name, "after", wait, "error", err)
				unreached[name] = p
			}
		}
		waiting = unreached
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *server) door() (*api.API, error) {
	l := s.set.Limits
	o := api.Options{
		Control: s.control, World: s.world, Directory: s.directory, Devices: device.New(s.store), Providers: s.providers, Store: s.store, Metrics: s.metrics, Log: s.log, Version: s.app.version,
		BaseURL: s.set.BaseURL, Local: s.set.Login.Local, Secure: s.set.Secure(), Proxies: s.proxies,
		Rate: s.rate, Logins: serve.NewRate(float64(l.Logins)/60, l.Logins), Body: int64(l.Body), Request: l.Request, Watchers: l.Watchers, PerCaller: l.PerCaller,
	}
	if s.demo != nil {
		o.Demo = s.demo
	}
	return api.New(o)
}

func (s *server) listen(ctx context.Context) (*serve.Server, error) {
	l := s.set.Limits
	o := serve.Options{
		Listen: s.set.Listen, Drain: s.set.Drain, Log: s.log,
		Connections: l.Connections, PerNetwork: l.PerAddress, Proxies: s.proxies, Reading: l.Reading,
	}
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
	if s.set.InsecureHTTP {
		scheme = "http"
	}
	s.log.Info("serving", "address", scheme+"://"+port.Addr().String(), "version", s.app.version)
	if s.greet != nil {
		return s.greet(ctx, scheme+"://"+port.Addr().String())
	}
	token, err := s.directory.Bootstrap(ctx)
	if err != nil || token.IsZero() {
		return err
	}
	_, err = fmt.Fprintf(s.out, `There is no admin yet. This token makes the first one, within 24 hours, and ends with that:

  %s

  export ADG_SERVER=%[2]s ADG_TOKEN=…
  adg user create NAME
  adg role grant user:NAME admin -s '*' -e '*'
  unset ADG_SERVER ADG_TOKEN
  adg login %[2]s

`, token.Reveal(), address(s.set, port.Addr()))
	return err
}

// address is where the first admin finds the server: under the name that its certificate is for, where that is said, and
// else on this machine.
func address(set settings.Settings, at net.Addr) string {
	if set.TLS != nil && set.BaseURL != "" {
		return set.BaseURL
	}
	host, port, err := net.SplitHostPort(at.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "https"
	if set.InsecureHTTP {
		scheme = "http"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// openStore opens what the settings name.
func openStore(ctx context.Context, set settings.Settings, log *slog.Logger) (adg.Store, error) {
	limits := adg.Limits{Services: set.Stop.Services, Within: set.Stop.Within, Rollbacks: set.Stop.Rollbacks}
	if p := set.Store.Postgres; p != nil {
		return postgres.Open(ctx, postgres.Options{DSN: p.DSN, MaxConns: p.MaxConns, Limits: limits, Changes: set.Changes.Notify, Log: log})
	}
	path := set.Store.SQLite.Path
	return sqlite.Open(ctx, filepath.Dir(path), sqlite.Options{Name: filepath.Base(path), Limits: limits, Changes: set.Changes.Notify, Log: log})
}
