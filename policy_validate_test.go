package adg_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

// goodPolicy is a policy as its reader completes it; each call makes a fresh one.
func goodPolicy() adg.Policy {
	return adg.Policy{
		Service: "shop", Environment: "production",
		Checks: []adg.Check{
			{Name: "errors", Source: "prom", Bad: "b", Total: "t", Fail: adg.Condition{Operator: adg.Above, Value: 5, Unit: adg.Percent}},
			{Name: "alive", Source: "web", Query: "/healthz", Compare: adg.Probe},
		},
		Strategy: adg.Strategy{Kind: adg.Canary},
		Verify:   []adg.Phase{{Name: "immediate", For: 15 * time.Minute}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: time.Minute}}},
	}.WithDefaults()
}

func TestDefaultsMakeAPolicyComplete(t *testing.T) {
	p := goodPolicy()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	want := []any{15 * time.Second, 10 * time.Minute, 30 * time.Minute, 24 * time.Hour, 45 * time.Second, adg.Scoring{Healthy: 90, Degraded: 60}, 24*time.Hour + 35*time.Minute}
	got := []any{p.Interval, p.Settle, p.History, p.GateTimeout, p.UnknownHold, p.Scoring, p.Deadline}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c := p.Checks[1]
	if c.Window != time.Minute || c.MaxAge != time.Minute || c.Weight != 1 || c.Failures != 3 {
		t.Errorf("%+v", c)
	}
	if p.Verify[0].Interval != p.Interval {
		t.Errorf("the phase's interval is %s", p.Verify[0].Interval)
	}
	r := p.Rollback
	if r.Recover != time.Minute || r.AskTimeout != 30*time.Minute || r.Attempts != 5 || r.Timeout != 5*time.Minute ||
		r.VerifyFor != time.Minute || r.VerifyMax != 10*time.Minute || r.PerHour != 10 {
		t.Errorf("%+v", r)
	}
}

