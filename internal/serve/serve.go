// Package serve runs an HTTP handler on one port as a public server has to: HTTP/1.1 and HTTP/2, TLS, limits on everything, and an end that lets what is under way finish.
package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/deployguardian/adg"
)

// Options say where and how to listen.
type Options struct {
	Listen string        // host:port; port 0 takes a free one
	TLS    *tls.Config   // nil: plain HTTP
	Drain  time.Duration // how long requests may take to finish at the end; zero: 30 s
	Log    *slog.Logger  // zero: discard

	Connections int            // open at once; zero: 10,000
	PerNetwork  int            // of them from one address, of IPv6 from one customer's network; zero: 2,000
	Proxies     []netip.Prefix // who speak for many others: what they open counts among all only
	Reading     time.Duration  // how long a client may take to read an answer, or one message of a stream; zero: 1 min
}

// Server is a port that is open, and not served yet.
type Server struct {
	o        Options
	listener net.Listener
}

// Listen opens the port.
func Listen(ctx context.Context, o Options) (*Server, error) {
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Connections, o.PerNetwork, o.Reading = cmp.Or(o.Connections, 10_000), cmp.Or(o.PerNetwork, 2000), cmp.Or(o.Reading, time.Minute)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "listening on %s: %w", o.Listen, err)
	}
	listener = &counted{Listener: listener, o: o, open: map[string]int{}}
	if o.TLS != nil {
		secure := o.TLS.Clone()
		secure.NextProtos = []string{"h2", "http/1.1"}
		if inner := secure.GetConfigForClient; inner != nil {
			secure.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				config, err := inner(hello)
				if err != nil || config == nil {
					return config, err
				}
				config = config.Clone()
				config.NextProtos = secure.NextProtos
				return config, nil
			}
		}
		listener = tls.NewListener(listener, secure)
	}
	return &Server{o: o, listener: listener}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until the context ends; then no request is taken any more, and those under way have the time of
// Options.Drain to finish: their contexts do not end before. Streams that last for ever have to watch draining, which is
// closed when the end begins.
func (s *Server) Run(ctx context.Context, handler func(draining <-chan struct{}) http.Handler) error {
	draining := make(chan struct{})
	server := &http.Server{
		Handler: paced(s.o.Reading, handler(draining)), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug), // scanners and half-open connections
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		Protocols:   new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: s.o.Reading},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(s.o.TLS == nil)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(s.listener) }()
	select {
	case err := <-failed:
		return adg.Errorf(adg.Unavailable, "serving: %w", err)
	case <-ctx.Done():
	}
	close(draining)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Drain)
	defer cancel()
	err := server.Shutdown(limited)
	if err != nil {
		s.o.Log.Warn("requests were still under way at the end, and were cut off", "after", s.o.Drain)
		err = server.Close()
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Close gives the port of a server back that is not run.
func (s *Server) Close() error { return s.listener.Close() }
