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
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/openapi"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/identity/oidc"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/telemetry"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Options are what an API works with; zero fields of the lower half take the defaults.
type Options struct {
	Control   *control.Control
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
	Body      int64          // bytes of a request; zero: 4 MiB
	Request   time.Duration  // of a request that is no stream; zero: 30 s
	Watchers  int            // streams at once; zero: 2,000
	Heartbeat time.Duration  // of streams that have nothing to say; zero: 15 s
}

// API serves one port. It is safe for concurrent use.
type API struct {
	o       Options
	server  *grpc.Server
	health  *health.Server
	inside  *bufconn.Listener
	conn    *grpc.ClientConn // the gateway's, to the server beside it
	serving chan struct{}    // closed when the server has ended
	streams chan struct{}
}

// New makes an API. Close ends it.
func New(o Options) (*API, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rate == nil {
		o.Rate = serve.NewRate(50, 200)
	}
	o.Body = orElse(o.Body, 4<<20)
	o.Request = orElse(o.Request, 30*time.Second)
	o.Watchers = orElse(o.Watchers, 2000)
	o.Heartbeat = orElse(o.Heartbeat, 15*time.Second)
	a := &API{o: o, health: health.NewServer(), inside: bufconn.Listen(1 << 20), serving: make(chan struct{}), streams: make(chan struct{}, o.Watchers)}
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
	return serve.Headers(a.o.Secure, serve.Bodies(a.o.Body, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), drainKey{}, draining))
		r.RemoteAddr = net.JoinHostPort(serve.Address(r, a.o.Proxies), "0")
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			a.server.ServeHTTP(w, r)
			return
		}
		protected.ServeHTTP(w, r)
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
	adgv1.RegisterEventServiceServer(a.server, &events{API: a})
	adgv1.RegisterSystemServiceServer(a.server, &system{API: a})
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
