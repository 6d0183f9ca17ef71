// Package broker is how message brokers are reached: addresses, credentials, TLS, and what their refusals mean. Nothing
// is ever sent to link-local and metadata addresses, and no error shows a credential.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what all brokers need. Drivers inline them into their own options.
type Options struct {
	Username string        `yaml:"username" doc:"Name of the user; empty: none is sent."`
	Password adg.Secret    `yaml:"password" doc:"Password of the user."`
	TLS      remote.TLS    `yaml:"tls" doc:"How the server's certificate is checked, and the client's own."`
	Timeout  time.Duration `yaml:"timeout" doc:"How long one message may take, connecting included."`
}

// Defaults are the options that drivers start from.
func Defaults() Options { return Options{Timeout: 10 * time.Second} }

// Check reports every problem of the options at once.
func (o Options) Check() error {
	var problems []error
	if o.Timeout <= 0 {
		problems = append(problems, invalid("timeout must be positive"))
	}
	if o.Username == "" && !o.Password.IsZero() {
		problems = append(problems, invalid("there is a password and no username"))
	}
	_, err := o.TLS.Config()
	return errors.Join(append(problems, err)...)
}

// Within bounds a context by the timeout, and says so in its cause.
func (o Options) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.Timeout, adg.Errorf(adg.Unavailable, "not done within the timeout of %s", adg.Short(o.Timeout)))
}

// Private

// address reads host:port; the error does not repeat what may hold a credential.
func address(option, text string, port int) (string, error) {
	if !strings.Contains(text, ":") || strings.HasSuffix(text, "]") {
		text += ":" + strconv.Itoa(port)
	}
	host, number, err := net.SplitHostPort(text)
	p, bad := strconv.ParseUint(number, 10, 16)
	if err != nil || bad != nil || p == 0 || host == "" || strings.ContainsAny(host, "@/?#% \t\r\n") {
		return "", invalid("%s: this is no address: write it as host:port", option)
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsLinkLocalUnicast() || ip.IsMulticast()) {
		return "", invalid("%s: %s is a link-local or multicast address: nothing is ever sent there", option, ip)
	}
	return net.JoinHostPort(host, number), nil
}

// parse reads an address with one of two schemes, the second of which means TLS. It holds no credential.
func parse(option, text, plain, secure string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != plain && u.Scheme != secure || u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("%s: this is no address: write it as %s://host:port, or %s://host:port for TLS", option, plain, secure)
	case u.User != nil:
		return nil, invalid("%s: the address holds a user or password: take them out and use username and password", option)
	}
	return u, nil
}

// secured is the TLS configuration for one connection to host.
func (o Options) secured(host string) (*tls.Config, error) {
	config, err := o.TLS.Config()
	if err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	return config, err
}

// said makes what a broker said fit for an error.
func (o Options) said(text string) string { return remote.Scrubber(o.Password)(text) }

func invalid(format string, args ...any) error {
	return adg.Permanent(adg.Errorf(adg.Invalid, format, args...))
}

// late is the error of what was given up because the time was over; nil as long as there is time.
func late(ctx context.Context, what string) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", what, cause)
	}
	return nil
}
