package wire_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/rollout"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// anyDeployment is a deployment in that state, of which nothing else is known but that it can exist.
func anyDeployment(t *rapid.T, state adg.State) adg.Deployment {
	release := adg.Release{Service: "shop", Version: "2.0"}
	d := adg.Deployment{ID: "shop-2.0-x", Version: 7, Spec: adg.Spec{
		Release: release, Actor: "ann", Created: noon.Add(-time.Hour), Policy: anyPolicy(t),
	}}
	goingBack := state == adg.RollbackPending || state == adg.RollingBack || state == adg.VerifyingRollback
	switch good := rapid.IntRange(0, 4).Draw(t, "last good"); {
	case good == 0 && !goingBack:
	case good == 1 && !goingBack:
		d.Spec.LastGood = &release
	default:
		d.Spec.LastGood = &adg.Release{Service: "shop", Version: "1.0"}
	}
	if rapid.Bool().Draw(t, "predicted") {
		d.Spec.Prediction = &adg.Prediction{Success: rapid.Float64Range(0, 1).Draw(t, "success")}
	}
	d.Status = anyStatus(t, state, d.Spec)
	return d
}

func anyPolicy(t *rapid.T) adg.Policy {
	p := adg.Policy{
		Service: "shop", Environment: "production", Interval: 15 * time.Second, Deadline: 24 * time.Hour, GateTimeout: time.Hour, Settle: 10 * time.Minute,
		Checks:   []adg.Check{{Name: "errors", Weight: 1}},
		Strategy: adg.Strategy{Steps: []adg.Step{{Share: 0, Bake: time.Minute}, {Share: 25, Bake: time.Hour, Pause: true}, {Share: 100, Bake: time.Minute}}},
		Rollback: adg.RollbackPolicy{
			Trust: rapid.SampledFrom([]adg.Trust{adg.Observe, adg.Suggest, adg.Ask, adg.Auto}).Draw(t, "trust"), Rules: []adg.Rule{{When: adg.Unhealthy, For: time.Minute}},
			Attempts: 5, Timeout: time.Minute, VerifyFor: time.Minute, VerifyMax: 10 * time.Minute, AskTimeout: time.Hour, PerHour: 10,
			SchemaIrreversible: rapid.Bool().Draw(t, "irreversible"),
		},
		Approve: rapid.Bool().Draw(t, "approve"), FourEyes: rapid.Bool().Draw(t, "four eyes"),
	}
	if rapid.Bool().Draw(t, "risk") {
		p.Risk.Approve = adg.RiskLimit{Below: 0.5}
	}
	if rapid.Bool().Draw(t, "phases") {
		p.Verify = []adg.Phase{{Name: "immediate", For: time.Minute}, {Name: "extended", For: time.Hour}}
	}
	if rapid.Bool().Draw(t, "keeps") {
		p.Strategy.Keep = 2 * time.Hour
	}
	return p
}

