// Package serve runs an HTTP handler on one port as a public server has to: HTTP/1.1 and HTTP/2, TLS with certificates
// that may be renewed while it runs, limits on everything, and an end that lets what is under way finish.
package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/deployguardian/adg"
)

// Options say where and how to listen.
type Options struct {
	Listen   string        // host:port; port 0 takes a free one
	CertFile string        // PEM; with KeyFile. Empty: plain HTTP
	KeyFile  string        // PEM
	ClientCA string        // PEM; clients may show a certificate that it signed, and none that it did not
	Drain    time.Duration // how long requests may take to finish at the end; zero: 30 s
	Log      *slog.Logger  // zero: discard
}

// Server is a port that is open, and not served yet.
type Server struct {
	o        Options
	listener net.Listener
}

// Listen opens the port. Certificates that cannot be used are refused now.
func Listen(ctx context.Context, o Options) (*Server, error) {
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	secure, err := o.tls()
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "listening on %s: %w", o.Listen, err)
	}
	if secure != nil {
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
		Handler: handler(draining), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug), // scanners and half-open connections
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		Protocols:   new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(s.o.CertFile == "")
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

// Private

func (o Options) tls() (*tls.Config, error) {
	if o.CertFile == "" {
		if o.ClientCA != "" {
			return nil, adg.Errorf(adg.Invalid, "client certificates need TLS: name a certificate and a key for the server, too")
		}
		return nil, nil
	}
	keep, err := newKeeper(o.CertFile, o.KeyFile, o.Log)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: keep.certificate, NextProtos: []string{"h2", "http/1.1"}}
	if o.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(o.ClientCA)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading the CA of clients: %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, adg.Errorf(adg.Invalid, "the CA of clients, %s, holds no certificate in PEM", o.ClientCA)
	}
	return config, nil
}
