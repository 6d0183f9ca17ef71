package judge

import (
	"math"
	"testing"

	"github.com/deployguardian/adg"
)

func TestHealthIsMadeOfVerdicts(t *testing.T) {
	type check struct {
		name     string
		verdict  adg.Verdict
		weight   float64
		critical bool
		why      adg.Why
	}
	const inf = math.MaxFloat64
	for _, row := range []struct {
		name   string
		checks []check
		health adg.Health
		score  float64
		text   string
	}{
		{"all pass", []check{{name: "errors", verdict: adg.Pass, critical: true}, {name: "p95", verdict: adg.Pass}}, adg.Healthy, 100,
			"healthy with a score of 100: all 2 checks pass"},
		{"the only check passes", []check{{name: "errors", verdict: adg.Pass}}, adg.Healthy, 100,
			"healthy with a score of 100: errors passes"},
		{"a warning counts half", []check{{name: "errors", verdict: adg.Pass}, {name: "p95", verdict: adg.Warn}}, adg.Degraded, 75,
			"degraded with a score of 75: p95 warns (said p95)"},
		{"a failure counts nothing", []check{{name: "errors", verdict: adg.Pass}, {name: "p95", verdict: adg.Fail}}, adg.Unhealthy, 50,
			"unhealthy with a score of 50: p95 fails (said p95)"},
		{"weights are shares", []check{{name: "errors", verdict: adg.Pass, weight: 3}, {name: "p95", verdict: adg.Fail, weight: 1}}, adg.Degraded, 75,
			"degraded with a score of 75: p95 fails (said p95)"},
		{"a light failure leaves it healthy", []check{{name: "errors", verdict: adg.Pass, weight: 9}, {name: "p95", verdict: adg.Fail}}, adg.Healthy, 90,
			"healthy with a score of 90: p95 fails (said p95)"},
		{"a light critical failure does not", []check{{name: "errors", verdict: adg.Pass, weight: 99}, {name: "p95", verdict: adg.Fail, critical: true}}, adg.Unhealthy, 99,
			"unhealthy with a score of 99: p95 (critical) fails (said p95)"},
		{"a critical warning is no critical failure", []check{{name: "errors", verdict: adg.Warn, critical: true}, {name: "p95", verdict: adg.Pass}}, adg.Degraded, 75,
			"degraded with a score of 75: errors (critical) warns (said errors)"},
		{"a fault that was there before counts as pass", []check{{name: "errors", verdict: adg.Warn, critical: true, why: adg.Preexisting}, {name: "p95", verdict: adg.Pass}}, adg.Healthy, 100,
			"healthy with a score of 100: errors (critical) warns (said errors)"},
		{"a critical unknown is unknown", []check{{name: "errors", critical: true}, {name: "p95", verdict: adg.Pass, weight: 9}}, adg.HealthUnknown, 100,
			"unknown with a score of 100: errors (critical) is unknown (said errors)"},
		{"a critical failure beside a critical unknown is unhealthy", []check{{name: "errors", critical: true}, {name: "p95", verdict: adg.Fail, critical: true}}, adg.Unhealthy, 0,
			"unhealthy with a score of 0: p95 (critical) fails (said p95), errors (critical) is unknown"},
		{"an unknown is left out of the score", []check{{name: "errors", verdict: adg.Pass}, {name: "p95"}}, adg.Healthy, 100,
			"healthy with a score of 100: p95 is unknown (said p95)"},
		{"more than half unknown is unknown", []check{{name: "errors", verdict: adg.Pass}, {name: "p95"}, {name: "p50"}}, adg.HealthUnknown, 100,
			"unknown with a score of 100: p95 is unknown (said p95), p50 is unknown"},
		{"bad enough whatever the unknown would say", []check{{name: "errors", verdict: adg.Fail, weight: 9}, {name: "p95", weight: 10}}, adg.Unhealthy, 0,
			"unhealthy with a score of 0: errors fails (said errors), p95 is unknown"},
		{"bad, and the unknown could outweigh it", []check{{name: "errors", verdict: adg.Fail, weight: 1}, {name: "p95", weight: 10}}, adg.HealthUnknown, 0,
			"unknown with a score of 0: p95 is unknown (said p95), errors fails"},
		{"nothing could be judged", []check{{name: "errors"}, {name: "p95"}}, adg.HealthUnknown, 0,
			"unknown: errors is unknown (said errors), p95 is unknown"},
		{"there is no check", nil, adg.HealthUnknown, 0, "unknown: there is no check"},
		{"the worst come first, and the rest is counted", []check{{name: "a", verdict: adg.Pass}, {name: "b"}, {name: "c", verdict: adg.Warn}, {name: "d", verdict: adg.Warn},
			{name: "e", verdict: adg.Fail}, {name: "f", verdict: adg.Fail, critical: true}}, adg.Unhealthy, 40,
			"unhealthy with a score of 40: f (critical) fails (said f), e fails, c warns and 2 more"},
		{"weights that are none count as one", []check{{name: "a", verdict: adg.Pass, weight: -1}, {name: "b", verdict: adg.Fail, weight: math.NaN()}}, adg.Unhealthy, 50,
			"unhealthy with a score of 50: b fails (said b)"},
		{"weights beyond all measure stay numbers", []check{{name: "a", verdict: adg.Pass, weight: inf}, {name: "b", verdict: adg.Fail, weight: inf}}, adg.Unhealthy, 50,
			"unhealthy with a score of 50: b fails (said b)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var checks []adg.Check
			var judgements []adg.Judgement
			for _, c := range row.checks {
				checks = append(checks, adg.Check{Name: c.name, Weight: c.weight, Critical: c.critical})
				judgements = append(judgements, adg.Judgement{Check: c.name, Verdict: c.verdict, Why: c.why, Text: "said " + c.name})
			}
			a := Assess(now, checks, judgements, adg.Scoring{})
			if a.Health != row.health || a.Score != row.score || a.Text != row.text {
				t.Errorf("got  %s, %g, %q\nwant %s, %g, %q", a.Health, a.Score, a.Text, row.health, row.score, row.text)
			}
			if !a.At.Equal(now) || len(a.Judgements) != len(judgements) {
				t.Errorf("the assessment is of %s with %d judgements", a.At, len(a.Judgements))
			}
		})
	}
}

func TestTheThresholdsOfHealthAreThePolicys(t *testing.T) {
	checks := []adg.Check{{Name: "a", Weight: 7}, {Name: "b", Weight: 3}}
	judgements := []adg.Judgement{{Verdict: adg.Pass}, {Verdict: adg.Fail}}
	for _, row := range []struct {
		scoring adg.Scoring
		want    adg.Health
	}{
		{adg.Scoring{}, adg.Degraded},
		{adg.Scoring{Healthy: 70}, adg.Healthy},
		{adg.Scoring{Degraded: 70.5}, adg.Unhealthy},
	} {
		if a := Assess(now, checks, judgements, row.scoring); a.Health != row.want {
			t.Errorf("%+v: %s, want %s", row.scoring, a.Health, row.want)
		}
	}
}

func TestACheckWithoutAJudgementIsUnknown(t *testing.T) {
	checks := []adg.Check{{Name: "a", Critical: true}}
	if a := Assess(now, checks, nil, adg.Scoring{}); a.Health != adg.HealthUnknown || a.Text != "unknown: a (critical) is unknown (not measured yet)" {
		t.Errorf("%s: %s", a.Health, a.Text)
	}
}
