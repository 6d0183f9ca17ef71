package telemetry

import (
	"context"
	"log/slog"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/deployguardian/adg"
)

// Traces sends spans to a collector that speaks OTLP over HTTP, such as http://collector:4318. A path is taken as it
// is; without one it is /v1/traces. What the collector does
// not take is dropped: no deployment waits for it. The function that comes back sends what is left and ends it.
func Traces(ctx context.Context, endpoint, version string) (end func(context.Context) error, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, adg.Errorf(adg.Invalid, "traces go to a collector such as http://collector:4318, which %q is not", endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "traces to %s: %w", endpoint, err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter),
		trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "adg"), attribute.String("service.version", version))))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// TraceIDs adds the ids of trace and span to each line that is logged within one.
func TraceIDs(inner slog.Handler) slog.Handler { return traced{inner} }

// Private

type traced struct{ slog.Handler }

func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if span := oteltrace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace", span.TraceID().String()), slog.String("span", span.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
