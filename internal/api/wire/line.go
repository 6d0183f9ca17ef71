package wire

import (
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Scope is a part of what ADG guards.
func Scope(s adg.Scope) *adgv1.Scope {
	return &adgv1.Scope{Service: text(s.Service), Environment: text(s.Environment)}
}

// ReadScope is the scope that a caller means; one that is not set is everything.
func ReadScope(s *adgv1.Scope) (adg.Scope, error) {
	read := adg.Scope{Service: s.GetService(), Environment: s.GetEnvironment()}
	if read.Service != "" {
		if err := adg.ValidName("service", read.Service); err != nil {
			return read, InField("scope.service", err)
		}
	}
	if read.Environment != "" {
		return read, InField("scope.environment", adg.ValidName("environment", read.Environment))
	}
	return read, nil
}

// Stop keeps ADG from acting within a scope.
func Stop(s adg.Stop) *adgv1.Stop {
	return &adgv1.Stop{Scope: Scope(s.Scope), Actor: text(s.Actor), Reason: text(s.Reason), Time: Timestamp(s.At), Etag: StopEtag(s)}
}

// Freeze is a freeze window, with the version of its document, as it is at that time.
func Freeze(w freeze.Window, version int64, now time.Time) *adgv1.FreezeWindow {
	made := &adgv1.FreezeWindow{
		Name: text(w.Name), Service: text(w.Service), Environment: text(w.Environment), FromTime: Timestamp(w.From), UntilTime: Timestamp(w.Until),
		Reason: text(w.Reason), Actor: text(w.Actor), Etag: Etag(version),
	}
	if w.Weekly != nil {
		made.Weekly = &adgv1.WeeklyFreeze{From: w.Weekly.From.String(), Until: w.Weekly.Until.String(), Zone: text(w.Weekly.Zone)}
	}
	active, until := w.Active(now)
	if made.Active = active; active {
		made.ActiveUntilTime = Timestamp(until)
	}
	return made
}

// ReadFreeze is the freeze window that a caller wants, validated. Who makes it is the server's to say.
func ReadFreeze(w *adgv1.FreezeWindow) (freeze.Window, error) {
	read := freeze.Window{Name: w.GetName(), Service: w.GetService(), Environment: w.GetEnvironment(), Reason: w.GetReason()}
	var err error
	if read.From, err = ReadTimestamp("freeze.from_time", w.GetFromTime()); err != nil {
		return read, err
	}
	if read.Until, err = ReadTimestamp("freeze.until_time", w.GetUntilTime()); err != nil {
		return read, err
	}
	if weekly := w.GetWeekly(); weekly != nil {
		read.Weekly = &freeze.Weekly{Zone: weekly.GetZone()}
		if err := read.Weekly.From.UnmarshalText([]byte(weekly.GetFrom())); err != nil {
			return read, InField("freeze.weekly.from", err)
		}
		if err := read.Weekly.Until.UnmarshalText([]byte(weekly.GetUntil())); err != nil {
			return read, InField("freeze.weekly.until", err)
		}
	}
	return read, InField("freeze", read.Validate())
}
