// Package loki asks servers that speak the HTTP API of Grafana Loki: for lines of logs, and for numbers that LogQL makes
// of them.
package loki

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
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
	URL            string `yaml:"url" doc:"Address of the server, without /loki/api/v1."`
	Tenant         string `yaml:"tenant" doc:"Tenant whose logs are asked for, sent as X-Scope-OrgID."`
	Replica        string `yaml:"replica" doc:"The label of streams that tells replicas apart, where a check does not say."`
	MaxLines       int    `yaml:"max_lines" doc:"How many lines a question asks for at most, 1 to 5000: not more than the server's max_entries_limit_per_query."`
	remote.Options `yaml:",inline"`
}

// Driver opens sources of type loki.
var Driver = adg.NewSourceDriver("loki", "Asks Grafana Loki for lines of logs, and for numbers of them.",
	Options{Replica: "pod", MaxLines: adg.MaxLines, Options: remote.Defaults()}, open)

// Private

// The bounds of an answer, the same as those of the other sources.
const (
	maxSeries  = 1_000
	maxSamples = 100_000
	maxSteps   = 11_000
)

type source struct {
	client   *remote.Client
	base     *url.URL
	tenant   string
	replica  string
	maxLines int
}

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, clientErr := remote.New(o.Options)
	var tenantErr, linesErr error
	if strings.ContainsFunc(o.Tenant, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		tenantErr = adg.Errorf(adg.Invalid, "tenant %q: only visible ASCII characters can be sent", o.Tenant)
	}
	if o.MaxLines < 1 || o.MaxLines > adg.MaxLines {
		linesErr = adg.Errorf(adg.Invalid, "max_lines %d: it is 1 to %d", o.MaxLines, adg.MaxLines)
	}
	if err := errors.Join(tenantErr, linesErr, urlErr, clientErr); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	return &source{client: client, base: base, tenant: o.Tenant, replica: o.Replica, maxLines: o.MaxLines}, nil
}

// Close lets go of the idle connections.
func (s *source) Close() error { return s.client.Close() }

// Query asks one question whose answer is numbers, such as count_over_time.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	if q.Kind != adg.Instant && q.Kind != adg.Range {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "a %s query: Loki has no counters, it counts lines itself: ask for count_over_time, or compare: logs", q.Kind))
	}
	text, err := promtext.Expand(q)
	if err != nil {
		return adg.Answer{}, err
	}
	path, params := "query", url.Values{"query": {text}, "time": {nanos(q.At)}}
	if q.Kind == adg.Range {
		span := cmp.Or(q.Span, q.Window)
		if q.Step <= 0 || span < 0 || span/q.Step > maxSteps {
			return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "a range of %s in steps of %s: there must be 1 to %d steps", adg.Short(span), adg.Short(q.Step), maxSteps))
		}
		path, params = "query_range", url.Values{
			"query": {text}, "start": {nanos(q.At.Add(-span.Truncate(q.Step)))}, "end": {nanos(q.At)},
			"step": {strconv.FormatFloat(q.Step.Seconds(), 'f', -1, 64)},
		}
	}
	found, err := s.ask(ctx, path, params)
	if err == nil {
		var answer adg.Answer
		if answer.Series, err = found.numbers(q.Kind); err == nil {
			answer.Sent, answer.Warnings = text, found.Warnings
			return answer, nil
		}
	}
	return adg.Answer{}, fmt.Errorf("query %s: %w", promtext.Excerpt(text), err)
}

// Lines asks for lines, the latest first as far as the limit goes.
func (s *source) Lines(ctx context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	text, err := promtext.Expand(adg.Query{Kind: adg.Range, Text: q.Text, Vars: q.Vars, At: q.At, Window: q.Window})
	if err != nil {
		return adg.LinesAnswer{}, err
	}
	limit := min(cmp.Or(q.Limit, adg.MaxLines), s.maxLines)
	found, err := s.ask(ctx, "query_range", url.Values{
		"query": {text}, "start": {nanos(q.At.Add(-q.Window))}, "end": {nanos(q.At)}, "direction": {"backward"}, "limit": {strconv.Itoa(limit)},
	})
	answer := adg.LinesAnswer{Sent: text, Warnings: found.Warnings}
	if err == nil {
		answer.Lines, err = found.lines(cmp.Or(q.Replica, s.replica), s.client.Redact)
	}
	if err != nil {
		return adg.LinesAnswer{}, fmt.Errorf("query %s: %w", promtext.Excerpt(text), err)
	}
	slices.SortStableFunc(answer.Lines, func(a, b adg.LogLine) int { return a.At.Compare(b.At) })
	if over := len(answer.Lines) - limit; over >= 0 && limit > 0 {
		// As many as were asked for: there may be more, some of them at the time of the oldest.
		answer.Lines = answer.Lines[over:]
		answer.Since = answer.Lines[0].At.Add(time.Nanosecond)
	}
	// Whatever the server thinks of the window.
	answer.Lines = slices.DeleteFunc(answer.Lines, func(l adg.LogLine) bool { return l.At.Before(q.At.Add(-q.Window)) || !l.At.Before(q.At) })
	return answer, nil
}

// ForLines tells a selector of streams from a query for numbers, which begins with a function.
func (s *source) ForLines(text string) bool { return selects.MatchString(text) }

var selects = regexp.MustCompile(`^(\s|\(|#[^\n]*\n)*\{`)

// ask sends a form, so that long queries fit.
func (s *source) ask(ctx context.Context, path string, params url.Values) (found, error) {
	req, err := http.NewRequest(http.MethodPost, s.base.JoinPath("loki/api/v1", path).String(), strings.NewReader(params.Encode()))
	if err != nil {
		return found{}, adg.Permanent(adg.Errorf(adg.Invalid, "the address of the source is not valid"))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header["Idempotency-Key"] = nil // not sent: tells the transport that a connection found closed may be replaced
	if s.tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.tenant)
	}
	answer, err := s.client.Do(ctx, req)
	switch {
	case err == nil:
		return decode(answer.Body, s.client.Scrub)
	case answer.Status == http.StatusBadRequest:
		// Loki refuses a query in plain words, and has no other sign of why.
		err := adg.Permanent(adg.Errorf(adg.Invalid, "the server refuses the query: %s", s.client.Scrub(excerptOf(answer.Body))))
		if bytes.Contains(answer.Body, []byte("max_entries_limit")) {
			err = adg.Advised(err, "set max_lines of the source to no more than the server gives at once")
		}
		return found{}, err
	case answer.Status == http.StatusNotFound:
		return found{}, fmt.Errorf("%w: is the url that of Loki, without /loki/api/v1?", err)
	}
	return found{}, err
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// excerptOf is the beginning of what the server says, on one line.
func excerptOf(body []byte) string {
	return strings.Join(strings.Fields(promtext.Shortened(adg.Printable(string(body)))), " ")
}
