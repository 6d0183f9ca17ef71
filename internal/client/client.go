// Package client is the way from the command line to an ADG server: one connection with TLS and a token, calls that
// have a deadline and are tried again where that is safe, errors with their sentence and way out, and streams that
// outlive lost connections and restarts of the server.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Options are what a client can be told. The zero value is good.
type Options struct {
	Version string        // of this program, for the server's log
	Timeout time.Duration // of one call with all its tries, where the caller's context ends no sooner; 0: 30 s
}

// Client speaks to one server. The services are those of the API; their errors carry an adg.Code. It is safe for
// concurrent use.
type Client struct {
	Audit       adgv1.AuditServiceClient
	Catalog     adgv1.CatalogServiceClient
	Connections adgv1.ConnectionServiceClient
	Deployments adgv1.DeploymentServiceClient
	Events      adgv1.EventServiceClient
	Evidence    adgv1.EvidenceServiceClient
	Identity    adgv1.IdentityServiceClient
	Line        adgv1.LineServiceClient
	Login       adgv1.LoginServiceClient
	Policies    adgv1.PolicyServiceClient
	Releases    adgv1.ReleaseServiceClient
	Reports     adgv1.ReportServiceClient
	System      adgv1.SystemServiceClient

	server string
	conn   *grpc.ClientConn
}

// Dial makes a client of a context's server. Nothing is sent before the first call, so that a server which is away is
// not noticed here. The caller closes the client.
func Dial(c contexts.Context, o Options) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Server)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "the server's address: %w", err)
	}
	target, transport, secure, err := way(c, u)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	agent := "adg/" + o.Version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"
	asked := caller{server: c.Server, timeout: o.Timeout, trust: secure}
	options := append(transport,
		grpc.WithUserAgent(agent),
		grpc.WithDefaultServiceConfig(retries()),
		grpc.WithDisableServiceConfig(), // of the name server: it could switch the tries off
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.5, MaxDelay: longPause / 2}, MinConnectTimeout: longPause,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 15 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithUnaryInterceptor(asked.unary),
		grpc.WithStreamInterceptor(asked.stream),
	)
	if c.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: adg.NewSecret(c.Token), tls: u.Scheme == "https"}))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "connecting to %s: %w", c.Server, err)
	}
	return &Client{
		Audit: adgv1.NewAuditServiceClient(conn), Catalog: adgv1.NewCatalogServiceClient(conn), Connections: adgv1.NewConnectionServiceClient(conn),
		Deployments: adgv1.NewDeploymentServiceClient(conn), Events: adgv1.NewEventServiceClient(conn), Evidence: adgv1.NewEvidenceServiceClient(conn), Identity: adgv1.NewIdentityServiceClient(conn),
		Line: adgv1.NewLineServiceClient(conn), Login: adgv1.NewLoginServiceClient(conn), Policies: adgv1.NewPolicyServiceClient(conn),
		Releases: adgv1.NewReleaseServiceClient(conn), Reports: adgv1.NewReportServiceClient(conn), System: adgv1.NewSystemServiceClient(conn), server: c.Server, conn: conn,
	}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return adg.Errorf(adg.Unavailable, "closing the connection to %s: %w", c.server, err)
	}
	return nil
}

// Private

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 16 << 20

// way is where to connect to and how: TLS by the system's roots or the context's, or plain on this machine.
func way(c contexts.Context, u *url.URL) (target string, options []grpc.DialOption, secure *trust, err error) {
	host, port := u.Hostname(), u.Port()
	if u.Scheme == "http" {
		if port == "" {
			port = "80"
		}
		return "passthrough:///" + net.JoinHostPort(host, port), []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialLocal),
		}, nil, nil
	}
	if port == "" {
		port = "443"
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return "", nil, nil, adg.Errorf(adg.Invalid, "reading the authority of %s: %w", c.Server, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return "", nil, nil, adg.Errorf(adg.Invalid, "%s holds no certificate in PEM: name the file of the authority that signed the server's certificate", c.CA)
		}
	}
	secure = newTrust(config)
	return "dns:///" + net.JoinHostPort(host, port), []grpc.DialOption{grpc.WithTransportCredentials(secure)}, secure, nil
}

// dialLocal connects without TLS, and to this machine only, whatever a name resolves to.
func dialLocal(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if to, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !to.IP.IsLoopback() {
		_ = conn.Close()
		return nil, adg.Errorf(adg.Invalid, "%s is not this machine: use https", address)
	}
	return conn, nil
}

// bearer puts the token on each call.
type bearer struct {
	token adg.Secret
	tls   bool
}

// GetRequestMetadata is the header with the token.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token.Reveal()}, nil
}

// RequireTransportSecurity makes gRPC refuse to send the token in the open; without TLS dialLocal sees to it.
func (b bearer) RequireTransportSecurity() bool { return b.tls }
