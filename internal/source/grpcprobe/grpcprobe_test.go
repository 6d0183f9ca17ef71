package grpcprobe

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	source, err := Driver.Open(t.Context(), o, adg.Host{Name: "rpc"})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// serve starts a gRPC server on a port of its own.
func serve(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	register(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return listener.Addr().String()
}

// healthy serves the standard health service with one service that is up and one that is down.
func healthy(t *testing.T) string {
	return serve(t, func(s *grpc.Server) {
		h := health.NewServer()
		h.SetServingStatus("shop.v1", grpc_health_v1.HealthCheckResponse_SERVING)
		h.SetServingStatus("down.v1", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		grpc_health_v1.RegisterHealthServer(s, h)
	})
}

func TestTheConformanceSuite(t *testing.T) {
	address := healthy(t)
	sourcetest.Run(t, sourcetest.Case{
		Open:  func(t *testing.T) adg.Source { return opened(t, Options{Address: address}) },
		Good:  adg.Query{Text: "shop.$version", Vars: map[string]string{"version": "v1"}, At: now},
		Probe: true,
		Faulty: func(t *testing.T, address string, _ adg.Secret) adg.Source {
			return opened(t, Options{Address: address, Timeout: 2 * time.Minute})
		},
	})
}

func TestAProbeSaysOneOrZeroAndWhy(t *testing.T) {
	address := healthy(t)
	broken := serve(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, failing{codes.Internal}) })
	hanging := serve(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, failing{codes.OK}) })
	for _, c := range []struct {
		name    string
		options Options
		service string
		want    float64
		why     string
	}{
		{"the server as a whole", Options{Address: address}, "", 1, ""},
		{"a service that is up", Options{Address: address}, "shop.v1", 1, ""},
		{"a service that is down", Options{Address: address}, "down.v1", 0, "NOT_SERVING"},
		{"a service that the server does not know", Options{Address: address}, "other.v1", 0, "does not know this service"},
		{"a health service that fails", Options{Address: broken}, "", 0, "Internal: broken"},
		{"a health service that hangs", Options{Address: hanging, Timeout: 100 * time.Millisecond}, "", 0, "timeout of 100ms"},
		{"a refused connection", Options{Address: "127.0.0.1:1"}, "", 0, "refused: check that the server runs"},
		{"TLS to a server without", Options{Address: address, UseTLS: true}, "", 0, "Unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := opened(t, c.options).Query(t.Context(), adg.Query{Text: c.service, At: now})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Series) != 1 || answer.Series[0].Samples[0] != (adg.Sample{At: now, Value: c.want}) {
				t.Errorf("got %+v", answer)
			}
			if why := strings.Join(answer.Warnings, "|"); !strings.Contains(why, c.why) || (why == "") != (c.want == 1) {
				t.Errorf("because %q, without %q", why, c.why)
			}
		})
	}
}

func TestAProbeThatIsSetUpWrongIsAnErrorAndNoNewsAboutTheService(t *testing.T) {
	for _, c := range []struct {
		name, address string
		code          adg.Code
		want          string
	}{
		{"no health service", serve(t, func(*grpc.Server) {}), adg.Invalid, "has no health service"},
		{"credentials are wanted", serve(t, func(s *grpc.Server) {
			grpc_health_v1.RegisterHealthServer(s, failing{codes.Unauthenticated})
		}), adg.Unauthorized, "refused the credentials"},
		{"the cloud's metadata", "169.254.169.254:80", adg.Invalid, "nothing is ever sent there"},
	} {
		_, err := opened(t, Options{Address: c.address}).Query(t.Context(), adg.Query{At: now})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAServerThatSpeaksHTTPOnlyIsAFailedProbe(t *testing.T) {
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	answer, err := opened(t, Options{Address: server.Listener.Addr().String()}).Query(t.Context(), adg.Query{At: now})
	if err != nil || answer.Series[0].Samples[0].Value != 0 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{Address: "nowhere", TLS: remote.TLS{CAFile: "/nonexistent"}}, adg.Host{Name: "rpc"})
	if !adg.IsPermanent(err) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"source rpc", "address", "timeout", "ca_file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
}

// failing is a health service that fails with a code, or hangs where that is OK.
type failing struct{ code codes.Code }

func (f failing) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if f.code == codes.OK {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return nil, status.Error(f.code, "broken")
}

func (f failing) List(context.Context, *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	return nil, status.Error(f.code, "broken")
}

func (f failing) Watch(*grpc_health_v1.HealthCheckRequest, grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	return status.Error(f.code, "broken")
}
