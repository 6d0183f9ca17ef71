package wire

import (
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Planned is what a plan is made of.
type Planned struct {
	Spec          adg.Spec // with the policy as the risk would steer it
	PolicyVersion int64
	Gates         []adg.Gate // all of them, as they are now
	Fleet         adg.Fleet
	Obstacles     []adg.Obstacle // in the way back, as its target says
	Doubt         string         // why it did not; empty: it did
	Supersedes    []string       // ids of live deployments that would have to make way
}

// Plan is what would happen if a deployment were started now.
func Plan(p Planned) *adgv1.Plan {
	spec := p.Spec
	stops, warnings := starting(p)
	return &adgv1.Plan{
		Release: Release(spec.Release), Policy: Policy(spec.Policy), PolicyVersion: p.PolicyVersion, Gates: each(p.Gates, Gate),
		Prediction: optional(spec.Prediction, Prediction), Steered: texts(spec.Steered), Rollback: rollbackPlan(spec, p.Fleet, p.Obstacles, p.Doubt),
		Supersedes: texts(p.Supersedes), Shortest: Duration(shortest(spec)), Warnings: texts(append(stops, warnings...)), WouldStart: len(stops) == 0,
	}
}

// RollbackPlan is what a rollback of a deployment would do now, and why it could not work or would need a human.
func RollbackPlan(d adg.Deployment, fleet adg.Fleet) *adgv1.RollbackPlan {
	plan := rollbackPlan(d.Spec, fleet, d.Status.Obstacles, d.Status.Doubt)
	why := ""
	switch d.Status.State {
	case adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending:
		if d.Status.Weak {
			plan.Automatic = false
			plan.Obstacles = append(plan.Obstacles, "it was condemned by judgements whose promise holds for independent requests only: a human is asked")
		}
		return plan
	case adg.RollingBack, adg.VerifyingRollback:
		return plan // it is under way
	case adg.Pending, adg.Gated:
		why = "nothing was deployed yet: cancel it"
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
		why = "the deployment has ended: deploy the release that is wanted"
	}
	plan.Possible, plan.Automatic, plan.Steps = false, false, nil
	plan.Obstacles = append([]string{why}, plan.Obstacles...)
	return plan
}

// RollbackSteps are the steps of a deployment's rollback and how far each has got; none where none was begun. The effects
// are all that were done to its target.
func RollbackSteps(d adg.Deployment, effects []adg.Effect) []*adgv1.RollbackStep {
	s := d.Status
	if s.Rollbacks == 0 || d.Spec.LastGood == nil {
		return nil
	}
	good := text(d.Spec.LastGood.Version)
	traffic := &adgv1.RollbackStep{Name: "traffic", State: adgv1.StepState_STEP_STATE_RUNNING, Text: good + " is being given all of the traffic"}
	verify := &adgv1.RollbackStep{Name: "verify", State: adgv1.StepState_STEP_STATE_PENDING, Text: good + " is verified once it is live"}
	var begun time.Time
	for _, e := range effects {
		if e.Desired.Rollback {
			begun = e.Begun
			break
		}
	}
	traffic.BeginTime = Timestamp(begun)
	live := s.Reached && s.State != adg.RollingBack && !begun.IsZero() && !s.ReachedAt.Before(begun)
	if live {
		traffic.State, traffic.EndTime = adgv1.StepState_STEP_STATE_DONE, Timestamp(s.ReachedAt)
		traffic.Text = "the target reports that " + good + " has all of the traffic"
		verify.State, verify.BeginTime = adgv1.StepState_STEP_STATE_RUNNING, Timestamp(s.ReachedAt)
		verify.Text = fmt.Sprintf("%s has been good for %s of %s", good, adg.Span(s.Good), adg.Span(d.Spec.Policy.Rollback.VerifyFor))
	}
	if !s.State.Ended() {
		return []*adgv1.RollbackStep{traffic, verify}
	}
	last, outcome := traffic, adgv1.StepState_STEP_STATE_FAILED
	if live {
		last = verify
	}
	if s.State == adg.RolledBack || s.State == adg.Cancelled && s.Rule == causeCancel {
		outcome = adgv1.StepState_STEP_STATE_DONE
	}
	last.State, last.EndTime = outcome, Timestamp(s.Since)
	if len(s.Reasons) > 0 {
		last.Text = text(s.Reasons[0])
	}
	return []*adgv1.RollbackStep{traffic, verify}
}

// Private

// starting is what keeps a deployment from beginning by itself, and what else a human should know; worst first.
func starting(p Planned) (stops, warnings []string) {
	spec, risk := p.Spec, p.Spec.Policy.Risk
	var refused, shut []string
	for _, g := range p.Gates {
		switch g.Open {
		case adg.GateRefused:
			refused = append(refused, "gate "+g.Name+" refuses: "+g.Text)
		case adg.GateShut, adg.GateUnknown:
			shut = append(shut, "gate "+g.Name+" is "+g.Open.String()+": "+g.Text)
		case adg.GateOpen:
		}
	}
	stops = refused
	if spec.Prediction != nil && risk.Block.Holds(*spec.Prediction) {
		stops = append(stops, "it is too risky: "+expected(spec)+", and the policy blocks at "+risk.Block.String())
	}
	if p.Fleet.Stopped != "" {
		stops = append(stops, "the line is stopped: "+p.Fleet.Stopped)
	}
	if p.Fleet.Rolling != "" {
		stops = append(stops, "deployment "+p.Fleet.Rolling+" of the service is being rolled back")
	}
	stops = append(stops, shut...)
	if wantsApproval(spec) {
		why := "an approval is wanted"
		if !spec.Policy.Approve {
			why += ": " + expected(spec)
		}
		stops = append(stops, why)
	}
	if no := noWayBack(spec); no != "" {
		warnings = append(warnings, no)
	}
	if spec.Policy.Rollback.SchemaIrreversible {
		warnings = append(warnings, irreversible)
	}
	if spec.Prediction != nil && risk.Warn.Holds(*spec.Prediction) {
		warnings = append(warnings, expected(spec))
	}
	return stops, warnings
}

const irreversible = "its schema change cannot be undone: it is not rolled back automatically; if it fails, roll forward"

// noWayBack is why there is nothing to go back to; empty: there is.
func noWayBack(spec adg.Spec) string {
	switch {
	case spec.LastGood == nil:
		return "no rollback is possible: there is no last good release to go back to: say which version is live (previous) when you start, or mark a release as good"
	case !spec.WayBack():
		return "no rollback is possible: the last good release is the one that is deployed"
	}
	return ""
}

// expected is the prediction in words.
func expected(spec adg.Spec) string {
	p := spec.Prediction
	if p == nil {
		return "nobody knows how likely it is to succeed"
	}
	return fmt.Sprintf("success is expected with %.0f %% (%.0f to %.0f %%; usual is %.0f %%)", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base)
}

// rollbackPlan is what a rollback would do once the release is deployed.
func rollbackPlan(spec adg.Spec, fleet adg.Fleet, obstacles []adg.Obstacle, doubt string) *adgv1.RollbackPlan {
	r := spec.Policy.Rollback
	plan := &adgv1.RollbackPlan{Possible: spec.WayBack(), To: optional(spec.LastGood, Release)}
	if no := noWayBack(spec); no != "" {
		plan.Obstacles = append(plan.Obstacles, text(no))
	}
	if r.SchemaIrreversible {
		plan.Obstacles = append(plan.Obstacles, irreversible)
	}
	if r.Trust != adg.Auto {
		plan.Obstacles = append(plan.Obstacles, map[adg.Trust]string{
			adg.Observe: "trust is observe: a human rolls back",
			adg.Suggest: "trust is suggest: ADG tells when a rollback is due, and a human rolls back",
			adg.Ask:     "trust is ask: a human approves the rollback",
		}[r.Trust])
	}
	held := fleetHolds(fleet, r)
	plan.Obstacles = append(plan.Obstacles, texts(held)...)
	barred := false
	for _, o := range obstacles {
		barred = barred || o.Final
		plan.Obstacles = append(plan.Obstacles, text(o.Text))
	}
	if doubt != "" {
		plan.Obstacles = append(plan.Obstacles, text("whether it would work could not be found out: "+doubt))
	}
	plan.Automatic = plan.Possible && r.Trust == adg.Auto && !r.SchemaIrreversible && len(held) == 0 && !barred
	if plan.Possible {
		good, bad := spec.LastGood.Version, spec.Release.Version
		plan.Steps = texts([]string{
			fmt.Sprintf("%s is put on hold %s", bad, holdFor(r)),
			fmt.Sprintf("the target gives %s 100 %% and %s 0 %%, in up to %d attempts of %s each", good, bad, max(r.Attempts, 1), adg.Span(r.Timeout)),
			fallback(r),
			fmt.Sprintf("%s has to be good for %s, within %s, and the target has to report it live", good, adg.Span(r.VerifyFor), adg.Span(r.VerifyMax)),
		})
		plan.Steps = slices.DeleteFunc(plan.Steps, func(step string) bool { return step == "" })
	}
	return plan
}

// fallback is what happens when the target cannot; empty: a human is called.
func fallback(r adg.RollbackPolicy) string {
	if r.Fallback == "" {
		return ""
	}
	return fmt.Sprintf("if that fails, the target %s is asked for the same", r.Fallback)
}

// RollbackOf is what a rollback of a release would do that is not deployed.
func RollbackOf(spec adg.Spec, obstacles []adg.Obstacle, doubt string) *adgv1.RollbackPlan {
	return rollbackPlan(spec, adg.Fleet{}, obstacles, doubt)
}

// fleetHolds is why an automatic rollback would have to wait for the rest of the fleet.
func fleetHolds(f adg.Fleet, r adg.RollbackPolicy) []string {
	var why []string
	if f.Stopped != "" {
		why = append(why, "the line is stopped: "+f.Stopped)
	}
	if f.Rolling != "" {
		why = append(why, "deployment "+f.Rolling+" of the service is being rolled back")
	}
	if cause := f.CommonCause(); cause != "" {
		why = append(why, cause)
	}
	if limit := f.PerHour(r); f.Rollbacks >= limit {
		why = append(why, fmt.Sprintf("%d automatic rollbacks within the hour, the limit is %d", f.Rollbacks, limit))
	}
	return why
}

// shortest is the time from the first step to success if nothing holds it up: the warm-ups and bakes of its steps, the
// phases, and what the old release is kept for.
func shortest(spec adg.Spec) time.Duration {
	p := spec.Policy
	steps := p.Strategy.Steps
	if !spec.WayBack() && len(steps) > 0 {
		steps = steps[len(steps)-1:] // without a release to share the traffic with there is only all of it
	}
	var before, live time.Duration // the last step is done
	for i, step := range steps {
		if stretch := p.WarmUp + step.Bake; i < len(steps)-1 {
			before += stretch
		} else {
			live = stretch
		}
	}
	for _, phase := range p.Verify {
		live += phase.For
	}
	if keeps(spec) {
		live = max(live, p.Strategy.Keep)
	}
	return before + live
}
