package wire_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/rollout"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestPlanSaysWhatKeepsADeploymentFromBeginning(t *testing.T) {
	open := adg.Gate{Name: "freeze", Open: adg.GateOpen, Text: "no freeze window holds"}
	for _, c := range []struct {
		name   string
		change func(*wire.Planned)
		starts bool
		first  string // warning
	}{
		{"nothing", func(*wire.Planned) {}, true, ""},
		{"a shut gate", func(p *wire.Planned) { p.Gates[0].Open = adg.GateShut }, false, "gate freeze is shut: no freeze window holds"},
		{"a gate of which nothing is known", func(p *wire.Planned) { p.Gates[0].Open = adg.GateUnknown }, false, "gate freeze is unknown"},
		{"a gate that refuses, before one that is shut", func(p *wire.Planned) {
			p.Gates = append(p.Gates, adg.Gate{Name: "hold", Open: adg.GateRefused, Text: "on hold"})
			p.Gates[0].Open = adg.GateShut
		}, false, "gate hold refuses: on hold"},
		{"an approval", func(p *wire.Planned) { p.Spec.Policy.Approve = true }, false, "an approval is wanted"},
		{"a risk that needs an approval", func(p *wire.Planned) {
			p.Spec.Policy.Risk.Approve, p.Spec.Prediction = adg.RiskLimit{Below: 0.9}, &adg.Prediction{Success: 0.5, Low: 0.25, High: 0.75, Base: 1}
		}, false, "an approval is wanted: success is expected with 50 % (25 to 75 %; usual is 100 %)"},
		{"a risk that nobody knows", func(p *wire.Planned) { p.Spec.Policy.Risk.Block = adg.RiskLimit{Below: 0.9} }, false,
			"an approval is wanted: nobody knows how likely it is to succeed"},
		{"a risk that blocks", func(p *wire.Planned) {
			p.Spec.Policy.Risk.Block, p.Spec.Prediction = adg.RiskLimit{Below: 0.9}, &adg.Prediction{Success: 0.5}
		}, false, "it is too risky"},
		{"a stopped line", func(p *wire.Planned) { p.Fleet.Stopped = "by ann: fire" }, false, "the line is stopped: by ann: fire"},
		{"a rollback of the same service", func(p *wire.Planned) { p.Fleet.Rolling = "shop-1.9-y" }, false, "deployment shop-1.9-y"},
		{"no way back is only a warning", func(p *wire.Planned) { p.Spec.LastGood = nil }, true, "no rollback is possible"},
		{"a schema that cannot go back is only a warning", func(p *wire.Planned) { p.Spec.Policy.Rollback.SchemaIrreversible = true }, true, "its schema change cannot be undone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := wire.Planned{Spec: rolling().Spec, Gates: []adg.Gate{open}}
			c.change(&p)
			plan := wire.Plan(p)
			if first := strings.Join(plan.Warnings, "\n"); plan.WouldStart != c.starts || !strings.HasPrefix(first, c.first) || c.first == "" && first != "" {
				t.Errorf("would start %t, warnings %q", plan.WouldStart, plan.Warnings)
			}
			fleet := p.Fleet
			began := rollout.Step(adg.Deployment{ID: "x", Spec: p.Spec}, adg.Input{Now: noon, Gates: p.Gates, Fleet: fleet}).Next.State == adg.Rolling
			if plan.WouldStart != began {
				t.Errorf("would start %t, and does %t", plan.WouldStart, began)
			}
		})
	}
}

// A deployment whose target and checks are as good as can be takes as long as planned, give or take the looks.
func TestShortestIsHowLongAGoodDeploymentTakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*adg.Spec)
		want   time.Duration
	}{
		{"three steps and two phases", func(*adg.Spec) {}, 3*(5*time.Minute+30*time.Second) + 70*time.Minute},
		{"nothing to go back to, so no steps below 100 %", func(s *adg.Spec) { s.LastGood = nil }, 5*time.Minute + 30*time.Second + 70*time.Minute},
		{"the old release is kept for longer", func(s *adg.Spec) { s.Policy.Strategy.Keep = 3 * time.Hour }, 2*(5*time.Minute+30*time.Second) + 3*time.Hour},
		{"no phases", func(s *adg.Spec) { s.Policy.Verify = nil }, 3 * (5*time.Minute + 30*time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := rolling().Spec
			c.change(&spec)
			planned := wire.Plan(wire.Planned{Spec: spec}).Shortest.AsDuration()
			if planned != c.want {
				t.Errorf("planned are %s, want %s", planned, c.want)
			}
			if took := life(t, spec); took < planned || took > planned+3*time.Minute {
				t.Errorf("it took %s, planned were %s", took, planned)
			}
		})
	}
}

