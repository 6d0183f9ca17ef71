package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
)

// deployment is a canary in the middle of its second step.
func deployment(change func(*adg.Deployment)) adg.Deployment {
	p := defaults(adg.Policy{
		Service: "shop", Environment: "production", Interval: 10 * time.Second, WarmUp: 20 * time.Second,
		Checks:   []adg.Check{newCheck("errors"), newCheck("latency"), newCheck("ready")},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 0}, {Share: 25}, {Share: 100}}},
		Verify:   []adg.Phase{{Name: "short", For: time.Hour, Interval: time.Minute, Checks: []string{"latency"}}},
	})
	p.Checks[1].Interval = 2 * time.Minute
	p.Checks[2].Compare = adg.Probe
	d := adg.Deployment{
		ID: "d", Version: 7,
		Spec: adg.Spec{
			Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"}, Policy: p, Actor: "ann",
		},
		Status: adg.Status{
			State: adg.Rolling, Step: 1, Reached: true, ReachedAt: epoch, Entered: epoch, Ticked: epoch, Deadline: epoch.Add(time.Hour), Ops: 2, Rehearsed: epoch,
			Checks: []adg.Watch{{Check: "errors", Due: at(0)}, {Check: "latency", Due: at(0)}, {Check: "ready", Due: at(0)}},
		},
	}
	if change != nil {
		change(&d)
	}
	return d
}