func anyStatus(t *rapid.T, state adg.State, spec adg.Spec) adg.Status {
	s := adg.Status{
		State: state, Since: noon.Add(-time.Minute), Ticked: noon, Deadline: noon.Add(rapid.SampledFrom([]time.Duration{time.Hour, time.Second}).Draw(t, "left")),
		Health: rapid.SampledFrom([]adg.Health{adg.HealthUnknown, adg.Healthy, adg.Degraded, adg.Unhealthy}).Draw(t, "health"),
		Bad:    []time.Duration{0}, Entered: noon.Add(-time.Minute),
	}
	forward := rapid.SampledFrom([]adg.State{adg.Rolling, adg.Verifying}).Draw(t, "forward")
	switch state {
	case adg.Pending:
		s.Deadline, s.Ticked = time.Time{}, time.Time{}
		return s
	case adg.Gated:
		s.HeldBy = rapid.SampledFrom([]string{"", "bob"}).Draw(t, "held by")
		s.Approved = rapid.SampledFrom([]string{"", "eve"}).Draw(t, "approved")
		return s
	case adg.Held:
		s.Resume = forward
		s.HeldBy = rapid.SampledFrom([]string{"bob", "adg", "adg: pause", "adg: no way back"}).Draw(t, "held by")
	case adg.RollbackPending:
		s.Resume = forward
		s.Rule = rapid.IntRange(-3, 1).Draw(t, "rule")
		s.Condemned = noon.Add(-time.Minute)
		if s.Rule == 0 || s.Rule == -3 {
			s.Approved = "eve"
		} else if rapid.Bool().Draw(t, "asked") {
			s.Asked = noon.Add(-time.Minute)
		}
	case adg.Verifying:
		forward = state
	case adg.Rolling, adg.RollingBack, adg.VerifyingRollback, adg.Blocked, adg.Succeeded, adg.RolledBack, adg.RollbackFailed,
		adg.Cancelled, adg.Superseded, adg.Undecided:
		forward = adg.Rolling
	}
	s.Ops = 1
	last := len(spec.Policy.Strategy.Steps) - 1
	s.Step = rapid.IntRange(0, last).Draw(t, "step")
	s.Reached = rapid.Bool().Draw(t, "reached")
	if forward == adg.Verifying {
		s.Step = last
		if n := len(spec.Policy.Verify); n > 0 {
			s.Phase = rapid.IntRange(0, n-1).Draw(t, "phase")
		}
	}
	if s.Reached {
		s.ReachedAt = noon.Add(-time.Minute)
	} else if rapid.Bool().Draw(t, "in flight") {
		s.Op = "shop-2.0-x/1"
	}
	if state == adg.RollingBack || state == adg.VerifyingRollback || state == adg.RolledBack {
		s.Rollbacks = 1
	}
	return s
}

var commands = map[adgv1.Action]adg.CommandKind{
	adgv1.Action_ACTION_PROMOTE: adg.CommandPromote, adgv1.Action_ACTION_HOLD: adg.CommandHold, adgv1.Action_ACTION_RESUME: adg.CommandResume,
	adgv1.Action_ACTION_ROLL_BACK: adg.CommandRollBack, adgv1.Action_ACTION_CANCEL: adg.CommandCancel, adgv1.Action_ACTION_APPROVE: adg.CommandApprove,
	adgv1.Action_ACTION_REJECT: adg.CommandReject,
}

func TestWhatIsOfferedIsWhatADeploymentObeys(t *testing.T) {
	offered := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		for _, state := range adg.States() {
			d := anyDeployment(t, state)
			who := admin(rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "who"))
			now := noon.Add(15 * time.Second)
			permits := wire.Permits(d, who, now)
			if len(permits) != len(commands) {
				t.Fatalf("%d actions are spoken of, there are %d", len(permits), len(commands))
			}
			without := rollout.Step(d, adg.Input{Now: now})
			for _, p := range permits {
				kind := commands[p.Action]
				command := adg.Command{ID: "c", Deployment: d.ID, Kind: kind, Actor: who.Person, At: now}
				decision := rollout.Step(d, adg.Input{Now: now, Command: &command})
				refused := slices.ContainsFunc(decision.Reasons, func(r string) bool { return strings.HasPrefix(r, kind.String()+" by "+who.Person+" is refused: ") })
				same := reflect.DeepEqual(forget(decision), forget(without))
				at := fmt.Sprintf("%s of %s held by %q (%s)", kind, state, d.Status.HeldBy, strings.Join(decision.Reasons, "; "))
				switch {
				case p.Allowed && (refused || same):
					t.Fatalf("%s is offered: refused %t, changes nothing %t", at, refused, same)
				case !p.Allowed && !refused && (!state.Ended() || !same):
					t.Fatalf("%s is not offered, because %s, and obeyed", at, p.WhyNot)
				case p.Allowed != (p.WhyNot == "") || p.Allowed != (p.Consequence != ""):
					t.Fatalf("%s: why not %q, consequence %q", at, p.WhyNot, p.Consequence)
				}
				if p.Allowed {
					offered[state.String()+" "+kind.String()] = true
				}
			}
		}
	})
	want := []string{
		"gated approve", "gated cancel", "gated hold", "gated reject", "gated resume",
		"held cancel", "held hold", "held promote", "held resume", "held rollback",
		"pending approve", "pending cancel", "pending hold", "pending reject",
		"rollback_pending approve", "rollback_pending cancel", "rollback_pending reject", "rollback_pending rollback",
		"rolling cancel", "rolling hold", "rolling promote", "rolling rollback", "rolling_back cancel",
		"verifying cancel", "verifying hold", "verifying promote", "verifying rollback", "verifying_rollback cancel",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(offered))); diff != "" {
		t.Errorf("what was ever offered (-want +got):\n%s", diff)
	}
}