// life is how long a deployment takes that nothing holds up.
func life(t *testing.T, spec adg.Spec) time.Duration {
	d := adg.Deployment{ID: "x", Spec: spec}
	now := noon
	for range 5000 {
		in := adg.Input{Now: now}
		need := rollout.Wants(d, now)
		if len(need.Checks) > 0 {
			in.Assessment = &adg.Assessment{At: now, Health: adg.Healthy, Score: 100}
		}
		d.Status = rollout.Step(d, in).Next
		if d.Status.Op != "" {
			done := adg.Outcome{OpID: d.Status.Op, At: now, Observed: adg.Observed{Done: true}}
			d.Status = rollout.Step(d, adg.Input{Now: now, Outcome: &done}).Next
		}
		if d.Status.State == adg.Succeeded {
			return now.Sub(noon)
		}
		if now = d.Status.Due; d.Status.State.Ended() {
			break
		}
	}
	t.Fatalf("it is %s: %v", d.Status.State, d.Status.Reasons)
	return 0
}

func TestRollbackPlanSaysWhyItCouldNotWork(t *testing.T) {
	for _, c := range []struct {
		name                string
		change              func(*adg.Deployment, *adg.Fleet)
		possible, automatic bool
		obstacle            string
	}{
		{"nothing is in the way", func(*adg.Deployment, *adg.Fleet) {}, true, true, ""},
		{"there is nothing to go back to", func(d *adg.Deployment, _ *adg.Fleet) { d.Spec.LastGood = nil }, false, false, "there is no last good release"},
		{"the last good release is this one", func(d *adg.Deployment, _ *adg.Fleet) { d.Spec.LastGood = &d.Spec.Release }, false, false, "is the one that is deployed"},
		{"the last good release has the same version", func(d *adg.Deployment, _ *adg.Fleet) {
			d.Spec.LastGood = &adg.Release{Service: "shop", Version: d.Spec.Release.Version, Config: "c1"}
		}, false, false, "is the one that is deployed"},
		{"the schema cannot go back", func(d *adg.Deployment, _ *adg.Fleet) { d.Spec.Policy.Rollback.SchemaIrreversible = true }, true, false, "schema"},
		{"ADG has to ask", func(d *adg.Deployment, _ *adg.Fleet) { d.Spec.Policy.Rollback.Trust = adg.Ask }, true, false, "trust is ask"},
		{"the judgements are weak", func(d *adg.Deployment, _ *adg.Fleet) { d.Status.Weak = true }, true, false, "independent requests"},
		{"the line is stopped", func(_ *adg.Deployment, f *adg.Fleet) { f.Stopped = "by ann" }, true, false, "the line is stopped: by ann"},
		{"another one is going back", func(_ *adg.Deployment, f *adg.Fleet) { f.Rolling = "y" }, true, false, "deployment y"},
		{"a common cause", func(_ *adg.Deployment, f *adg.Fleet) { f.TurnedBad = 3 }, true, false, "common cause"},
		{"the hour is full", func(_ *adg.Deployment, f *adg.Fleet) { f.Rollbacks = 10 }, true, false, "the limit is 10"},
		{"nothing was deployed", func(d *adg.Deployment, _ *adg.Fleet) { d.Status.State = adg.Gated }, false, false, "nothing was deployed yet"},
		{"it has ended", func(d *adg.Deployment, _ *adg.Fleet) { d.Status.State = adg.Succeeded }, false, false, "has ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, fleet := rolling(), adg.Fleet{}
			c.change(&d, &fleet)
			plan := wire.RollbackPlan(d, fleet)
			all := strings.Join(plan.Obstacles, "\n")
			if plan.Possible != c.possible || plan.Automatic != c.automatic || !strings.Contains(all, c.obstacle) || c.obstacle == "" && all != "" {
				t.Errorf("%v", plan)
			}
			if plan.Possible != (len(plan.Steps) > 0) {
				t.Errorf("possible %t, steps %q", plan.Possible, plan.Steps)
			}
		})
	}
}

