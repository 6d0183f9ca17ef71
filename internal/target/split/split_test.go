package split

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

const evaluatorToken = "evaluator-token"

func fixture(t *testing.T) (flagtest.Fixture, *standIn) {
	s := newStandIn()
	w := flagtest.NewWorld(t, s, s, nil)
	return flagtest.Fixture{World: w, Open: func(t *testing.T, dir string) adg.Target {
		o := Driver.Options.(Options)
		o.URL, o.EvaluatorURL, o.Workspace, o.Environment, o.Flag = w.URL+"/internal/api/v2", w.URL, "ws-1", "production", "checkout"
		o.On, o.Off, o.EvaluatorToken = flagtest.On, flagtest.Off, adg.NewSecret(evaluatorToken)
		// The evaluator sets its own Authorization, and the Admin API gets this one.
		o.BearerToken = adg.NewSecret(targettest.Planted)
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

func TestTheSplitTargetKeepsTheContract(t *testing.T) {
	flagtest.Run(t, flagtest.Case{
		Fixture: func(t *testing.T) flagtest.Fixture { f, _ := fixture(t); return f }, Whole: true,
	})
}

func TestAKilledFlagServesTheOldTreatmentWhateverItsDefaultWas(t *testing.T) {
	f, s := fixture(t)
	target := f.Open(t, t.TempDir())
	apply(t, target, targettest.Want("d/1", 1, 25))
	s.d.DefaultTreatment = "on"
	seen := apply(t, target, targettest.Rollback("d/2", 1))
	if !s.d.Killed || s.d.DefaultTreatment != "off" || s.d.size("on") != 0 || !seen.Done {
		t.Errorf("%+v, and it reports %+v", s.d, seen)
	}
	if text := s.d.Treatments[1].Description; !strings.HasPrefix(text, "the new checkout adg:[") {
		t.Errorf("the description is %q", text)
	}
}

func TestAFlagThatIsKilledAlreadyIsRolledBackToTheOldTreatment(t *testing.T) {
	f, s := fixture(t)
	target := f.Open(t, t.TempDir())
	s.d.Killed, s.d.DefaultTreatment = true, "on"
	seen := apply(t, target, targettest.Rollback("d/1", 1))
	if share := s.Share(t); share != 0 || !seen.Done || !s.d.Killed {
		t.Errorf("%g %% have it on, and it reports %+v", share, seen)
	}
}

func TestWhatIsNotOursIsInTheWayAndKilledAllTheSame(t *testing.T) {
	for name, spoil := range map[string]func(*definition){
		"a third treatment":       func(d *definition) { d.DefaultRule = []bucket{{"on", 25}, {"third", 75}} },
		"half of the traffic":     func(d *definition) { half := 50.0; d.TrafficAllocation = &half },
		"no traffic, and default": func(d *definition) { none := 0.0; d.TrafficAllocation, d.DefaultTreatment = &none, "on" },
	} {
		f, s := fixture(t)
		target := f.Open(t, t.TempDir())
		apply(t, target, targettest.Want("d/1", 1, 25))
		spoil(&s.d)
		rule := len(s.d.DefaultRule)
		if _, err := target.Apply(t.Context(), targettest.Want("d/2", 1, 50)); adg.CodeOf(err) != adg.Conflict {
			t.Errorf("%s: a step forward: %v", name, err)
		}
		if apply(t, target, targettest.Rollback("d/3", 1)); !s.d.Killed || s.d.DefaultTreatment != "off" || len(s.d.DefaultRule) != rule {
			t.Errorf("%s: %+v", name, s.d)
		}
	}
}

func TestARollbackIsNotDoneWhileTheEvaluatorServesTheRelease(t *testing.T) {
	f, s := fixture(t)
	target := f.Open(t, t.TempDir())
	apply(t, target, targettest.Want("d/1", 1, 25))
	s.served = "on"
	if seen := apply(t, target, targettest.Rollback("d/2", 1)); seen.Done || !strings.Contains(seen.Text, "applications still get on") {
		t.Errorf("%+v", seen)
	}
	s.served = ""
	if seen, err := target.Current(t.Context()); err != nil || !seen.Done {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestATreatmentThatIsNotThereIsNamed(t *testing.T) {
	f, s := fixture(t)
	s.d.Treatments = s.d.Treatments[:1]
	if _, err := f.Open(t, t.TempDir()).Current(t.Context()); adg.CodeOf(err) != adg.NotFound || !strings.Contains(err.Error(), "treatment on") {
		t.Errorf("got %v", err)
	}
}

func TestTheLongerOfTheRateLimitsIsWaitedFor(t *testing.T) {
	h := http.Header{}
	if wait, told := untilReset(h); told {
		t.Errorf("not said: %s", wait)
	}
	h.Set("X-RateLimit-Reset-Seconds-Org", "3")
	h.Set("X-RateLimit-Reset-Seconds-IP", "8")
	if wait, told := untilReset(h); !told || wait != 8*time.Second {
		t.Errorf("%s, %v", wait, told)
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.URL, o.OffTreatment, o.EvaluatorURL, o.Off = "there", "on", "here", "on"
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"url:", "evaluator_url:", "workspace:", "environment:", "flag:", "two treatments", "are the same", "directory"} {
		if err == nil || !strings.Contains(err.Error(), part) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}

func FuzzDefinition(f *testing.F) {
	f.Add([]byte(`{"killed":false,"defaultTreatment":"off","trafficAllocation":100,"treatments":[{"name":"on"},{"name":"off"}],"defaultRule":[{"treatment":"on","size":25},{"treatment":"off","size":75}]}`))
	f.Add([]byte(`{"treatments":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d definition
		o := Driver.Options.(Options)
		if json.Unmarshal(body, &d) != nil || d.treatment("on") < 0 || d.treatment("off") < 0 {
			return
		}
		if s := d.state(o); d.Killed && d.DefaultTreatment == "off" && s.Share != 0 {
			t.Errorf("a killed flag is on for %g %%", s.Share)
		}
	})
}
