package freeze_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func weekend(zone string) freeze.Window {
	return freeze.Window{Name: "weekend", Reason: "nobody is there", Actor: "ann", Weekly: &freeze.Weekly{
		From: freeze.Moment{Day: time.Friday, Minute: 16 * 60}, Until: freeze.Moment{Day: time.Monday, Minute: 8 * 60}, Zone: zone,
	}}
}

func TestWeekendFreezeHoldsOverTheWeeksEndByTheWallClock(t *testing.T) {
	for _, c := range []struct {
		name, now, until string
	}{
		{"a minute before", "2026-11-20T14:59:00Z", ""},
		{"as it begins", "2026-11-20T15:00:00Z", "2026-11-23T07:00:00Z"},
		{"on Saturday", "2026-11-21T12:00:00Z", "2026-11-23T07:00:00Z"},
		{"on Sunday", "2026-11-22T23:59:00Z", "2026-11-23T07:00:00Z"},
		{"as it ends", "2026-11-23T07:00:00Z", ""},
		{"over the end of summer time", "2026-10-24T12:00:00Z", "2026-10-26T07:00:00Z"},
		{"in summer", "2026-07-11T12:00:00Z", "2026-07-13T06:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			active, until := weekend("Europe/Berlin").Active(at(c.now))
			if active != (c.until != "") || active && !until.Equal(at(c.until)) {
				t.Errorf("active %t until %s, want until %q", active, until, c.until)
			}
		})
	}
}

func TestUnknownZoneHolds(t *testing.T) {
	if active, _ := weekend("Middle/Earth").Active(at("2026-11-18T12:00:00Z")); !active {
		t.Error("a window that cannot be computed lets deployments begin")
	}
}

func TestGateNamesTheWindowThatHoldsLongest(t *testing.T) {
	now := at("2026-12-24T10:00:00Z")
	windows := []freeze.Window{
		{Name: "over", From: at("2026-12-01T00:00:00Z"), Until: now, Reason: "r", Actor: "a"},
		{Name: "short", From: now, Until: now.Add(time.Hour), Reason: "r", Actor: "a"},
		{Name: "holidays", Environment: "prod*", From: now, Until: now.Add(240 * time.Hour), Reason: "be with your families", Actor: "eve"},
		{Name: "others", Service: "cart", From: now, Reason: "r", Actor: "a"},
		{Name: "later", From: now.Add(time.Hour), Reason: "r", Actor: "a"},
	}
	gate := freeze.Gate(windows, "shop", "production", now)
	if gate.Open != adg.GateShut || !strings.Contains(gate.Text, `"holidays" by eve holds until 2027-01-03 10:00 UTC: be with your families`) || !gate.Until.Equal(now.Add(240*time.Hour)) {
		t.Errorf("%+v", gate)
	}
	if gate := freeze.Gate(windows, "cart", "production", now); !strings.Contains(gate.Text, `"others" by a holds until it is dropped`) || !gate.Until.IsZero() {
		t.Errorf("%+v", gate)
	}
	if gate := freeze.Gate(windows, "shop", "staging", now.Add(2*time.Hour)); !strings.Contains(gate.Text, `"later"`) {
		t.Errorf("%+v", gate)
	}
	if gate := freeze.Gate(windows[:2], "shop", "staging", now.Add(2*time.Hour)); gate.Open != adg.GateOpen || !gate.Until.IsZero() {
		t.Errorf("%+v", gate)
	}
}

func TestWindowsThatMakeNoSenseAreRefusedWithAllThatIsWrong(t *testing.T) {
	bad := freeze.Window{From: at("2026-01-02T00:00:00Z"), Until: at("2026-01-01T00:00:00Z")}
	err := bad.Validate()
	for _, want := range []string{"needs a name", "needs a reason", "ends before it begins"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	both := weekend("Europe/Berlin")
	both.From = at("2026-01-02T00:00:00Z")
	empty := weekend("Nowhere/Land")
	empty.Weekly.Until = empty.Weekly.From
	for _, w := range []freeze.Window{both, empty, {Name: "x", Reason: "y"}} {
		if w.Validate() == nil {
			t.Errorf("%+v is valid", w)
		}
	}
	if err := weekend("").Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzMoment(f *testing.F) {
	for _, s := range []string{"Fri 16:00", "monday 08:30", "Sun 24:00", " ", "Fri", "Fri 1:2:3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var m, again freeze.Moment
		if m.UnmarshalText([]byte(text)) != nil {
			return
		}
		raw, err := json.Marshal(m)
		if err != nil || json.Unmarshal(raw, &again) != nil || again != m {
			t.Errorf("%q is %+v, and %+v when it is read again (%v)", text, m, again, err)
		}
	})
}
