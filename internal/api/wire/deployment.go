package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Deployment is a deployment with its status and outlook. What is not part of its record is for the caller to set, all of
// it in the status: the probability of success by the last assessment, the permits (Permits) and the steps of its rollback
// (RollbackSteps).
func Deployment(d adg.Deployment) *adgv1.Deployment {
	s := d.Spec
	made := &adgv1.Deployment{
		Id: text(d.ID), Version: d.Version, Etag: DeploymentEtag(d), Environment: text(s.Policy.Environment), Release: Release(s.Release),
		LastGood: optional(s.LastGood, Release), Policy: Policy(s.Policy), PolicyVersion: s.PolicyVersion, Prediction: optional(s.Prediction, Prediction),
		Steered: texts(s.Steered), Actor: text(s.Actor), Author: text(s.Author), Labels: textMap(s.Labels), Reason: text(s.Reason), CreateTime: Timestamp(s.Created),
		Status: Status(s.Policy, d.Status),
	}
	made.Status.Outlook = Outlook(d)
	return made
}

// Status is where a deployment stands, without what Deployment and its callers add.
func Status(p adg.Policy, s adg.Status) *adgv1.Status {
	return &adgv1.Status{
		State: states.to(s.State), SinceTime: Timestamp(s.Since), DueTime: Timestamp(s.Due), TickedTime: Timestamp(s.Ticked),
		DeadlineTime: Timestamp(s.Deadline), Step: count(s.Step), Reached: s.Reached, ReachedTime: Timestamp(s.ReachedAt),
		Share: wanted(p, s), Phase: count(s.Phase), EnteredTime: Timestamp(s.Entered), Resume: resume(s), HeldBy: text(s.HeldBy),
		Good: Duration(s.Good), Bad: each(s.Bad, durationpb.New), Blind: Duration(s.Blind), CondemnedTime: Timestamp(s.Condemned), CondemnedFor: text(s.CondemnedFor),
		Rule: count(s.Rule), Weak: s.Weak, AskedTime: Timestamp(s.Asked), ApprovedBy: text(s.Approved), Paging: s.Paging,
		Suggested: s.Suggested, Operation: text(s.Op), Rollbacks: count(s.Rollbacks), Attempt: count(s.Attempt),
		Health: healths.to(s.Health), Score: s.Score, Checks: each(s.Checks, func(w adg.Watch) *adgv1.Watch { return Watch(p, w) }), Reasons: texts(s.Reasons),
		RehearsedTime: Timestamp(s.Rehearsed), Obstacles: each(s.Obstacles, Obstacle), Doubt: text(s.Doubt), Suspended: text(s.Suspended),
		RollbackStage: count(s.Back), RollbackFrom: s.BackFrom, Fallback: s.Fallback,
	}
}

// Watch is the place of one check of a policy in the schedule. What the judge remembers of it stays the judge's.
func Watch(p adg.Policy, w adg.Watch) *adgv1.Watch {
	return &adgv1.Watch{Check: text(w.Check), DueTime: Timestamp(w.Due), Last: Judgement(p, w.Last)}
}

// Summary is a deployment as one row of a list. The team of its service and the headline's recent values are for the
// caller to set.
func Summary(d adg.Deployment) *adgv1.DeploymentSummary {
	p, s := d.Spec.Policy, d.Status
	row := &adgv1.DeploymentSummary{
		Id: text(d.ID), Etag: DeploymentEtag(d), Service: text(p.Service), Environment: text(p.Environment),
		Version: text(d.Spec.Release.Version), Actor: text(d.Spec.Actor), Author: text(d.Spec.Author), Strategy: strategyKinds.to(p.Strategy.Kind),
		CreateTime: Timestamp(d.Spec.Created), State: states.to(s.State), SinceTime: Timestamp(s.Since), Steps: count(len(p.Strategy.Steps)),
		Share: wanted(p, s), PhaseEndTime: Timestamp(stretchEnd(d)), Health: healths.to(s.Health), Score: s.Score,
		Headline: Headline(d, nil), WaitsForHuman: WaitsForHuman(d), Paging: s.Paging, RolledBack: s.Rollbacks > 0,
		CondemnedFor: text(s.CondemnedFor),
	}
	if d.Spec.WayBack() {
		row.FromVersion = text(d.Spec.LastGood.Version)
	}
	if s.State.Ended() {
		row.EndTime = Timestamp(s.Since)
	}
	if s.Ops > 0 {
		row.Step = count(s.Step + 1)
	}
	if phase, verifying := phaseOf(d); verifying {
		row.Phase = text(phase.Name)
	}
	if p := d.Spec.Prediction; p != nil {
		row.Predicted = &p.Success
	}
	if len(s.Reasons) > 0 {
		row.Reason = text(s.Reasons[0])
	}
	return row
}

// Headline is the check that matters most: the worst one, of several the one that weighs most; nil before the first
// judgement. Its recent values are from the assessments, the oldest of which comes first; without any its last one is all.
func Headline(d adg.Deployment, assessments []adg.Assessment) *adgv1.Headline {
	var best *adg.Judgement
	var most [3]float64
	for i, w := range d.Status.Checks {
		if w.Last.At.IsZero() || i >= len(d.Spec.Policy.Checks) {
			continue
		}
		if c := d.Spec.Policy.Checks[i]; best == nil || weightier(matters(c, w.Last), most) {
			best, most = &w.Last, matters(c, w.Last)
		}
	}
	if best == nil {
		return nil
	}
	line := recent(best.Check, assessments)
	if len(line) == 0 && best.Value != nil {
		line = []float64{*best.Value}
	}
	short := *best
	short.Patterns = nil // a row says that there are some; the deployment's own page says which
	return &adgv1.Headline{Judgement: Judgement(d.Spec.Policy, short), Recent: line}
}

