package app

import (
	"context"
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
