package wire

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Permits are what somebody may ask of a deployment at that time, one for each action: whether he may, and what would
// happen, or why not. An action that is allowed is one that rollout.Step obeys, unless something happens in between.
func Permits(d adg.Deployment, who identity.Identity, now time.Time) []*adgv1.Permit {
	made := make([]*adgv1.Permit, 0, len(offered))
	for _, kind := range offered {
		o := offer{d: d, s: d.Status, p: d.Spec.Policy, person: who.Person, address: who.Email, now: now}
		made = append(made, o.permit(kind, who))
	}
	return made
}

// Private

// offered are the actions in the order in which people see them.
var offered = []adg.CommandKind{adg.CommandApprove, adg.CommandReject, adg.CommandPromote, adg.CommandHold, adg.CommandResume, adg.CommandRollBack, adg.CommandCancel}

// offer is what a deployment would do about a command.
type offer struct {
	d               adg.Deployment
	s               adg.Status
	p               adg.Policy
	person, address string
	now             time.Time
}

func (o offer) permit(kind adg.CommandKind, who identity.Identity) *adgv1.Permit {
	needs := identity.DeploymentCommand
	if kind == adg.CommandApprove || kind == adg.CommandReject {
		needs = identity.DeploymentApprove
	}
	made := &adgv1.Permit{Action: actions.to(kind)}
	// What nobody could ask for now is not worth a word about rights.
	made.WhyNot = o.refusal(kind)
	if made.WhyNot == "" {
		if err := identity.Allowed(who, needs, o.p.Service, o.p.Environment); err != nil {
			made.WhyNot = strings.TrimPrefix(err.Error(), identity.ErrDenied.Error()+": ")
		}
	}
	if made.WhyNot != "" {
		made.WhyNot = text(made.WhyNot)
		return made
	}
	made.Allowed = true
	made.Consequence, made.Dangerous = o.consequence(kind)
	made.Consequence = text(made.Consequence)
	return made
}

// refusal is why a command would be refused now; empty: it would not.
func (o offer) refusal(kind adg.CommandKind) string {
	if o.s.State.Ended() {
		return "the deployment has ended"
	}
	switch kind {
	case adg.CommandPromote:
		return o.noPromote()
	case adg.CommandHold:
		return o.noHold()
	case adg.CommandResume:
		return o.noResume()
	case adg.CommandRollBack:
		return o.noRollback()
	case adg.CommandCancel:
		switch {
		case !o.goingBack():
		case o.s.Rule == causeCancel:
			return "it was cancelled already, and goes back to " + goodOf(o.d.Spec)
		case o.first():
			return o.second()
		}
	case adg.CommandApprove:
		return o.noApproval()
	case adg.CommandReject:
		return o.noRejection()
	case adg.CommandNone:
		return "it asks for nothing"
	}
	return ""
}

func (o offer) noPromote() string {
	forward := base(o.s)
	switch {
	case forward != adg.Rolling && forward != adg.Verifying || o.s.State == adg.RollbackPending:
		return "the deployment is " + words(o.s.State)
	case !o.s.Reached:
		return "the target has not done the step yet"
	case o.s.HeldBy == heldPause && o.first():
		return o.second()
	}
	return ""
}

func (o offer) noHold() string {
	if o.late() {
		return "the deadline has passed"
	}
	switch o.s.State {
	case adg.Pending, adg.Gated:
		if o.s.HeldBy != "" {
			return "it is held by " + o.s.HeldBy + " already"
		}
	case adg.Held:
		if o.s.HeldBy != heldBlind {
			return "it is held by " + o.s.HeldBy + " already"
		}
	case adg.Rolling, adg.Verifying:
	case adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack,
		adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return "the deployment is " + words(o.s.State) + ": there is no move forward to hold"
	}
	return ""
}

func (o offer) noResume() string {
	switch {
	case o.late():
		return "the deadline has passed"
	case o.s.State == adg.Gated && o.s.HeldBy != "":
		return ""
	case o.s.State != adg.Held:
		return "the deployment is not held"
	case o.s.HeldBy == heldPause:
		return o.noPromote()
	}
	return ""
}

func (o offer) noRollback() string {
	switch {
	case o.goingBack():
		return "it is being rolled back already"
	case o.s.State == adg.Pending || o.s.State == adg.Gated:
		return "nothing was deployed yet: cancel it"
	case !o.d.Spec.WayBack():
		return "there is no last good release to go back to"
	}
	return ""
}

func (o offer) noApproval() string {
	waiting := o.s.State == adg.Pending || o.s.State == adg.Gated
	wanted := waiting && wantsApproval(o.d.Spec) || o.s.State == adg.RollbackPending
	switch {
	case !wanted || o.s.Approved != "":
		return "there is nothing to approve"
	case o.first():
		return o.second()
	}
	return ""
}

func (o offer) noRejection() string {
	switch o.s.State {
	case adg.Pending, adg.Gated:
	case adg.RollbackPending:
		if o.s.Rule == causeCancel || o.s.Rule == causeHuman || o.s.Approved != "" {
			return "the rollback was asked for by " + o.s.Approved
		}
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded,
		adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		return "there is nothing to reject"
	}
	return ""
}

