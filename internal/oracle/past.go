package oracle

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// most is how many deployments are remembered: the newest.
const most = 5000

const firstPage = 10

// past are the newest deployments, without what takes room and tells nothing of outcomes. What has ended does not change
// any more and is read once: each look reads what is new, and from time to time what was under way.
type past struct {
	mu     sync.Mutex
	all    []adg.Deployment // the newest first
	looked time.Time        // at those under way
}

// read gives what is remembered, the newest first. The list is the caller's, what is in it is not.
func (p *past) read(ctx context.Context, o Options) ([]adg.Deployment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.add(ctx, o.Store); err != nil {
		return nil, err
	}
	if age := now.Sub(p.looked); age < 0 || age >= o.Fresh {
		if err := p.look(ctx, o.Store); err != nil {
			return nil, err
		}
		p.looked = now
	}
	return slices.Clone(p.all), nil
}

// add puts what is new before what is known. Of two that are stored at the same time either may be seen first, so the whole
// first page is looked at.
func (p *past) add(ctx context.Context, store Store) error {
	known := map[string]bool{}
	for _, d := range p.all {
		known[d.ID] = true
	}
	var fresh []adg.Deployment
	f := adg.DeploymentFilter{Limit: firstPage}
	for met := false; !met && len(fresh) < most; f.Limit = 200 {
		page, err := store.ListDeployments(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range page {
			if f.Before = d.ID; known[d.ID] {
				met = true
			} else {
				fresh = append(fresh, slim(d))
			}
		}
		if len(page) < f.Limit {
			break
		}
	}
	if len(fresh) > 0 {
		p.all = append(fresh, p.all...)
		p.all = slices.Clip(p.all[:min(len(p.all), most)])
	}
	return nil
}

// look reads again what was under way.
func (p *past) look(ctx context.Context, store Store) error {
	for i, d := range p.all {
		if d.Status.State.Ended() {
			continue
		}
		switch now, err := store.Deployment(ctx, d.ID); {
		case err == nil:
			p.all[i] = slim(now)
		case adg.CodeOf(err) != adg.NotFound: // what is forgotten by now stays as it was seen last
			return err
		}
	}
	return nil
}

// slim is what outcomes, features and lists need of a deployment.
func slim(d adg.Deployment) adg.Deployment {
	s, policy := d.Status, d.Spec.Policy
	return adg.Deployment{
		ID: d.ID, Version: d.Version,
		Spec: adg.Spec{
			Release: d.Spec.Release, LastGood: d.Spec.LastGood, Prediction: d.Spec.Prediction, Actor: d.Spec.Actor, Reason: d.Spec.Reason, Created: d.Spec.Created,
			Policy: adg.Policy{Service: policy.Service, Environment: policy.Environment, Risk: policy.Risk},
		},
		Status: adg.Status{State: s.State, Since: s.Since, Rule: s.Rule},
	}
}
