package unleash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/flag/flagtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// world is a flag of its own in the real server.
type world struct {
	flag     string
	strategy string
}

var flags atomic.Int64

func newWorld(t *testing.T) *world {
	w := &world{flag: fmt.Sprintf("checkout-%d", flags.Add(1))}
	w.call(t, "POST", "/api/admin/projects/default/features", map[string]any{"name": w.flag, "type": "release"}, nil)
	var made struct{ ID string }
	w.call(t, "POST", w.path("/environments/development/strategies"), map[string]any{
		"name": gradual, "title": "everybody, slowly", "parameters": map[string]string{"rollout": "0", "stickiness": "userId", "groupId": w.flag},
	}, &made)
	w.strategy = made.ID
	return w
}

func (w *world) path(more string) string {
	return "/api/admin/projects/default/features/" + w.flag + more
}

// call is a request of somebody who is not ADG.
func (w *world) call(t *testing.T, method, path string, in, out any) {
	t.Helper()
	token := adminToken
	if strings.HasPrefix(path, "/api/client/") {
		token = clientToken
	}
	body := &bytes.Buffer{}
	if in != nil {
		if err := json.NewEncoder(body).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, server(t)+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s, %v", method, path, answer.StatusCode, said, err)
	}
	if out != nil {
		if err := json.Unmarshal(said, out); err != nil {
			t.Fatalf("%s %s: %s, %v", method, path, said, err)
		}
	}
}

// Share is what applications read, past every cache.
func (w *world) Share(t *testing.T) float64 {
	var feature struct {
		Enabled    bool
		Strategies []struct{ Parameters map[string]string }
	}
	w.call(t, "GET", "/api/client/features/"+w.flag, nil, &feature)
	if !feature.Enabled {
		return 0
	}
	var share float64
	if _, err := fmt.Sscan(feature.Strategies[0].Parameters["rollout"], &share); err != nil {
		t.Fatal(err)
	}
	return share
}

func (w *world) Set(t *testing.T, share float64) {
	if share == 0 {
		w.call(t, "POST", w.path("/environments/development/off"), nil, nil)
		return
	}
	w.call(t, "PATCH", w.path("/environments/development/strategies/"+w.strategy), []operation{
		{"replace", "/parameters/rollout", fmt.Sprint(share)},
	}, nil)
	w.call(t, "POST", w.path("/environments/development/on"), nil, nil)
}

func (w *world) Archive(t *testing.T) { w.call(t, "DELETE", w.path(""), nil, nil) }

func (w *world) options(address string) Options {
	o := Driver.Options.(Options)
	o.URL, o.Flag, o.Environment = address, w.flag, "development"
	o.Token, o.ClientToken = adg.NewSecret(adminToken), adg.NewSecret(clientToken)
	o.On, o.Off = flagtest.On, flagtest.Off
	return o
}

func opened(t *testing.T, o Options, dir string) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "checkout", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func fixture(t *testing.T) (flagtest.Fixture, *world) {
	p := newWorld(t)
	w := flagtest.NewWorld(t, p, flagtest.Proxy(t, server(t)), nil)
	w.Secret = adminToken
	return flagtest.Fixture{
		World: w, Open: func(t *testing.T, dir string) adg.Target { return opened(t, p.options(w.URL), dir) },
	}, p
}

func TestTheUnleashTargetKeepsTheContract(t *testing.T) {
	t.Parallel()
	flagtest.Run(t, flagtest.Case{
		Fixture: func(t *testing.T) flagtest.Fixture { f, _ := fixture(t); return f }, Whole: true, Parallel: true,
	})
}

func TestARollbackReachesApplicationsWithinSeconds(t *testing.T) {
	f, _ := fixture(t)
	target := f.Open(t, t.TempDir())
	for op, share := range []float64{5, 50, 100} {
		if _, err := target.Apply(t.Context(), targettest.Want(fmt.Sprintf("shop-v2-abc/%d", op+1), 1, share)); err != nil {
			t.Fatal(err)
		}
	}
	for seen := (adg.Observed{}); !seen.Done; {
		seen, _ = target.Current(t.Context())
	}
	begin := time.Now()
	seen, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/9", 1))
	applied := time.Since(begin)
	for ; err == nil && !seen.Done; seen, err = target.Current(t.Context()) {
		if !strings.Contains(seen.Text, "applications still get it on for 100 %") {
			t.Errorf("not done, because %q", seen.Text)
		}
	}
	took := time.Since(begin)
	if share, _ := seen.Share(flagtest.On); err != nil || share != 0 || took > time.Minute {
		t.Errorf("%+v, %v, after %s", seen, err, took)
	}
	t.Logf("off at the server after %s, and for applications after %s", applied, took)
}