// forget leaves of a decision what a command has to change: what is done, told, or decided.
func forget(d adg.Decision) adg.Decision {
	d.Reasons, d.Next.Reasons, d.Next.Due = nil, nil, time.Time{}
	for i := range d.Facts {
		d.Facts[i].Reasons = nil
	}
	return d
}

func TestWhoMayNotIsToldWhatIsMissing(t *testing.T) {
	d := rolling()
	viewer := admin("vic")
	viewer.Bindings[0].Role = identity.Viewer
	for _, p := range wire.Permits(d, viewer, noon) {
		if p.Allowed || p.WhyNot == "" || p.Consequence != "" || p.Dangerous {
			t.Errorf("a viewer: %v", p)
		}
		if p.Action == adgv1.Action_ACTION_HOLD && !strings.Contains(p.WhyNot, "deployer") {
			t.Errorf("it does not say which role is missing: %s", p.WhyNot)
		}
	}
	approver := admin("app")
	approver.Bindings[0].Role = identity.Approver
	d.Status.State, d.Status.Resume, d.Status.Asked, d.Status.Rule = adg.RollbackPending, adg.Rolling, noon, 1
	for _, p := range wire.Permits(d, approver, noon) {
		approves := p.Action == adgv1.Action_ACTION_APPROVE || p.Action == adgv1.Action_ACTION_REJECT
		if p.Allowed != approves {
			t.Errorf("an approver: %v", p)
		}
	}
}

