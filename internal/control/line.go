package control

import (
	"context"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
	"github.com/deployguardian/adg/internal/identity"
)

// Stop keeps ADG from acting within a scope.
func (c *Control) Stop(ctx context.Context, who identity.Caller, scope adg.Scope, reason string) error {
	entry := adg.AuditEntry{Action: "stop.put", Resource: "stop", Service: scope.Service, Environment: scope.Environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.StopWrite, scope, entry); err != nil {
		return err
	}
	return c.change(ctx, who, entry, func(entry adg.AuditEntry) error {
		return c.o.Store.StopLine(ctx, adg.Stop{Scope: scope, Actor: who.Name(), Reason: reason}, entry)
	})
}

// Resume ends the stop of exactly that scope, and says what it was. check looks at it before, and may refuse; nil:
// whatever it is.
func (c *Control) Resume(ctx context.Context, who identity.Caller, scope adg.Scope, reason string, check func(adg.Stop) error) (adg.Stop, error) {
	entry := adg.AuditEntry{Action: "stop.drop", Resource: "stop", Service: scope.Service, Environment: scope.Environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.StopWrite, scope, entry); err != nil {
		return adg.Stop{}, err
	}
	stops, err := c.o.Store.Stops(ctx)
	if err != nil {
		return adg.Stop{}, err
	}
	at := slices.IndexFunc(stops, func(s adg.Stop) bool { return s.Scope == scope })
	if at < 0 {
		return adg.Stop{}, adg.Errorf(adg.NotFound, "nothing is stopped there")
	}
	if check != nil {
		if err := check(stops[at]); err != nil {
			return adg.Stop{}, err
		}
	}
	return stops[at], c.change(ctx, who, entry, func(entry adg.AuditEntry) error { return c.o.Store.ResumeLine(ctx, scope, who.Name(), entry) })
}

// Stops are the stops in force that reach what the caller may see.
func (c *Control) Stops(ctx context.Context, who identity.Caller) ([]adg.Stop, error) {
	every, err := c.o.Store.Stops(ctx)
	var seen []adg.Stop
	for _, s := range every {
		// A stop of everything is everybody's business.
		if s.Scope == (adg.Scope{}) || may(who, identity.DeploymentRead, s.Scope) == nil {
			seen = append(seen, s)
		}
	}
	return seen, err
}

// PutFreeze adds a freeze window, or changes it: version is the one that is there, 0 for a new one.
func (c *Control) PutFreeze(ctx context.Context, who identity.Caller, w freeze.Window, version int64) (freeze.Window, int64, error) {
	w.Actor = who.Name()
	entry := adg.AuditEntry{Action: "freeze.put", Resource: freeze.Kind + "/" + w.Name, Service: w.Service, Environment: w.Environment, Reason: w.Reason}
	if err := c.allowed(ctx, who, identity.FreezeWrite, adg.Scope{Service: w.Service, Environment: w.Environment}, entry); err != nil {
		return w, 0, err
	}
	if err := w.Validate(); err != nil {
		return w, 0, err
	}
	if version != 0 {
		// Who may not change the one that is there may not move it out of the way either.
		old, found, err := read[freeze.Window](ctx, c, freeze.Kind, w.Name)
		if err == nil && version != adg.AnyVersion && found != version {
			err = adg.Advised(adg.Errorf(adg.Conflict, "the freeze window %s was changed since you looked at it", adg.Printable(w.Name)), "look again")
		}
		if version = found; err == nil {
			err = c.allowed(ctx, who, identity.FreezeWrite, adg.Scope{Service: old.Service, Environment: old.Environment}, entry)
		}
		if err != nil {
			return w, 0, err
		}
	}
	d, err := c.put(ctx, who, freeze.Kind, w.Name, w, version, entry)
	return w, d.Version, err
}

// DropFreeze ends a freeze window.
func (c *Control) DropFreeze(ctx context.Context, who identity.Caller, name string, version int64, reason string) error {
	w, found, err := read[freeze.Window](ctx, c, freeze.Kind, name)
	if err != nil {
		return err
	}
	if version == adg.AnyVersion {
		version = found // it is this one's service and environment that he has to have the permission for
	}
	entry := adg.AuditEntry{Action: "freeze.drop", Resource: freeze.Kind + "/" + name, Service: w.Service, Environment: w.Environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.FreezeWrite, adg.Scope{Service: w.Service, Environment: w.Environment}, entry); err != nil {
		return err
	}
	return c.drop(ctx, who, freeze.Kind, name, version, entry)
}

// Freezes are all freeze windows, by name, and the versions of their documents. They are no secret: who is kept waiting
// wants to know.
func (c *Control) Freezes(ctx context.Context) ([]freeze.Window, []int64, error) {
	return freeze.Load(ctx, c.o.Store)
}

// PutHold keeps automation from deploying a release.
func (c *Control) PutHold(ctx context.Context, who identity.Caller, h adg.ReleaseHold) (adg.ReleaseHold, error) {
	scope := adg.Scope{Service: h.Service, Environment: h.Environment}
	entry := adg.AuditEntry{Action: "hold.put", Resource: "hold/" + h.Identity, Service: h.Service, Environment: h.Environment, Reason: h.Reason}
	if err := c.allowed(ctx, who, identity.HoldWrite, scope, entry); err != nil {
		return h, err
	}
	now, err := c.o.Store.Now(ctx)
	if err != nil {
		return h, err
	}
	h.Actor, h.Since = who.Name(), now
	return h, c.change(ctx, who, entry, func(entry adg.AuditEntry) error { return c.o.Store.PutHold(ctx, h, entry) })
}

// LiftHold lets the release of that identity be deployed again, and says what the hold was. check looks at it before, and
// may refuse; nil: whatever it is.
func (c *Control) LiftHold(ctx context.Context, who identity.Caller, scope adg.Scope, release, reason string, check func(adg.ReleaseHold) error) (adg.ReleaseHold, error) {
	entry := adg.AuditEntry{Action: "hold.lift", Resource: "hold/" + release, Service: scope.Service, Environment: scope.Environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.HoldWrite, scope, entry); err != nil {
		return adg.ReleaseHold{}, err
	}
	before, err := c.o.Store.HoldOf(ctx, scope.Service, scope.Environment, release)
	if err == nil && check != nil {
		err = check(before)
	}
	if err != nil {
		return adg.ReleaseHold{}, err
	}
	return before, c.change(ctx, who, entry, func(entry adg.AuditEntry) error {
		return c.o.Store.LiftHold(ctx, scope.Service, scope.Environment, release, entry)
	})
}

// MarkGood makes a release one that rollbacks go to.
func (c *Control) MarkGood(ctx context.Context, who identity.Caller, environment string, r adg.Release, reason string) (adg.ReleaseRecord, error) {
	entry := adg.AuditEntry{Action: "release.mark", Resource: "release/" + r.Identity(), Service: r.Service, Environment: environment, Reason: reason}
	record := adg.ReleaseRecord{Environment: environment, Release: r, Standing: adg.StandingGood, Why: "marked good by " + who.Name() + ": " + reason}
	if err := c.allowed(ctx, who, identity.ReleaseMark, adg.Scope{Service: r.Service, Environment: environment}, entry); err != nil {
		return record, err
	}
	if err := r.Validate(); err != nil {
		return record, err
	}
	now, err := c.o.Store.Now(ctx)
	if err != nil {
		return record, err
	}
	record.Since = now
	return record, c.change(ctx, who, entry, func(entry adg.AuditEntry) error { return c.o.Store.Mark(ctx, record, entry) })
}