// first tells whether a second human is wanted and this is the first one again.
func (o offer) first() bool {
	return o.p.FourEyes && (o.person == "" || o.d.Spec.By(o.person) || o.d.Spec.By(o.address))
}

func (o offer) second() string {
	return "the policy wants a second human, and " + o.person + " started the deployment or wrote the change"
}

// late tells whether the deadline has passed. It begins to run with the first look.
func (o offer) late() bool { return o.s.State != adg.Pending && !o.now.Before(o.s.Deadline) }

func (o offer) goingBack() bool {
	return o.s.State == adg.RollingBack || o.s.State == adg.VerifyingRollback
}

// live tells whether the release has all of the traffic.
func (o offer) live() bool {
	return base(o.s) == adg.Verifying || o.s.Reached && o.s.Step == len(o.p.Strategy.Steps)-1
}

// consequence is what exactly would happen, and whether somebody should think twice.
func (o offer) consequence(kind adg.CommandKind) (sentence string, dangerous bool) {
	version := o.d.Spec.Release.Version
	waiting := o.s.State == adg.Pending || o.s.State == adg.Gated
	switch kind {
	case adg.CommandApprove:
		if waiting {
			return fmt.Sprintf("The deployment of %s begins as soon as the gates are open.", version), false
		}
		return o.back("At once, or as soon as the target has done what it was told last"), true
	case adg.CommandReject:
		if waiting {
			return fmt.Sprintf("The deployment ends as blocked, and %s is not deployed.", version), false
		}
		if !o.now.Before(o.s.Deadline) {
			return fmt.Sprintf("The rollback is called off and the deployment ends undecided: %s stays at %s.", version, percent(wanted(o.p, o.s))), true
		}
		return fmt.Sprintf("The rollback is called off and %s stays; the same fault is not brought up again before its health was better in between.", version), true
	case adg.CommandPromote:
		return o.promotion(), o.s.Health != adg.Healthy
	case adg.CommandHold:
		if waiting {
			return "The deployment does not begin until somebody resumes it; its deadline goes on.", false
		}
		return fmt.Sprintf("%s stays at %s until somebody resumes the deployment. The checks go on, a release that turns bad is condemned all the same, and the deadline goes on.",
			version, percent(wanted(o.p, o.s))), false
	case adg.CommandResume:
		return o.resumption()
	case adg.CommandRollBack:
		return o.back("Whatever the policy says"), true
	case adg.CommandCancel:
		return o.cancellation()
	case adg.CommandNone:
	}
	return "", false
}

// back is a rollback by a human.
func (o offer) back(when string) string {
	version, good := o.d.Spec.Release.Version, goodOf(o.d.Spec)
	return fmt.Sprintf("%s, %s gets all of the traffic again and is verified; %s is put on hold %s.", when, good, version, holdFor(o.p.Rollback))
}

func (o offer) promotion() string {
	version := o.d.Spec.Release.Version
	next := after(o.d, true)
	if o.s.HeldBy == heldPause {
		return fmt.Sprintf("%s goes on to %s.", version, next)
	}
	return fmt.Sprintf("%s goes on to %s at once, without waiting for what is left of the step or the phase, whatever its health: it is %s.", version, next, o.s.Health)
}

func (o offer) resumption() (sentence string, dangerous bool) {
	switch {
	case o.s.State == adg.Gated:
		return "The deployment begins as soon as nothing else keeps it.", false
	case o.s.HeldBy == heldPause:
		return o.promotion(), o.s.Health != adg.Healthy
	case o.s.HeldBy == heldStuck:
		return "The deployment goes on although it is bad; it is not held again for that before its health was better in between.", true
	}
	return fmt.Sprintf("The deployment goes on where it was, at %s.", percent(wanted(o.p, o.s))), o.s.Health == adg.Unhealthy
}

func (o offer) cancellation() (sentence string, dangerous bool) {
	version := o.d.Spec.Release.Version
	switch {
	case o.s.State == adg.Pending || o.s.State == adg.Gated:
		return fmt.Sprintf("The deployment ends, and %s is not deployed.", version), false
	case o.goingBack():
		return fmt.Sprintf("The rollback stops as it is: nobody sees to it that %s gets all of the traffic, nor whether it is good, and %s stays on hold.", goodOf(o.d.Spec), version), true
	case !o.live() && o.d.Spec.WayBack() && !o.p.Rollback.SchemaIrreversible && !barred(o.s):
		return fmt.Sprintf("%s gets all of the traffic again and is verified, then the deployment ends; %s may be deployed again.", goodOf(o.d.Spec), version), true
	}
	return fmt.Sprintf("The deployment ends, %s stays as it is, at %s, and nobody watches it any more.", version, percent(wanted(o.p, o.s))), true
}

// barred tells whether something is in the way that no rollback can pass.
func barred(s adg.Status) bool {
	return slices.ContainsFunc(s.Obstacles, func(o adg.Obstacle) bool { return o.Final })
}

// holdFor is how long a release that was rolled back stays on hold.
func holdFor(r adg.RollbackPolicy) string {
	if r.HoldFor > 0 {
		return "for " + adg.Span(r.HoldFor)
	}
	return "until somebody lifts it"
}

// words are a state's name as people write it.
func words(s adg.State) string { return strings.ReplaceAll(s.String(), "_", " ") }
