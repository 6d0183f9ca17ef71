// Package httpprobe asks an HTTP end point of the service whether it works.
package httpprobe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Options is what is asked and what a good answer is.
type Options struct {
	URL            string   `yaml:"url" doc:"Address of the service. The check's query is a path below it, or a full address on the same host."`
	Method         string   `yaml:"method" doc:"Method of the request."`
	Expect         []string `yaml:"expect" doc:"Statuses that are good, each one number or a range such as 200-299."`
	Contains       string   `yaml:"contains" doc:"Text that a good answer's body contains, within the first max_bytes."`
	Host           string   `yaml:"host" doc:"Host header to send instead of the host of the address."`
	remote.Options `yaml:",inline"`
}

// Driver opens sources of type http.
var Driver = adg.NewSourceDriver("http", "Probes an HTTP end point: 1 if the answer is as expected, 0 if not.", Options{
	Method: http.MethodGet, Expect: []string{"200-299"}, Options: remote.Options{Timeout: 5 * time.Second, MaxBytes: 1 << 20},
}, open)

// Private

type source struct {
	client *remote.Client
	base   *url.URL
	o      Options
	expect []statuses
}

// statuses is a range of them, ends included.
type statuses struct{ from, to int }

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, clientErr := remote.New(o.Options)
	s := &source{client: client, base: base, o: o}
	var problems []error
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "OPTIONS"}, o.Method) {
		problems = append(problems, adg.Errorf(adg.Invalid, "method %q: choose one of GET, HEAD, POST, PUT, OPTIONS", o.Method))
	}
	if strings.ContainsFunc(o.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' }) {
		problems = append(problems, adg.Errorf(adg.Invalid, "host %q is no name of a host", o.Host))
	}
	if len(o.Expect) == 0 {
		problems = append(problems, adg.Errorf(adg.Invalid, "expect is empty: no answer would be good"))
	}
	for _, text := range o.Expect {
		from, to, isRange := strings.Cut(text, "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || low < 100 || high > 599 || low > high {
			problems = append(problems, adg.Errorf(adg.Invalid, "expect %q: write a status or a range of them, such as 200-299", text))
		}
		s.expect = append(s.expect, statuses{low, high})
	}
	if err := errors.Join(append(problems, urlErr, clientErr)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	return s, nil
}

// Close lets go of the idle connections.
func (s *source) Close() error { return s.client.Close() }

// Query probes once.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	text, err := remote.ProbeText(q, q.Text, escape)
	if err != nil {
		return adg.Answer{}, err
	}
	to, err := s.address(text)
	if err != nil {
		return adg.Answer{}, adg.Permanent(err)
	}
	req, err := http.NewRequest(s.o.Method, to.String(), nil)
	if err != nil {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "the query %q makes no address", text))
	}
	req.Host = s.o.Host
	req.Close = true // that a new client gets through is what is asked
	return remote.ProbeAnswer(ctx, q, s.o.Method+" "+to.String(), s.try(ctx, req))
}

// try is nil if the answer is as expected.
func (s *source) try(ctx context.Context, req *http.Request) error {
	answer, err := s.client.Exchange(ctx, req)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(s.expect, func(r statuses) bool { return r.from <= answer.Status && answer.Status <= r.to }) {
		return adg.Errorf(adg.Unavailable, "status %d %s, expected %s: %s",
			answer.Status, http.StatusText(answer.Status), strings.Join(s.o.Expect, ", "), s.client.Scrub(string(answer.Body)))
	}
	if s.o.Contains != "" && !strings.Contains(string(answer.Body), s.o.Contains) {
		return adg.Errorf(adg.Unavailable, "status %d, but the first %d bytes of the body do not contain %q", answer.Status, len(answer.Body), s.o.Contains)
	}
	return nil
}

// address is where the query points to: below the base, or at least on its host.
func (s *source) address(text string) (*url.URL, error) {
	ref, err := url.Parse(text)
	switch {
	case err != nil, ref.Opaque != "":
		return nil, adg.Errorf(adg.Invalid, "the query %q is neither a path nor an address", text)
	case slices.Contains(strings.Split(ref.Path, "/"), ".."):
		return nil, adg.Errorf(adg.Invalid, "the query %q goes up with '..': write the path that is meant", text)
	case ref.Scheme == "" && ref.Host == "":
		to := *s.base
		if ref.Path != "" {
			to = *s.base.JoinPath(ref.EscapedPath())
		}
		to.RawQuery = ref.RawQuery
		return &to, nil
	case ref.Scheme != s.base.Scheme || ref.Host != s.base.Host || ref.User != nil:
		return nil, adg.Errorf(adg.Invalid, "the query is not an address on %s://%s, and this source asks no other host", s.base.Scheme, s.base.Host)
	}
	ref.Fragment = ""
	return ref, nil
}

// escape keeps a value within the part of the address that it stands in.
func escape(before, value string) string {
	if strings.ContainsRune(before, '?') {
		return url.QueryEscape(value)
	}
	return url.PathEscape(value)
}
