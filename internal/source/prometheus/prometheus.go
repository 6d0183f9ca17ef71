// Package prometheus asks servers that speak the HTTP API of Prometheus: Prometheus itself, Thanos, Mimir,
// VictoriaMetrics and the managed services that imitate it.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/promtext"
)

// Options is where the server is and how it is asked.
type Options struct {
	URL            string            `yaml:"url" doc:"Address of the server, without /api/v1."`
	Tenant         string            `yaml:"tenant" doc:"Tenant whose data is asked for, sent as X-Scope-OrgID (Mimir, Cortex, Thanos)."`
	Params         map[string]string `yaml:"params" doc:"Further parameters of each query, such as dedup: 'true' or partial_response: 'false' (Thanos)."`
	remote.Options `yaml:",inline"`
}

// Driver opens sources of type prometheus.
var Driver = adg.NewSourceDriver("prometheus", "Asks a server with the HTTP API of Prometheus.", Options{Options: remote.Defaults()}, open)

// Private

// The bounds of an answer and of a question; maxSteps is what Prometheus itself accepts.
const (
	maxSeries  = 1_000
	maxSamples = 100_000
	maxSteps   = 11_000
)

type source struct {
	client *remote.Client
	base   *url.URL
	tenant string
	params url.Values // of each query
}

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, clientErr := remote.New(o.Options)
	s := &source{client: client, base: base, tenant: o.Tenant, params: url.Values{}}
	var problems []error
	if strings.ContainsFunc(o.Tenant, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		problems = append(problems, adg.Errorf(adg.Invalid, "tenant %q: only visible ASCII characters can be sent", o.Tenant))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Params)) {
		if slices.Contains([]string{"query", "time", "start", "end", "step", "timeout", "limit"}, name) {
			problems = append(problems, adg.Errorf(adg.Invalid, "params: %s is set by each query itself", name))
		}
		s.params.Set(name, o.Params[name])
	}
	if err := errors.Join(append(problems, urlErr, clientErr)...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	if o.Timeout > 0 {
		s.params.Set("timeout", seconds(o.Timeout.Seconds())) // what nobody waits for need not be computed
	}
	s.params.Set("limit", strconv.Itoa(maxSeries+1)) // one more than is accepted, so that a cut never goes unnoticed
	return s, nil
}

// Close lets go of the idle connections.
func (s *source) Close() error { return s.client.Close() }

// Query asks one question.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	text, err := promtext.Expand(q)
	if err != nil {
		return adg.Answer{}, err
	}
	path, params, err := s.question(q, text)
	if err != nil {
		return adg.Answer{}, adg.Permanent(err)
	}
	body, err := s.post(ctx, path, params)
	if err != nil {
		return adg.Answer{}, fmt.Errorf("query %s: %w", promtext.Excerpt(text), err)
	}
	answer, err := decode(body, q.Kind, s.client.Scrub)
	if err != nil {
		return adg.Answer{}, fmt.Errorf("query %s: %w", promtext.Excerpt(text), err)
	}
	answer.Sent = text
	return answer, nil
}

// question is the end point that answers the query, and the query's parameters.
func (s *source) question(q adg.Query, text string) (string, url.Values, error) {
	params := maps.Clone(s.params)
	params.Set("query", text)
	switch q.Kind {
	case adg.Instant, adg.Counters:
		params.Set("time", stamp(q.At))
		return "api/v1/query", params, nil
	case adg.Range:
		span := q.Span
		if span == 0 {
			span = q.Window
		}
		if q.Step <= 0 || span < 0 || span/q.Step > maxSteps {
			return "", nil, adg.Errorf(adg.Invalid, "a range of %s in steps of %s: there must be 1 to %d steps", adg.Short(span), adg.Short(q.Step), maxSteps)
		}
		params.Set("start", stamp(q.At.Add(-span.Truncate(q.Step)))) // so that the last step is at At
		params.Set("end", stamp(q.At))
		params.Set("step", seconds(q.Step.Seconds()))
		return "api/v1/query_range", params, nil
	}
	return "", nil, adg.Errorf(adg.Invalid, "a query of the unknown kind %s", q.Kind)
}

// post sends the parameters as a form, so that long queries fit.
func (s *source) post(ctx context.Context, path string, params url.Values) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, s.base.JoinPath(path).String(), strings.NewReader(params.Encode()))
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the address of the source is not valid"))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header["Idempotency-Key"] = nil // not sent: tells the transport that a connection found closed may be replaced
	if s.tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.tenant)
	}
	answer, err := s.client.Do(ctx, req)
	if err == nil {
		return answer.Body, nil
	}
	if said := complaint(answer.Body, s.client.Scrub); said != nil && answer.Status != http.StatusUnauthorized && answer.Status != http.StatusForbidden {
		if _, throttled := adg.RetryAfter(err); !throttled {
			return nil, said
		}
	}
	if answer.Status == http.StatusNotFound {
		return nil, fmt.Errorf("%w: is the url that of the API, without /api/v1?", err)
	}
	return nil, err
}

func stamp(t time.Time) string { return seconds(float64(t.UnixMilli()) / 1000) }

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }
