package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/telemetry"
)

type source struct{ err error }

func (s source) Query(context.Context, adg.Query) (adg.Answer, error) { return adg.Answer{}, s.err }

type notifier struct{ closed *bool }

func (notifier) Notify(context.Context, adg.Fact) error { return errors.New("refused") }

func (n notifier) Close() error {
	*n.closed = true
	return nil
}

func TestWhatHappensIsCounted(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	due := adg.Status{Due: now.Add(-300 * time.Millisecond)}
	m.Committed(adg.Deployment{}, adg.Tick{Before: due, Input: adg.Input{Now: now}})
	m.Committed(adg.Deployment{}, adg.Tick{Before: due, Input: adg.Input{Now: now, Command: &adg.Command{}}, Decision: adg.Decision{Kind: adg.RollBack}})
	m.Committed(adg.Deployment{}, adg.Tick{Input: adg.Input{Now: now, Outcome: &adg.Outcome{Took: 2 * time.Second, Err: "no"}}})
	m.Turned(time.Second, errors.New("no store"))
	m.Answered("/adg.v1.X/Get", "ok", time.Millisecond)
	_, _ = m.Source("prom", "prometheus", source{}).Query(t.Context(), adg.Query{})
	_, _ = m.Source("prom", "prometheus", source{adg.Errorf(adg.Unavailable, "down")}).Query(t.Context(), adg.Query{})
	var closed bool
	n := m.Notifier("chat", notifier{&closed})
	_ = n.Notify(t.Context(), adg.Fact{})
	if c, ok := n.(io.Closer); !ok || c.Close() != nil || !closed {
		t.Error("the notifier stays open")
	}
	m.Log(slog.DiscardHandler).With("a", 1).Error("x")

	for metric, want := range map[string]string{
		"adg_ticks_total": "adg_ticks_total 3", "adg_tick_errors_total": "adg_tick_errors_total 1",
		"adg_decisions_total":     `adg_decisions_total{kind="roll_back"} 1`,
		"adg_source_errors_total": `adg_source_errors_total{code="unavailable",source="prom",type="prometheus"} 1`,
		"adg_notifications_total": `adg_notifications_total{notifier="chat",outcome="failed"} 1`,
		"adg_http_requests_total": `adg_http_requests_total{code="ok",method="/adg.v1.X/Get"} 1`,
	} {
		exposed, err := testutil.CollectAndFormat(m.Registry, expfmt.TypeTextPlain, metric)
		if err != nil || !strings.Contains(string(exposed), want+"\n") {
			t.Errorf("%s: %s (%v), want %s", metric, exposed, err, want)
		}
	}
	late, err := testutil.CollectAndFormat(m.Registry, expfmt.TypeTextPlain, "adg_tick_lateness_seconds")
	if err != nil || !strings.Contains(string(late), "adg_tick_lateness_seconds_count 1") || !strings.Contains(string(late), "adg_tick_lateness_seconds_sum 0.3") {
		t.Errorf("a tick that nobody waited for counts as late, or a late one does not: %s", late)
	}
	if problems, err := testutil.GatherAndLint(m.Registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestSpansReachTheCollectorAndLinesNameThem(t *testing.T) {
	got := make(chan []byte, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		text, _ := io.ReadAll(body)
		got <- append([]byte(r.URL.Path+" "+r.Header.Get("Authorization")+" "), text...)
	}))
	defer collector.Close()
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	if _, err := telemetry.Traces(t.Context(), telemetry.Collector{Endpoint: "collector:4318"}, "v1"); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("an address without a scheme: %v", err)
	}
	end, err := telemetry.Traces(t.Context(), telemetry.Collector{Endpoint: collector.URL, Headers: map[string]adg.Secret{"Authorization": adg.NewSecret("Bearer collector")}, Share: 1}, "v1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := otel.Tracer("test").Start(t.Context(), "rolling back")
	var log bytes.Buffer
	slog.New(telemetry.TraceIDs(slog.NewTextHandler(&log, nil))).With("a", 1).InfoContext(ctx, "done")
	span.End()
	if err := end(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := string(<-got); !strings.HasPrefix(text, "/v1/traces Bearer collector ") || !strings.Contains(text, "rolling back") {
		t.Errorf("%q", text)
	}
	if want := "trace=" + span.SpanContext().TraceID().String(); !strings.Contains(log.String(), want) {
		t.Errorf("%q does not have %s", log.String(), want)
	}
}

func TestWhatACollectorSaysIsNotRepeated(t *testing.T) {
	elsewhere := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere <- r.Header.Get("X-Key") }))
	defer other.Close()
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusTemporaryRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Location", other.URL)
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "I was told %s"}}`, r.Header.Get("X-Key"))
			}))
			defer collector.Close()
			before := otel.GetTracerProvider()
			defer otel.SetTracerProvider(before)
			var log bytes.Buffer
			end, err := telemetry.Traces(t.Context(), telemetry.Collector{
				Endpoint: collector.URL, Headers: map[string]adg.Secret{"X-Key": adg.NewSecret("canary-7f3a")}, Share: 1, Log: slog.New(slog.NewTextHandler(&log, nil)),
			}, "v1")
			if err != nil {
				t.Fatal(err)
			}
			_, span := otel.Tracer("test").Start(t.Context(), "rolling back")
			span.End()
			said := fmt.Sprint(end(t.Context()), &log)
			if strings.Contains(said, "canary") || len(elsewhere) > 0 {
				t.Errorf("the secret came out: %s", said)
			}
			if status == http.StatusForbidden && !strings.Contains(said, "403 Forbidden") {
				t.Errorf("nobody was told: %s", said)
			}
		})
	}
}

func TestOnlyAShareOfTheTracesIsKeptAndAllHaveIDs(t *testing.T) {
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	for share, want := range map[float64]bool{0: false, 1: true} {
		end, err := telemetry.Traces(t.Context(), telemetry.Collector{Share: share}, "v1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, span := otel.Tracer("test").Start(t.Context(), "begins here")
		if c := span.SpanContext(); !c.IsValid() || c.IsSampled() != want {
			t.Errorf("a share of %g: valid %t, kept %t", share, c.IsValid(), c.IsSampled())
		}
		if _, child := otel.Tracer("test").Start(ctx, "goes on"); child.SpanContext().IsSampled() != want {
			t.Errorf("a share of %g: a part of a trace is kept without the rest, or the rest without it", share)
		}
		if err := end(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