func TestRollbackPlanIsWhatARollbackDoes(t *testing.T) {
	d := rolling()
	d.Spec.Policy.Rollback.HoldFor = 24 * time.Hour
	want := []string{
		"2.0 is put on hold for 24h", "the target gives 1.0 100 % and 2.0 0 %, in up to 5 attempts of 5m each",
		"1.0 has to be good for 1m, within 10m, and the target has to report it live",
	}
	if got := wire.RollbackPlan(d, adg.Fleet{}).Steps; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestRollbackStepsFollowTheRollback(t *testing.T) {
	begun, live, ended := noon, noon.Add(time.Minute), noon.Add(3*time.Minute)
	effects := []adg.Effect{{Begun: noon.Add(-time.Hour)}, {Begun: begun, Desired: adg.Desired{Rollback: true}}, {Begun: noon.Add(30 * time.Second), Desired: adg.Desired{Rollback: true}}}
	const pending, running, done, failed = adgv1.StepState_STEP_STATE_PENDING, adgv1.StepState_STEP_STATE_RUNNING, adgv1.StepState_STEP_STATE_DONE, adgv1.StepState_STEP_STATE_FAILED
	for _, c := range []struct {
		name            string
		state           adg.State
		reached         bool
		rule            int
		at              time.Time
		traffic, verify adgv1.StepState
	}{
		{"the target is on its way", adg.RollingBack, false, 1, noon.Add(-time.Hour), running, pending},
		{"the target took it", adg.RollingBack, true, 1, noon.Add(-time.Hour), running, pending},
		{"it is verified", adg.VerifyingRollback, true, 1, live, done, running},
		{"it is rolled back", adg.RolledBack, true, 1, live, done, done},
		{"it was cancelled and is back", adg.Cancelled, true, -3, live, done, done},
		{"a human stopped it on its way", adg.Cancelled, false, 1, noon.Add(-time.Hour), failed, pending},
		{"a human stopped the verification", adg.Cancelled, true, 1, live, done, failed},
		{"the target failed", adg.RollbackFailed, false, 1, noon.Add(-time.Hour), failed, pending},
		{"the target took it and was never back", adg.RollbackFailed, true, 1, noon.Add(-time.Hour), failed, pending},
		{"service was not restored", adg.RollbackFailed, true, 1, live, done, failed},
		{"something undid it", adg.RollbackFailed, false, 1, live, failed, pending},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rolling()
			d.Status.State, d.Status.Reached, d.Status.ReachedAt, d.Status.Since, d.Status.Rollbacks, d.Status.Rule = c.state, c.reached, c.at, ended, 1, c.rule
			steps := wire.RollbackSteps(d, effects)
			if len(steps) != 2 || steps[0].State != c.traffic || steps[1].State != c.verify {
				t.Fatalf("%v", steps)
			}
			if !steps[0].BeginTime.AsTime().Equal(begun) {
				t.Errorf("it began at %s", steps[0].BeginTime.AsTime())
			}
			for _, s := range steps {
				over := s.State == done || s.State == failed
				if over != (s.EndTime != nil) || s.Text == "" {
					t.Errorf("%v", s)
				}
			}
		})
	}
	if steps := wire.RollbackSteps(rolling(), effects); steps != nil {
		t.Errorf("none was begun: %v", steps)
	}
}

func TestTimesBelowASecondAreNotNothing(t *testing.T) {
	spec := rolling().Spec
	spec.Policy.Rollback.VerifyFor, spec.Policy.Rollback.Timeout = 300*time.Millisecond, 90*time.Second
	text := strings.Join(wire.RollbackOf(spec, nil, "").GetSteps(), "\n")
	if !strings.Contains(text, "good for 300ms") || !strings.Contains(text, "of 1m30s each") {
		t.Error(text)
	}
}
