package wire_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/rollout"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestOutlookSaysWhatComesNext(t *testing.T) {
	unhealthy := func(d *adg.Deployment) {
		d.Status.Health, d.Status.Bad = adg.Unhealthy, []time.Duration{20 * time.Second, 20 * time.Second}
	}
	verifying := func(d *adg.Deployment) {
		d.Status.State, d.Status.Step, d.Status.Entered = adg.Verifying, 2, noon.Add(-4*time.Minute)
	}
	held := func(by string) func(*adg.Deployment) {
		return func(d *adg.Deployment) { d.Status.State, d.Status.Resume, d.Status.HeldBy = adg.Held, adg.Rolling, by }
	}
	condemned := func(d *adg.Deployment) {
		d.Status.State, d.Status.Resume, d.Status.Rule, d.Status.Condemned = adg.RollbackPending, adg.Rolling, 1, noon.Add(-2*time.Minute)
	}
	for _, c := range []struct {
		name  string
		do    []func(*adg.Deployment)
		text  string
		waits string
		next  time.Duration // after noon; zero: not known
	}{
		{"it bakes", nil, "50 % in 3m if it stays healthy", "bake", 3 * time.Minute},
		{"it bakes before a pause", []func(*adg.Deployment){func(d *adg.Deployment) { d.Spec.Policy.Strategy.Steps[0].Pause = true }},
			"a promote is asked for in 3m if it stays healthy, then 50 %", "bake", 3 * time.Minute},
		{"it bakes at 100 %", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.Step = 2 }}, "phase immediate in 3m if it stays healthy", "bake", 3 * time.Minute},
		{"it has baked", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.Good = time.Hour }}, "50 % at the next look if it stays healthy", "", 15 * time.Second},
		{"it has baked, and a test is open", []func(*adg.Deployment){func(d *adg.Deployment) {
			d.Status.Good, d.Spec.Policy.Checks[0].Compare, d.Spec.Policy.Promote = time.Hour, adg.Sequential, adg.Baked
		}}, "50 % as soon as errors is baked", "proof", 0},
		{"the target works", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.Reached = false }}, "25 % as soon as the target has done it, then it bakes", "target", 0},
		{"nothing is known", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.Health = adg.HealthUnknown }}, "50 % once it is known to be healthy for long enough", "data", 0},
		{"it is unhealthy", []func(*adg.Deployment){unhealthy}, "it is condemned in 40s if it stays unhealthy", "health", 40 * time.Second},
		{"it is unhealthy, and ADG asks", []func(*adg.Deployment){unhealthy, func(d *adg.Deployment) { d.Spec.Policy.Rollback.Trust = adg.Ask }},
			"an approval of its rollback is asked for in 40s if it stays unhealthy", "health", 40 * time.Second},
		{"it is unhealthy, and there is no way back", []func(*adg.Deployment){unhealthy, func(d *adg.Deployment) { d.Spec.LastGood = nil }},
			"it is held and a human is called, because there is no automatic way back, in 40s if it stays unhealthy", "health", 40 * time.Second},
		{"it is unhealthy, and that was said", []func(*adg.Deployment){unhealthy, func(d *adg.Deployment) { d.Status.Suggested = true }},
			"it stays as it is until it is healthy or a human has decided", "health", 0},
		{"it is verified", []func(*adg.Deployment){verifying}, "phase extended in 6m if it stays healthy", "bake", 6 * time.Minute},
		{"it is verified for the last time", []func(*adg.Deployment){verifying, func(d *adg.Deployment) { d.Status.Phase = 1 }}, "success in 56m if it stays healthy", "bake", 56 * time.Minute},
		{"nobody has approved", []func(*adg.Deployment){func(d *adg.Deployment) {
			d.Status.State, d.Spec.Policy.Approve, d.Status.Entered = adg.Gated, true, noon
		}}, "it begins once somebody approves it; it is blocked at 2026-11-21 13:00 UTC otherwise", "approval", 0},
		{"a gate is shut", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.State, d.Status.Entered = adg.Gated, noon }},
			"it begins as soon as the gates are open; it is blocked at 2026-11-21 13:00 UTC otherwise", "gates", 0},
		{"a human holds it", []func(*adg.Deployment){held("bob")}, "it goes on once somebody resumes it", "resume", 0},
		{"a step pauses", []func(*adg.Deployment){held("adg: pause")}, "50 % once somebody promotes it", "promote", 0},
		{"it is blind", []func(*adg.Deployment){held("adg")}, "it goes on by itself as soon as something is known", "data", 0},
		{"it is in grace", []func(*adg.Deployment){condemned}, "it goes back to 1.0 in 3m unless it recovers", "health", 3 * time.Minute},
		{"a rollback is asked for", []func(*adg.Deployment){condemned, func(d *adg.Deployment) { d.Spec.Policy.Rollback.Trust, d.Status.Asked = adg.Ask, noon }},
			"it goes back to 1.0 once somebody approves", "approval", 0},
		{"silence is consent", []func(*adg.Deployment){condemned, func(d *adg.Deployment) {
			d.Spec.Policy.Rollback.Trust, d.Spec.Policy.Rollback.AskThen, d.Status.Asked = adg.Ask, adg.AskThenRollBack, noon
		}}, "it goes back to 1.0 once somebody approves, and at 2026-11-21 12:30 UTC by itself", "approval", 30 * time.Minute},
		{"it is rolled back", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.State = adg.RollingBack }}, "1.0 is being brought back, then it is verified", "target", 0},
		{"the rollback is verified", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.State, d.Status.Good = adg.VerifyingRollback, 15*time.Second }},
			"the rollback is done in 45s if 1.0 is good", "bake", 45 * time.Second},
		{"it has ended", []func(*adg.Deployment){func(d *adg.Deployment) { d.Status.State = adg.Succeeded }}, "nothing: it has ended", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rolling()
			for _, do := range c.do {
				do(&d)
			}
			o := wire.Outlook(d)
			next := time.Duration(0)
			if o.NextTime != nil {
				next = o.NextTime.AsTime().Sub(noon)
			}
			if o.Text != c.text || o.WaitsFor != c.waits || next != c.next {
				t.Errorf("%q, waits for %q, next %s; want %q, %q, %s", o.Text, o.WaitsFor, next, c.text, c.waits, c.next)
			}
		})
	}
}

