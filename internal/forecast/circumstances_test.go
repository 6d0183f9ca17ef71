package forecast_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/learn"
)

var now = start.Add(1000 * time.Hour) // a Monday at 02:00

// deployed is a deployment of the past that began so long ago.
func deployed(service string, ago time.Duration, state adg.State) adg.Deployment {
	return adg.Deployment{
		ID: fmt.Sprintf("%s-%s", service, ago), Spec: adg.Spec{Created: now.Add(-ago), Actor: "ann", Policy: adg.Policy{Service: service}},
		Status: adg.Status{State: state, Rule: 1, Since: now.Add(-ago)},
	}
}

// touching is one of whose change the paths and authors are known.
func touching(d adg.Deployment, paths, authors []string) adg.Deployment {
	d.Spec.Prediction = &adg.Prediction{Paths: forecast.Marks(paths, adg.MaxPaths), Authors: forecast.Marks(authors, adg.MaxAuthors)}
	return d
}

func circumstances(t *testing.T, past forecast.Past, s forecast.Start) map[string]float64 {
	t.Helper()
	features, err := forecast.Circumstances(past, s, now)
	if err != nil {
		t.Fatal(err)
	}
	return features
}

// only are the features of these names.
func only(all map[string]float64, names ...string) map[string]float64 {
	maps.DeleteFunc(all, func(name string, _ float64) bool { return !slices.Contains(names, name) })
	return all
}

var near = cmpopts.EquateApprox(0, 1e-12)

func shop(change func(*adg.Policy)) forecast.Start {
	p := adg.Policy{Service: "shop", Environment: "production"}
	if change != nil {
		change(&p)
	}
	return forecast.Start{Spec: adg.Spec{Policy: p, Actor: "ann"}}
}

func TestCircumstancesAreWhatBecameOfTheOthers(t *testing.T) {
	cancelled := deployed("shop", 60*time.Hour, adg.RolledBack)
	cancelled.Status.Rule = -3 // without blame
	past := forecast.Past{Deployments: []adg.Deployment{
		deployed("cart", time.Hour, adg.Rolling), deployed("shop", 5*time.Hour, adg.RolledBack), deployed("shop", 30*time.Hour, adg.Blocked), cancelled,
		deployed("cart", 50*time.Hour, adg.RollbackFailed), deployed("shop", 400*time.Hour, adg.RolledBack), deployed("shop", 500*time.Hour, adg.Succeeded),
	}}
	names := []string{"hour", "dow", "h_since_last_deploy", "h_deploys_24h", "h_reverts_7d", "under_way", "deploy_no", "h_sub_fail", "actor_deploys", "actor_fail"}
	want := map[string]float64{
		"hour": 2, "dow": 0, "h_since_last_deploy": 5, "h_deploys_24h": 2, "h_reverts_7d": 2, "under_way": 1, "deploy_no": 6, "h_sub_fail": 0.4,
		"actor_deploys": 7, "actor_fail": (3 + 4*3.2/8) / 8, // three of four that are known, as of all
	}
	if diff := cmp.Diff(want, only(circumstances(t, past, shop(nil)), names...), near); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(past.Deployments)
	if diff := cmp.Diff(want, only(circumstances(t, past, shop(nil)), names...), near); diff != "" {
		t.Error("the order of the past matters:", diff)
	}
	first := only(circumstances(t, forecast.Past{}, shop(nil)), names...)
	if diff := cmp.Diff(map[string]float64{"hour": 2, "dow": 0, "h_deploys_24h": 0, "h_reverts_7d": 0, "under_way": 0, "deploy_no": 1, "actor_deploys": 0}, first); diff != "" {
		t.Errorf("the first deployment: %s", diff)
	}
}