func TestEachStrategyHasStepsOfItsOwn(t *testing.T) {
	for kind, want := range map[adg.StrategyKind][]float64{
		adg.Canary: {5, 25, 50, 100}, adg.FeatureFlag: {5, 25, 50, 100}, adg.BlueGreen: {0, 100}, adg.RollingUpdate: {100}, adg.Recreate: {100},
	} {
		p := goodPolicy()
		p.Strategy = adg.Strategy{Kind: kind}
		p.Deadline = 0
		p = p.WithDefaults()
		var got []float64
		for _, s := range p.Strategy.Steps {
			got = append(got, s.Share)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestDefaultsFilledInTwiceAreFilledInOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		before := clone(p)
		once := p.WithDefaults()
		if diff := cmp.Diff(before, p); diff != "" {
			t.Fatalf("the policy that was lent has changed: %s", diff)
		}
		if diff := cmp.Diff(once, once.WithDefaults()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDefaultsLeaveWhatIsGivenAlone(t *testing.T) {
	p := goodPolicy()
	p.Interval, p.Settle, p.History, p.GateTimeout, p.UnknownHold, p.Deadline = 1, 2, 3, 4, 5, time.Hour
	p.Scoring = adg.Scoring{Healthy: 80, Degraded: 40}
	p.Checks[0].Window, p.Checks[0].MaxAge, p.Checks[0].Weight, p.Checks[1].Failures = 1, 2, 3, 4
	p.Strategy.Steps = []adg.Step{{Share: 100}}
	p.Verify[0].Interval = 6
	p.Rollback = adg.RollbackPolicy{Recover: 1, AskTimeout: 2, Attempts: 3, Timeout: 4, VerifyFor: 5, VerifyMax: 6, PerHour: 7}
	if diff := cmp.Diff(clone(p), p.WithDefaults()); diff != "" {
		t.Error(diff)
	}
}

func TestOneProblemIsOneMessage(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*adg.Policy)
		want   string
	}{
		{"no service", func(p *adg.Policy) { p.Service = "" }, `service "": use 1 to 63`},
		{"no environment", func(p *adg.Policy) { p.Environment = "" }, `environment "": use 1 to 63`},
		{"no checks", func(p *adg.Policy) { p.Checks = nil }, "no checks"},
		{"two checks of one name", func(p *adg.Policy) { p.Checks[1].Name = "errors" }, `two checks are named "errors"`},
		{"a check without a name", func(p *adg.Policy) { p.Checks[0].Name = "" }, `check "": use 1 to 63`},
		{"a check without a source", func(p *adg.Policy) { p.Checks[0].Source = "" }, `check "errors": no source`},
		{"a query and counters", func(p *adg.Policy) { p.Checks[0].Query = "q" }, "give one of query"},
		{"bad without total", func(p *adg.Policy) { p.Checks[0].Total = "" }, "bad and total belong together"},
		{"nothing to ask", func(p *adg.Policy) { p.Checks[0].Bad, p.Checks[0].Total = "", "" }, "nothing to ask"},
		{"a probe with counters", func(p *adg.Policy) { p.Checks[0].Compare = adg.Probe }, "a probe has no counters"},
		{"no limits", func(p *adg.Policy) { p.Checks[0].Fail = adg.Condition{} }, "it could never be bad"},
		{"a baseline without a comparison", func(p *adg.Policy) { p.Checks[0].Fail.Relative = true }, `"> baseline + 5%" needs compare: relative`},
		{"a comparison without a baseline", func(p *adg.Policy) { p.Checks[0].Compare = adg.Relative }, `needs 'baseline' in "> 5%"`},
		{"no window", func(p *adg.Policy) { p.Checks[0].Window = -1 }, "the window must be longer than zero"},
		{"a negative weight", func(p *adg.Policy) { p.Checks[0].Weight = -1 }, "are not negative"},
		{"no steps", func(p *adg.Policy) { p.Strategy.Steps = nil }, "strategy canary: no steps"},
		{"steps that fall", func(p *adg.Policy) { p.Strategy.Steps[1].Share = 5 }, "step 2 is 5 %"},
		{"a step below nothing", func(p *adg.Policy) { p.Strategy.Steps[0].Share = -1 }, "step 1 is -1 %"},
		{"a step that bakes a negative time", func(p *adg.Policy) { p.Strategy.Steps[0].Bake = -1 }, "step 1 bakes a negative time"},
		{"steps that do not reach the end", func(p *adg.Policy) { p.Strategy.Steps = p.Strategy.Steps[:3] }, "the last step is 50 %, it has to be 100"},
		{"recreate in steps", func(p *adg.Policy) { p.Strategy.Kind = adg.Recreate }, "strategy recreate has the one step"},
		{"a phase without a name", func(p *adg.Policy) { p.Verify[0].Name = "" }, `phase "": use 1 to 63`},
		{"a phase of no time", func(p *adg.Policy) { p.Verify[0].For = 0 }, `phase "immediate": for and interval are longer than zero`},
		{"a phase with a check that is not there", func(p *adg.Policy) { p.Verify[0].Checks = []string{"eror"} }, `phase "immediate": there is no check "eror"`},
		{"no rules", func(p *adg.Policy) { p.Rollback.Rules = nil }, "nothing would ever be rolled back"},
		{"a rule for the healthy", func(p *adg.Policy) { p.Rollback.Rules[0].When = adg.Healthy }, "rollback rule 1: when is unhealthy or degraded, not healthy"},
		{"a rule of negative time", func(p *adg.Policy) { p.Rollback.Rules[0].After = -1 }, "rollback rule 1: negative time"},
		{"negative attempts", func(p *adg.Policy) { p.Rollback.Attempts = -1 }, "rollback: attempts, per_hour and times are not negative"},
		{"verification that ends before it can", func(p *adg.Policy) { p.Rollback.VerifyFor = time.Hour }, "verify_max (10m) is shorter than verify_for (1h)"},
		{"a deadline that is too short", func(p *adg.Policy) { p.Deadline = time.Minute }, "the deadline 1m is shorter than the steps and phases together, 35m"},
		{"scoring upside down", func(p *adg.Policy) { p.Scoring.Degraded = 95 }, "degraded (95) is above healthy (90)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := goodPolicy()
			row.change(&p)
			err := p.Validate()
			if err == nil || !strings.Contains(err.Error(), row.want) || adg.CodeOf(err) != adg.Invalid {
				t.Fatal(err)
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) != 1 {
				t.Errorf("one problem, and %d messages:\n%v", len(lines), err)
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	p := goodPolicy()
	p.Service = "two words"
	p.Checks[0].Source, p.Checks[0].Window, p.Checks[0].Fail = "", 0, adg.Condition{}
	p.Checks[1].Name = "errors"
	p.Strategy.Steps[3].Share = 90
	p.Verify[0].Checks = []string{"nothing", "errors", "no-more"}
	p.Rollback.Rules[0].When = adg.HealthUnknown
	p.Scoring.Degraded = 99
	err := p.Validate()
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	for _, want := range []string{`service "two words"`, "no source", "window", "never be bad", `two checks are named "errors"`, "the last step is 90 %",
		`no check "nothing"`, `no check "no-more"`, "rollback rule 1", "scoring"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 10 {
		t.Errorf("10 problems, and %d messages:\n%v", n, err)
	}
}

func TestWhoOnlyObservesNeedsNoRules(t *testing.T) {
	p := goodPolicy()
	p.Rollback.Trust, p.Rollback.Rules = adg.Observe, nil
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func clone(p adg.Policy) adg.Policy {
	p.Checks, p.Verify = slices.Clone(p.Checks), slices.Clone(p.Verify)
	p.Strategy.Steps, p.Rollback.Rules = slices.Clone(p.Strategy.Steps), slices.Clone(p.Rollback.Rules)
	return p
}

// policies are arbitrary ones, good and bad, with many of their fields left to the defaults.
var policies = rapid.Custom(func(t *rapid.T) adg.Policy {
	duration := func(what string) time.Duration {
		return time.Duration(rapid.SampledFrom([]int64{0, 0, 1, 30, 3600}).Draw(t, what)) * time.Second
	}
	number := rapid.SampledFrom([]float64{0, 0, 1, 50, 100})
	p := adg.Policy{
		Interval: duration("interval"), WarmUp: duration("warm up"), Settle: duration("settle"), History: duration("history"),
		Deadline: duration("deadline"), UnknownHold: duration("hold"), GateTimeout: duration("gate"),
		Scoring:  adg.Scoring{Healthy: number.Draw(t, "healthy"), Degraded: number.Draw(t, "degraded")},
		Strategy: adg.Strategy{Kind: adg.StrategyKind(rapid.IntRange(0, 5).Draw(t, "kind")), Keep: duration("keep")},
		Rollback: adg.RollbackPolicy{
			Recover: duration("recover"), AskTimeout: duration("ask"), Timeout: duration("timeout"), VerifyFor: duration("verify for"),
			VerifyMax: duration("verify max"), Attempts: rapid.IntRange(0, 2).Draw(t, "attempts"), PerHour: rapid.IntRange(0, 2).Draw(t, "per hour"),
		},
	}
	for range rapid.IntRange(0, 3).Draw(t, "checks") {
		p.Checks = append(p.Checks, adg.Check{
			Compare: adg.Comparison(rapid.IntRange(0, 3).Draw(t, "compare")), Window: duration("window"), MaxAge: duration("max age"),
			Weight: number.Draw(t, "weight"), Failures: rapid.IntRange(0, 2).Draw(t, "failures"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "steps") {
		p.Strategy.Steps = append(p.Strategy.Steps, adg.Step{Share: number.Draw(t, "share"), Bake: duration("bake")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "phases") {
		p.Verify = append(p.Verify, adg.Phase{For: duration("for"), Interval: duration("phase interval")})
	}
	return p
})
