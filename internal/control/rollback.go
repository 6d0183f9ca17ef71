package control

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// WayBack is what is known of a deployment's way back.
type WayBack struct {
	Deployment adg.Deployment
	Fleet      adg.Fleet
	Obstacles  []string // what else could keep a rollback from working, in words
}

// WayBack is what is known of the way back now. It asks the store only: what the target says is what the guard read
// last, because calls to the target for one deployment are the guard's.
func (c *Control) WayBack(ctx context.Context, who identity.Caller, id string) (WayBack, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return WayBack{}, err
	}
	w := WayBack{Deployment: d}
	if w.Fleet, err = c.o.Store.Fleet(ctx, d.Spec.Policy.Environment, d.ID); err != nil {
		return w, err
	}
	if d.Status.State.Ended() {
		return w, nil
	}
	for _, look := range []func(context.Context, adg.Deployment) (string, error){c.targetGone, c.goodHeld, c.goodFallen, c.targetFailed} {
		why, err := look(ctx, d)
		if err != nil {
			return w, err
		}
		if why != "" {
			w.Obstacles = append(w.Obstacles, why)
		}
	}
	return w, nil
}

// Private

// targetGone is why the target cannot be reached any more; empty: it is registered.
func (c *Control) targetGone(ctx context.Context, d adg.Deployment) (string, error) {
	p := d.Spec.Policy
	k, _, err := read[Connection](ctx, c, kindConnection, p.Target)
	switch {
	case adg.CodeOf(err) == adg.NotFound || err == nil && k.Seam != "target":
		return fmt.Sprintf("the target %s is not registered any more: register it again", p.Target), nil
	case err != nil:
		return "", err
	case !k.Covers(p.Service, p.Environment):
		return fmt.Sprintf("the target %s is not registered for %s in %s any more", p.Target, p.Service, p.Environment), nil
	}
	return "", nil
}

// goodHeld tells of a hold on the release that a rollback goes to. It goes there all the same: a hold is about
// deploying.
func (c *Control) goodHeld(ctx context.Context, d adg.Deployment) (string, error) {
	good := d.Spec.LastGood
	if good == nil {
		return "", nil
	}
	h, err := c.o.Store.HoldOf(ctx, d.Spec.Policy.Service, d.Spec.Policy.Environment, good.Identity())
	if err != nil {
		return "", unlessMissing(err)
	}
	return fmt.Sprintf("%s put %s on hold (%s): a rollback goes there all the same, look whether it should", h.Actor, good.Version, h.Reason), nil
}

// goodFallen tells that the release which a rollback goes to was itself rolled back since.
func (c *Control) goodFallen(ctx context.Context, d adg.Deployment) (string, error) {
	good := d.Spec.LastGood
	if good == nil {
		return "", nil
	}
	r, err := c.o.Store.Standing(ctx, d.Spec.Policy.Service, d.Spec.Policy.Environment, good.Identity())
	if err != nil || r.Standing != adg.StandingRolledBack {
		return "", unlessMissing(err)
	}
	return fmt.Sprintf("%s is not known to be good any more: %s", good.Version, r.Why), nil
}

// targetFailed is what went wrong at the target last; empty: nothing.
func (c *Control) targetFailed(ctx context.Context, d adg.Deployment) (string, error) {
	effects, err := c.o.Store.Effects(ctx, d.ID)
	if err != nil || len(effects) == 0 {
		return "", err
	}
	o := effects[len(effects)-1].Outcome
	switch {
	case o == nil:
		return "", nil
	case o.Err != "":
		return "the last call of the target failed: " + o.Err, nil
	case o.Observed.Failed:
		return "the target gave up what it was asked for last: " + o.Observed.Text, nil
	}
	return "", nil
}

func unlessMissing(err error) error {
	if adg.CodeOf(err) == adg.NotFound {
		return nil
	}
	return err
}
