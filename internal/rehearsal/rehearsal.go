// Package rehearsal asks targets whether a deployment could go back to its last good release, before anybody needs it.
package rehearsal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
)

// Opener opens the target in charge of a deployment.
type Opener func(ctx context.Context, d adg.Deployment) (adg.Target, error)

// Of is what is in a deployment's way back. A target that cannot tell says nothing. Where the target cannot go back, and
// the policy has a fallback that can, a human need not be called: what is in the way is no longer final.
func Of(ctx context.Context, open Opener, d adg.Deployment) ([]adg.Obstacle, error) {
	if d.Spec.LastGood == nil {
		return nil, nil
	}
	found, err := ask(ctx, open, d)
	if err != nil || d.Status.Fallback || d.Spec.Policy.Rollback.Fallback == "" || !slices.ContainsFunc(found, final) {
		return found, err
	}
	d.Status.Fallback = true
	others, err := ask(ctx, open, d)
	if err != nil {
		return found, fmt.Errorf("the fallback target %s: %w", d.Target(), err)
	}
	if !slices.ContainsFunc(others, final) {
		found = slices.Clone(found)
		for i := range found {
			if found[i].Final {
				found[i].Final = false
				found[i].Text += "; the fallback target " + d.Target() + " would be asked"
			}
		}
	}
	return append(found, others...), nil
}

// Private

const (
	timeout      = 30 * time.Second // a target may have to look at several places
	maxObstacles = 20
	maxText      = 1000 // bytes
)

func final(o adg.Obstacle) bool { return o.Final }

func ask(ctx context.Context, open Opener, d adg.Deployment) ([]adg.Obstacle, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(timeout)))
	defer cancel()
	target, err := open(ctx, d)
	if err != nil {
		return nil, err
	}
	rehearser, can := adg.PowerOf[adg.Rehearser](target)
	if !can {
		return nil, nil
	}
	want := rollout.Restored(d)
	want.OpID = d.ID + "/rehearsal"
	found, err := rehearser.Rehearse(ctx, want)
	found = found[:min(len(found), maxObstacles)]
	for i, o := range found {
		if len(o.Text) > maxText {
			found[i].Text = adg.Printable(o.Text[:maxText]) + "…"
		}
	}
	return found, err
}
