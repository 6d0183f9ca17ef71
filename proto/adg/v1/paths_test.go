package adgv1_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// TestEachPathReachesItsMethod asks a real gateway before a real server for every path: two that look alike, such as
// /v1/deployments:watch and /v1/deployments/{id}:watch, must not be taken for each other.
func TestEachPathReachesItsMethod(t *testing.T) {
	reached := make(chan string, 1)
	gateway := startGateway(t, reached)
	asked := 0
	for _, file := range adgv1.Files() {
		for _, s := range protodesc.ToFileDescriptorProto(file).GetService() {
			for _, m := range s.GetMethod() {
				for _, binding := range bindings(m) {
					asked++
					verb, path, _ := strings.Cut(strings.TrimSuffix(binding, " *"), " ")
					request := httptest.NewRequest(verb, variable.ReplaceAllString(path, "17"), strings.NewReader("{}"))
					answer := httptest.NewRecorder()
					gateway.ServeHTTP(answer, request)
					want := "/adg.v1." + s.GetName() + "/" + m.GetName()
					select {
					case got := <-reached:
						if got != want {
							t.Errorf("%s %s reached %s, not %s", verb, path, got, want)
						}
					default:
						t.Errorf("%s %s reached nothing: %d %s", verb, path, answer.Code, answer.Body)
					}
				}
			}
		}
	}
	if asked < 90 {
		t.Fatalf("asked for %d paths: the test has gone blind", asked)
	}
}

func TestPathsAreFoundOnce(t *testing.T) {
	seen := map[string]string{}
	for _, file := range adgv1.Files() {
		for _, s := range protodesc.ToFileDescriptorProto(file).GetService() {
			for _, m := range s.GetMethod() {
				for _, binding := range bindings(m) {
					shape := variable.ReplaceAllString(binding, "{}")
					if other := seen[shape]; other != "" {
						t.Errorf("%s and %s are both at %s", other, m.GetName(), binding)
					}
					seen[shape] = m.GetName()
				}
			}
		}
	}
}

func TestWhatHasNoSideEffectsSaysSo(t *testing.T) {
	var writes []string
	for _, file := range adgv1.Files() {
		for _, s := range protodesc.ToFileDescriptorProto(file).GetService() {
			for _, m := range s.GetMethod() {
				if m.GetOptions().GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					writes = append(writes, m.GetName())
				}
			}
		}
	}
	for _, name := range writes {
		if strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Watch") || strings.HasPrefix(name, "Stream") {
			t.Errorf("%s has side effects, and its name does not say so", name)
		}
	}
	if len(writes) < 30 {
		t.Errorf("only %d methods do something", len(writes))
	}
}

var variable = regexp.MustCompile(`\{[a-z_.]+\}`)

// startGateway starts a server of every service, whose methods do nothing but say that they were reached, and the
// gateway before it.
func startGateway(t *testing.T, reached chan<- string) http.Handler {
	t.Helper()
	say := func(method string) error {
		reached <- method
		return status.Error(codes.Unimplemented, "reached")
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			return nil, say(info.FullMethod)
		}),
		grpc.StreamInterceptor(func(_ any, _ grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			return say(info.FullMethod)
		}),
	)
	adgv1.RegisterDeploymentServiceServer(server, adgv1.UnimplementedDeploymentServiceServer{})
	adgv1.RegisterEvidenceServiceServer(server, adgv1.UnimplementedEvidenceServiceServer{})
	adgv1.RegisterPolicyServiceServer(server, adgv1.UnimplementedPolicyServiceServer{})
	adgv1.RegisterCatalogServiceServer(server, adgv1.UnimplementedCatalogServiceServer{})
	adgv1.RegisterReleaseServiceServer(server, adgv1.UnimplementedReleaseServiceServer{})
	adgv1.RegisterLineServiceServer(server, adgv1.UnimplementedLineServiceServer{})
	adgv1.RegisterEventServiceServer(server, adgv1.UnimplementedEventServiceServer{})
	adgv1.RegisterAuditServiceServer(server, adgv1.UnimplementedAuditServiceServer{})
	adgv1.RegisterPredictionServiceServer(server, adgv1.UnimplementedPredictionServiceServer{})
	adgv1.RegisterReportServiceServer(server, adgv1.UnimplementedReportServiceServer{})
	adgv1.RegisterConnectionServiceServer(server, adgv1.UnimplementedConnectionServiceServer{})
	adgv1.RegisterIdentityServiceServer(server, adgv1.UnimplementedIdentityServiceServer{})
	adgv1.RegisterLoginServiceServer(server, adgv1.UnimplementedLoginServiceServer{})
	adgv1.RegisterSystemServiceServer(server, adgv1.UnimplementedSystemServiceServer{})

	listener := bufconn.Listen(1 << 16)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	mux := runtime.NewServeMux()
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		adgv1.RegisterDeploymentServiceHandler, adgv1.RegisterEvidenceServiceHandler, adgv1.RegisterPolicyServiceHandler,
		adgv1.RegisterCatalogServiceHandler, adgv1.RegisterReleaseServiceHandler, adgv1.RegisterLineServiceHandler,
		adgv1.RegisterEventServiceHandler, adgv1.RegisterAuditServiceHandler, adgv1.RegisterPredictionServiceHandler,
		adgv1.RegisterReportServiceHandler, adgv1.RegisterConnectionServiceHandler, adgv1.RegisterIdentityServiceHandler,
		adgv1.RegisterLoginServiceHandler, adgv1.RegisterSystemServiceHandler,
	} {
		if err := register(t.Context(), mux, conn); err != nil {
			t.Fatal(err)
		}
	}
	return mux
}
