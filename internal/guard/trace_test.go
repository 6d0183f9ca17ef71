package guard_test

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/deployguardian/adg"
)

// TestWhatIsDoneAtTheTargetBelongsToTheTraceOfWhoAskedForIt is not to run beside tests that record spans, too.
func TestWhatIsDoneAtTheTargetBelongsToTheTraceOfWhoAskedForIt(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	defer otel.SetTracerProvider(before)
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(recorder)))
	const (
		asked = "4bf92f3577b34da6a3ce929d0e0e4736"
		back  = "0af7651916cd43dd8448eb211c80319c"
	)
	play(t, func(t *testing.T, s *stage) {
		p := policy()
		p.Strategy.Steps[0].Pause = true
		spec := s.spec(p)
		spec.Release, spec.Trace = adg.Release{Service: "shop", Version: "v2"}, "00-"+asked+"-00f067aa0ba902b7-01"
		d, err := s.guard.Start(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		s.until(d.ID, adg.Held)
		command := adg.Command{ID: "c1", Deployment: d.ID, Kind: adg.CommandRollBack, Actor: "carol", Trace: "00-" + back + "-b7ad6b7169203331-01"}
		if err := s.store.Ask(t.Context(), command); err != nil {
			t.Fatal(err)
		}
		s.until(d.ID, adg.RolledBack)
	})
	var traces []string
	for _, span := range recorder.Ended() {
		if span.Name() == "target.apply" {
			traces = append(traces, span.SpanContext().TraceID().String())
		}
	}
	if len(traces) < 2 || traces[0] != asked || traces[len(traces)-1] != back {
		t.Errorf("effects belong to %q", traces)
	}
}