func TestEveryDeploymentHasAnOutlook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, state := range adg.States() {
			d := anyDeployment(t, state)
			if o := wire.Deployment(d).Status.Outlook; o.Text == "" {
				t.Fatalf("nothing is said about a deployment that is %s", state)
			}
			if row := wire.Summary(d); row.WaitsForHuman && state.Ended() {
				t.Fatalf("a deployment that is %s waits for a human", state)
			}
		}
	})
}

// The outlook of a healthy deployment is what happens: the state machine is asked tick by tick.
func TestOutlookComesTrue(t *testing.T) {
	d := rolling()
	d.Status.Checks[0].Last.At, d.Status.Checks[1].Last.At = noon, noon
	next := wire.Outlook(d).NextTime.AsTime()
	for now := noon.Add(15 * time.Second); ; now = now.Add(15 * time.Second) {
		decision := rollout.Step(d, adg.Input{Now: now, Assessment: &adg.Assessment{At: now, Health: adg.Healthy, Score: 100}})
		if d.Status = decision.Next; d.Status.Step == 1 {
			if !now.Equal(next) {
				t.Errorf("it went on at %s, foretold was %s", now, next)
			}
			return
		}
		if now.After(next) {
			t.Fatalf("it has not gone on at %s: %v", now, decision.Reasons)
		}
	}
}

