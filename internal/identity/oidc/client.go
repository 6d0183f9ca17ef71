package oidc

import (
	"io"
	"net/http"
	"time"

	"github.com/deployguardian/adg/internal/remote"
)

// Private

const (
	callTimeout = 10 * time.Second
	maxAnswer   = 1 << 20 // bytes
)

// newClient makes what the OpenID library asks the provider with. It reads answers to their end, so they are cut.
func newClient(t remote.TLS) (*http.Client, error) {
	config, err := t.Config()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 remote.Proxy,
		DialContext:           remote.Dial,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   callTimeout,
		ResponseHeaderTimeout: callTimeout,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   2,
		ForceAttemptHTTP2:     true,
	}
	return &http.Client{
		Timeout:       callTimeout,
		Transport:     limited{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// limited cuts answers.
type limited struct{ *http.Transport }

// RoundTrip sends the request as it is.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}
