package learn

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// ReadRecords reads a history from deployments that ADG guarded itself. What was never tried (blocked, cancelled, still
// under way) tells nothing of how it would have gone, and neither does a way back without blame: those are unknown.
//
// What a human corrected counts as corrected.
func ReadRecords(deployments []adg.Deployment, corrections []Correction, o Options) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	o.Rules = o.Rules.WithDefaults()
	if len(deployments) > MaxDeployments {
		return History{}, errTooMany()
	}
	deployments = slices.Clone(deployments)
	slices.SortStableFunc(deployments, func(a, b adg.Deployment) int { return a.Spec.Created.Compare(b.Spec.Created) })
	if o.Now.IsZero() && len(deployments) > 0 {
		o.Now = deployments[len(deployments)-1].Spec.Created
	}
	last := map[string]Correction{}
	for _, c := range corrections {
		last[c.Deployment] = c
	}
	h := History{Rules: o.Rules}
	for _, d := range deployments {
		one := Deployment{
			Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment, To: d.Spec.Release.Version, ToCommit: d.Spec.Release.Commit, At: d.Spec.Created.UTC(),
		}
		if good := d.Spec.LastGood; good != nil {
			one.From, one.FromCommit = good.Version, good.Commit
		}
		if p := d.Spec.Prediction; p != nil {
			one.Features = maps.Clone(p.Features)
		}
		one.Outcome, one.Why = ended(d, o)
		if one.Outcome == RolledBack || one.Outcome == Incident {
			one.FailedAt = d.Status.Since.UTC()
		}
		if c, found := last[d.ID]; found {
			one = corrected(one, c)
		}
		h.Deployments = append(h.Deployments, one)
	}
	return h, nil
}

// Private

// blameless are the causes of a rollback that say nothing against the release (Status.Rule): the target, and a human who
// cancelled.
const blameless = -2

// ended is how a deployment came out, and why that is said.
func ended(d adg.Deployment, o Options) (Outcome, string) {
	why := "it is " + d.Status.State.String()
	switch d.Status.State {
	case adg.RolledBack, adg.RollbackFailed:
		switch {
		case d.Status.Rule <= blameless:
			return Unknown, "it was rolled back without blame"
		case d.Status.State == adg.RollbackFailed:
			return Incident, "its rollback failed"
		}
		return RolledBack, fmt.Sprintf("it was rolled back after %s", d.Status.Since.Sub(d.Spec.Created).Round(time.Second))
	case adg.Succeeded:
		if o.Now.Sub(d.Spec.Created) < o.Rules.Matures {
			return Unknown, fmt.Sprintf("watched for %s so far, and an outcome is known after %s", span(o.Now.Sub(d.Spec.Created)), span(o.Rules.Matures))
		}
		return Success, "it succeeded"
	case adg.Superseded:
		return Superseded, "a newer deployment took over"
	case adg.Blocked, adg.Cancelled:
		return Unknown, why + ": it was not tried to its end"
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Undecided:
	}
	return Unknown, why
}
