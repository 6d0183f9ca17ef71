// Package grpcprobe asks the standard health service (grpc.health.v1) of a gRPC server whether it serves.
package grpcprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options is which server is asked, and how.
type Options struct {
	Address string        `yaml:"address" doc:"The server, as host:port. The check's query is the name of a service of it; empty: the server as a whole."`
	Timeout time.Duration `yaml:"timeout" doc:"How long connecting and the answer may take."`
	UseTLS  bool          `yaml:"use_tls" doc:"Speak TLS."`
	TLS     remote.TLS    `yaml:"tls" doc:"How the server's certificate is checked, and the client's own."`
}

// Driver opens sources of type grpc.
var Driver = adg.NewSourceDriver("grpc", "Probes a gRPC server's health service: 1 if it is serving, 0 if not.", Options{Timeout: 5 * time.Second}, open)

// Private

type source struct {
	o     Options
	creds credentials.TransportCredentials
}

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	config, tlsErr := o.TLS.Config()
	var problems []error
	name, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		problems = append(problems, adg.Errorf(adg.Invalid, "address %q: write it as host:port", o.Address))
	}
	if o.Timeout <= 0 {
		problems = append(problems, adg.Errorf(adg.Invalid, "timeout must be positive"))
	}
	if err := errors.Join(append(problems, tlsErr)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	if !o.UseTLS {
		return &source{o, insecure.NewCredentials()}, nil
	}
	if config.ServerName == "" {
		config.ServerName = name
	}
	return &source{o, credentials.NewTLS(config)}, nil
}

// Query probes once.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	service, err := remote.ProbeText(q, q.Text, func(_, value string) string { return value }) // a field of the request: nothing to escape
	if err != nil {
		return adg.Answer{}, err
	}
	sent := "health of " + s.o.Address
	if service != "" {
		sent = "health of " + service + " at " + s.o.Address
	}
	return remote.ProbeAnswer(ctx, q, sent, s.try(ctx, service))
}

// try is nil if the server says in time that it is serving. Each time it connects anew: that a new client gets
// through is what is asked.
func (s *source) try(ctx context.Context, service string) error {
	tooSlow := adg.Errorf(adg.Unavailable, "no answer within the timeout of %s", adg.Short(s.o.Timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, tooSlow)
	defer cancel()
	err := s.check(ctx, service)
	if cause := context.Cause(ctx); err != nil && cause != nil && !adg.IsPermanent(err) {
		return cause
	}
	return err
}

func (s *source) check(ctx context.Context, service string) error {
	conn, err := remote.Dial(ctx, "tcp", s.o.Address)
	switch {
	case err != nil && adg.IsPermanent(err):
		return err
	case err != nil:
		return adg.Errorf(adg.Unavailable, "%s", remote.Explain(err))
	}
	defer conn.Close()
	var used atomic.Bool
	client, err := grpc.NewClient("passthrough:///"+s.o.Address, grpc.WithTransportCredentials(s.creds), grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("adg"), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<10)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, errors.New("the connection was closed")
			}
			return conn, nil
		}))
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "address %s: %w", s.o.Address, err))
	}
	defer func() { _ = client.Close() }() // conn is closed whatever this says
	answer, err := grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if status.Code(err) == codes.DeadlineExceeded {
		<-ctx.Done() // the server knows the deadline, too, and may see it pass a moment before we do
	}
	return verdict(answer.GetStatus(), err)
}

// verdict is nil for a server that is serving.
func verdict(said grpc_health_v1.HealthCheckResponse_ServingStatus, err error) error {
	text := status.Convert(err).Message()
	switch code := status.Code(err); {
	case code == codes.OK && said == grpc_health_v1.HealthCheckResponse_SERVING:
		return nil
	case code == codes.OK:
		return adg.Errorf(adg.Unavailable, "the server says %s", said)
	case code == codes.Unimplemented:
		return adg.Permanent(adg.Errorf(adg.Invalid, "the server has no health service (grpc.health.v1): register it there, or probe by tcp"))
	case code == codes.Unauthenticated, code == codes.PermissionDenied:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "the server refused the credentials (%s): check tls.cert_file", text))
	case code == codes.NotFound:
		return adg.Errorf(adg.Unavailable, "the server does not know this service (%s): check the query", text)
	default:
		return adg.Errorf(adg.Unavailable, "%s: %s", code, text)
	}
}