func at(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

func TestWants(t *testing.T) {
	v1, v2 := adg.Release{Service: "shop", Version: "v1"}, adg.Release{Service: "shop", Version: "v2"}
	const s, m = time.Second, time.Minute
	for _, row := range []struct {
		name   string
		change func(*adg.Deployment)
		want   rollout.Need
	}{
		{"a step in its bake is measured beside the stable release, from the end of the warm-up",
			nil,
			rollout.Need{Checks: []int{0, 1, 2}, Intervals: []time.Duration{10 * s, 2 * m, 10 * s}, Counted: []int{0, 1, 2}, Subject: v2, Stable: &v1, Share: 25, From: at(20)}},
		{"checks due within a tenth of their interval are measured together, later ones are not",
			func(d *adg.Deployment) {
				d.Status.Checks[0].Due, d.Status.Checks[1].Due, d.Status.Checks[2].Due = at(2), at(12), at(1)
			},
			rollout.Need{Checks: []int{1, 2}, Intervals: []time.Duration{2 * m, 10 * s}, Counted: []int{0, 1, 2}, Subject: v2, Stable: &v1, Share: 25, From: at(20)}},
		{"a staged release is judged by what can see it",
			func(d *adg.Deployment) { d.Status.Step = 0 },
			rollout.Need{Checks: []int{2}, Intervals: []time.Duration{10 * s}, Counted: []int{2}, Subject: v2, Stable: &v1, From: at(20)}},
		{"a staged release that nothing can see needs the target's word",
			func(d *adg.Deployment) { d.Status.Step, d.Spec.Policy.Checks[2].Compare = 0, adg.Threshold },
			rollout.Need{Counted: []int{}, Observe: true, Subject: v2, Stable: &v1, From: at(20)}},
		{"on the way to the next step the target is read and the checks of the step before go on",
			func(d *adg.Deployment) { d.Status.Step, d.Status.Reached = 2, false },
			rollout.Need{Checks: []int{0, 1, 2}, Intervals: []time.Duration{10 * s, 2 * m, 10 * s}, Counted: []int{0, 1, 2}, Observe: true, Subject: v2, Stable: &v1, Share: 25, From: at(20)}},
		{"before the first step is made there is nothing to measure",
			func(d *adg.Deployment) { d.Status.Step, d.Status.Reached, d.Status.ReachedAt = 0, false, time.Time{} },
			rollout.Need{Observe: true, Subject: v2, Stable: &v1}},
		{"a phase has its own checks, the check's interval wins, and no release serves beside",
			func(d *adg.Deployment) { d.Status.State, d.Status.Step = adg.Verifying, 2 },
			rollout.Need{Checks: []int{1}, Intervals: []time.Duration{2 * m}, Counted: []int{1}, Subject: v2, Share: 100, From: at(20)}},
		{"a held deployment is measured like the state that it goes back to",
			func(d *adg.Deployment) { d.Status.State, d.Status.Resume, d.Status.Step = adg.Held, adg.Verifying, 2 },
			rollout.Need{Checks: []int{1}, Intervals: []time.Duration{2 * m}, Counted: []int{1}, Subject: v2, Share: 100, From: at(20)}},
		{"waiting at a gate",
			func(d *adg.Deployment) { d.Status = adg.Status{State: adg.Gated} },
			rollout.Need{Gates: true, Rehearse: true, Subject: v2}},
		{"the way back is rehearsed again after ten minutes",
			func(d *adg.Deployment) { d.Status = adg.Status{State: adg.Gated, Rehearsed: at(-600)} },
			rollout.Need{Gates: true, Rehearse: true, Subject: v2}},
		{"the way back is not rehearsed before that",
			func(d *adg.Deployment) { d.Status = adg.Status{State: adg.Gated, Rehearsed: at(-599)} },
			rollout.Need{Gates: true, Subject: v2}},
		{"where there is no way back nothing is rehearsed",
			func(d *adg.Deployment) { d.Status, d.Spec.LastGood = adg.Status{State: adg.Gated}, nil },
			rollout.Need{Gates: true, Subject: v2}},
		{"as long as nothing but an obstacle keeps a bad release it is rehearsed at each look",
			func(d *adg.Deployment) {
				d.Status.State, d.Status.Resume, d.Status.HeldBy, d.Status.Step = adg.Held, adg.Verifying, "adg: no way back", 2
			},
			rollout.Need{Checks: []int{1}, Intervals: []time.Duration{2 * m}, Counted: []int{1}, Rehearse: true, Subject: v2, Share: 100, From: at(20)}},
		{"on the way back only the target matters",
			func(d *adg.Deployment) { d.Status.State = adg.RollingBack },
			rollout.Need{Observe: true, Subject: v2}},
		{"a rollback is verified by all checks of the restored release, from when it was live",
			func(d *adg.Deployment) { d.Status.State = adg.VerifyingRollback },
			rollout.Need{Checks: []int{0, 1, 2}, Intervals: []time.Duration{10 * s, 10 * s, 10 * s}, Counted: []int{0, 1, 2}, Observe: true, Subject: v1, Share: 100, From: at(0), Restored: true}},
		{"after the end nothing is wanted",
			func(d *adg.Deployment) { d.Status.State = adg.Succeeded },
			rollout.Need{Subject: v2}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, rollout.Wants(deployment(row.change), at(0))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanNamesEveryEffect(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*adg.Deployment)
		want   []string
	}{
		{"the old release goes at 100 % when nothing keeps it", nil, []string{"v2=0 v1=100", "v2=25 v1=75", "v2=100"}},
		{"the old release is kept, and removed in the end",
			func(d *adg.Deployment) { d.Spec.Policy.Strategy.Keep = time.Hour }, []string{"v2=0 v1=100", "v2=25 v1=75", "v2=100 v1=0", "v2=100"}},
		{"without a last good release there is only all of it",
			func(d *adg.Deployment) { d.Spec.LastGood, d.Spec.Policy.Strategy.Keep = nil, time.Hour }, []string{"v2=100"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, want := range rollout.Plan(deployment(row.change)) {
				got = append(got, placements(want))
				want.OpID = "d/1"
				if err := want.Validate(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRolesOfADesiredState(t *testing.T) {
	d := deployment(func(d *adg.Deployment) { d.Spec.Policy.Strategy.Keep = time.Hour })
	for step, want := range [][]adg.Role{{adg.IdleRole, adg.StableRole}, {adg.CandidateRole, adg.StableRole}, {adg.CandidateRole, adg.IdleRole}} {
		var got []adg.Role
		for _, p := range rollout.Desired(d, step).Releases {
			got = append(got, p.Role)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("step %d: %s", step+1, diff)
		}
	}
}

func TestTheTargetsWordIsNotEnoughWhereItReportsShares(t *testing.T) {
	for _, row := range []struct {
		name string
		step int
		seen adg.Observed
		want bool
	}{
		{"the share is there", 1, live("v2", 25), true},
		{"a target that works in whole replicas comes near enough", 1, live("v2", 33), true},
		{"still nearer to the step before", 1, live("v2", 10), false},
		{"not done", 1, adg.Observed{Releases: live("v2", 25).Releases}, false},
		{"done and failed at once", 1, adg.Observed{Done: true, Failed: true}, false},
		{"another release is live", 1, live("v1", 100), false},
		{"all but a bit of the last step", 2, live("v2", 90), false},
		{"all of the last step", 2, live("v2", 100), true},
		{"staged, and has traffic already", 0, live("v2", 5), false},
		{"staged, and not listed", 0, live("v1", 100), true},
		{"a target that cannot report its state", 2, adg.Observed{Done: true}, true},
		{"the state after an operation before", 1, adg.Observed{Done: true, OpID: "d/1", Releases: live("v2", 25).Releases}, false},
		{"the state after this operation", 1, adg.Observed{Done: true, OpID: "d/2", Releases: live("v2", 25).Releases}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deployment(func(d *adg.Deployment) {
				d.Status.Step, d.Status.Reached, d.Status.ReachedAt = row.step, false, time.Time{}
			})
			dec := rollout.Step(d, adg.Input{Now: at(10), Observed: &row.seen})
			if dec.Next.Reached != row.want {
				t.Errorf("reached is %t: %q", dec.Next.Reached, dec.Reasons)
			}
		})
	}
}

func live(version string, share float64) adg.Observed {
	return adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Version: version}, Share: share}}}
}

func TestAFactIsTheSameWhenATickIsRepeated(t *testing.T) {
	d := deployment(nil)
	in := adg.Input{Now: at(10), Command: &adg.Command{Kind: adg.CommandHold, Actor: "bob"}}
	first := rollout.Step(d, in)
	in.Now = at(25)
	again := rollout.Step(d, in)
	if len(first.Facts) != 1 || len(again.Facts) != 1 || first.Facts[0].ID != again.Facts[0].ID {
		t.Errorf("a tick that was not stored tells %+v, and repeated %+v", first.Facts, again.Facts)
	}
	if f := first.Facts[0]; f.ID != "d/held/7" || f.Actor != "bob" || f.LastGood != "v1" || f.State != adg.Held {
		t.Errorf("fact %+v", f)
	}
}

func TestNoSlotTurnsTheRollbackIntoAWait(t *testing.T) {
	d := deployment(func(d *adg.Deployment) {
		d.Spec.Policy.Rollback.Trust = adg.Auto
		d.Spec.Policy.Rollback.Rules = []adg.Rule{{When: adg.Unhealthy}}
	})
	in := adg.Input{Now: at(10), Assessment: &adg.Assessment{Health: adg.Unhealthy}}
	wanted := rollout.Step(d, in)
	if wanted.Next.State != adg.RollingBack || wanted.Slot != 10 {
		t.Fatalf("state %s with slot %d", wanted.Next.State, wanted.Slot)
	}
	in.Fleet.Rollbacks = wanted.Slot
	if dec := rollout.Step(d, in); dec.Next.State != adg.RollbackPending || dec.Apply != nil || dec.Slot != 0 || dec.Next.Rollbacks != 0 {
		t.Errorf("without a slot the deployment is %s, effect %v", dec.Next.State, dec.Apply)
	}
}

func TestARollbackSaysOnceWhatWasWrong(t *testing.T) {
	long := strings.Repeat("on and on ", 1000)
	for _, why := range []string{"errors fails", long} {
		d := deployment(func(d *adg.Deployment) {
			d.Spec.Policy.Rollback.Trust = adg.Auto
			d.Spec.Policy.Rollback.Rules = []adg.Rule{{When: adg.Unhealthy}}
		})
		dec := rollout.Step(d, adg.Input{Now: at(10), Assessment: &adg.Assessment{Health: adg.Unhealthy, Text: why}})
		if len(dec.Reasons) != 1 || !strings.HasPrefix(dec.Reasons[0], "rolling back to v1: ") || !strings.Contains(dec.Reasons[0], why[:10]) {
			t.Errorf("%.300q", dec.Reasons)
		}
	}
}

func TestWhenAReleaseWasCondemnedStaysAsItWasOnceItsRollbackBegan(t *testing.T) {
	for state, moves := range map[adg.State]time.Duration{adg.RollbackPending: 10*time.Minute - 10*time.Second, adg.RollingBack: 0, adg.VerifyingRollback: 0} {
		d := deployment(func(d *adg.Deployment) {
			s := &d.Status
			s.State, s.Rule, s.Condemned = state, 1, epoch
			d.Spec.Policy.Rollback.Trust = adg.Auto
			d.Spec.Policy.Rollback.Rules = []adg.Rule{{When: adg.Unhealthy, For: time.Minute, After: time.Hour}}
		})
		next := rollout.Step(d, adg.Input{Now: at(600)}).Next // nobody looked for ten minutes
		if got := next.Condemned.Sub(epoch); got != moves {
			t.Errorf("%s: moved by %s, want %s: only the grace waits for who looks", state, got, moves)
		}
	}
}

func TestWhatAReleaseIsCondemnedForIsKeptUntilTheRollbackIsCalledOff(t *testing.T) {
	d := deployment(func(d *adg.Deployment) {
		d.Spec.Policy.Rollback.Trust = adg.Auto
		d.Spec.Policy.Rollback.Rules = []adg.Rule{{When: adg.Unhealthy, After: time.Hour}}
		d.Spec.Policy.Rollback.Recover = time.Second
	})
	bad := adg.Input{Now: at(10), Assessment: &adg.Assessment{At: at(10), Health: adg.Unhealthy, Text: "p95 52.9 ms, limit 50 ms"}}
	d.Status = rollout.Step(d, bad).Next
	if s := d.Status; s.State != adg.RollbackPending || !strings.HasSuffix(s.CondemnedFor, ": p95 52.9 ms, limit 50 ms") {
		t.Fatalf("%s for %q", s.State, s.CondemnedFor)
	}
	said := d.Status.CondemnedFor
	asked := adg.Input{Now: at(15), Command: &adg.Command{Kind: adg.CommandRollBack, Actor: "ann", Reason: "enough"}}
	if s := rollout.Step(d, asked).Next; !strings.Contains(s.CondemnedFor, "ann") || !strings.Contains(s.CondemnedFor, "enough") {
		t.Errorf("ann condemned it for %q", s.CondemnedFor)
	}
	waiting := rollout.Step(d, adg.Input{Now: at(15), Assessment: &adg.Assessment{At: at(15), Health: adg.Unhealthy, Text: "worse"}}).Next
	if waiting.State != adg.RollbackPending || waiting.CondemnedFor != said {
		t.Errorf("while it waits it is %s for %q", waiting.State, waiting.CondemnedFor)
	}
	good := func(seconds int) adg.Input {
		return adg.Input{Now: at(seconds), Assessment: &adg.Assessment{At: at(seconds), Health: adg.Healthy}}
	}
	for seconds := 15; d.Status.State == adg.RollbackPending && seconds < 120; seconds += 5 {
		d.Status = rollout.Step(d, good(seconds)).Next
	}
	if s := d.Status; s.State == adg.RollbackPending || s.CondemnedFor != "" {
		t.Errorf("called off, it is %s for %q", s.State, s.CondemnedFor)
	}
}

func TestADeadSourceNeverPromotes(t *testing.T) {
	d := deployment(nil)
	for i := range 10_000 {
		in := adg.Input{Now: at(10 * (i + 1)), Assessment: &adg.Assessment{Health: adg.HealthUnknown, Text: "prometheus does not answer"}}
		dec := rollout.Step(d, in)
		if dec.Kind == adg.Promote || dec.Next.Step != 1 {
			t.Fatalf("promoted at %s: %q", in.Now, dec.Reasons)
		}
		if dec.Next.State.Ended() || dec.Next.State == adg.RollingBack {
			return
		}
		d.Status = dec.Next
		d.Version++
	}
	t.Error("the deployment did not end")
}

func TestNothingIsHeldAfterTheDeadline(t *testing.T) {
	for _, kind := range []adg.CommandKind{adg.CommandHold, adg.CommandResume} {
		d := deployment(func(d *adg.Deployment) {
			d.Spec.Policy.AtDeadline = adg.EndKeep
			if kind == adg.CommandResume {
				d.Status.State, d.Status.Resume, d.Status.HeldBy = adg.Held, adg.Rolling, "bob"
			}
		})
		dec := rollout.Step(d, adg.Input{Now: at(3600), Command: &adg.Command{Kind: kind, Actor: "bob"}})
		if dec.Next.State != adg.Undecided || len(dec.Reasons) != 2 || dec.Facts[0].Actor != "" {
			t.Errorf("%s after the deadline: %s, %q", kind, dec.Next.State, dec.Reasons)
		}
	}
}

func TestAStagedReleaseThatNothingSeesNeedsTheTargetsWordInTheSameTick(t *testing.T) {
	staged := deployment(func(d *adg.Deployment) {
		d.Status.Step, d.Spec.Policy.Checks[2].Compare = 0, adg.Threshold
		d.Status.Good = time.Minute // its bake is over
	})
	ready := live("v1", 100)
	for _, row := range []struct {
		name string
		seen *adg.Observed
		want int
	}{
		{"the target says nothing", nil, 0},
		{"the target is not ready any more", &adg.Observed{Text: "restarting"}, 0},
		{"the target says that it is ready", &ready, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			if dec := rollout.Step(staged, adg.Input{Now: at(10), Observed: row.seen}); dec.Next.Step != row.want {
				t.Errorf("step %d: %q", dec.Next.Step, dec.Reasons)
			}
		})
	}
}

func TestARollbackThatAHumanAskedForIsNoAutomaticOneWhateverHisName(t *testing.T) {
	for cause, automatic := range map[int]bool{1: true, 0: false, -1: true, -2: true, -3: false} {
		d := deployment(func(d *adg.Deployment) {
			d.Status.State, d.Status.Resume, d.Status.Rule, d.Status.Condemned = adg.RollbackPending, adg.Rolling, cause, epoch
		})
		dec := rollout.Step(d, adg.Input{Now: at(5)})
		if taken := dec.Slot > 0; dec.Kind != adg.RollBack || taken != automatic {
			t.Errorf("cause %d: %s, a slot is taken: %t", cause, dec.Kind, taken)
		}
		if blamed := dec.Hold != nil; blamed != (cause != -3) {
			t.Errorf("cause %d: on hold: %t", cause, blamed)
		}
		if dec := rollout.Step(d, adg.Input{Now: at(5), Fleet: adg.Fleet{TurnedBad: 3}}); (dec.Kind == adg.RollBack) == automatic {
			t.Errorf("cause %d, and a common cause: %s", cause, dec.Kind)
		}
	}
}

func TestAFailedAttemptIsNoneWhereTheTargetNamesTheLastGoodReleaseAndNotWhereItNamesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		left adg.Observed
		want adg.State
	}{
		"it names the last good release":  {live("v1", 100), adg.VerifyingRollback},
		"it names the bad one":            {live("v2", 100), adg.RollbackFailed},
		"it names nothing, and says done": {adg.Observed{Done: true}, adg.RollbackFailed},
		"it does not answer":              {adg.Observed{}, adg.RollbackFailed},
	} {
		d := deployment(func(d *adg.Deployment) {
			s := &d.Status
			s.State, s.Reached, s.Rule, s.Rollbacks, s.Attempt, s.Op = adg.RollingBack, false, 1, 1, 1, "d/2"
		})
		dec := rollout.Step(d, adg.Input{Now: at(5), Outcome: &adg.Outcome{OpID: "d/2", Err: "401", Final: true, Observed: c.left}})
		if dec.Next.State != c.want {
			t.Errorf("%s: %s, %q", name, dec.Next.State, dec.Reasons)
		}
	}
}
