// Package trace follows a request from the API to what is done because of it, which may be hours later in another
// process: the trace goes with the deployment and with the command.
package trace

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
)

// Carried is the trace that a context belongs to, as text that can be stored (traceparent of W3C Trace Context); empty:
// to none.
func Carried(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// Continued is the context within a trace that was stored; text that is none changes nothing.
func Continued(ctx context.Context, carried string) context.Context {
	if carried == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: carried})
}

// Start begins a span. What comes back ends it, with the error that it came to.
func Start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	ctx, span := otel.Tracer("github.com/deployguardian/adg").Start(ctx, name)
	span.SetAttributes(attributes...)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Private

const header = "traceparent"