func TestConsequencesSayExactlyWhatHappens(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*adg.Deployment)
		action    adgv1.Action
		want      string
		dangerous bool
	}{
		{"promote while it bakes", func(*adg.Deployment) {}, adgv1.Action_ACTION_PROMOTE,
			"2.0 goes on to 50 % at once, without waiting for what is left of the step or the phase, whatever its health: it is healthy.", false},
		{"promote what is not well", func(d *adg.Deployment) { d.Status.Health = adg.Degraded }, adgv1.Action_ACTION_PROMOTE,
			"2.0 goes on to 50 % at once, without waiting for what is left of the step or the phase, whatever its health: it is degraded.", true},
		{"roll back", func(*adg.Deployment) {}, adgv1.Action_ACTION_ROLL_BACK,
			"Whatever the policy says, 1.0 gets all of the traffic again and is verified; 2.0 is put on hold until somebody lifts it.", true},
		{"cancel below 100 %", func(*adg.Deployment) {}, adgv1.Action_ACTION_CANCEL,
			"1.0 gets all of the traffic again and is verified, then the deployment ends; 2.0 may be deployed again.", true},
		{"cancel what is fully live", func(d *adg.Deployment) { d.Status.State, d.Status.Step = adg.Verifying, 2 }, adgv1.Action_ACTION_CANCEL,
			"The deployment ends, 2.0 stays as it is, at 100 %, and nobody watches it any more.", true},
		{"cancel what never began", func(d *adg.Deployment) { d.Status = adg.Status{State: adg.Gated, Deadline: noon.Add(time.Hour)} }, adgv1.Action_ACTION_CANCEL,
			"The deployment ends, and 2.0 is not deployed.", false},
		{"hold", func(*adg.Deployment) {}, adgv1.Action_ACTION_HOLD,
			"2.0 stays at 25 % until somebody resumes the deployment. The checks go on, a release that turns bad is condemned all the same, and the deadline goes on.", false},
		{"go on after a pause", func(d *adg.Deployment) {
			d.Status.State, d.Status.Resume, d.Status.HeldBy = adg.Held, adg.Rolling, "adg: pause"
		}, adgv1.Action_ACTION_RESUME, "2.0 goes on to 50 %.", false},
		{"go on although it is bad", func(d *adg.Deployment) {
			d.Status.State, d.Status.Resume, d.Status.HeldBy = adg.Held, adg.Rolling, "adg: no way back"
		}, adgv1.Action_ACTION_RESUME, "The deployment goes on although it is bad; it is not held again for that before its health was better in between.", true},
		{"call a rollback off", func(d *adg.Deployment) {
			d.Status.State, d.Status.Resume, d.Status.Asked, d.Status.Rule = adg.RollbackPending, adg.Rolling, noon, 1
		}, adgv1.Action_ACTION_REJECT, "The rollback is called off and 2.0 stays; the same fault is not brought up again before its health was better in between.", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rolling()
			c.change(&d)
			for _, p := range wire.Permits(d, admin("bob"), noon) {
				if p.Action == c.action && (p.Consequence != c.want || p.Dangerous != c.dangerous) {
					t.Errorf("%q (dangerous %t, %s), want %q", p.Consequence, p.Dangerous, p.WhyNot, c.want)
				}
			}
		})
	}
}

// rolling is a deployment that bakes at 25 %, healthy, on its way to 50 % and 100 %.
func rolling() adg.Deployment {
	return adg.Deployment{ID: "shop-2.0-x", Version: 7,
		Spec: adg.Spec{
			Release: adg.Release{Service: "shop", Version: "2.0"}, LastGood: &adg.Release{Service: "shop", Version: "1.0"}, Actor: "ann", Created: noon.Add(-time.Hour),
			Policy: adg.Policy{
				Service: "shop", Environment: "production", Interval: 15 * time.Second, Deadline: 24 * time.Hour, GateTimeout: time.Hour, WarmUp: 30 * time.Second,
				Checks: []adg.Check{{Name: "errors", Weight: 1, Critical: true}, {Name: "latency", Weight: 3}},
				Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{
					{Share: 25, Bake: 5 * time.Minute}, {Share: 50, Bake: 5 * time.Minute}, {Share: 100, Bake: 5 * time.Minute}}},
				Verify: []adg.Phase{{Name: "immediate", For: 10 * time.Minute}, {Name: "extended", For: time.Hour}},
				Rollback: adg.RollbackPolicy{
					Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Degraded, For: 10 * time.Minute, After: 5 * time.Minute}, {When: adg.Unhealthy, For: time.Minute}},
					Attempts: 5, Timeout: 5 * time.Minute, VerifyFor: time.Minute, VerifyMax: 10 * time.Minute, AskTimeout: 30 * time.Minute, PerHour: 10,
				},
			},
		},
		Status: adg.Status{
			State: adg.Rolling, Since: noon.Add(-2 * time.Minute), Ticked: noon, Due: noon.Add(15 * time.Second), Deadline: noon.Add(23 * time.Hour), Reached: true,
			ReachedAt: noon.Add(-2 * time.Minute), Entered: noon.Add(-2 * time.Minute), Good: 2 * time.Minute, Bad: []time.Duration{0, 0}, Ops: 1, Health: adg.Healthy,
			Score: 100, Checks: []adg.Watch{{Check: "errors"}, {Check: "latency"}},
		},
	}
}