func TestAFlagWithoutAStrategyIsNeverSwitchedOnForEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	f, p := fixture(t)
	p.call(t, "DELETE", p.path("/environments/development/strategies/"+p.strategy), nil, nil)
	target := f.Open(t, t.TempDir())
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 5)); err != nil {
		t.Fatal(err)
	}
	if share := p.Share(t); share != 5 {
		t.Errorf("%g %%, want 5 %%", share)
	}
}

func TestAStrategyForEverybodyBesideTheRolloutIsInTheWayAndSwitchedOffAllTheSame(t *testing.T) {
	t.Parallel()
	f, p := fixture(t)
	target := f.Open(t, t.TempDir())
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 5)); err != nil {
		t.Fatal(err)
	}
	p.call(t, "POST", p.path("/environments/development/strategies"), map[string]any{"name": "default"}, nil)
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share(flagtest.On); err != nil || share != 100 || seen.Done {
		t.Errorf("with a strategy for everybody: %+v, %v", seen, err)
	}
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 25)); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "remove them") {
		t.Errorf("a step forward: %v", err)
	}
	seen, err = target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/3", 1))
	if share, _ := seen.Share(flagtest.On); err != nil || share != 0 {
		t.Errorf("rollback: %+v, %v", seen, err)
	}
}

func TestWhatPeopleWroteAndConstrainedStays(t *testing.T) {
	t.Parallel()
	f, p := fixture(t)
	p.call(t, "POST", p.path("/environments/development/strategies"), map[string]any{
		"name": gradual, "parameters": map[string]string{"rollout": "100", "stickiness": "default", "groupId": "staff"},
		"constraints": []map[string]any{{"contextName": "userId", "operator": "IN", "values": []string{"ann"}}},
	}, nil)
	target := f.Open(t, t.TempDir())
	seen, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 25))
	if err != nil || !strings.Contains(seen.Text, "1 further strategies decide") {
		t.Errorf("%+v, %v", seen, err)
	}
	var feature struct{ Environments []environment }
	p.call(t, "GET", p.path(""), nil, &feature)
	for _, e := range feature.Environments {
		if e.Name == "development" && (len(e.Strategies) != 2 || !strings.HasPrefix(e.gradual().Title, "everybody, slowly adg:[")) {
			t.Errorf("the strategies are %+v", e.Strategies)
		}
	}
}

func TestARollbackIsNotDoneWhereApplicationsDoNotKnowTheFlag(t *testing.T) {
	t.Parallel()
	f, p := fixture(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"version":2,"features":[{"name":"`+p.flag+`-else","enabled":true}]}`) // of another project
	}))
	t.Cleanup(elsewhere.Close)
	o := p.options(f.World.URL)
	o.ClientURL = elsewhere.URL
	seen, err := opened(t, o, t.TempDir()).Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if err != nil || seen.Done || !strings.Contains(seen.Text, "does not know the flag "+p.flag) {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestAClientTokenOfAnotherProjectOrEnvironmentIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ token, problem string }{
		"of the environment, for all projects": {"*:production." + targettest.Planted, ""},
		"for several projects":                 {"[]:production." + targettest.Planted, ""},
		"for the project":                      {"shop:production." + targettest.Planted, ""},
		"of a form that says nothing":          {targettest.Planted, ""},
		"of another environment":               {"*:development." + targettest.Planted, "not for the environment production"},
		"of an environment that begins so":     {"*:production-2." + targettest.Planted, "not for the environment production"},
		"for another project":                  {"blog:production." + targettest.Planted, "not for the project shop"},
	} {
		o := Driver.Options.(Options)
		o.URL, o.Project, o.Environment, o.Flag = "http://unleash.example.com", "shop", "production", "checkout"
		o.Token, o.ClientToken = adg.NewSecret("admin"), adg.NewSecret(c.token)
		target, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()})
		switch {
		case c.problem == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.problem != "" && (adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), targettest.Planted)):
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			_ = target.(io.Closer).Close()
		}
	}
}

func TestAnEnvironmentThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, p := fixture(t)
	o := p.options(server(t))
	o.Environment, o.ClientToken = "staging", adg.Secret{}
	_, err := opened(t, o, t.TempDir()).Current(t.Context())
	if adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "development, production") {
		t.Errorf("got %v", err)
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.Flag, o.On, o.Off = "../x", "v1", "v1"
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"url", "token is missing", "flag:", "environment:", "are the same", "directory"} {
		if err == nil || !strings.Contains(err.Error(), part) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}
