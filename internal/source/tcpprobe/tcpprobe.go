// Package tcpprobe connects to a port of the service to see whether it listens.
package tcpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options is where to connect to, and how.
type Options struct {
	Address string        `yaml:"address" doc:"Where to connect to, as host:port; may hold $variables, as in shop-$version:8080."`
	Timeout time.Duration `yaml:"timeout" doc:"How long connecting, and the TLS handshake, may take."`
	UseTLS  bool          `yaml:"use_tls" doc:"Make a TLS handshake, and fail where the certificate is not valid."`
	TLS     remote.TLS    `yaml:"tls" doc:"How the server's certificate is checked, and the client's own."`
}

// Driver opens sources of type tcp.
var Driver = adg.NewSourceDriver("tcp", "Probes a TCP port: 1 if a connection can be made, 0 if not.", Options{Timeout: 5 * time.Second}, open)

// Private

type source struct {
	o   Options
	tls *tls.Config
}

var hostWord = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	config, tlsErr := o.TLS.Config()
	var problems []error
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		problems = append(problems, adg.Errorf(adg.Invalid, "address %q: write it as host:port", o.Address))
	}
	if o.Timeout <= 0 {
		problems = append(problems, adg.Errorf(adg.Invalid, "timeout must be positive"))
	}
	if err := errors.Join(append(problems, tlsErr)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	return &source{o, config}, nil
}

// Query probes once.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	if q.Text != "" {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "a check by TCP has no query: what is probed is the address of the source"))
	}
	odd := ""
	address, err := remote.ProbeText(q, s.o.Address, func(_, value string) string {
		if !hostWord.MatchString(value) {
			odd = value
		}
		return value
	})
	if err != nil {
		return adg.Answer{}, err
	}
	if odd != "" {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "the value %q of a variable cannot stand in an address", odd))
	}
	return remote.ProbeAnswer(ctx, q, "connect to "+address, s.try(ctx, address))
}

// try is nil if the connection, and where wanted the handshake, could be made in time.
func (s *source) try(ctx context.Context, address string) error {
	tooSlow := adg.Errorf(adg.Unavailable, "no connection within the timeout of %s", adg.Short(s.o.Timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, tooSlow)
	defer cancel()
	conn, err := remote.Dial(ctx, "tcp", address)
	if err == nil {
		defer conn.Close()
		err = s.handshake(ctx, conn, address)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // the connection has the deadline, too, and may see it pass a moment before we do
	}
	switch cause := context.Cause(ctx); {
	case err == nil, adg.IsPermanent(err):
		return err
	case cause != nil:
		return cause
	}
	return adg.Errorf(adg.Unavailable, "%s", remote.Explain(err))
}

func (s *source) handshake(ctx context.Context, conn net.Conn, address string) error {
	if !s.o.UseTLS {
		return nil
	}
	config := s.tls.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		config.ServerName = host
	}
	return tls.Client(conn, config).HandshakeContext(ctx)
}
