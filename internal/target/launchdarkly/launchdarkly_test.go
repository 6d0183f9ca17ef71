package launchdarkly

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/flag/flagtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token  = targettest.Planted
	sdkKey = "sdk-key-of-production"
)

func fixture(t *testing.T) (flagtest.Fixture, *standIn) {
	s := newStandIn()
	w := flagtest.NewWorld(t, s, s, nil)
	return flagtest.Fixture{World: w, Open: func(t *testing.T, dir string) adg.Target {
		o := Driver.Options.(Options)
		o.URL, o.EvaluationURL, o.Project, o.Environment, o.Flag = w.URL, w.URL, "shop", "production", "checkout"
		o.Token, o.SDKKey, o.On, o.Off = adg.NewSecret(token), adg.NewSecret(sdkKey), flagtest.On, flagtest.Off
		target, err := Driver.Open(t.Context(), o, adg.Host{Name: "checkout", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = target.(io.Closer).Close() })
		return target
	}}, s
}

func apply(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestTheLaunchDarklyTargetKeepsTheContract(t *testing.T) {
	flagtest.Run(t, flagtest.Case{
		Fixture: func(t *testing.T) flagtest.Fixture { f, _ := fixture(t); return f }, Atomic: true,
	})
}

func TestARollbackTurnsTargetingOffAndLeavesNobodyInTheDefaultRule(t *testing.T) {
	f, s := fixture(t)
	s.off = 0 // somebody serves the release while targeting is off
	s.on = true
	target := f.Open(t, t.TempDir())
	apply(t, target, targettest.Want("d/1", 1, 12.345))
	if s.weights["id-true"] != 12_345 || s.bucketBy != "country" {
		t.Errorf("the default rule is %v by %s", s.weights, s.bucketBy)
	}
	seen := apply(t, target, targettest.Rollback("d/2", 1))
	if s.on || s.off != 1 || s.weights["id-true"] != 0 || !seen.Done {
		t.Errorf("on %v, off variation %d, weights %v: %+v", s.on, s.off, s.weights, seen)
	}
	if len(s.comments) != 2 || s.comments[1] != "adg: on for 0 % of the users" {
		t.Errorf("the audit log says %q", s.comments)
	}
}

func TestARollbackIsNotDoneWhileApplicationsReadAnOldFlag(t *testing.T) {
	f, s := fixture(t)
	target := f.Open(t, t.TempDir())
	apply(t, target, targettest.Want("d/1", 1, 100))
	s.stale = s.environment()
	seen := apply(t, target, targettest.Rollback("d/2", 1))
	if seen.Done || !strings.Contains(seen.Text, "applications still get it on for 100 %") {
		t.Errorf("%+v", seen)
	}
	s.stale = nil
	if seen, err := target.Current(t.Context()); err != nil || !seen.Done {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestWhatIsNotOursIsInTheWayAndSwitchedOffAllTheSame(t *testing.T) {
	for name, spoil := range map[string]func(*standIn){
		"a third variation": func(s *standIn) { s.weights = map[string]int{"id-true": 25_000, "id-third": 75_000} },
		"an experiment": func(s *standIn) {
			s.extra["fallthrough"] = map[string]any{"rollout": map[string]any{
				"kind": "experiment", "variations": []map[string]any{{"variation": 0, "weight": 25_000}, {"variation": 1, "weight": 75_000}},
			}}
		},
	} {
		f, s := fixture(t)
		target := f.Open(t, t.TempDir())
		apply(t, target, targettest.Want("d/1", 1, 25))
		spoil(s)
		if _, err := target.Apply(t.Context(), targettest.Want("d/2", 1, 50)); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "default rule") {
			t.Errorf("%s: a step forward: %v", name, err)
		}
		if apply(t, target, targettest.Rollback("d/3", 1)); s.on {
			t.Errorf("%s: it is on", name)
		}
	}
}

func TestUsersForWhomThePercentageDoesNotDecideAreNamed(t *testing.T) {
	f, s := fixture(t)
	s.extra["rules"] = []any{map[string]any{}}
	s.extra["targets"] = []any{map[string]any{"values": []string{"ann", "bob"}, "variation": 0}}
	s.extra["prerequisites"] = []any{map[string]any{"key": "other"}}
	seen := apply(t, f.Open(t, t.TempDir()), targettest.Want("d/1", 1, 25))
	if !strings.Contains(seen.Text, "1 prerequisites and 2 individual targets and 1 rules decide") {
		t.Errorf("it says %q", seen.Text)
	}
}

func TestVariationsAreFoundByNameAndByValue(t *testing.T) {
	for _, c := range []struct {
		name    string
		on, off string
		found   int
	}{
		{"by the value of a boolean", "true", "false", 0},
		{"by name", "Third", "false", 2},
		{"by the value of a text", "third", "false", 2},
		{"not at all", "blue", "false", -1},
	} {
		o := Driver.Options.(Options)
		o.Environment, o.OnVariation, o.OffVariation = "production", c.on, c.off
		raw, err := json.Marshal(map[string]any{"variations": variations, "environments": map[string]any{"production": map[string]any{}}})
		if err != nil {
			t.Fatal(err)
		}
		var read feature
		if err := json.Unmarshal(raw, &read); err != nil {
			t.Fatal(err)
		}
		v, err := o.view(read)
		switch {
		case c.found < 0 && (adg.CodeOf(err) != adg.NotFound || !strings.Contains(err.Error(), c.on)):
			t.Errorf("%s: %v", c.name, err)
		case c.found >= 0 && (err != nil || v.on != c.found || v.off != 1):
			t.Errorf("%s: %d and %d, %v", c.name, v.on, v.off, err)
		}
	}
}

func TestTheEndOfTheRateLimitsWindowIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name  string
		reset string
		wait  time.Duration
		told  bool
	}{
		{"in four seconds", "1700000004000", 4 * time.Second, true},
		{"over already", "1600000000000", 0, true},
		{"far away", "9900000000000", time.Minute, true},
		{"not said", "", 0, false},
	} {
		h := http.Header{"X-Ratelimit-Reset": {c.reset}, "Date": {time.Unix(1700000000, 0).UTC().Format(http.TimeFormat)}}
		if wait, told := untilReset(h); wait != c.wait || told != c.told {
			t.Errorf("%s: %s, %v", c.name, wait, told)
		}
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.URL, o.OffVariation, o.Off = "there", "true", "on"
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"url:", "project:", "environment:", "flag:", "token is missing", "two variations", "are the same", "directory"} {
		if err == nil || !strings.Contains(err.Error(), part) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}

func FuzzFeature(f *testing.F) {
	f.Add([]byte(`{"variations":[{"_id":"a","value":true},{"_id":"b","value":false}],"environments":{"production":{"on":true,"offVariation":1,"fallthrough":{"variation":0}}}}`))
	f.Add([]byte(`{"variations":[{"value":true},{"value":false}],"environments":{"production":{"on":true,"fallthrough":{"rollout":{"variations":[{"variation":9,"weight":1e300}]}}}}}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		var read feature
		if json.Unmarshal(body, &read) != nil {
			return
		}
		o := Driver.Options.(Options)
		o.Environment = "production"
		if v, err := o.view(read); err == nil {
			v.state()
			v.instructions(25, "", "user")
			v.instructions(0, "", "user")
		}
	})
}
