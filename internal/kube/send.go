package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// sender is the innermost transport but for the connection itself: it knows the credentials that were put on requests, so
// that they can be kept out of texts.
type sender struct {
	next   http.RoundTripper
	fixed  func(string) string // takes out the credentials of the configuration
	latest atomic.Pointer[string]
}

func newSender(config *rest.Config) *sender {
	return &sender{fixed: remote.Redactor(adg.NewSecret(config.BearerToken), adg.NewSecret(config.Password), adg.NewSecret(string(config.KeyData)))}
}

// under has a configuration connect to nothing but what adg may connect to, and send through s.
func (s *sender) under(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.UserAgent = "adg"
	config.Dial = remote.Dial
	if config.Proxy == nil {
		config.Proxy = remote.Proxy // and so nobody keeps the connections of a client that is closed
	} else {
		config.Proxy = remote.Within(config.Proxy)
	}
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		s.next = next
		return s
	}
	return config
}

// RoundTrip sends a request that has its credentials already: those of a program or of a file may change at any time.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, credential, found := strings.Cut(req.Header.Get("Authorization"), " "); found {
		if latest := s.latest.Load(); latest == nil || *latest != credential {
			s.latest.Store(&credential)
		}
	}
	return s.next.RoundTrip(req)
}

// CloseIdleConnections is what the client's own asks for.
func (s *sender) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(s.next) }

// WrappedRoundTripper lets client-go see what is beneath.
func (s *sender) WrappedRoundTripper() http.RoundTripper { return s.next }

func (s *sender) scrub(text string) string { return remote.Scrubber()(s.redact(text)) }

func (s *sender) redact(text string) string {
	var secrets []adg.Secret
	if latest := s.latest.Load(); latest != nil {
		secrets = append(secrets, adg.NewSecret(*latest))
	}
	return remote.Redactor(secrets...)(s.fixed(text))
}

// failure says why there is no complete answer.
func (c *Client) failure(ctx context.Context, to call, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", to, cause)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text holds the whole address
	}
	if adg.IsPermanent(err) {
		return adg.Errorf(adg.CodeOf(err), "%s: %w", to, err)
	}
	if strings.HasPrefix(err.Error(), "the answer ended early") {
		return adg.Errorf(adg.Unavailable, "%s: the answer ended early: the server or something before it cut the connection", to)
	}
	return adg.Errorf(adg.Unavailable, "%s: %s", to, c.Scrub(remote.Explain(err)))
}

// refusal is nil for an answer with a 2xx status.
func (c *Client) refusal(to call, answer *http.Response, body []byte) error {
	status := answer.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	said := c.said(answer, body)
	wait, told := retryAfter(answer.Header)
	switch {
	case status == http.StatusUnauthorized:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the server refused the credentials (%s): they may have expired", to, said))
	case status == http.StatusForbidden:
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: the credentials do not have the right to do that (%s): grant it in their role", to, said))
	case status == http.StatusNotFound:
		return adg.Permanent(adg.Errorf(adg.NotFound, "%s: it is not there (%s): check name and namespace", to, said))
	case status == http.StatusConflict:
		return adg.Errorf(adg.Conflict, "%s: somebody else has changed it meanwhile (%s)", to, said)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && told:
		return adg.Throttled(adg.Errorf(adg.Unavailable, "%s: the server asks to wait %s (%s)", to, adg.Span(wait), said), wait)
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusGone:
		return adg.Errorf(adg.Unavailable, "%s: the server failed (%s)", to, said)
	case status >= 300 && status < 400:
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: the server redirects (%s): redirects are not followed, write the address of the API server itself", to, said))
	default:
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: the server refused it (%s)", to, said))
	}
}

// said is the status, and what the API server says about it.
func (c *Client) said(answer *http.Response, body []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	text := string(body[:min(len(body), 4<<10)])
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		text = status.Message
	}
	if text = c.Scrub(text); text != "" {
		return answer.Status + ": " + text
	}
	return answer.Status
}

// retryAfter measures a date by the clock that made it.
func retryAfter(h http.Header) (time.Duration, bool) {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now() //nolint:forbidigo // the server sent no time of its own
	}
	return remote.RetryAfter(h.Get("Retry-After"), now)
}
