// Package api is the network's door to what package control and the packages beside it do: it translates. One gRPC
// server answers gRPC clients directly and the REST gateway in the same process, so that a request is the same whichever
// way it comes.
package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/openapi"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/identity/oidc"
	"github.com/deployguardian/adg/internal/live"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/telemetry"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Options are what an API works with; zero fields of the lower half take the defaults.
type Options struct {
	Control   *control.Control
	World     *control.World // for what is tried out
	Demo      Demo           // nil: there is none
	Directory *identity.Directory
	Devices   *device.Flow
	Providers map[string]*oidc.Provider // by the name that people see
	Store     adg.Store
	Metrics   *telemetry.Metrics
	Log       *slog.Logger
	Version   string
	BaseURL   string // that people reach the server at
	Local     bool   // whether local users may log in

	Secure    bool           // the server is reached by TLS only: cookies say so
	Proxies   []netip.Prefix // whose X-Forwarded-For counts
	Rate      *serve.Rate    // per caller; nil: 50 a second, 200 at once
	Logins    *serve.Rate    // per address; nil: 20 a minute
	Body      int64          // bytes of a request; zero: 4 MiB
	Request   time.Duration  // of a request that is no stream; zero: 30 s
	Watchers  int            // streams at once; zero: 2,000. Who is not logged in has at most one of a hundred
	PerCaller int            // of these, those of one caller; zero, and at most: a half
	Again     time.Duration  // how often it is looked whether who has a stream open still may; zero: 10 s
	Heartbeat time.Duration  // of streams that have nothing to say; zero: 15 s
}

// Demo is a shop inside the server that shows what ADG does.
type Demo interface {
	// Start starts deployments of a good release and of one that suffers from a fault, as far as the caller may.
	Start(ctx context.Context, who identity.Caller, fault string) (service string, deployments []string, err error)
}

// API serves one port. It is safe for concurrent use.
type API struct {
	o       Options
	server  *grpc.Server
	health  *health.Server
	inside  *bufconn.Listener
	conn    *grpc.ClientConn // the gateway's, to the server beside it
	serving chan struct{}    // closed when the server has ended
	streams *streams
	happens *live.Events
	rows    *live.Table[wire.Row]
}

// New makes an API. Close ends it.
func New(o Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rate == nil {
		o.Rate = serve.NewRate(50, 200)
	}
	if o.Logins == nil {
		o.Logins = serve.NewRate(20.0/60, 20)
	}
	o.Body = orElse(o.Body, 4<<20)
	o.Request = orElse(o.Request, 30*time.Second)
	o.Watchers = orElse(o.Watchers, 2000)
	o.PerCaller = min(orElse(o.PerCaller, o.Watchers), o.Watchers/2+1)
	o.Again = orElse(o.Again, 10*time.Second)
	o.Heartbeat = orElse(o.Heartbeat, 15*time.Second)
	a := &API{o: o, health: health.NewServer(), inside: bufconn.Listen(1 << 20), serving: make(chan struct{}), streams: newStreams(o.Watchers)}
	a.happens, a.rows = live.NewEvents(o.Store, 0), live.NewTable(o.Store, 0, a.drawn, wire.SameRow)
	a.server = grpc.NewServer(grpc.MaxRecvMsgSize(int(o.Body)), grpc.ChainUnaryInterceptor(a.unary), grpc.ChainStreamInterceptor(a.stream))
	a.register()
	var err error
	a.conn, err = grpc.NewClient("passthrough:///inside", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return a.inside.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "opening the gateway: %w", err)
	}
	go func() {
		defer close(a.serving)
		_ = a.server.Serve(a.inside)
	}()
	return a, nil
}

// Handler answers everything on the port. Streams end when draining is closed, and tell their callers to connect again.
func (a *API) Handler(draining <-chan struct{}) (http.Handler, error) {
	gateway, err := a.gateway(draining)
	if err != nil {
		return nil, err
	}
	rest := http.NewServeMux()
	rest.Handle("/v1/", gateway)
	docs := openapi.Handler()
	rest.Handle("/openapi.json", docs)
	rest.Handle("/docs/api", docs)
	a.servePages(rest)
	protected := http.NewCrossOriginProtection().Handler(rest)
	return serve.Headers(a.o.Secure, serve.Bodies(a.o.Body, a.o.Request, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), drainKey{}, draining))
		r.RemoteAddr = net.JoinHostPort(serve.Address(r, a.o.Proxies), "0")
		answer := protected
		if serve.GRPC(r) {
			answer = a.server
		}
		if isStream(r) {
			gather(w, r, answer)
			return
		}
		answer.ServeHTTP(w, r)
	}))), nil
}

// Close ends the API; requests under way are cut off.
func (a *API) Close() error {
	a.health.Shutdown()
	err := a.conn.Close()
	a.server.Stop()
	<-a.serving
	return err
}

// Private

func (a *API) register() {
	healthv1.RegisterHealthServer(a.server, a.health)
	adgv1.RegisterDeploymentServiceServer(a.server, &deployments{API: a})
	adgv1.RegisterCatalogServiceServer(a.server, &catalog{API: a})
	adgv1.RegisterPredictionServiceServer(a.server, &predictions{API: a})
	adgv1.RegisterEventServiceServer(a.server, &events{API: a})
	adgv1.RegisterSystemServiceServer(a.server, &system{API: a})
	adgv1.RegisterLineServiceServer(a.server, &line{API: a})
	adgv1.RegisterReleaseServiceServer(a.server, &releases{API: a})
	adgv1.RegisterAuditServiceServer(a.server, &audits{API: a})
	adgv1.RegisterConnectionServiceServer(a.server, &connections{API: a})
	adgv1.RegisterPolicyServiceServer(a.server, &policies{API: a})
	adgv1.RegisterEvidenceServiceServer(a.server, &evidence{API: a})
	adgv1.RegisterReportServiceServer(a.server, &reports{API: a})
	adgv1.RegisterIdentityServiceServer(a.server, &identities{API: a})
	adgv1.RegisterLoginServiceServer(a.server, &logins{API: a})
	reflection.Register(a.server)
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
