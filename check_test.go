package adg

import (
	"strings"
	"testing"
)

func TestValuesOfACheckAreCountedInWhatThePolicySaysOrWhatFollowsFromIt(t *testing.T) {
	percent := Condition{Operator: Above, Value: 5, Unit: Percent}
	for _, c := range []struct {
		name  string
		check Check
		want  string
	}{
		{"two counters make a share", Check{Bad: "b", Total: "t"}, Share},
		{"events are counted", Check{Bad: "b", Total: "t", Compare: Events}, ""},
		{"patterns of a log are in a share of the moments", Check{Query: "q", Compare: Logs}, Share},
		{"a limit in percent is one of a share", Check{Query: "q", Fail: percent}, Share},
		{"so much more than the baseline says nothing of the unit", Check{Query: "q", Fail: Condition{Operator: Above, Relative: true, Value: 25, Unit: Percent}}, ""},
		{"points are added to a share", Check{Query: "q", Warn: Condition{Operator: Above, Relative: true, Value: 5, Unit: Points}}, Share},
		{"a histogram's name says its unit", Check{Histogram: `http_request_duration_seconds_bucket{version="$version"}`}, "s"},
		{"so does that of a native one", Check{Histogram: "response_size_bytes"}, "B"},
		{"milliseconds are no seconds", Check{Histogram: "took_milliseconds_bucket"}, "ms"},
		{"a histogram whose name says nothing", Check{Histogram: `seconds{le="_seconds"}`}, ""},
		{"the policy knows better than the name", Check{Histogram: "took_seconds_bucket", Unit: "ms"}, "ms"},
		{"nobody said", Check{Query: "q"}, ""},
		{"the policy said", Check{Query: "q", Unit: "ms", Fail: percent}, "ms"},
	} {
		if got := c.check.CountedIn(); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestUnitIsAWord(t *testing.T) {
	for unit, well := range map[string]bool{"": true, "ms": true, "1/s": true, "°C": true, "%": true, "<b>": false, "a b": false, strings.Repeat("m", 17): false, "m\n": false} {
		err := Check{Name: "x", Source: "s", Query: "q", Compare: MannWhitney, Window: 1, Unit: unit}.Validate()
		if (err == nil) != well {
			t.Errorf("%q: %v", unit, err)
		}
	}
}