// WaitsForHuman tells whether a deployment wants an approval or another human word. One that has ended takes none.
func WaitsForHuman(d adg.Deployment) bool {
	s, p := d.Status, d.Spec.Policy
	switch s.State {
	case adg.Pending, adg.Gated:
		return s.HeldBy != "" || wantsApproval(d.Spec) && s.Approved == ""
	case adg.Held:
		return s.HeldBy != heldBlind || s.Paging
	case adg.RollbackPending:
		return s.Paging || !s.Asked.IsZero() && s.Approved == ""
	case adg.Rolling, adg.Verifying:
		return s.Paging || s.Suggested && p.Rollback.Trust == adg.Suggest
	case adg.RollingBack, adg.VerifyingRollback:
		return s.Paging
	case adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed, adg.Cancelled, adg.Superseded, adg.Undecided:
	}
	return false
}

// Private

// maxRecent is how many values a headline draws.
const maxRecent = 32

// Status.HeldBy holds who holds a deployment: an actor, or one of these.
const (
	heldBlind = "adg"              // nothing is known; goes on by itself when something is
	heldPause = "adg: pause"       // the step waits for a human's promote
	heldStuck = "adg: no way back" // it is bad and must not be rolled back automatically
)

// Status.Rule of a release that a human sends back: with blame, and without.
const (
	causeHuman  = 0
	causeCancel = -3
)

// resume is where a deployment that waits goes on; of others nothing is known.
func resume(s adg.Status) adgv1.State {
	if s.State != adg.Held && s.State != adg.RollbackPending {
		return adgv1.State_STATE_UNSPECIFIED
	}
	return states.to(s.Resume)
}

// base is the forward state that a deployment is in, or goes back to when it is held or condemned no longer.
func base(s adg.Status) adg.State {
	if s.State == adg.Held || s.State == adg.RollbackPending {
		return s.Resume
	}
	return s.State
}

// wanted is the share that the release is wanted to have: nothing before the first effect and once it is rolled back.
func wanted(p adg.Policy, s adg.Status) float64 {
	if s.Ops == 0 || s.Rollbacks > 0 || s.Step < 0 || s.Step >= len(p.Strategy.Steps) {
		return 0
	}
	return p.Strategy.Steps[s.Step].Share
}

// keeps tells whether the old release stays idle for a while after the last step.
func keeps(spec adg.Spec) bool { return spec.Policy.Strategy.Keep > 0 && spec.WayBack() }

// wantsApproval tells whether a human has to approve the start: because the policy says so always, or at this risk. A
// risk that nobody knows is one.
func wantsApproval(spec adg.Spec) bool {
	r := spec.Policy.Risk
	if spec.Prediction == nil {
		return spec.Policy.Approve || !r.Approve.IsZero() || !r.Block.IsZero()
	}
	return spec.Policy.Approve || r.Approve.Holds(*spec.Prediction)
}

// phaseOf is the phase that a deployment is in; false while it is in none.
func phaseOf(d adg.Deployment) (adg.Phase, bool) {
	phases, at := d.Spec.Policy.Verify, d.Status.Phase
	if base(d.Status) != adg.Verifying || at < 0 || at >= len(phases) {
		return adg.Phase{}, false
	}
	return phases[at], true
}

// stretchEnd is when the step or the phase ends if it stays healthy; zero where that is not known.
func stretchEnd(d adg.Deployment) time.Time {
	s := d.Status
	if !s.Reached || s.State != adg.Rolling && s.State != adg.Verifying {
		return time.Time{}
	}
	if phase, verifying := phaseOf(d); verifying {
		return s.Entered.Add(phase.For)
	}
	steps := d.Spec.Policy.Strategy.Steps
	if s.State != adg.Rolling || s.Step < 0 || s.Step >= len(steps) {
		return time.Time{}
	}
	return s.Ticked.Add(max(steps[s.Step].Bake-s.Good, 0))
}

// matters orders judgements: by how bad the verdict is, whether the check is critical, and what it weighs.
func matters(c adg.Check, j adg.Judgement) [3]float64 {
	// What is not known is worse than good news and better than bad news.
	order := [3]float64{map[adg.Verdict]float64{adg.Fail: 3, adg.Warn: 2, adg.Unknown: 1}[j.Verdict], 0, c.Weight}
	if c.Critical {
		order[1] = 1
	}
	return order
}

func weightier(a, b [3]float64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// recent are the last values of a check, each once: a judgement stands in the assessments until the next one.
func recent(check string, assessments []adg.Assessment) []float64 {
	var values []float64
	var last time.Time
	for _, a := range assessments {
		for _, j := range a.Judgements {
			if j.Check != check || j.Value == nil || !last.IsZero() && j.At.Equal(last) {
				continue
			}
			values, last = append(values, *j.Value), j.At
		}
	}
	return values[max(len(values)-maxRecent, 0):]
}
