package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
)

// RetryAfter reads the header of that name, which holds seconds or a date: how long from now. More than an hour is
// taken as an hour; false means that it is neither.
func RetryAfter(value string, now time.Time) (time.Duration, bool) {
	const longest = time.Hour
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(longest/time.Second) { // the only error that digits can make is: too many
			return longest, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(date.Sub(now), 0), longest), true
}

// Explain says in words what went wrong with a connection, and what to check. It may quote what the other side said.
func Explain(err error) string {
	if text := explainTLS(err); text != "" {
		return text
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Sprintf("the name %s does not resolve: check its spelling and the DNS server", dns.Name)
		}
		return fmt.Sprintf("the name %s could not be looked up: the DNS server did not answer", dns.Name)
	}
	at := ""
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil {
		at = " to " + op.Addr.String()
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection" + at + " was refused: check that the server runs and that the port is right"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection" + at + " was closed without an answer"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route for the connection" + at + ": check the address, the network and its firewalls"
	}
	return err.Error()
}

// Private

// statusError is nil for a complete answer with a 2xx status.
func (c *Client) statusError(req *http.Request, r Response) error {
	where, said := c.where(req), c.said(r)
	wait, told := retryAfter(r.Header)
	switch {
	case r.Status >= 200 && r.Status < 300 && r.Truncated:
		return invalid("%s: the answer is larger than %s: narrow the query, or raise max_bytes", where, size(c.maxBytes))
	case r.Status >= 200 && r.Status < 300:
		return nil
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		return adg.Permanent(adg.Errorf(adg.Unauthorized,
			"%s: the server refused the credentials (%s): check bearer_token, basic_auth, headers or tls.cert_file, and what they are allowed to do", where, said))
	case r.Status == http.StatusProxyAuthRequired:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the proxy refused the request (%s): check proxy", where, said))
	case r.Status == http.StatusTooManyRequests, r.Status == http.StatusServiceUnavailable && told:
		return adg.Throttled(adg.Errorf(adg.Unavailable, "%s: the server asks to wait %s (%s)", where, adg.Span(wait), said), wait)
	case r.Status >= 500, r.Status == http.StatusRequestTimeout, r.Status == http.StatusTooEarly:
		return adg.Errorf(adg.Unavailable, "%s: the server failed (%s)", where, said)
	case r.Status >= 300 && r.Status < 400:
		return invalid("%s: the server redirects to %s (%s): redirects are not followed, write the final address",
			where, c.target(req, r.Header.Get("Location")), said)
	default:
		return invalid("%s: the server refused the request (%s)", where, said)
	}
}

// retryAfter measures a date by the clock that made it.
func retryAfter(h http.Header) (time.Duration, bool) {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now() //nolint:forbidigo // the server sent no time of its own
	}
	return RetryAfter(h.Get("Retry-After"), now)
}

// said is the status with an excerpt of the body.
func (c *Client) said(r Response) string {
	status := strings.TrimSpace(strconv.Itoa(r.Status) + " " + http.StatusText(r.Status))
	if body := c.Scrub(string(r.Body)); body != "" {
		return status + ": " + body
	}
	return status
}

// failure says why there is no answer.
func (c *Client) failure(ctx context.Context, req *http.Request, err error) error {
	where := c.where(req)
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", where, cause)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text holds the address as it is
	}
	if adg.IsPermanent(err) {
		return invalid("%s: %w", where, err)
	}
	text := Explain(err)
	op, ok := errors.AsType[*net.OpError](err)
	connected := !ok || op.Op != "dial"
	if connected && req.URL.Scheme == "https" && explainTLS(err) == "" { // why a handshake was broken off may come too late to be read
		text += " (does the server ask for a client's certificate? then check tls.cert_file and tls.key_file)"
	}
	return adg.Errorf(adg.Unavailable, "%s: %s", where, c.Scrub(text))
}

// cutShort says why there is a beginning of an answer only.
func (c *Client) cutShort(ctx context.Context, req *http.Request, err error) error {
	where := c.where(req)
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", where, cause)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return adg.Errorf(adg.Unavailable, "%s: the answer ended early: the server or something before it cut the connection", where)
	}
	return adg.Errorf(adg.Unavailable, "%s: the answer could not be read: %s", where, c.Scrub(err.Error()))
}

// explainTLS is empty where TLS is not what went wrong.
func explainTLS(err error) string {
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("the server's certificate is not trusted (%v): name its authority in tls.ca_file", e)
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is for another name (%v): check the address or tls.server_name", e)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return fmt.Sprintf("the server's certificate is not valid (%v): check its dates and both clocks", e)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "the server does not speak TLS on this port: check the port, or use http://"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return fmt.Sprintf("the server broke off the TLS handshake (%v): check tls.cert_file and tls.key_file", e.Err)
	}
	return ""
}

// where names a request without what may be secret in its address: the query.
func (c *Client) where(req *http.Request) string {
	to := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}
	return req.Method + " " + c.Scrub(to.String())
}

// target is where a redirect points to, without what may be secret in it.
func (c *Client) target(req *http.Request, location string) string {
	to, err := req.URL.Parse(location)
	if err != nil || location == "" {
		return "nowhere"
	}
	to = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	return c.Scrub(to.String())
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