func TestAHumansCorrectionChangesTheCircumstances(t *testing.T) {
	past := forecast.Past{Deployments: []adg.Deployment{deployed("shop", 5*time.Hour, adg.Succeeded)}}
	if got := circumstances(t, past, shop(nil)); got["h_sub_fail"] != 0 {
		t.Errorf("it failed by itself: %v", got)
	}
	past.Corrections = []learn.Correction{{Deployment: "shop-5h0m0s", Outcome: learn.Incident}}
	if got := circumstances(t, past, shop(nil)); got["h_sub_fail"] != 1 {
		t.Errorf("the correction does not count: %v", got)
	}
}

func TestFilesAuthorsAndPeopleHaveAReputationOfTheirOwn(t *testing.T) {
	var past forecast.Past
	add := func(d adg.Deployment) { past.Deployments = append(past.Deployments, d) }
	const usual = (2 + 4*0.05) / (10 + 4) // of ten known ones two failed
	for i := range 8 {
		add(deployed("cart", time.Duration(100+i)*time.Hour, adg.Succeeded))
	}
	for i := range past.Deployments {
		past.Deployments[i].Spec.Actor = "bob"
	}
	add(touching(deployed("shop", 10*time.Hour, adg.RolledBack), []string{"pay.go", "main.go"}, []string{"a1"}))
	add(touching(deployed("cart", 20*time.Hour, adg.RollbackFailed), []string{"pay.go"}, []string{"a1", "a2"}))
	add(touching(deployed("shop", 30*time.Hour, adg.Blocked), []string{"pay.go"}, []string{"a1"}))
	s := shop(nil)
	s.Paths, s.Authors = forecast.Marks([]string{"pay.go", "new.go"}, 9), forecast.Marks([]string{"a1"}, 9)
	want := map[string]float64{
		"file_fail":   (1 + 4*usual) / (1 + 4), // that of the other service is another file, and what was blocked was not tried
		"author_fail": (2 + 4*usual) / (2 + 4),
		"actor_fail":  (2 + 4*usual) / (2 + 4),
	}
	if diff := cmp.Diff(want, only(circumstances(t, past, s), "file_fail", "author_fail", "actor_fail"), near); diff != "" {
		t.Error(diff)
	}
	s.Spec.Actor, s.Paths, s.Authors = "eve", forecast.Marks([]string{"new.go"}, 9), forecast.Marks([]string{"a9"}, 9)
	if got := only(circumstances(t, past, s), "file_fail", "author_fail", "actor_fail"); len(got) != 0 {
		t.Errorf("who and what was never seen has a reputation: %v", got)
	}
}

func TestOnlyTheLast200DeploymentsTellOfFilesAndPeople(t *testing.T) {
	past := forecast.Past{Deployments: []adg.Deployment{touching(deployed("shop", 900*time.Hour, adg.RolledBack), []string{"pay.go"}, nil)}}
	for i := range 199 {
		past.Deployments = append(past.Deployments, deployed("cart", time.Duration(i)*time.Hour, adg.Succeeded))
	}
	s := shop(nil)
	s.Paths = forecast.Marks([]string{"pay.go"}, 9)
	if got := circumstances(t, past, s)["file_fail"]; got == 0 {
		t.Error("the 200th deployment is forgotten")
	}
	past.Deployments = append(past.Deployments, deployed("cart", 500*time.Hour, adg.Succeeded))
	if got, found := circumstances(t, past, s)["file_fail"]; found {
		t.Errorf("the 201st deployment is remembered: %g", got)
	}
}

func TestHowADeploymentIsMadeIsKnownFromItsPolicy(t *testing.T) {
	s := shop(func(p *adg.Policy) {
		p.Strategy = adg.Strategy{Kind: adg.BlueGreen, Steps: []adg.Step{{Bake: 90 * time.Second}, {Share: 100, Bake: time.Minute}}}
		p.Verify = []adg.Phase{{For: 15 * time.Minute}, {For: time.Hour}}
	})
	s.Automatic = true
	want := map[string]float64{
		"strategy_rolling": 0, "strategy_blue_green": 1, "strategy_canary": 0, "strategy_feature_flag": 0, "strategy_recreate": 0,
		"steps": 2, "bake_min": 2.5, "verify_min": 75, "production": 1, "auto": 1,
	}
	if diff := cmp.Diff(want, only(circumstances(t, forecast.Past{}, s), slices.Collect(maps.Keys(want))...)); diff != "" {
		t.Error(diff)
	}
}