func TestShareIsWhatTheReleaseIsWantedToHave(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*adg.Status)
		want   float64
	}{
		{"a step", func(*adg.Status) {}, 25},
		{"nothing was done yet", func(s *adg.Status) { s.State, s.Ops = adg.Gated, 0 }, 0},
		{"fully live", func(s *adg.Status) { s.State, s.Step = adg.Succeeded, 2 }, 100},
		{"rolled back", func(s *adg.Status) { s.State, s.Rollbacks = adg.RolledBack, 1 }, 0},
		{"a record that makes no sense", func(s *adg.Status) { s.Step = 9 }, 0},
	} {
		d := rolling()
		c.change(&d.Status)
		if got := wire.Summary(d).Share; got != c.want {
			t.Errorf("%s: %g %%, want %g %%", c.name, got, c.want)
		}
	}
}

func TestHeadlineIsTheCheckThatMattersMost(t *testing.T) {
	d := rolling()
	if h := wire.Headline(d, nil); h != nil {
		t.Errorf("before the first judgement: %v", h)
	}
	judged := func(errors, latency adg.Verdict) string {
		d.Status.Checks[0].Last = adg.Judgement{Check: "errors", Verdict: errors, At: noon}
		d.Status.Checks[1].Last = adg.Judgement{Check: "latency", Verdict: latency, At: noon}
		return wire.Headline(d, nil).Judgement.Check
	}
	for _, c := range []struct {
		name            string
		errors, latency adg.Verdict
		want            string
	}{
		{"the worse one", adg.Pass, adg.Warn, "latency"},
		{"what is unknown before what is good", adg.Unknown, adg.Pass, "errors"},
		{"what is bad before what is unknown", adg.Unknown, adg.Warn, "latency"},
		{"of two the critical one", adg.Fail, adg.Fail, "errors"},
	} {
		if got := judged(c.errors, c.latency); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	d.Spec.Policy.Checks[0].Critical = false
	if got := judged(adg.Pass, adg.Pass); got != "latency" {
		t.Errorf("of two good ones the heavier one: %s", got)
	}
	var assessments []adg.Assessment
	for i := range 40 {
		value := float64(i)
		assessments = append(assessments, adg.Assessment{Judgements: []adg.Judgement{{Check: "errors"}, {Check: "latency", Value: &value}}})
	}
	if recent := wire.Headline(d, assessments).Recent; len(recent) != 32 || recent[0] != 8 || recent[31] != 39 {
		t.Errorf("its recent values: %v", recent)
	}
	once, again := 1.0, 2.0
	values := []adg.Judgement{{Check: "latency", Value: &once, At: time.Unix(7, 0)}, {Check: "latency", Value: &again, At: time.Unix(9, 0)}}
	assessments = []adg.Assessment{{Judgements: values[:1]}, {Judgements: values[:1]}, {Judgements: values[1:]}}
	if recent := wire.Headline(d, assessments).Recent; len(recent) != 2 || recent[0] != 1 || recent[1] != 2 {
		t.Errorf("a value that stood for two assessments: %v", recent)
	}
}

func TestSelectionPicksWhatItNames(t *testing.T) {
	d := rolling()
	for _, c := range []struct {
		name    string
		request *adgv1.ListDeploymentsRequest
		want    bool
	}{
		{"all", &adgv1.ListDeploymentsRequest{}, true},
		{"one of two services", &adgv1.ListDeploymentsRequest{Services: []string{"cart", "shop"}}, true},
		{"another service", &adgv1.ListDeploymentsRequest{Services: []string{"cart"}}, false},
		{"another environment", &adgv1.ListDeploymentsRequest{Environments: []string{"staging"}}, false},
		{"its team", &adgv1.ListDeploymentsRequest{Teams: []string{"web"}}, true},
		{"another team", &adgv1.ListDeploymentsRequest{Teams: []string{"core"}}, false},
		{"its state", &adgv1.ListDeploymentsRequest{States: []adgv1.State{adgv1.State_STATE_ROLLING}}, true},
		{"another state", &adgv1.ListDeploymentsRequest{States: []adgv1.State{adgv1.State_STATE_HELD}}, false},
		{"another health", &adgv1.ListDeploymentsRequest{Healths: []adgv1.Health{adgv1.Health_HEALTH_UNHEALTHY}}, false},
		{"another actor", &adgv1.ListDeploymentsRequest{Actors: []string{"bob"}}, false},
		{"its version", &adgv1.ListDeploymentsRequest{Version: "2.0", Live: true}, true},
		{"another version", &adgv1.ListDeploymentsRequest{Version: "3.0"}, false},
		{"those that wait for a human", &adgv1.ListDeploymentsRequest{WaitsForHuman: true}, false},
		{"from when it was asked for", &adgv1.ListDeploymentsRequest{FromTime: wire.Timestamp(d.Spec.Created)}, true},
		{"before it was asked for", &adgv1.ListDeploymentsRequest{ToTime: wire.Timestamp(d.Spec.Created)}, false},
	} {
		s, err := wire.ReadSelection(c.request)
		if err != nil || s.Holds(d, "web") != c.want {
			t.Errorf("%s: %t, %v", c.name, s.Holds(d, "web"), err)
		}
	}
	for _, bad := range []*adgv1.ListDeploymentsRequest{
		{States: []adgv1.State{0}}, {Healths: []adgv1.Health{9}}, {Services: slices.Repeat([]string{"a"}, 1001)},
	} {
		if _, err := wire.ReadSelection(bad); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestWatchIsSelectedAsTheListIs(t *testing.T) {
	list := &adgv1.ListDeploymentsRequest{
		Services: []string{"shop"}, Environments: []string{"production"}, Teams: []string{"web"}, States: []adgv1.State{adgv1.State_STATE_ROLLING},
		Healths: []adgv1.Health{adgv1.Health_HEALTH_HEALTHY}, Actors: []string{"ann"}, Version: "2.0", Live: true, WaitsForHuman: true,
		FromTime: wire.Timestamp(noon), ToTime: wire.Timestamp(noon.Add(time.Hour)),
	}
	watch := &adgv1.WatchDeploymentsRequest{}
	fields := watch.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		same := list.ProtoReflect().Descriptor().Fields().ByName(fields.Get(i).Name())
		if same == nil || !list.ProtoReflect().Has(same) {
			t.Fatalf("the list has no %s", fields.Get(i).Name())
		}
		watch.ProtoReflect().Set(fields.Get(i), list.ProtoReflect().Get(same))
	}
	want, err := wire.ReadSelection(list)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.ReadWatchSelection(watch); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, want %+v (%v)", got, want, err)
	}
}

func TestHumansAreWaitedForWhereTheirWordIsWanted(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*adg.Deployment)
		want   bool
	}{
		{"it bakes", func(*adg.Deployment) {}, false},
		{"a human was called", func(d *adg.Deployment) { d.Status.Paging = true }, true},
		{"a rollback is suggested", func(d *adg.Deployment) { d.Status.Suggested, d.Spec.Policy.Rollback.Trust = true, adg.Suggest }, true},
		{"a fault is only observed", func(d *adg.Deployment) { d.Status.Suggested, d.Spec.Policy.Rollback.Trust = true, adg.Observe }, false},
		{"it is blind", func(d *adg.Deployment) { d.Status.State, d.Status.HeldBy = adg.Held, "adg" }, false},
		{"a step pauses", func(d *adg.Deployment) { d.Status.State, d.Status.HeldBy = adg.Held, "adg: pause" }, true},
		{"a gate is shut", func(d *adg.Deployment) { d.Status.State = adg.Gated }, false},
		{"an approval is wanted", func(d *adg.Deployment) { d.Status.State, d.Spec.Policy.Approve = adg.Gated, true }, true},
		{"an approval was given", func(d *adg.Deployment) {
			d.Status.State, d.Spec.Policy.Approve, d.Status.Approved = adg.Gated, true, "eve"
		}, false},
		{"a rollback has to be approved", func(d *adg.Deployment) { d.Status.State, d.Status.Asked = adg.RollbackPending, noon }, true},
		{"it is in grace", func(d *adg.Deployment) { d.Status.State = adg.RollbackPending }, false},
	} {
		d := rolling()
		c.change(&d)
		if got := wire.WaitsForHuman(d); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestRequestsAreReadInTheirBounds(t *testing.T) {
	valid := func() *adgv1.StartDeploymentRequest {
		return &adgv1.StartDeploymentRequest{Environment: "production", Release: &adgv1.Release{Service: "shop", Version: "2.0", Identity: "forged"}, Author: "ann"}
	}
	s, err := wire.ReadStart(valid())
	if err != nil || s.Release.Identity() != "2.0" || !slices.Equal(s.Authors, []string{"ann"}) {
		t.Errorf("%+v, %v", s, err)
	}
	features, labels := map[string]float64{}, map[string]string{}
	for i := range 300 {
		features[strings.Repeat("f", i+1)], labels[strings.Repeat("l", i+1)] = 1, "x"
	}
	for name, change := range map[string]func(*adgv1.StartDeploymentRequest){
		"no release":          func(r *adgv1.StartDeploymentRequest) { r.Release = nil },
		"no version":          func(r *adgv1.StartDeploymentRequest) { r.Release.Version = "" },
		"a version of a kind": func(r *adgv1.StartDeploymentRequest) { r.Release.Version = "$(rm)" },
		"no environment":      func(r *adgv1.StartDeploymentRequest) { r.Environment = "" },
		"a long key":          func(r *adgv1.StartDeploymentRequest) { r.IdempotencyKey = strings.Repeat("k", 129) },
		"many labels":         func(r *adgv1.StartDeploymentRequest) { r.Labels = labels },
		"many features":       func(r *adgv1.StartDeploymentRequest) { r.Features = features },
	} {
		r := valid()
		change(r)
		if _, err := wire.ReadStart(r); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFreezeHoldAndScopeComeBackAsTheyWere(t *testing.T) {
	for _, w := range []*adgv1.FreezeWindow{
		{Name: "weekend", Reason: "nobody is there", Weekly: &adgv1.WeeklyFreeze{From: "Fri 16:00", Until: "Mon 06:00", Zone: "Europe/Berlin"}},
		{Name: "holidays", Reason: "be with your families", Service: "shop-*", FromTime: wire.Timestamp(noon), UntilTime: wire.Timestamp(noon.Add(time.Hour))},
	} {
		read, err := wire.ReadFreeze(w)
		if err != nil {
			t.Fatal(err)
		}
		back := wire.Freeze(read, 1, noon)
		if again, err := wire.ReadFreeze(back); err != nil || !cmp.Equal(again, read) {
			t.Errorf("%v comes back as %v (%v)", read, again, err)
		}
	}
	for name, bad := range map[string]*adgv1.FreezeWindow{
		"nothing":     nil,
		"no reason":   {Name: "x", FromTime: wire.Timestamp(noon)},
		"a bad clock": {Name: "x", Reason: "y", Weekly: &adgv1.WeeklyFreeze{From: "Fri 25:00", Until: "Mon 06:00"}},
	} {
		if _, err := wire.ReadFreeze(bad); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := wire.ReadScope(nil); s != (adg.Scope{}) || err != nil {
		t.Errorf("no scope is %v (%v)", s, err)
	}
	if _, err := wire.ReadScope(&adgv1.Scope{Service: "a b"}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a scope that is none: %v", err)
	}
	if _, err := wire.ReadHold(&adgv1.CreateHoldRequest{Service: "shop", Environment: "production"}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a hold on nothing: %v", err)
	}
}
