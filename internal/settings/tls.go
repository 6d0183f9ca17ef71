package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/seal"
)

// Config is the configuration for crypto/tls. The files are read now, and again when one of them changes; files that
// cannot be used then leave the old ones in force, and the log says so. Errors are adg.Invalid.
func (t TLS) Config(log *slog.Logger) (*tls.Config, error) {
	f := &files{tls: t, log: log}
	if _, err := f.current(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: f.current}, nil
}

// Probe reads what the settings only name: the certificate, and the keys, for which Vault may be asked. environ is as
// os.Environ has it.
func (s Settings) Probe(ctx context.Context, environ []string) error {
	var problems []error
	if s.TLS != nil {
		_, err := s.TLS.Config(slog.New(slog.DiscardHandler))
		problems = append(problems, err)
	}
	_, err := s.Keyring(ctx, environ)
	return errors.Join(append(problems, err)...)
}

// Keyring opens the keys. Unavailable: one of them is kept elsewhere and cannot be reached.
func (s Settings) Keyring(ctx context.Context, environ []string) (*seal.Keyring, error) {
	env := variables(environ)
	ring, err := seal.OpenRing(ctx, *s.Seal.Active, s.Seal.Older, func(name string) (string, bool) { value, found := env[name]; return value, found })
	if err != nil {
		return nil, adg.Errorf(adg.CodeOf(err), "seal: %w", err)
	}
	return ring, nil
}

// Private

// files are a certificate, its key and the clients' authorities, as they were read last.
type files struct {
	tls TLS
	log *slog.Logger

	mutex  sync.Mutex
	seen   [3]version // of the files when they were read last
	config *tls.Config
}

// version tells whether a file has changed.
type version struct {
	modified time.Time
	size     int64
}

// current is the configuration for one client.
func (f *files) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	seen := f.versions()
	if f.config != nil && seen == f.seen {
		return f.config, nil
	}
	config, err := f.tls.read()
	f.seen = seen
	switch {
	case err == nil:
		f.config = config
	case f.config == nil:
		return nil, err
	default:
		f.log.Error("the certificate was changed and cannot be used: the one before it stays in force", "error", err)
	}
	return f.config, nil
}

// versions are those of the files now; a file that is not there has none.
func (f *files) versions() [3]version {
	var all [3]version
	for i, path := range []string{f.tls.CertFile, f.tls.KeyFile, f.tls.ClientCAFile} {
		if info, err := os.Stat(path); err == nil {
			all[i] = version{info.ModTime(), info.Size()}
		}
	}
	return all
}

func (t TLS) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "tls.cert_file and tls.key_file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "tls.client_ca_file: %w", err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if t.ClientCert == "required" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, adg.Errorf(adg.Invalid, "tls.client_ca_file: %s holds no certificate in PEM format", t.ClientCAFile)
	}
	return config, nil
}
