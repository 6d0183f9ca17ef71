package app

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// rehearsed is a target that notes the way back that it is asked about.
type rehearsed struct {
	adg.Target
	asked []adg.Desired
}

// one is a world of that target alone.
type one struct{ target *rehearsed }

func (o one) Source(context.Context, adg.Deployment, string) (adg.Source, error) {
	return nil, adg.Errorf(adg.Unavailable, "no source")
}
func (o one) Target(context.Context, adg.Deployment) (adg.Target, error) { return o.target, nil }
func (o one) Notifier(context.Context, string) (adg.Notifier, error)     { return nil, nil }

func (r *rehearsed) Rehearse(_ context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	r.asked = append(r.asked, want)
	return nil, nil
}

const besideItsPrograms = `service: shop
environment: production
sources:
  prom: {type: prometheus, url: "http://prometheus:9090", bearer_token: {env: NO_SUCH_TOKEN}}
  own: {type: command, path: ./errors}
target: {type: command, apply: {path: ./deploy}, current: {path: live}}
checks:
  - {name: errors, source: own, query: errors, fail: "> 5%", window: 2m, critical: true}
strategy: {recreate: {bake: 10m}}
rollback: {trust: auto, rules: [{when: unhealthy, for: 1m, act: now}]}
`

func TestLintSaysWhatWouldNotWorkOnThisMachineAndIsNoErrorForIt(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "guardian.yaml", besideItsPrograms, 0o600)
	a := New("test", strings.NewReader(""), io.Discard, io.Discard)
	found, err := a.lint(t.Context(), "guardian.yaml")
	said := strings.Join(found.Warnings, "\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"guardian.yaml:4:73: bearer_token: the environment variable NO_SUCH_TOKEN is not set here",
		"guardian.yaml:5:8: it does not work here: source own: start ./errors: there is no such program",
		`guardian.yaml:6:9: it does not work here: opening target: current: path: "live": write the program's path with a slash`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in:\n%s", want, said)
		}
	}
	write(t, "guardian.yaml", strings.ReplaceAll(besideItsPrograms, "live", "./live"), 0o600)
	for _, name := range []string{"errors", "deploy", "live"} {
		write(t, name, "#!/bin/sh\n", 0o700)
	}
	t.Setenv("NO_SUCH_TOKEN", "t0ken")
	if found, err = a.lint(t.Context(), "guardian.yaml"); err != nil || len(found.Warnings) > 0 {
		t.Errorf("%v, %v", found.Warnings, err)
	}
	if left, err := filepath.Glob("*"); err != nil || len(left) != 4 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestARunWhoseProgramsAreNotThereIsRefusedBeforeAnythingBegins(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("NO_SUCH_TOKEN", "t0ken")
	write(t, "guardian.yaml", strings.ReplaceAll(besideItsPrograms, "live", "./live"), 0o600)
	write(t, "live", "#!/bin/sh\n", 0o700)
	a := New("test", strings.NewReader(""), io.Discard, io.Discard)
	o := cli.RunOptions{File: "guardian.yaml", DataDir: ".adg", Release: adg.Release{Version: "v2"}, Previous: "v1"}
	_, err := a.run(t.Context(), o, nil, nil)
	if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "target: start ./deploy: there is no such program") || !strings.Contains(err.Error(), "source own: start ./errors") {
		t.Errorf("%v", err)
	}
	tested, err := a.try(t.Context(), cli.TestOptions{File: "guardian.yaml", Version: "v2", Previous: "v1", DataDir: ".adg"})
	if err != nil || !strings.Contains(tested.Rollback.String(), "start ./deploy: there is no such program") {
		t.Errorf("%v, %v", tested.Rollback, err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyTestRehearsesTheWayBackThatARunWouldTake(t *testing.T) {
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := adg.Release{Service: "shop", Version: "v1", Artifact: "registry/shop@sha256:11", Schema: "41"}
	older := adg.Release{Service: "shop", Version: "v0", Schema: "40"}
	p := adg.Policy{Service: "shop", Environment: "production"}.WithDefaults()
	past := adg.Deployment{ID: "shop-v1", Spec: adg.Spec{Policy: p, Release: good, LastGood: &older, Created: time.Now()}}
	if err := store.CreateDeployment(t.Context(), past); err != nil {
		t.Fatal(err)
	}
	for _, r := range []adg.Release{older, good} {
		record := adg.ReleaseRecord{Environment: "production", Release: r, Standing: adg.StandingGood, Since: time.Now(), Deployment: past.ID}
		if err := store.Mark(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    cli.TestOptions
		back *adg.Release
	}{
		"to the last good release on record":  {cli.TestOptions{Version: "v2", Schema: "42", DataDir: dir}, &good},
		"to the one that is named, as it was": {cli.TestOptions{Version: "v2", Schema: "42", Previous: "v0", DataDir: dir}, &older},
		"nowhere, where nothing is on record": {cli.TestOptions{Version: "v2", Schema: "42", DataDir: t.TempDir()}, nil},
		"nowhere from the last good one":      {cli.TestOptions{Version: "v1", DataDir: dir}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := &rehearsed{Target: targettest.NewMemory()}
			tested, err := tryPolicy(t.Context(), one{w}, p, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if c.back == nil {
				if len(w.asked) > 0 || tested.Rollback.GetPossible() {
					t.Errorf("asked for %+v, %+v", w.asked, tested.Rollback)
				}
				return
			}
			if len(w.asked) != 1 || !w.asked[0].Rollback {
				t.Fatalf("asked for %+v", w.asked)
			}
			var got []adg.Release
			for _, p := range w.asked[0].Releases {
				got = append(got, p.Release)
			}
			want := []adg.Release{*c.back, {Service: "shop", Version: "v2", Schema: "42"}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
