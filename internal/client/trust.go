package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
)

// Private

// trust is TLS that remembers why the server's certificate was not believed: gRPC itself tells of that in words only,
// as of a server that is away.
type trust struct {
	credentials.TransportCredentials
	last *atomic.Pointer[tls.CertificateVerificationError]
}

func newTrust(config *tls.Config) *trust {
	return &trust{credentials.NewTLS(config), new(atomic.Pointer[tls.CertificateVerificationError])}
}

// ClientHandshake notes how the certificate was taken.
func (t *trust) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, conn)
	var wrong *tls.CertificateVerificationError
	_ = errors.As(err, &wrong)
	t.last.Store(wrong)
	return secured, info, err
}

// Clone is the same with the same memory.
func (t *trust) Clone() credentials.TransportCredentials {
	return &trust{t.TransportCredentials.Clone(), t.last}
}

// wrong is why the certificate was not believed the last time; nil: it was, or nobody has seen one.
func (t *trust) wrong() error {
	if t == nil {
		return nil
	}
	if wrong := t.last.Load(); wrong != nil {
		return wrong.Err
	}
	return nil
}
