// Package announce starts the deployments that are announced from outside: by webhooks, which it answers on the
// server's port, and through brokers. Who announces may start what the binding of his secret or queue allows, and
// nothing else.
package announce

import (
	"context"
	"log/slog"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/intake"
)

// Starter starts deployments for those who may.
type Starter interface {
	StartDeployment(ctx context.Context, who identity.Caller, s control.Start) (adg.Deployment, error)
}

// Desk starts what is announced. It is safe for concurrent use.
type Desk struct {
	Starter Starter
	Log     *slog.Logger
	// Counted is told of each announcement: who made it, and whether it was started, refused or has failed.
	Counted func(source, outcome string)
}

// Handler takes what a broker of that name announces within a binding. What can never be started is a Permanent error.
func (d Desk) Handler(name string, b intake.Binding) intake.Handler {
	return func(ctx context.Context, a intake.Announcement) error {
		_, err := d.start(ctx, caller("intake:"+name, adg.ViaBroker, b), a)
		if code := adg.CodeOf(err); err != nil && code != adg.Unavailable && code != adg.Internal {
			return adg.Permanent(err)
		}
		return err
	}
}

// Private

// caller is who announces, as the audit log and the deployment name him: nobody else has such a name.
func caller(name, via string, b intake.Binding) identity.Caller {
	return identity.Caller{Via: via, Identity: identity.Identity{
		Subject: name, Kind: identity.KindToken, Person: name,
		Bindings: []identity.Binding{{Subject: name, Role: identity.Deployer, Service: b.Service, Environment: b.Environment}},
	}}
}

// start starts what is announced. The same idempotency key again is the deployment that it began.
func (d Desk) start(ctx context.Context, who identity.Caller, a intake.Announcement) (adg.Deployment, error) {
	labels := map[string]string{}
	for label, value := range map[string]string{"announced_by": a.Actor, "announced_from": a.Origin, "ref": a.Ref} {
		if value != "" {
			labels[label] = value
		}
	}
	who.Reason = a.Reason
	started, err := d.Starter.StartDeployment(ctx, who, control.Start{
		Release: a.Release(), Environment: a.Environment, Reason: a.Reason, Author: a.Actor, Labels: labels, Key: a.IdempotencyKey,
	})
	outcome := "started"
	switch code := adg.CodeOf(err); {
	case err == nil:
		d.Log.InfoContext(ctx, "an announced deployment was started", "by", who.Subject, "deployment", started.ID)
	case code == adg.Unavailable || code == adg.Internal:
		outcome = "failed"
		d.Log.ErrorContext(ctx, "an announced deployment could not be started, and may come again", "by", who.Subject, "service", a.Service, "environment", a.Environment, "error", err)
	default:
		outcome = "refused"
		d.Log.WarnContext(ctx, "an announced deployment was refused", "by", who.Subject, "service", a.Service, "environment", a.Environment, "error", err)
	}
	d.counted(who.Subject, outcome)
	return started, err
}

func (d Desk) counted(source, outcome string) {
	if d.Counted != nil {
		d.Counted(source, outcome)
	}
}
