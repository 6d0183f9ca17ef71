// Package remote is the one way to talk HTTP to other systems: within limits of time and size, with credentials that
// go to the configured server only, and with errors that say what kind they are and what to do, and name no secret.
package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/trace"
)

// Client sends requests as its Options say. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
	timeout   time.Duration
	maxBytes  int64
	scrub     func(string) string
	redact    func(string) string
}

// Response is an answer, read to its end or to the limit.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte // decompressed
	Truncated bool   // the body is longer than Options.MaxBytes; Body is its start
}

// New makes a client, or reports every problem of the options at once. The secrets of the options and the additional
// ones (an address that is a secret, for example) are kept out of every error.
func New(o Options, additional ...adg.Secret) (*Client, error) {
	o = o.withDefaults()
	tlsConfig, tlsErr := o.TLS.Config()
	proxy, proxyErr := proxyOf(o.Proxy)
	header, headerErr := o.header()
	if err := errors.Join(o.limits(), tlsErr, proxyErr, headerErr); err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  proxy,
		DialContext:            Dial,
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxConns,
		MaxIdleConnsPerHost:    maxConns,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
	}
	return &Client{
		http: &http.Client{
			Transport: &signer{next: transport, header: header},
			// A redirect is an answer like any other: nothing, and no credential least of all, follows it elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: transport,
		timeout:   o.Timeout,
		maxBytes:  o.MaxBytes,
		scrub:     Scrubber(append(o.secrets(), additional...)...),
		redact:    Redactor(append(o.secrets(), additional...)...),
	}, nil
}

// Do sends the request and returns the answer if its status is 2xx. Otherwise the error has the code, and is marked
// Permanent or Throttled, as the status says, and the answer is returned with it for drivers that know its format.
// A body above the limit is an error; reading stops there.
func (c *Client) Do(ctx context.Context, req *http.Request) (Response, error) {
	answer, err := c.Exchange(ctx, req)
	if err != nil {
		return answer, err
	}
	return answer, c.statusError(req, answer)
}

// Exchange sends the request and returns the answer whatever its status; a body above the limit is cut. An error
// means that there is no complete answer: Unavailable for what may pass, Permanent for what this client may not send.
func (c *Client) Exchange(ctx context.Context, req *http.Request) (Response, error) {
	return c.exchange(ctx, req, func(body io.Reader) ([]byte, bool, error) {
		text, err := io.ReadAll(io.LimitReader(body, c.maxBytes+1))
		if int64(len(text)) > c.maxBytes {
			return text[:c.maxBytes], true, err
		}
		return text, false, err
	})
}

// DoTail is Do for a body of which the end is wanted, such as a log: of a longer one Body is the last keep bytes, and
// nothing is Truncated. More than a quarter of a gibibyte is not read: then Body is the end of that.
func (c *Client) DoTail(ctx context.Context, req *http.Request, keep int) (Response, error) {
	const most = 256 << 20
	answer, err := c.exchange(ctx, req, func(body io.Reader) ([]byte, bool, error) {
		text, err := readTail(io.LimitReader(body, most), keep)
		return text, false, err
	})
	if err != nil {
		return answer, err
	}
	return answer, c.statusError(req, answer)
}

// exchange sends the request and has the body read.
func (c *Client) exchange(ctx context.Context, req *http.Request, read func(io.Reader) (text []byte, cut bool, err error)) (Response, error) {
	if err := context.Cause(ctx); err != nil {
		return Response{}, adg.Errorf(adg.Unavailable, "%s: not sent: %w", c.where(req), err)
	}
	if err := mayAsk(req.URL); err != nil {
		return Response{}, err
	}
	tooSlow := adg.Errorf(adg.Unavailable, "no complete answer within the timeout of %s", adg.Short(c.timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, tooSlow)
	defer cancel()
	answer, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return Response{}, c.failure(ctx, req, err)
	}
	defer answer.Body.Close()
	body, cut, err := read(answer.Body)
	if err != nil {
		return Response{}, c.cutShort(ctx, req, err)
	}
	return Response{Status: answer.StatusCode, Header: answer.Header, Body: body, Truncated: cut}, nil
}

// readTail reads to the end and returns the last keep bytes.
func readTail(from io.Reader, keep int) ([]byte, error) {
	var kept []byte
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		kept = append(kept, chunk[:n]...)
		if len(kept) > 2*keep || err != nil {
			kept = append(kept[:0], kept[max(len(kept)-keep, 0):]...)
		}
		if err == io.EOF {
			return kept, nil
		}
		if err != nil {
			return kept, err
		}
	}
}

// Scrub makes text that came from outside fit for an error: the client's secrets and control characters are taken
// out, and what is longer than an excerpt should be is cut.
func (c *Client) Scrub(text string) string { return c.scrub(text) }

// Redact takes the client's secrets out of text that is no error, such as lines of a log, and leaves the rest as it is.
func (c *Client) Redact(text string) string { return c.redact(text) }

// Close lets go of idle connections.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// BaseURL reads the address of a server from an option: what ValidURL accepts, without query and fragment. The error
// names the option and does not repeat the address, which may hold a credential.
func BaseURL(option, text string) (*url.URL, error) {
	if err := ValidURL(text); err != nil {
		return nil, invalid("%s: %w", option, err)
	}
	base, err := url.Parse(text)
	if err != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "" {
		return nil, invalid("%s: the address holds a '?' or a '#': write it without query and fragment", option)
	}
	return base, nil
}

// ValidURL refuses what is not an address to send requests to: http or https, with a host, and without a user or
// password. The error does not repeat the address.
func ValidURL(text string) error {
	to, err := url.Parse(text)
	switch {
	case text == "":
		return invalid("the address is missing: write it as http://host:port or https://host/path")
	case err != nil:
		return invalid("this is no address of a server: write it as http://host:port or https://host/path")
	}
	return mayAsk(to)
}

// Dialer connects to everything but the addresses that no driver has business with: link-local ones and those of
// the clouds' metadata services. They are looked at after the name was resolved, right before connecting.
func Dialer() *net.Dialer { return &net.Dialer{ControlContext: control} }

// Dial connects as Dialer does, and knows the host by the name that it was asked for, not by its address alone. A socket of
// this machine's files is no address, and is not restricted.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		ctx = context.WithValue(ctx, named{}, host)
	}
	return Dialer().DialContext(ctx, network, address)
}

// Private

// maxConns bounds the connections to one host, idle ones included.
const maxConns = 32

// signer puts the configured headers, and the trace that it belongs to, on a copy of each request.
type signer struct {
	next   http.RoundTripper
	header http.Header
}

// RoundTrip leaves the caller's request as it is.
func (s *signer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if _, set := req.Header["User-Agent"]; !set {
		req.Header.Set("User-Agent", "adg")
	}
	for name, values := range s.header {
		req.Header[name] = values
	}
	if carried := trace.Carried(req.Context()); carried != "" {
		req.Header.Set("Traceparent", carried)
	}
	return s.next.RoundTrip(req)
}
