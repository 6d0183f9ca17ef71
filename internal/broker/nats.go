package broker

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// NATS is a connection to a NATS server. It does not reconnect: it ends, and its user makes a new one. It is safe for
// concurrent use.
type NATS struct {
	jetstream.JetStream
	o    Options
	conn *nats.Conn
	gone context.Context // ends with the connection; its cause says why
	end  context.CancelCauseFunc
}

// ValidNATS refuses what are not addresses of NATS servers: nats://host:port or tls://host:port, all of one kind.
func ValidNATS(servers []string) error {
	var problems []error
	schemes := map[string]bool{}
	for _, s := range servers {
		u, err := parse("servers", s, "nats", "tls")
		if err == nil {
			schemes[u.Scheme] = true
			_, err = address("servers", u.Host, 4222)
		}
		problems = append(problems, err)
	}
	switch {
	case len(servers) == 0:
		problems = append(problems, invalid("servers: name at least one, as nats://host:port"))
	case len(schemes) > 1:
		problems = append(problems, invalid("servers: all of them are reached with TLS (tls://), or none (nats://)"))
	}
	return errors.Join(problems...)
}

// DialNATS connects. An error is Permanent where the server refused the user, and Unavailable otherwise; it comes once
// ctx is done at the latest.
func DialNATS(ctx context.Context, servers []string, o Options) (*NATS, error) {
	n := &NATS{o: o}
	n.gone, n.end = context.WithCancelCause(context.Background())
	d := &dialer{ctx: ctx}
	options := nats.Options{
		Servers: servers, Name: "adg", User: o.Username, Password: o.Password.Reveal(), CustomDialer: d,
		IgnoreDiscoveredServers: true, // credentials go to the servers that were named, and nowhere else
		PingInterval:            10 * time.Second, MaxPingsOut: 2, Timeout: o.Timeout, DrainTimeout: time.Second, FlusherTimeout: o.Timeout,
		ClosedCB: func(c *nats.Conn) { n.end(errors.Join(nats.ErrConnectionClosed, c.LastError())) },
		AsyncErrorCB: func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) { // which is all that the server answers to what it does not take
				n.end(err)
			}
		},
	}
	if slices.ContainsFunc(servers, func(s string) bool { u, _ := parse("", s, "nats", "tls"); return u != nil && u.Scheme == "tls" }) {
		config, err := o.secured("") // the library fills in the host
		if err != nil {
			return nil, err
		}
		options.Secure, options.TLSConfig = true, config
	}
	var err error
	if n.conn, err = options.Connect(); err == nil {
		n.JetStream, err = jetstream.New(n.conn)
	}
	if d.stop != nil && !d.stop() && err == nil {
		n.conn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		n.end(err)
		return nil, n.Failure(ctx, "connecting to NATS", err)
	}
	return n, nil
}

// While bounds a context by the life of the connection.
func (n *NATS) While(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(n.gone, func() { cancel(errGone{context.Cause(n.gone)}) })
	return ctx, func() { stop(); cancel(nil) }
}

// Broken tells whether the connection has ended, or cannot be used for what it is there for.
func (n *NATS) Broken() bool { return n.gone.Err() != nil || n.conn.IsClosed() }

// Close ends the connection.
func (n *NATS) Close() {
	n.conn.Close()
	n.end(nats.ErrConnectionClosed)
}

// Failure says what an error of the library means: Permanent where the server refuses the user.
func (n *NATS) Failure(ctx context.Context, what string, err error) error {
	if gone, ok := errors.AsType[errGone](context.Cause(ctx)); ok {
		err = gone.error
	} else if err := late(ctx, what); err != nil {
		return err
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the server refused the user: check username and password", what))
	case errors.Is(err, nats.ErrPermissionViolation):
		return adg.Errorf(adg.Unauthorized, "%s: the user may not do that (%s): check the server's permissions", what, n.o.said(err.Error()))
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return adg.Errorf(adg.Unavailable, "%s: no stream takes it: make one with this subject", what)
	case errors.Is(err, nats.ErrNoServers):
		return adg.Errorf(adg.Unavailable, "%s: none of the servers answers: check that they run and that the ports are right", what)
	}
	return adg.Errorf(adg.Unavailable, "%s: %s", what, n.o.said(remote.Explain(err)))
}

// Private

// errGone marks the end of a connection among the reasons why a context ended.
type errGone struct{ error }

// Unwrap gives the reason.
func (e errGone) Unwrap() error { return e.error }

// dialer connects as long as its context allows, and cuts what it connected when that ends: the library's handshake
// knows no context.
type dialer struct {
	ctx  context.Context
	stop func() bool // keeps the connection from being cut; nil before there is one
}

// Dial connects.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := remote.Dial(d.ctx, network, address)
	if err == nil {
		d.stop = context.AfterFunc(d.ctx, func() { conn.Close() })
	}
	return conn, err
}