// sick is a start of which the live release's health is known.
func sick() forecast.Start {
	s := shop(func(p *adg.Policy) {
		p.Checks = []adg.Check{
			{Name: "errors", Bad: "b", Total: "t"}, {Name: "timeouts", Bad: "b", Total: "t"}, {Name: "restarts", Total: "t", Compare: adg.Events},
			{Name: "latency", Histogram: "h"}, {Name: "silent", Histogram: "h"},
			{Name: "cpu", Fail: adg.Condition{Operator: adg.Above, Value: 80, Unit: adg.Percent}},
			{Name: "queue", Fail: adg.Condition{Operator: adg.AtLeast, Value: 100}}, {Name: "free", Fail: adg.Condition{Operator: adg.Below, Value: 1}},
			{Name: "p95", Fail: adg.Condition{Operator: adg.Above, Relative: true, Value: 1}},
		}
	})
	s.Baselines = []adg.Baseline{
		{Check: "errors", Bad: 2, Total: 100}, {Check: "timeouts", Bad: 3, Total: 100}, {Check: "restarts", Bad: 9, Total: 9},
		{Check: "latency", Values: []float64{0.4, 0.2, 9}, Total: 5}, {Check: "silent", Err: "no requests", Values: []float64{99}},
		{Check: "cpu", Values: []float64{0.2, 0.4}}, {Check: "queue", Values: []float64{90}}, {Check: "free", Values: []float64{50}},
		{Check: "p95", Values: []float64{50}}, {Check: "gone", Bad: 1, Total: 1},
	}
	s.Health = &adg.Assessment{Health: adg.Degraded, Score: 70, Judgements: []adg.Judgement{{Verdict: adg.Fail}, {Verdict: adg.Pass}, {Verdict: adg.Unknown}}}
	return s
}

func TestHealthOfTheLiveReleaseIsTheWorstOfEachKind(t *testing.T) {
	want := map[string]float64{"base_error_rate": 0.03, "base_latency_s": 0.4, "base_saturation": 0.9, "base_health_score": 70, "base_failing_checks": 1}
	names := slices.Collect(maps.Keys(want))
	s := sick()
	if diff := cmp.Diff(want, only(circumstances(t, forecast.Past{}, s), names...), near); diff != "" {
		t.Error(diff)
	}
	queue := 120.0
	s.Health.Judgements[1] = adg.Judgement{Check: "queue", Verdict: adg.Pass, Value: &queue}
	if got := circumstances(t, forecast.Past{}, s)["base_saturation"]; got != 1.2 {
		t.Errorf("of its limit the queue has %g in the last window", got)
	}
	s.Health, s.Baselines = &adg.Assessment{Health: adg.HealthUnknown, Judgements: []adg.Judgement{{Verdict: adg.Fail}}}, nil
	if got := only(circumstances(t, forecast.Past{}, s), names...); len(got) != 0 {
		t.Errorf("health that nobody knows: %v", got)
	}
}

func TestWhatSomebodySaysCountsMoreThanWhatIsFound(t *testing.T) {
	s := shop(nil)
	s.Told = map[string]float64{"auto": 1, "tests_failed": 3}
	if got := circumstances(t, forecast.Past{}, s); got["auto"] != 1 || got["tests_failed"] != 3 {
		t.Errorf("%v", got)
	}
}

