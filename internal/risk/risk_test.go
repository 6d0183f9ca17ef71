package risk_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/risk"
)

func policy(s adg.Steering) adg.Policy {
	return adg.Policy{
		Service: "shop", Environment: "production",
		Checks: []adg.Check{
			{Name: "errors", Source: "s", Bad: "b", Total: "t", Compare: adg.Sequential, Window: time.Minute},
			{Name: "cpu", Source: "s", Query: "q", Fail: adg.Condition{Operator: adg.Above, Value: 1}, Window: time.Minute},
		},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 0}, {Share: 6, Bake: time.Minute}, {Share: 30, Bake: time.Minute}, {Share: 100, Bake: 2 * time.Minute}}},
		Verify:   []adg.Phase{{Name: "immediate", For: 10 * time.Minute}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: time.Minute}}},
		Risk:     adg.RiskPolicy{Steer: s},
	}.WithDefaults()
}

func TestThriceTheRiskIsSteeredUpToThePolicysFactors(t *testing.T) {
	before := policy(adg.Steering{Bake: 2, Steps: 10, Strict: 4})
	p, said := risk.Steer(before, adg.Prediction{Success: 0.85, Base: 0.95})
	if steps := p.Strategy.Steps; steps[0].Share != 0 || steps[1].Share != 2 || steps[2].Share != 10 || steps[3].Share != 100 {
		t.Errorf("three times smaller steps: %+v", steps)
	}
	if p.Strategy.Steps[1].Bake != 2*time.Minute || p.Verify[0].For != 20*time.Minute || p.Deadline-before.Deadline != 14*time.Minute {
		t.Errorf("twice the time: %+v, %+v, deadline %s instead of %s", p.Strategy.Steps, p.Verify, p.Deadline, before.Deadline)
	}
	if p.Rollback.Rules[0].For != 20*time.Second || math.Abs(p.Checks[0].Sequential.Detect-math.Cbrt(3)) > 1e-9 || p.Checks[1].Sequential.Detect != before.Checks[1].Sequential.Detect {
		t.Errorf("three times stricter: %+v, detect %g", p.Rollback.Rules, p.Checks[0].Sequential.Detect)
	}
	if len(said) != 3 {
		t.Errorf("said %q", said)
	}
	if before.Strategy.Steps[1].Share != 6 || before.Rollback.Rules[0].For != time.Minute || before.Verify[0].For != 10*time.Minute {
		t.Error("the policy that was given was changed")
	}
}

func TestUsualRiskChangesNothing(t *testing.T) {
	for name, p := range map[string]adg.Prediction{
		"as usual":              {Success: 0.95, Base: 0.95},
		"better than usual":     {Success: 0.99, Base: 0.95},
		"nothing ever failed":   {Success: 0.9, Base: 1},
		"a number that is none": {Success: math.NaN(), Base: 0.9},
	} {
		if _, said := risk.Steer(policy(adg.Steering{Bake: 9, Steps: 9, Strict: 9}), p); len(said) != 0 {
			t.Errorf("%s: %q", name, said)
		}
	}
	if _, said := risk.Steer(policy(adg.Steering{}), adg.Prediction{Success: 0.1, Base: 0.95}); len(said) != 0 {
		t.Errorf("what the policy does not leave to the risk: %q", said)
	}
}

func TestSteeredPolicyIsValid(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		factor := rapid.Float64Range(1, 100)
		p := policy(adg.Steering{Bake: factor.Draw(r, "bake"), Steps: factor.Draw(r, "steps"), Strict: factor.Draw(r, "strict")})
		steered, _ := risk.Steer(p, adg.Prediction{Success: rapid.Float64Range(0, 1).Draw(r, "success"), Base: rapid.Float64Range(0, 1).Draw(r, "base")})
		if err := steered.Validate(); err != nil {
			r.Fatal(err)
		}
	})
}

func TestEvidenceMovesTheOdds(t *testing.T) {
	for name, c := range map[string]struct{ predicted, logE, want float64 }{
		"no evidence":                 {0.9, 0, 0.9},
		"nine to one against it":      {0.9, math.Log(9), 0.5},
		"ninety-nine to one for it":   {0.5, -math.Log(99), 0.99},
		"certainty can be moved, too": {1, 40, 1e-11},
	} {
		if got := risk.Success(c.predicted, c.logE); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}
