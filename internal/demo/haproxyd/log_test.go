package haproxyd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg/internal/demo/tally"
)

// The lines are as HAProxy 2.6 writes them.
func TestALineOfTheLogSaysHowARequestWent(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, line string
		want       tally.Request
	}{
		{
			"answered", "<134>Nov 21 03:31:08 haproxy[4711]: request blue1 200 17 --\n",
			tally.Request{Version: "v1", End: at, Took: 17 * time.Millisecond, Status: 200},
		},
		{
			"answered with an error", "<134>Nov 21 03:31:08 haproxy[4711]: request blue1 500 3 --",
			tally.Request{Version: "v1", End: at, Took: 3 * time.Millisecond, Status: 500},
		},
		{
			"no answer in time", "<134>Nov 21 03:31:08 haproxy[4711]: request blue1 504 1001 sH",
			tally.Request{Version: "v1", End: at, Took: 1001 * time.Millisecond, Status: 504, Unanswered: true},
		},
		{
			"connection refused", "<134>Nov 21 03:31:08 haproxy[4711]: request blue1 503 0 SC",
			tally.Request{Version: "v1", End: at, Status: 503, Unanswered: true},
		},
		{
			"the client went", "<134>Nov 21 03:31:08 haproxy[4711]: request blue1 -1 +5 CD",
			tally.Request{Version: "v1", End: at, Took: 5 * time.Millisecond, Status: -1, Abandoned: true},
		},
	} {
		l, ok := parse(c.line)
		if diff := cmp.Diff(c.want, l.request("v1", at)); diff != "" || !ok || l.server != "blue1" {
			t.Errorf("%s: %s, %v\n%s", c.name, l, ok, diff)
		}
	}
}

func TestLinesAboutOtherThingsAreNoRequests(t *testing.T) {
	for _, line := range []string{
		"", "request", "<133>Nov 21 03:31:08 haproxy[4711]: Proxy shop started.",
		": request blue1 200 17", ": request blue1 200 17 -- more", ": request blue1 ok 17 --", ": request blue1 200 -1 --", ": request blue1 200 17 -",
	} {
		if l, ok := parse(line); ok {
			t.Errorf("%q is taken for %s", line, l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("<134>Nov 21 03:31:08 haproxy[4711]: request blue1 200 17 --\n")
	f.Add(": request <NOSRV> 503 -1 SC")
	f.Fuzz(func(t *testing.T, text string) {
		l, ok := parse(text)
		if !ok {
			return
		}
		r := l.request("v1", time.Time{})
		if l.server == "" || r.Took < 0 || r.Unanswered && r.Abandoned || strings.ContainsAny(l.server, " \n") {
			t.Errorf("%q is taken for %s", text, l)
		}
	})
}
