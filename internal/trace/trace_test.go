package trace_test

import (
	"testing"

	"github.com/deployguardian/adg/internal/trace"
)

func TestTraceIsStoredAndContinued(t *testing.T) {
	const carried = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := trace.Carried(trace.Continued(t.Context(), carried)); got != carried {
		t.Errorf("%q came back as %q", carried, got)
	}
	for _, none := range []string{"", "nonsense", "00-0-0-00", "00-" + carried} {
		if got := trace.Carried(trace.Continued(t.Context(), none)); got != "" {
			t.Errorf("%q became the trace %q", none, got)
		}
	}
}
