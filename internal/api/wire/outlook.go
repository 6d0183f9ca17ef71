package wire

import (
	"fmt"
	"time"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// What an outlook waits for.
const (
	waitsForApproval = "approval" // of the start, or of a rollback
	waitsForBake     = "bake"     // healthy for long enough, in a step or a phase
	waitsForData     = "data"     // that anything is known of the health
	waitsForGates    = "gates"
	waitsForHealth   = "health" // that it is healthy again
	waitsForPromote  = "promote"
	waitsForProof    = "proof" // that a sequential check has shown what the policy wants to see
	waitsForResume   = "resume"
	waitsForTarget   = "target"
)

// Outlook is what happens next to a deployment if nothing changes, as it was when it was looked at last.
func Outlook(d adg.Deployment) *adgv1.Outlook {
	o := outlook{d: d, s: d.Status, p: d.Spec.Policy}
	o.look()
	return &adgv1.Outlook{Text: text(o.text), NextTime: Timestamp(o.next), WaitsFor: o.waits}
}

// Private

type outlook struct {
	d adg.Deployment
	s adg.Status
	p adg.Policy

	text  string
	next  time.Time
	waits string
}

func (o *outlook) look() {
	switch o.s.State {
	case adg.Pending:
		o.say("", o.s.Due, "it begins when it is looked at for the first time")
	case adg.Gated:
		o.gated()
	case adg.Rolling, adg.Verifying:
		o.forward()
	case adg.Held:
		o.held()
	case adg.RollbackPending:
		o.condemned()
	case adg.RollingBack:
		o.say(waitsForTarget, time.Time{}, "%s is being brought back, then it is verified", goodOf(o.d.Spec))
	case adg.VerifyingRollback:
		rest := max(o.p.Rollback.VerifyFor-o.s.Good, 0)
		o.say(waitsForBake, o.s.Ticked.Add(rest), "the rollback is done in %s if %s is good", adg.Span(rest), goodOf(o.d.Spec))
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		o.say("", time.Time{}, "nothing: it has ended")
	}
}

func (o *outlook) say(waits string, next time.Time, format string, args ...any) {
	o.waits, o.next, o.text = waits, next, fmt.Sprintf(format, args...)
}

func (o *outlook) gated() {
	limit := ""
	if o.p.GateTimeout > 0 {
		limit = "; it is blocked at " + clock(o.s.Entered.Add(o.p.GateTimeout)) + " otherwise"
	}
	switch {
	case wantsApproval(o.d.Spec) && o.s.Approved == "":
		o.say(waitsForApproval, time.Time{}, "it begins once somebody approves it%s", limit)
	case o.s.HeldBy != "":
		o.say(waitsForResume, time.Time{}, "it begins once somebody resumes it%s", limit)
	default:
		o.say(waitsForGates, time.Time{}, "it begins as soon as the gates are open%s", limit)
	}
}

// forward is what comes next on the way to success.
func (o *outlook) forward() {
	then := o.then()
	switch {
	case !o.s.Reached && o.s.State == adg.Verifying:
		o.say(waitsForTarget, time.Time{}, "it has succeeded as soon as the old release is taken away")
	case !o.s.Reached:
		o.say(waitsForTarget, time.Time{}, "%s as soon as the target has done it, then it bakes", percent(wanted(o.p, o.s)))
	case o.sick():
	case o.s.Health == adg.HealthUnknown:
		o.say(waitsForData, time.Time{}, "%s once it is known to be healthy for long enough", then)
	case o.s.Health != adg.Healthy:
		o.say(waitsForHealth, time.Time{}, "%s once it is healthy for long enough", then)
	default:
		o.well(then)
	}
}

// well is what comes next for a release that is healthy.
func (o *outlook) well(then string) {
	end := stretchEnd(o.d)
	rest := end.Sub(o.s.Ticked)
	unproven := o.unproven()
	step := o.step()
	switch {
	case !end.IsZero() && rest > 0 && o.s.State == adg.Rolling && step.Pause:
		o.say(waitsForBake, end, "a promote is asked for in %s if it stays healthy, then %s", adg.Span(rest), then)
	case !end.IsZero() && rest > 0:
		o.say(waitsForBake, end, "%s in %s if it stays healthy", then, adg.Span(rest))
	case unproven != "":
		o.say(waitsForProof, time.Time{}, "%s as soon as %s is %s", then, unproven, o.p.Promote)
	default:
		o.say("", o.s.Due, "%s at the next look if it stays healthy", then)
	}
}

// sick is what comes next for a release that satisfies a rule; false if it satisfies none.
func (o *outlook) sick() bool {
	soonest, rule := time.Duration(0), -1
	for i, r := range o.p.Rollback.Rules {
		if i >= len(o.s.Bad) || !satisfies(o.s.Health, r) {
			continue
		}
		if rest := max(r.For-o.s.Bad[i], 0); rule < 0 || rest < soonest {
			soonest, rule = rest, i
		}
	}
	if rule < 0 {
		return false
	}
	if o.s.Suggested {
		o.say(waitsForHealth, time.Time{}, "it stays as it is until it is healthy or a human has decided")
		return true
	}
	what := ""
	switch o.p.Rollback.Trust {
	case adg.Observe:
		what = "it is noted as bad"
	case adg.Suggest:
		what = "a rollback is suggested"
	case adg.Ask:
		what = "an approval of its rollback is asked for"
	case adg.Auto:
		what = "it is condemned"
	}
	if o.obstacle() && o.p.Rollback.Trust >= adg.Ask {
		what = "it is held and a human is called, because there is no automatic way back,"
	}
	o.say(waitsForHealth, o.s.Ticked.Add(soonest), "%s in %s if it stays %s", what, adg.Span(soonest), o.s.Health)
	return true
}

func (o *outlook) held() {
	then := o.then()
	switch o.s.HeldBy {
	case heldBlind:
		o.say(waitsForData, time.Time{}, "it goes on by itself as soon as something is known")
	case heldPause:
		o.say(waitsForPromote, time.Time{}, "%s once somebody promotes it", then)
	case heldStuck:
		o.say(waitsForResume, time.Time{}, "it waits for a human to decide: it is bad, and there is no automatic way back")
	default:
		o.say(waitsForResume, time.Time{}, "it goes on once somebody resumes it")
	}
}

func (o *outlook) condemned() {
	r := o.p.Rollback
	grace := o.graceEnd()
	switch {
	case o.s.Approved != "":
		o.say(waitsForTarget, time.Time{}, "it goes back to %s as soon as the target has done what it was told last", goodOf(o.d.Spec))
	case grace.After(o.s.Ticked):
		o.say(waitsForHealth, grace, "it goes back to %s in %s unless it recovers", goodOf(o.d.Spec), adg.Span(grace.Sub(o.s.Ticked)))
	case !o.s.Asked.IsZero() && r.AskThen == adg.AskThenRollBack:
		o.say(waitsForApproval, o.s.Asked.Add(r.AskTimeout), "it goes back to %s once somebody approves, and at %s by itself", goodOf(o.d.Spec), clock(o.s.Asked.Add(r.AskTimeout)))
	case !o.s.Asked.IsZero():
		o.say(waitsForApproval, time.Time{}, "it goes back to %s once somebody approves", goodOf(o.d.Spec))
	default:
		o.say(waitsForGates, time.Time{}, "it goes back to %s as soon as nothing else is in the way", goodOf(o.d.Spec))
	}
}

// then is what the next move forward leads to.
func (o *outlook) then() string { return after(o.d, false) }

// after is what follows the step or the phase that the deployment is in; asked says that a human promotes it, who need
// not wait for the end of what the old release is kept for.
func after(d adg.Deployment, asked bool) string {
	steps, phases := d.Spec.Policy.Strategy.Steps, d.Spec.Policy.Verify
	switch at := d.Status.Step + 1; {
	case base(d.Status) == adg.Verifying && d.Status.Phase+1 < len(phases):
		return "phase " + phases[d.Status.Phase+1].Name
	case base(d.Status) == adg.Verifying:
	case at < len(steps):
		return percent(steps[at].Share)
	case len(phases) > 0:
		return "phase " + phases[0].Name
	}
	switch {
	case !keeps(d.Spec):
		return "success"
	case asked:
		return "the end of the old release"
	}
	return "the end of the old release, which is kept until " + clock(d.Status.ReachedAt.Add(d.Spec.Policy.Strategy.Keep)) + ","
}

func (o *outlook) step() adg.Step {
	steps := o.p.Strategy.Steps
	if o.s.Step < 0 || o.s.Step >= len(steps) {
		return adg.Step{}
	}
	return steps[o.s.Step]
}

// unproven is a check that has not shown yet what the policy wants to see before the next step; empty: none.
func (o *outlook) unproven() string {
	if o.s.State != adg.Rolling || o.step().Share == 0 {
		return ""
	}
	for i, c := range o.p.Checks {
		if i < len(o.s.Checks) && c.Unproven(o.s.Checks[i].Last, o.p.Promote) {
			return c.Name
		}
	}
	return ""
}

// graceEnd is when the grace of the rule that condemned the release is over; zero: there is none.
func (o *outlook) graceEnd() time.Time {
	rule := o.s.Rule - 1
	if rule < 0 || rule >= len(o.p.Rollback.Rules) || o.p.Rollback.Trust != adg.Auto {
		return time.Time{}
	}
	return o.s.Condemned.Add(o.p.Rollback.Rules[rule].After)
}

// obstacle tells whether automation has no way back at all.
func (o *outlook) obstacle() bool { return !o.d.Spec.WayBack() || o.p.Rollback.SchemaIrreversible }

// goodOf is the version that a rollback goes to.
func goodOf(spec adg.Spec) string {
	if spec.LastGood == nil {
		return "the last good release"
	}
	return spec.LastGood.Version
}

// satisfies tells whether a health is as bad as a rule says.
func satisfies(h adg.Health, r adg.Rule) bool {
	return h == adg.Unhealthy || h == adg.Degraded && r.When == adg.Degraded
}

func percent(share float64) string { return fmt.Sprintf("%g %%", share) }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
