package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/deployguardian/adg"
)

// Collector is where traces go.
type Collector struct {
	Endpoint string                // such as http://collector:4318; a path is taken as it is, without one it is /v1/traces
	Headers  map[string]adg.Secret // that go with them
	TLS      *tls.Config           // nil: the system's
	Share    float64               // of the traces that begin here, 0 to 1; of the others, who began them decides
	Log      *slog.Logger          // is told what could not be sent, without what the collector says to it; nil: nobody is
}

// Traces sends spans to a collector that speaks OTLP over HTTP; with an empty one there are traces, whose ids stand in
// the log, and nothing is sent. What the collector does not take is dropped: no deployment waits for it. The function
// that comes back sends what is left and ends it.
func Traces(ctx context.Context, c Collector, version string) (end func(context.Context) error, err error) {
	options := []trace.TracerProviderOption{
		trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "adg"), attribute.String("service.version", version))),
		trace.WithSampler(trace.ParentBased(trace.TraceIDRatioBased(c.Share))),
	}
	if c.Log != nil {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Log.Warn("traces were not sent", "error", err) }))
	}
	if c.Endpoint != "" {
		exporter, err := c.exporter(ctx)
		if err != nil {
			return nil, err
		}
		options = append(options, trace.WithBatcher(exporter))
	}
	provider := trace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// TraceIDs adds the ids of trace and span to each line that is logged within one.
func TraceIDs(inner slog.Handler) slog.Handler { return traced{inner} }

// Private

func (c Collector) exporter(ctx context.Context) (trace.SpanExporter, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, adg.Errorf(adg.Invalid, "traces go to a collector such as http://collector:4318, which %q is not", c.Endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHTTPClient(c.client())}
	headers := map[string]string{}
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	exporter, err := otlptracehttp.New(ctx, append(options, otlptracehttp.WithHeaders(headers))...)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "traces to %s: %w", u.Redacted(), err)
	}
	return exporter, nil
}

// sending is how long one try may take.
const sending = 10 * time.Second

// client speaks to the collector. It takes the headers nowhere else, and does not listen to more than a status: what
// a collector says may repeat them, and ends in the log.
func (c Collector) client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.TLS != nil {
		transport.TLSClientConfig = c.TLS
	}
	return &http.Client{
		Transport: taciturn{transport}, Timeout: sending,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type taciturn struct{ inner http.RoundTripper }

func (t taciturn) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	answer.Body, answer.ContentLength = http.NoBody, 0
	answer.Status = fmt.Sprint(answer.StatusCode, " ", http.StatusText(answer.StatusCode))
	return answer, nil
}

type traced struct{ slog.Handler }

func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if span := oteltrace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace", span.TraceID().String()), slog.String("span", span.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
