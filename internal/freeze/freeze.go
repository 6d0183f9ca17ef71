// Package freeze knows when deployments may not begin: once, such as over the holidays, or every week, such as from
// Friday afternoon to Monday morning.
package freeze

import (
	"fmt"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Window is a time in which no deployment begins within its scope; those under way go on, and rollbacks are never
// kept from anything. It is either From to Until, or Weekly.
type Window struct {
	Name        string    `json:"name"`
	Service     string    `json:"service,omitempty"`     // exact, or a prefix with a final '*'; empty: all
	Environment string    `json:"environment,omitempty"` // the same
	From        time.Time `json:"from,omitzero"`
	Until       time.Time `json:"until,omitzero"` // zero: until it is dropped
	Weekly      *Weekly   `json:"weekly,omitempty"`
	Reason      string    `json:"reason"`
	Actor       string    `json:"actor"` // who made it
}

// Weekly is a stretch of each week, by the wall clock of a time zone. It may go over the week's end; what the clock
// skips when summer time begins is skipped.
type Weekly struct {
	From  Moment `json:"from"`
	Until Moment `json:"until"`
	Zone  string `json:"zone"` // of the IANA database, such as "Europe/Berlin"; empty: UTC
}

// Moment is a time of the week, written "Fri 16:00".
type Moment struct {
	Day    time.Weekday
	Minute int // of the day
}

// MarshalText writes "Fri 16:00".
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "Fri 16:00" or "friday 16:00".
func (m *Moment) UnmarshalText(text []byte) error {
	day, clock, _ := strings.Cut(string(text), " ")
	at, err := time.Parse("15:04", clock)
	if err != nil {
		return badMoment(string(text))
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := d.String(); strings.EqualFold(day, name) || strings.EqualFold(day, name[:3]) {
			*m = Moment{Day: d, Minute: at.Hour()*60 + at.Minute()}
			return nil
		}
	}
	return badMoment(string(text))
}

// String is "Fri 16:00".
func (m Moment) String() string {
	return fmt.Sprintf("%s %02d:%02d", m.Day.String()[:3], m.Minute/60, m.Minute%60)
}

// Validate says everything that is wrong with a window.
func (w Window) Validate() error {
	var wrong []string
	say := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, what)
		}
	}
	say(w.Name == "", "it needs a name")
	say(len(w.Name) > 100, "its name has at most 100 bytes")
	say(w.Reason == "", "it needs a reason: whoever is kept waiting reads it")
	say(len(w.Reason) > 1000, "its reason has at most 1,000 bytes")
	if w.Weekly == nil {
		say(w.From.IsZero(), "it needs a time from which it holds, or a weekly stretch")
		say(!w.Until.IsZero() && !w.Until.After(w.From), "it ends before it begins")
	} else {
		say(!w.From.IsZero() || !w.Until.IsZero(), "it is either once (from, until) or weekly")
		say(w.Weekly.From == w.Weekly.Until, "its weekly stretch ends when it begins")
		if _, err := time.LoadLocation(w.Weekly.Zone); err != nil {
			say(true, fmt.Sprintf("there is no time zone %q: name one as in Europe/Berlin", w.Weekly.Zone))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return adg.Errorf(adg.Invalid, "the freeze window cannot be used: %s", strings.Join(wrong, "; "))
}

// Covers tells whether a window is about a service in an environment.
func (w Window) Covers(service, environment string) bool {
	return w.CoversService(service) && w.CoversEnvironment(environment)
}

// CoversService tells whether a deployment of the service may be kept waiting, in some environment.
func (w Window) CoversService(service string) bool { return matches(w.Service, service) }

// CoversEnvironment tells whether a deployment there may be kept waiting, of some service.
func (w Window) CoversEnvironment(environment string) bool {
	return matches(w.Environment, environment)
}

// Active tells whether the window holds at a time, and until when; zero: nobody knows.
func (w Window) Active(now time.Time) (active bool, until time.Time) {
	if w.Weekly == nil {
		return !now.Before(w.From) && (w.Until.IsZero() || now.Before(w.Until)), w.Until
	}
	return w.Weekly.active(now)
}

// Gate is whether a deployment may begin now: shut while a window holds, and the text says which, why and until when.
func Gate(windows []Window, service, environment string, now time.Time) adg.Gate {
	gate := adg.Gate{Name: "freeze", Open: adg.GateOpen, Text: "no freeze window holds"}
	for _, w := range windows {
		active, until := w.Active(now)
		if !active || !w.Covers(service, environment) {
			continue
		}
		if gate.Open == adg.GateShut && (gate.Until.IsZero() || !until.IsZero() && !until.After(gate.Until)) {
			continue // another one holds for longer
		}
		gate.Open, gate.Until = adg.GateShut, until
		gate.Text = fmt.Sprintf("freeze %q by %s holds %s: %s", w.Name, w.Actor, ending(until), w.Reason)
	}
	return gate
}

// Private

const week = 7 * 24 * 60 // minutes

func (w Weekly) active(now time.Time) (bool, time.Time) {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		// It was valid when it was written; on a machine that does not know the zone it holds: absence of evidence.
		return true, time.Time{}
	}
	local := now.In(zone)
	minute := int(local.Weekday())*24*60 + local.Hour()*60 + local.Minute()
	from, until := w.From.ofWeek(), w.Until.ofWeek()
	length := (until - from + week) % week
	since := (minute - from + week) % week
	if since >= length {
		return false, time.Time{}
	}
	left := length - since
	end := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute()+left, 0, 0, zone)
	return true, end.UTC()
}

func (m Moment) ofWeek() int { return int(m.Day)*24*60 + m.Minute }

func matches(pattern, name string) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == "" || pattern == name
}

func ending(until time.Time) string {
	if until.IsZero() {
		return "until it is dropped"
	}
	return "until " + until.UTC().Format("2006-01-02 15:04 MST")
}

func badMoment(text string) error {
	return adg.Errorf(adg.Invalid, "%.40q is no time of the week: write it as in \"Fri 16:00\"", text)
}
