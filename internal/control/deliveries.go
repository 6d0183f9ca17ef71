package control

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// DeadDeliveries are the facts that could not be told and were given up, of those that the caller may see, the oldest
// first, and the cursor to go on after; 0: there are no more.
func (c *Control) DeadDeliveries(ctx context.Context, who identity.Caller, f adg.DeadFilter) (list []adg.DeadDelivery, next int64, err error) {
	limit := f.Limit
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	f.Limit = min(2*limit, 1000)
	sees := identity.SeesFact(who.Identity)
	for {
		page, err := c.o.Store.Dead(ctx, f)
		if err != nil {
			return nil, 0, err
		}
		for _, d := range page {
			f.After = d.Cursor
			if !sees(d.Fact) {
				continue
			}
			if len(list) == limit {
				return list, list[limit-1].Cursor, nil
			}
			list = append(list, d)
		}
		if len(page) < f.Limit {
			return list, 0, nil
		}
	}
}

// RetryDelivery has a fact told again to a notifier for which it was given up. check looks at the delivery before, and
// may refuse. Who may command deployments of the service may do it.
func (c *Control) RetryDelivery(ctx context.Context, who identity.Caller, notifier, fact, reason string, check func(adg.DeadDelivery) error) (adg.Delivery, error) {
	found, err := c.o.Store.Dead(ctx, adg.DeadFilter{Notifier: notifier, Fact: fact, Limit: 1})
	if err != nil {
		return adg.Delivery{}, err
	}
	entry := adg.AuditEntry{Action: "delivery.retry", Resource: "notifier/" + adg.Printable(notifier), Reason: reason, Detail: map[string]string{"fact": adg.Printable(fact)}}
	var d adg.DeadDelivery // of a fact of nothing, where there is none: who may see everything may know that
	if len(found) > 0 {
		d = found[0]
		entry.Detail["deployment"] = d.Fact.Deployment
	}
	scope := adg.Scope{Service: d.Fact.Service, Environment: d.Fact.Environment}
	if c.allowed(ctx, who, identity.EventRead, scope, entry) != nil || len(found) == 0 || !identity.SeesFact(who.Identity)(d.Fact) {
		return adg.Delivery{}, adg.Errorf(adg.NotFound, "there is no dead delivery of that fact to %s that you may see: it was given up never, or tried again since", adg.Printable(notifier))
	}
	entry.Service, entry.Environment = scope.Service, scope.Environment
	if err := c.allowed(ctx, who, identity.DeploymentCommand, scope, entry); err != nil {
		return adg.Delivery{}, err
	}
	if err := check(d); err != nil {
		return adg.Delivery{}, err
	}
	err = c.done(ctx, who, entry, func() error { return c.o.Store.Retry(ctx, d.Delivery) })
	d.Tries = 0
	return d.Delivery, err
}
