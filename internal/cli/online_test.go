package cli

import (
	"bytes"
	"context"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/deployguardian/adg/internal/client"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// fakeServer answers the calls of the API that a test gives it answers for, and remembers what it was asked.
type fakeServer struct {
	answers map[string]func(proto.Message) (proto.Message, error) // by method
	watch   func(grpc.ServerStream) error
	events  func(*adgv1.StreamEventsRequest, grpc.ServerStream) error

	mu      sync.Mutex
	asked   []proto.Message
	methods []string
	address string
	stop    func()
}

// says is an answer that is always the same.
func says(m proto.Message) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) { return m, nil }
}

// refuses is an error that is always the same.
func refuses(err error) func(proto.Message) (proto.Message, error) {
	return func(proto.Message) (proto.Message, error) { return nil, err }
}

// start runs the server on an address of this machine, until the test or stop ends it at once.
func (f *fakeServer) start(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f.address = l.Addr().String()
	s := grpc.NewServer(grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream))
	adgv1.RegisterAuditServiceServer(s, adgv1.UnimplementedAuditServiceServer{})
	adgv1.RegisterCatalogServiceServer(s, adgv1.UnimplementedCatalogServiceServer{})
	adgv1.RegisterConnectionServiceServer(s, adgv1.UnimplementedConnectionServiceServer{})
	adgv1.RegisterDeploymentServiceServer(s, adgv1.UnimplementedDeploymentServiceServer{})
	adgv1.RegisterEventServiceServer(s, adgv1.UnimplementedEventServiceServer{})
	adgv1.RegisterEvidenceServiceServer(s, adgv1.UnimplementedEvidenceServiceServer{})
	adgv1.RegisterIdentityServiceServer(s, adgv1.UnimplementedIdentityServiceServer{})
	adgv1.RegisterLineServiceServer(s, adgv1.UnimplementedLineServiceServer{})
	adgv1.RegisterLoginServiceServer(s, adgv1.UnimplementedLoginServiceServer{})
	adgv1.RegisterPolicyServiceServer(s, adgv1.UnimplementedPolicyServiceServer{})
	adgv1.RegisterReleaseServiceServer(s, adgv1.UnimplementedReleaseServiceServer{})
	adgv1.RegisterReportServiceServer(s, adgv1.UnimplementedReportServiceServer{})
	adgv1.RegisterSystemServiceServer(s, adgv1.UnimplementedSystemServiceServer{})
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	f.stop = sync.OnceFunc(func() { s.Stop(); running.Wait() })
	t.Cleanup(f.stop)
}

func (f *fakeServer) unary(ctx context.Context, in any, info *grpc.UnaryServerInfo, unimplemented grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	f.mu.Lock()
	f.methods, f.asked = append(f.methods, method), append(f.asked, in.(proto.Message))
	f.mu.Unlock()
	if err := entry(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	if answer := f.answers[method]; answer != nil {
		return answer(in.(proto.Message))
	}
	return unimplemented(ctx, in)
}

func (f *fakeServer) stream(_ any, s grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
	if err := entry(s.Context(), info.FullMethod); err != nil {
		return err
	}
	if path.Base(info.FullMethod) == "WatchDeployment" {
		if err := s.RecvMsg(&adgv1.WatchDeploymentRequest{}); err != nil {
			return err
		}
		return f.watch(s)
	}
	var in adgv1.StreamEventsRequest
	if err := s.RecvMsg(&in); err != nil {
		return err
	}
	return f.events(&in, s)
}

// entry lets in who has the token; nobody needs it to log in.
func entry(ctx context.Context, method string) error {
	in, _ := metadata.FromIncomingContext(ctx)
	if said := strings.Join(in.Get("authorization"), ""); said != "Bearer t0k" && !strings.Contains(method, "LoginService") {
		return status.Error(codes.Unauthenticated, "this token is not known")
	}
	return nil
}

// last is what the server was asked last, without the key that each request has of its own.
func (f *fakeServer) last() (method string, in proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		return "", nil
	}
	return f.methods[len(f.methods)-1], keyless(f.asked[len(f.asked)-1])
}

// lastLike is what the server was asked last with a request of this type; nil: nothing.
func (f *fakeServer) lastLike(of proto.Message) proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, in := range slices.Backward(f.asked) {
		if in.ProtoReflect().Descriptor() == of.ProtoReflect().Descriptor() {
			return keyless(in)
		}
	}
	return nil
}

func keyless(in proto.Message) proto.Message {
	in = proto.Clone(in)
	if field := in.ProtoReflect().Descriptor().Fields().ByName("idempotency_key"); field != nil {
		in.ProtoReflect().Clear(field)
	}
	return in
}

// serve starts a server with these answers and makes it the one that command lines speak to.
func serve(t *testing.T, f *fakeServer) *fakeServer {
	t.Helper()
	f.start(t, "127.0.0.1:0")
	t.Setenv("ADG_SERVER", "http://"+f.address)
	t.Setenv("ADG_TOKEN", "t0k")
	t.Setenv("ADG_CONTEXT", "")
	t.Setenv("ADG_CONTEXTS", filepath.Join(t.TempDir(), "contexts.yaml"))
	for _, job := range jobs {
		for _, name := range job {
			t.Setenv(name, "")
		}
	}
	return f
}

// dialling is how command lines connect.
func dialling(c contexts.Context) (*client.Client, error) {
	return client.Dial(c, client.Options{Version: "v0"})
}

// command runs a command line with standard input.
func command(t *testing.T, in string, args ...string) (exit int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	exit = Main(t.Context(), "v0", args, Terminal{In: strings.NewReader(in), Out: &o, Err: &e}, Calls{Connect: dialling})
	return exit, o.String(), e.String()
}

// methodsOf are the methods of a service with the kinds of their answers.
func methodsOf(pkg, service string) map[string]string {
	found := map[string]string{}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(pkg + "." + service + "Service"))
	if err != nil {
		panic(err)
	}
	methods := d.(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		found[string(methods.Get(i).Name())] = string(methods.Get(i).Output().FullName())
	}
	return found
}
