package remote

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Options is how a server is reached. Drivers inline it into their own options.
type Options struct {
	Timeout     time.Duration         `yaml:"timeout" doc:"How long one request may take, the answer included."`
	TLS         TLS                   `yaml:"tls" doc:"How the server's certificate is checked, and the client's own."`
	BearerToken adg.Secret            `yaml:"bearer_token" doc:"Token sent as 'Authorization: Bearer'."`
	BasicAuth   BasicAuth             `yaml:"basic_auth" doc:"User and password sent as 'Authorization: Basic'."`
	Headers     map[string]adg.Secret `yaml:"headers" doc:"Further headers by name, such as an API key."`
	Proxy       string                `yaml:"proxy" doc:"Address of an HTTP proxy, or 'direct' for none; empty: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say."`
	MaxBytes    int64                 `yaml:"max_bytes" doc:"Largest answer that is read, in bytes after decompression."`
}

// BasicAuth is a user with a password.
type BasicAuth struct {
	Username string     `yaml:"username" doc:"Name of the user."`
	Password adg.Secret `yaml:"password" doc:"Password of the user."`
}

// TLS is how a TLS connection is made. Files are in PEM format.
type TLS struct {
	CAFile             string `yaml:"ca_file" doc:"File with the certificates of the authorities to trust instead of the system's."`
	CertFile           string `yaml:"cert_file" doc:"File with the client's own certificate; read again for each connection."`
	KeyFile            string `yaml:"key_file" doc:"File with the key of cert_file."`
	ServerName         string `yaml:"server_name" doc:"Name that the server's certificate must be for; empty: the host of the address."`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"Accept any certificate. Whoever can redirect the traffic can then read and change it."`
}

// Defaults are the options that drivers start from.
func Defaults() Options { return Options{Timeout: 10 * time.Second, MaxBytes: 16 << 20} }

// Config is the configuration for crypto/tls; the files are read and checked.
func (t TLS) Config() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, // only where an operator wrote so, with the doc above before their eyes
	}
	var problems []error
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		config.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			problems = append(problems, invalid("tls.ca_file: %w", err))
		case !config.RootCAs.AppendCertsFromPEM(pem):
			problems = append(problems, invalid("tls.ca_file: %s holds no certificate in PEM format", t.CAFile))
		}
	}
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		problems = append(problems, invalid("tls.cert_file and tls.key_file go together: one of them is missing"))
	case t.CertFile != "":
		own := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			return &pair, err
		}
		if _, err := own(nil); err != nil {
			problems = append(problems, invalid("tls.cert_file and tls.key_file: %w", err))
		}
		config.GetClientCertificate = own
	}
	return config, errors.Join(problems...)
}

// Private

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, Defaults().Timeout)
	o.MaxBytes = cmp.Or(o.MaxBytes, Defaults().MaxBytes)
	return o
}

func (o Options) limits() error {
	if o.Timeout < 0 || o.MaxBytes < 0 {
		return invalid("timeout and max_bytes must be positive")
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// header is what is set on every request.
func (o Options) header() (http.Header, error) {
	var problems []error
	header := http.Header{}
	basic := o.BasicAuth.Username != "" || !o.BasicAuth.Password.IsZero()
	switch {
	case basic && !o.BearerToken.IsZero():
		problems = append(problems, invalid("bearer_token and basic_auth exclude each other"))
	case basic && strings.ContainsRune(o.BasicAuth.Username, ':'):
		problems = append(problems, invalid("basic_auth.username holds a ':'"))
	case basic:
		header.Set("Authorization", "Basic "+o.BasicAuth.encoded())
	case !o.BearerToken.IsZero():
		header.Set("Authorization", "Bearer "+o.BearerToken.Reveal())
		if !sendable(o.BearerToken.Reveal()) {
			problems = append(problems, invalid("bearer_token is empty or holds a line break or another control character"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch value := o.Headers[name].Reveal(); {
		case !headerName.MatchString(name):
			problems = append(problems, invalid("headers: %q is no name of a header", name))
		case slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection"}, canonical):
			problems = append(problems, invalid("headers: %s is set by the connection itself", canonical))
		case header[canonical] != nil:
			problems = append(problems, invalid("headers: %s is given twice", canonical))
		case !sendable(value):
			problems = append(problems, invalid("headers: %s is empty or holds a line break or another control character", canonical))
		default:
			header.Set(name, value)
		}
	}
	return header, errors.Join(problems...)
}

func (b BasicAuth) encoded() string {
	return base64.StdEncoding.EncodeToString([]byte(b.Username + ":" + b.Password.Reveal()))
}

// secrets are the values that must not show up anywhere.
func (o Options) secrets() []adg.Secret {
	all := []adg.Secret{o.BearerToken, o.BasicAuth.Password}
	if !o.BasicAuth.Password.IsZero() {
		all = append(all, adg.NewSecret(o.BasicAuth.encoded()))
	}
	return slices.AppendSeq(all, maps.Values(o.Headers))
}

// sendable tells whether value can stand in a header.
func sendable(value string) bool {
	return value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func invalid(format string, args ...any) error {
	return adg.Permanent(adg.Errorf(adg.Invalid, format, args...))
}
