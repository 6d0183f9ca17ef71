package wire

import (
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Policy is a complete policy.
func Policy(p adg.Policy) *adgv1.Policy {
	return &adgv1.Policy{
		Service: text(p.Service), Environment: text(p.Environment), Variables: textMap(p.Variables),
		Checks: each(p.Checks, Check), Strategy: strategy(p.Strategy), Verify: each(p.Verify, phase),
		Rollback: rollbackPolicy(p.Rollback), Risk: riskPolicy(p.Risk),
		Scoring: &adgv1.Scoring{Healthy: p.Scoring.Healthy, Degraded: p.Scoring.Degraded, Alpha: p.Scoring.Alpha},
		Alpha:   p.Alpha, Promote: proofs.to(p.Promote), Interval: Duration(p.Interval), WarmUp: Duration(p.WarmUp),
		Settle: Duration(p.Settle), History: Duration(p.History), Deadline: Duration(p.Deadline), AtDeadline: atDeadlines.to(p.AtDeadline),
		UnknownHold: Duration(p.UnknownHold), GateTimeout: Duration(p.GateTimeout), Approve: p.Approve, FourEyes: p.FourEyes,
		Notify: texts(p.Notify), Digest: text(p.Digest),
	}
}

// Check is one health check.
func Check(c adg.Check) *adgv1.Check {
	return &adgv1.Check{
		Name: text(c.Name), Source: text(c.Source), Query: text(c.Query), Bad: text(c.Bad), Total: text(c.Total),
		Histogram: text(c.Histogram), Replica: text(c.Replica), Compare: comparisons.to(c.Compare), Baseline: baselineKinds.to(c.Baseline),
		Aggregate: aggregates.to(c.Aggregate), Warn: text(c.Warn.String()), Fail: text(c.Fail.String()), Window: Duration(c.Window),
		Interval: Duration(c.Interval), MaxAge: Duration(c.MaxAge), Failures: count(c.Failures), MinSamples: c.MinSamples,
		Sequential: sequentialTest(c.Sequential), Ranks: rankTest(c.Ranks), Weight: c.Weight, Critical: c.Critical,
		BlamePreexisting: c.BlamePreexisting, Unit: text(c.CountedIn()), Logs: logTest(c.Logs),
	}
}

// PolicyVersion is a version of a policy; parsed is the same text, read, and nil in lists, where the text is left out,
// too. mayNot is why the caller may not approve it; nil: he may.
func PolicyVersion(p control.Policy, parsed *adg.Policy, mayNot error) *adgv1.PolicyVersion {
	v := &adgv1.PolicyVersion{
		Service: text(p.Service), Environment: text(p.Environment), Version: p.Number, CreateTime: Timestamp(p.At),
		Author: text(p.Actor), Reason: text(p.Reason), Approver: text(p.Approved),
		PendingApproval: p.Waits,
		Weakens:         texts(p.Weakens), Promise: text(p.Promise), Etag: Etag(p.Number),
		Warnings: each(p.Warnings, func(w config.Problem) *adgv1.PolicyProblem { return PolicyProblem(w, false) }),
	}
	if v.Approvable = mayNot == nil; mayNot != nil {
		v.WhyNot = text(mayNot.Error())
	}
	if parsed != nil {
		v.Text, v.Policy = text(p.Text), Policy(*parsed)
	}
	return v
}

// PolicyProblem is what is wrong or doubtful about a policy's text.
func PolicyProblem(p config.Problem, fatal bool) *adgv1.PolicyProblem {
	return &adgv1.PolicyProblem{Fatal: fatal, Line: int32(p.Line), Column: int32(p.Column), Path: text(p.Path), Text: text(p.Text), Suggestion: text(p.Suggestion)} //nolint:gosec // a file has 20,000 lines at most
}

// Difference is how two texts of a policy differ.
func Difference(d control.Difference) *adgv1.DiffPolicyResponse {
	return &adgv1.DiffPolicyResponse{
		Unified: text(d.Unified), Weakens: texts(d.Weakens),
		Changes: each(d.Changes, func(c control.PolicyChange) *adgv1.PolicyChange {
			return &adgv1.PolicyChange{Path: text(c.Path), Before: text(c.Before), After: text(c.After), Weakens: c.Weakens}
		}),
	}
}

// CheckTest is the answer to one check's queries, and what the judge says of it.
func CheckTest(p adg.Policy, measurements []adg.Measurement, j adg.Judgement) *adgv1.CheckTest {
	return &adgv1.CheckTest{Check: text(j.Check), Measurements: each(measurements, Measurement), Judgement: Judgement(p, j)}
}

// Private

func sequentialTest(t adg.SequentialTest) *adgv1.SequentialTest {
	return &adgv1.SequentialTest{
		Alpha: t.Alpha, Ratio: t.Ratio, NotBy: t.NotBy, Beta: t.Beta, Detect: t.Detect, Power: t.Power,
		Bucket: Duration(time.Duration(t.Bucket) * time.Second), Season: t.Season, Independent: t.Independent, NoSplit: t.NoSplit,
	}
}

func rankTest(t adg.RankTest) *adgv1.RankTest {
	return &adgv1.RankTest{
		Direction: directions.to(t.Direction), Confidence: t.Confidence, Tolerance: t.Tolerance, Cles: t.CLES,
		Increase: t.Increase, Decrease: t.Decrease, Outliers: t.Outliers, NanAsZero: t.NaNAsZero,
	}
}

func strategy(s adg.Strategy) *adgv1.Strategy {
	return &adgv1.Strategy{
		Kind: strategyKinds.to(s.Kind), Keep: Duration(s.Keep),
		Steps: each(s.Steps, func(s adg.Step) *adgv1.Step {
			return &adgv1.Step{Share: s.Share, Bake: Duration(s.Bake), Pause: s.Pause}
		}),
	}
}

func phase(p adg.Phase) *adgv1.Phase {
	return &adgv1.Phase{Name: text(p.Name), Duration: Duration(p.For), Interval: Duration(p.Interval), Checks: texts(p.Checks)}
}

func rollbackPolicy(r adg.RollbackPolicy) *adgv1.RollbackPolicy {
	return &adgv1.RollbackPolicy{
		Trust: trusts.to(r.Trust), Recover: Duration(r.Recover), AskTimeout: Duration(r.AskTimeout), AskThen: askThens.to(r.AskThen),
		Attempts: count(r.Attempts), Timeout: Duration(r.Timeout), VerifyFor: Duration(r.VerifyFor), VerifyMax: Duration(r.VerifyMax), Over: Duration(r.Over), Fallback: text(r.Fallback),
		HoldFor: Duration(r.HoldFor), PerHour: count(r.PerHour), SchemaIrreversible: r.SchemaIrreversible,
		Rules: each(r.Rules, func(r adg.Rule) *adgv1.RollbackRule {
			return &adgv1.RollbackRule{When: healths.to(r.When), Lasting: Duration(r.For), After: Duration(r.After)}
		}),
	}
}

func riskPolicy(r adg.RiskPolicy) *adgv1.RiskPolicy {
	return &adgv1.RiskPolicy{
		Warn: text(r.Warn.String()), Approve: text(r.Approve.String()), Block: text(r.Block.String()),
		SteerBake: r.Steer.Bake, SteerSteps: r.Steer.Steps, SteerStrict: r.Steer.Strict,
	}
}
