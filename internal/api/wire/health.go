package wire

import (
	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Judgement is what one check of a policy says.
func Judgement(p adg.Policy, j adg.Judgement) *adgv1.Judgement {
	return &adgv1.Judgement{
		Check: text(j.Check), Verdict: verdicts.to(j.Verdict), Why: whys.to(j.Why), Text: text(j.Text),
		Value: j.Value, Baseline: j.Baseline, Limit: j.Limit, Samples: j.N, BaselineSamples: j.BaseN,
		Estimate: j.Estimate, Low: j.Low, High: j.High, LogE: j.LogE, LogLimit: j.LogLimit,
		Proof: proofs.to(j.Proof), Final: j.Final, Weak: j.Weak, Time: Timestamp(j.At), Unit: text(p.CountedIn(j.Check)), Patterns: each(j.Patterns, LogFinding),
	}
}

// Assessment is the health at one time of a deployment under a policy.
func Assessment(p adg.Policy, a adg.Assessment) *adgv1.Assessment {
	return &adgv1.Assessment{
		Time: Timestamp(a.At), Health: healths.to(a.Health), Score: a.Score,
		Judgements: each(a.Judgements, func(j adg.Judgement) *adgv1.Judgement { return Judgement(p, j) }),
		Text:       text(a.Text), Success: a.Success,
	}
}

// Prediction is what is expected of a deployment.
func Prediction(p adg.Prediction) *adgv1.Prediction {
	return &adgv1.Prediction{
		Time: Timestamp(p.At), Success: p.Success, Low: p.Low, High: p.High, Base: p.Base, Outcomes: int64(p.Outcomes),
		Standing: text(p.Standing), Model: text(p.Model), Contributions: each(p.Contributions, Contribution), Missing: texts(p.Missing),
		Features: eachValue(p.Features, func(v float64) float64 { return v }),
	}
}

// Contribution is what one feature did to a prediction.
func Contribution(c adg.Contribution) *adgv1.Contribution {
	return &adgv1.Contribution{Feature: text(c.Feature), Points: c.Points, Text: text(c.Text)}
}
