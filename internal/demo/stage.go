// Package demo is the stage of `adg demo`: a shop in three versions as real processes, a weighted router before them,
// and customers. The guard acts on it as on anything else: through its target, and the metrics of its versions.
package demo

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/fleet"
	"github.com/deployguardian/adg/internal/demo/haproxyd"
	"github.com/deployguardian/adg/internal/demo/load"
	"github.com/deployguardian/adg/internal/demo/router"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/demo/tally"
)

// The story: Stable is live, Good is to follow it, and Bad, which has the fault, is to follow Good.
const (
	Service = "shop"
	Stable  = "v1"
	Good    = "v2"
	Bad     = "v3"
)

// Slow is what customers call slow: one in a hundred requests of a healthy version is.
const Slow = 50 * time.Millisecond

// Release is a version of the shop.
func Release(version string) adg.Release { return adg.Release{Service: Service, Version: version} }

// Options say which demo it is.
type Options struct {
	Exe     string        // the program whose verb `shop` is Shop; empty: this one
	Env     []string      // NAME=value: the whole environment of the processes; nothing is inherited
	Fault   shop.Fault    // of Bad; empty: errors
	HAProxy bool          // route through a real HAProxy instead of the router that is built in
	Dir     string        // for files of the target; it has to exist
	Rate    float64       // requests per second; zero: 200
	Timeout time.Duration // for a release's whole answer; customers wait three times as long; zero: 1 s
	Seed    uint64        // of everything that is drawn by lot
	Backoff time.Duration // before a version that crashed is restarted; zero: 1 s
	Log     *slog.Logger
}

// Stage is the demo while it runs: Stable serves everything, and customers come. It must be closed. Its methods are
// safe for concurrent use.
type Stage struct {
	options Options
	log     *tally.Log
	fleet   *fleet.Fleet
	target  adg.Target
	admin   *site
	front   *site // of the router that is built in
	router  *router.Router
	proxy   *haproxyd.Proxy
	slots   slots
	load    *load.Generator
	url     string // where customers come in

	stopLoad  context.CancelFunc
	customers sync.WaitGroup
	closing   sync.Once
}

// Open starts the stage; ctx is for the start only.
func Open(ctx context.Context, o Options) (*Stage, error) {
	if o.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, adg.Errorf(adg.Unavailable, "find the program itself: %w", err)
		}
		o.Exe = exe
	}
	o.Fault, o.Timeout = cmp.Or(o.Fault, shop.Errors), cmp.Or(o.Timeout, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stage{options: o, log: tally.NewLog(Slow)}
	s.fleet = fleet.New(fleet.Options{Command: s.command, Backoff: o.Backoff})
	if err := s.build(ctx); err != nil {
		s.Close()
		return nil, err
	}
	s.load = load.New(load.Options{URL: s.url, Rate: o.Rate, Timeout: 3 * o.Timeout, Seed: o.Seed})
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopLoad = stop
	s.customers.Go(func() { s.load.Run(running) })
	return s, nil
}

// Target is what the guard acts on.
func (s *Stage) Target() adg.Target { return s.target }

// URL is where customers come in.
func (s *Stage) URL() string { return s.url }

// Version is where a version listens, past the router, as host:port; empty if it does not run.
func (s *Stage) Version(version string) string {
	addr, _ := s.fleet.Addr(version)
	return addr
}

// Admin is the address where the stage can be observed, as host:port: /metrics is the router's log, /version/v2/metrics
// are the metrics of v2, whether it gets traffic or not, and /version/v2/healthz is its health check. A version that
// does not run gives 502 or 503. The metrics of all versions carry the label version.
func (s *Stage) Admin() string { return s.admin.addr }

// Counts are what each version has served, as the router's log says.
func (s *Stage) Counts() map[string]tally.Count { return s.log.Counts() }

// Load is what customers have seen.
func (s *Stage) Load() load.Stats { return s.load.Stats() }

// Quiet sends the customers away and waits until the last one has an answer; a stage that is quiet stays it.
func (s *Stage) Quiet() {
	if s.stopLoad != nil {
		s.stopLoad()
	}
	s.customers.Wait()
}

// Close ends everything, customers first.
func (s *Stage) Close() {
	s.closing.Do(func() {
		s.Quiet()
		for _, x := range []*site{s.front, s.admin} {
			if x != nil {
				x.close()
			}
		}
		if s.router != nil {
			s.router.Close()
		}
		if s.proxy != nil {
			s.proxy.Close()
		}
		s.fleet.Close()
	})
}

// Private

// build makes everything run that customers need.
func (s *Stage) build(ctx context.Context) error {
	var err error
	if s.admin, err = open(ctx, s.adminHandler()); err != nil {
		return err
	}
	build := s.buildRouter
	if s.options.HAProxy {
		build = s.buildHAProxy
	}
	addr, err := build(ctx)
	s.url = "http://" + addr
	return err
}

// command is the process of a version.
func (s *Stage) command(version, addr string, restarts int) *exec.Cmd {
	o := shop.Options{Version: version, Addr: addr, Restarts: restarts, Seed: s.options.Seed, Fault: shop.None}
	for _, c := range version {
		o.Seed = o.Seed*31 + uint64(c) // versions shall not fail in step
	}
	if version == Bad {
		o.Fault = s.options.Fault
	}
	cmd := exec.Command(s.options.Exe, append([]string{verbShop}, o.Args()...)...)
	cmd.Env = append([]string{}, s.options.Env...) // nil would mean: inherit
	return cmd
}

// buildRouter puts the router before the shop, with Stable live.
func (s *Stage) buildRouter(ctx context.Context) (addr string, err error) {
	s.router = router.New(router.Options{
		Start: func(ctx context.Context, release adg.Release) (string, error) {
			return s.fleet.Start(ctx, release.Version)
		},
		Stop: func(_ context.Context, release adg.Release) error {
			s.fleet.Stop(release.Version)
			return nil
		},
		Log: s.log, Seed: s.options.Seed, Timeout: s.options.Timeout,
	})
	s.target = s.router
	_, err = s.router.Apply(ctx, adg.Desired{
		OpID: "stage/1", Deployment: "stage",
		Releases: []adg.Placement{{Release: Release(Stable), Share: 100, Role: adg.StableRole}},
	})
	if err != nil {
		return "", err
	}
	if s.front, err = open(ctx, s.router); err != nil {
		return "", err
	}
	return s.front.addr, nil
}

func (s *Stage) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(s.log)
	return r
}

// site is a server on a port of its own.
type site struct {
	addr   string
	server *http.Server
	ended  chan struct{}
}

func open(ctx context.Context, handler http.Handler) (*site, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "listen: %w", err)
	}
	x := &site{
		addr: listener.Addr().String(), ended: make(chan struct{}),
		// Longer than customers keep a connection: none that they have opened to use later is closed under a request.
		server: &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10},
	}
	go func() {
		defer close(x.ended)
		_ = x.server.Serve(listener) // it ends when it is closed
	}()
	return x, nil
}

func (x *site) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if x.server.Shutdown(ctx) != nil {
		_ = x.server.Close() // whoever still waits there is about to end too
	}
	<-x.ended
}
