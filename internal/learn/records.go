package learn

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// ReadRecords reads a history from deployments that ADG guarded itself, the oldest first. What counts as a failure is
// what the policy of each says (adg.Labels), where the options leave it open. What was never tried to its end (cancelled,
// undecided, still under way, and blocked unless the policy counts that) tells nothing of how it would have gone, and
// neither does a way back without blame: those are unknown. One that succeeded is hotfixed when a fix had to follow.
//
// What a human corrected counts as corrected.
func ReadRecords(deployments []adg.Deployment, corrections []Correction, o Options) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
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
	h := History{Rules: o.Rules.over(RulesOf(nil)).WithDefaults(), Deployments: make([]Deployment, len(deployments))}
	after := map[[2]string]*adg.Deployment{} // by service and environment: the next one that was tried
	for i := len(deployments) - 1; i >= 0; i-- {
		d, place := &deployments[i], [2]string{deployments[i].Spec.Policy.Service, deployments[i].Spec.Policy.Environment}
		r := record{Deployment: *d, next: after[place], rules: o.Rules.over(RulesOf(d.Spec.Policy.Risk.Labels)), now: o.Now}
		h.Deployments[i] = r.read()
		if c, found := last[d.ID]; found {
			h.Deployments[i] = corrected(h.Deployments[i], c)
		}
		if s := d.Status.State; s != adg.Blocked && s != adg.Cancelled {
			after[place] = d
		}
	}
	return h, nil
}

// Private

// blameless are the causes of a rollback that say nothing against the release (Status.Rule): the target, and a human who
// cancelled.
const blameless = -2

// record is a deployment that ADG guarded, and what came after it in the same place.
type record struct {
	adg.Deployment
	next  *adg.Deployment
	rules Rules
	now   time.Time
}

func (r record) read() Deployment {
	spec := r.Spec
	one := Deployment{
		Service: spec.Policy.Service, Environment: spec.Policy.Environment, To: spec.Release.Version, ToCommit: spec.Release.Commit, At: spec.Created.UTC(),
		Counted: r.rules.Counted(),
	}
	if good := spec.LastGood; good != nil {
		one.From, one.FromCommit = good.Version, good.Commit
	}
	if p := spec.Prediction; p != nil {
		one.Features = maps.Clone(p.Features)
	}
	one.Outcome, one.Why = r.ended()
	switch one.Outcome {
	case RolledBack, Blocked, Incident:
		one.FailedAt = r.Status.Since.UTC()
	case Hotfixed:
		one.FailedAt = r.next.Spec.Created.UTC()
	case Unknown, Success, Superseded:
	}
	return one
}

// ended is how the deployment came out, and why that is said.
func (r record) ended() (Outcome, string) {
	why := "it is " + r.Status.State.String()
	switch r.Status.State {
	case adg.RolledBack, adg.RollbackFailed:
		switch {
		case r.Status.Rule <= blameless:
			return Unknown, "it was rolled back without blame"
		case r.Status.State == adg.RollbackFailed:
			return Incident, "its rollback failed"
		}
		return RolledBack, fmt.Sprintf("it was rolled back after %s", adg.Span(r.Status.Since.Sub(r.Spec.Created)))
	case adg.Succeeded:
		return r.stayed()
	case adg.Superseded:
		return Superseded, "a newer deployment took over"
	case adg.Blocked:
		return r.blocked()
	case adg.Cancelled:
		return Unknown, why + ": it was not tried to its end"
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Undecided:
	}
	return Unknown, why
}

// blocked is unknown unless the rules count it: it was not tried. What was blocked for its risk always is, for a
// prediction must not be its own proof.
func (r record) blocked() (Outcome, string) {
	const untried = "it is blocked: it was not tried to its end"
	p := r.Spec.Prediction
	switch {
	case !slices.Contains(r.rules.Count, Blocked):
		return Unknown, untried
	case p != nil && r.Spec.Policy.Risk.Block.Holds(*p):
		return Unknown, untried + ", for its risk alone"
	}
	return Blocked, "a gate refused it"
}

// stayed is the outcome of what succeeded, by what came after it.
func (r record) stayed() (Outcome, string) {
	if n := r.next; n != nil {
		lived := n.Spec.Created.Sub(r.Status.Since)
		switch {
		case r.rules.Hotfix > 0 && lived <= r.rules.Hotfix && fixes(*n):
			return Hotfixed, fmt.Sprintf("%s, a fix, had to follow after %s", cut(n.Spec.Release.Version, maxWord), span(lived))
		case n.Spec.Created.Sub(r.Spec.Created) <= r.rules.Superseded && n.Status.State == adg.Succeeded:
			return Superseded, fmt.Sprintf("replaced after %s: too soon to tell", span(n.Spec.Created.Sub(r.Spec.Created)))
		}
	}
	if age := r.now.Sub(r.Spec.Created); age < r.rules.Matures {
		return Unknown, fmt.Sprintf("watched for %s so far, and an outcome is known after %s", span(age), span(r.rules.Matures))
	}
	return Success, "it succeeded"
}

var fixReason = regexp.MustCompile(`(?i)^\s*(hot[- ]?)?fix(e[sd]|ing)?\b`)

// fixes tells whether a deployment was made to repair something: who began it says so, or most of its commits do.
func fixes(d adg.Deployment) bool {
	p := d.Spec.Prediction
	return fixReason.MatchString(d.Spec.Reason) || p != nil && p.Features["fix"] >= 0.5
}