// TestEveryFeatureOfADeploymentIsDescribed proves that the reference page is complete.
func TestEveryFeatureOfADeploymentIsDescribed(t *testing.T) {
	s := sick()
	s.Paths, s.Authors = forecast.Marks([]string{"pay.go"}, 9), forecast.Marks([]string{"a1"}, 9)
	past := forecast.Past{Deployments: []adg.Deployment{touching(deployed("shop", time.Hour, adg.Succeeded), []string{"pay.go"}, []string{"a1"})}}
	features := circumstances(t, past, s)
	if unknown := forecast.Unknown(features); len(unknown) > 0 {
		t.Errorf("no catalogue describes %q", unknown)
	}
	names := map[string]bool{}
	for _, m := range forecast.Catalogue() {
		if m.Unit == "" || m.Source == "" || m.Text == "" || names[m.Name] || learn.ValidFeature(m.Name) != nil {
			t.Errorf("%+v", m)
		}
		names[m.Name] = true
		if _, found := features[m.Name]; !found && m.Source != "pipeline" {
			t.Errorf("%s is described, and nothing gives it", m.Name)
		}
	}
	if got := forecast.Unknown(map[string]float64{"tests_flaky": 1, "la": 1, "moon": 1, "a": 1}); !slices.Equal(got, []string{"a", "moon"}) {
		t.Errorf("unknown: %q", got)
	}
}

func TestMarksKeepTogetherWhatTwoChangesHaveInCommon(t *testing.T) {
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("dir/file%d.go", i))
	}
	marks := forecast.Marks(many, adg.MaxPaths)
	if len(marks) != adg.MaxPaths || !slices.IsSorted(marks) || strings.Contains(marks[0], "file") || len(marks[0]) != 16 {
		t.Errorf("%d marks, %q", len(marks), marks[0])
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		shuffled := slices.Clone(many)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if !slices.Equal(forecast.Marks(append(shuffled, many[:10]...), adg.MaxPaths), marks) {
			t.Fatal("the order matters, or that files are there twice")
		}
		if half := forecast.Marks(shuffled[:500], adg.MaxPaths); !slices.ContainsFunc(half, func(m string) bool { return slices.Contains(marks, m) }) {
			t.Fatal("half of the files have nothing in common with all of them")
		}
	}
}

// TestSharesStayBetweenZeroAndOne lets pasts of every kind happen.
func TestSharesStayBetweenZeroAndOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var past forecast.Past
		for i := range rapid.IntRange(0, 30).Draw(t, "n") {
			d := deployed(rapid.SampledFrom([]string{"shop", "cart"}).Draw(t, "service"), time.Duration(i)*time.Hour, rapid.SampledFrom(adg.States()).Draw(t, "state"))
			past.Deployments = append(past.Deployments, touching(d, []string{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "path")}, []string{"a1"}))
		}
		s := shop(nil)
		s.Paths, s.Authors = forecast.Marks([]string{"a"}, 9), forecast.Marks([]string{"a1"}, 9)
		features, err := forecast.Circumstances(past, s, now)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range features {
			if math.IsNaN(v) || math.IsInf(v, 0) || strings.HasSuffix(name, "_fail") && (v < 0 || v > 1) {
				t.Fatalf("%s is %g", name, v)
			}
		}
	})
}

func TestModelSaysWhatItsDataCountedAsFailures(t *testing.T) {
	h := lived(60)
	h.Deployments[0].Counted = "rolled back, incident"
	m, err := forecast.Train(t.Context(), h, forecast.Training{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "of 59: rolled back, blocked, hotfixed within 4h, incident; superseded within 15m is neither; a success is known after 7d | of 1: rolled back, incident"
	if p := forecast.Predict(m, "x", "shop", nil, now); m.Card.Counted != want || p.Counted != want {
		t.Errorf("counted: %q, %q", m.Card.Counted, p.Counted)
	}
}

func TestTrainingCountsWhatEachDeploymentSays(t *testing.T) {
	h := lived(60)
	failed := 0
	for i := range h.Deployments {
		if h.Deployments[i].Outcome == learn.RolledBack {
			failed++
			if failed > 2 {
				h.Deployments[i].Counted = "incident"
			}
		}
	}
	m, err := forecast.Train(t.Context(), h, forecast.Training{})
	if err != nil || m.Card.Failed != 2 || m.Card.Outcomes != 60 {
		t.Errorf("%d of %d failed: %v", m.Card.Failed, m.Card.Outcomes, err)
	}
}
