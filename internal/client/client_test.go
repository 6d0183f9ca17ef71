package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is the part of an ADG server that the tests need; what is nil is not implemented.
type fake struct {
	adgv1.UnimplementedDeploymentServiceServer
	adgv1.UnimplementedEventServiceServer
	adgv1.UnimplementedIdentityServiceServer
	get    func(context.Context, *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error)
	hold   func(context.Context, *adgv1.HoldDeploymentRequest) (*adgv1.Deployment, error)
	watch  func(*adgv1.WatchDeploymentRequest, grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error
	events func(*adgv1.StreamEventsRequest, grpc.ServerStreamingServer[adgv1.StreamEventsResponse]) error
	who    func(context.Context) (*adgv1.WhoAmIResponse, error)
}

func (f *fake) GetDeployment(ctx context.Context, in *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
	return f.get(ctx, in)
}

func (f *fake) HoldDeployment(ctx context.Context, in *adgv1.HoldDeploymentRequest) (*adgv1.Deployment, error) {
	return f.hold(ctx, in)
}

func (f *fake) WatchDeployment(in *adgv1.WatchDeploymentRequest, out grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
	return f.watch(in, out)
}

func (f *fake) StreamEvents(in *adgv1.StreamEventsRequest, out grpc.ServerStreamingServer[adgv1.StreamEventsResponse]) error {
	return f.events(in, out)
}

func (f *fake) WhoAmI(ctx context.Context, _ *adgv1.WhoAmIRequest) (*adgv1.WhoAmIResponse, error) {
	return f.who(ctx)
}

// serve runs the fake on an address of this machine ("127.0.0.1:0" for any) until the test or stop ends it at once.
func serve(t *testing.T, f *fake, address string, options ...grpc.ServerOption) (at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	adgv1.RegisterDeploymentServiceServer(s, f)
	adgv1.RegisterEventServiceServer(s, f)
	adgv1.RegisterIdentityServiceServer(s, f)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	stop = sync.OnceFunc(func() { s.Stop(); running.Wait() })
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func dial(t *testing.T, c contexts.Context, o Options) *Client {
	t.Helper()
	client, err := Dial(c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// authority is a certificate for 127.0.0.1 and the file of the authority that signed it: itself.
func authority(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// bearers answers with what the caller sent about himself.
func bearers(ctx context.Context) (*adgv1.WhoAmIResponse, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	said := strings.Join(in.Get("authorization"), ",") + " by " + strings.Join(in.Get("user-agent"), ",")
	return &adgv1.WhoAmIResponse{Identity: &adgv1.Identity{Subject: said}}, nil
}

func TestTheTokenGoesWithTlsAndOnThisMachineAndNowhereElse(t *testing.T) {
	certificate, ca := authority(t)
	plain, _ := serve(t, &fake{who: bearers}, "127.0.0.1:0")
	secure, _ := serve(t, &fake{who: bearers}, "127.0.0.1:0", grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	for _, c := range []struct {
		name string
		at   contexts.Context
		want string // in the answer or the error
	}{
		{"TLS with an authority of one's own", contexts.Context{Server: "https://" + secure, CA: ca, Token: "t0k"}, "Bearer t0k by adg/v9 ("},
		{"plain, on this machine", contexts.Context{Server: "http://" + plain, Token: "t0k"}, "Bearer t0k by adg/v9 ("},
		{"nobody is logged in", contexts.Context{Server: "http://" + plain}, " by adg/v9 ("},
		{"an authority that nobody trusts", contexts.Context{Server: "https://" + secure, Token: "t0k"}, "is not trusted: x509: certificate signed by unknown authority: if it is the right server, name the authority"},
		{"TLS with a server that has none", contexts.Context{Server: "https://" + plain, CA: ca, Token: "t0k"}, "does not answer"},
		{"plain, with a server that wants TLS", contexts.Context{Server: "http://" + secure, Token: "t0k"}, "does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer, err := dial(t, c.at, Options{Version: "v9"}).Identity.WhoAmI(t.Context(), &adgv1.WhoAmIRequest{})
			if got := answer.GetIdentity().GetSubject(); err == nil && !strings.HasPrefix(got, c.want) {
				t.Errorf("the server heard %q, want %q", got, c.want)
			}
			if err != nil && (!strings.Contains(err.Error(), c.want) || adg.CodeOf(err) != adg.Unavailable || strings.Contains(err.Error(), "t0k")) {
				t.Errorf("%s: %v; want %q", adg.CodeOf(err), err, c.want)
			}
		})
	}
}

func TestAContextThatIsWrongIsRefusedBeforeAnythingIsSent(t *testing.T) {
	notPem := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPem, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		at   contexts.Context
		want string
	}{
		{"plain to another machine", contexts.Context{Server: "http://adg.example.com", Token: "t0k"}, "in the open"},
		{"no address", contexts.Context{Server: "adg"}, "a server is named"},
		{"an authority that is not there", contexts.Context{Server: "https://adg.example.com", CA: "/nowhere.pem"}, "reading the authority"},
		{"an authority that is none", contexts.Context{Server: "https://adg.example.com", CA: notPem}, "no certificate in PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Dial(c.at, Options{}); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestPlainConnectionsLeadNowhereButToThisMachine(t *testing.T) {
	if _, err := dialLocal(t.Context(), "127.0.0.1:1"); err == nil {
		t.Error("port 1 answers")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dialLocal(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil || ip.IsLoopback() || ip.To4() == nil {
			continue
		}
		open, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			continue
		}
		defer open.Close()
		if conn, err := dialLocal(t.Context(), open.Addr().String()); err == nil || !strings.Contains(err.Error(), "use https") {
			t.Errorf("connected in the open to %v: %v", conn, err)
		}
	}
}

func TestAServerThatIsAwayForAMomentIsAskedAgainWhereThatIsSafe(t *testing.T) {
	var mu sync.Mutex
	var gets int
	var keys []string
	at, _ := serve(t, &fake{
		get: func(context.Context, *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
			mu.Lock()
			defer mu.Unlock()
			if gets++; gets < 3 {
				return nil, status.Error(codes.Unavailable, "starting")
			}
			return &adgv1.Deployment{Id: "d"}, nil
		},
		hold: func(_ context.Context, in *adgv1.HoldDeploymentRequest) (*adgv1.Deployment, error) {
			mu.Lock()
			defer mu.Unlock()
			if keys = append(keys, in.GetIdempotencyKey()); len(keys) < 2 {
				return nil, status.Error(codes.Unavailable, "starting")
			}
			return &adgv1.Deployment{Id: "d"}, nil
		},
	}, "127.0.0.1:0")
	c := dial(t, contexts.Context{Server: "http://" + at}, Options{})
	if _, err := c.Deployments.GetDeployment(t.Context(), &adgv1.GetDeploymentRequest{Id: "d"}); err != nil || gets != 3 {
		t.Errorf("asked %d times: %v", gets, err)
	}
	in := &adgv1.HoldDeploymentRequest{Id: "d"}
	if _, err := c.Deployments.HoldDeployment(t.Context(), in); err != nil {
		t.Error(err)
	}
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("the tries had the keys %q, want one and the same", keys)
	}
	if in.GetIdempotencyKey() != "" {
		t.Error("the caller's request was written to")
	}
	keys = nil
	if _, err := c.Deployments.HoldDeployment(t.Context(), &adgv1.HoldDeploymentRequest{Id: "d", IdempotencyKey: "mine"}); err != nil || keys[0] != "mine" {
		t.Errorf("the caller's own key became %q: %v", keys, err)
	}
}

func TestOnlyWhatMayBeDoneTwiceIsTriedAgain(t *testing.T) {
	config := retries()
	for method, want := range map[string]bool{
		"GetDeployment": true, "PlanDeployment": true, "StartDeployment": true, "PutPolicy": true, "CreateToken": true, "VerifyAuditLog": true,
		"LogIn": false, "PollDeviceLogin": false, "StartDeviceLogin": false, "ApproveDeviceLogin": false, "WatchDeployment": false, "StreamEvents": false,
	} {
		if got := strings.Contains(config, `"method":"`+method+`"`); got != want {
			t.Errorf("%s is tried again: %v, want %v", method, got, want)
		}
	}
}

func TestACallThatIsNotAnsweredEnds(t *testing.T) {
	at, _ := serve(t, &fake{get: func(ctx context.Context, _ *adgv1.GetDeploymentRequest) (*adgv1.Deployment, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, "127.0.0.1:0")
	c := dial(t, contexts.Context{Server: "http://" + at}, Options{Timeout: 50 * time.Millisecond})
	_, err := c.Deployments.GetDeployment(t.Context(), &adgv1.GetDeploymentRequest{})
	if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "did not answer in time") {
		t.Error(err)
	}
}
