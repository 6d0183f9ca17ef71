package helm

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestReleaseOfHelmKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return newWorld(t).fixture(t) },
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true, Tolerance: 0.01, Parallel: true,
	})
}

func TestEveryProblemOfTheOptionsIsReported(t *testing.T) {
	o := Driver.Options.(Options)
	o.Program, o.Release, o.Deadline, o.Chart, o.Set = "helm", "No", -time.Second, "--debug", map[string]string{"a,b": "$nothing"}
	o.Server = "http://127.0.0.1:1"
	_, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Commands: true})
	for _, part := range []string{"whole path", "no name of a release", "longer than 0s", "flag of helm", "no name of one value", "$nothing", "directory of its own"} {
		if err == nil || !adg.IsPermanent(err) || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %s", err, part)
		}
	}
	o.Program = "/usr/bin/helm"
	if _, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"}); err == nil || !strings.Contains(err.Error(), "may not be started") {
		t.Errorf("helm may be started where nothing may: %v", err)
	}
}

func TestWhatARevisionIs(t *testing.T) {
	t1 := &target{}
	all := []revision{
		{Number: 5, Status: deployed, Description: "Rollback to 4", Chart: "shop-1.2.3"},
		{Number: 4, Status: superseded, Description: "Rollback to 2"},
		{Number: 3, Status: failed, Description: "Upgrade \"shop\" failed: timed out", Chart: "shop-1.2.4", AppVersion: "2.0"},
		{Number: 2, Status: superseded, Description: `adg: {"version":"v2","artifact":"shop:2","config":"r7"}`},
		{Number: 1, Status: superseded, Description: "Install complete", Chart: "shop-2-front-1.2.3-rc.1", AppVersion: "a b"},
	}
	for number, want := range map[int]adg.Release{
		5: {Version: "v2", Artifact: "shop:2", Config: "r7"}, // rolled back to what was rolled back to
		3: {Version: "2.0"},
		1: {Version: "1.2.3-rc.1"},
	} {
		got, err := t1.releaseOf(t.Context(), all, all[5-number])
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("revision %d: %v %s", number, err, diff)
		}
	}
}

func TestNothingIsDoneWhileARunOfHelmIsUnderWay(t *testing.T) {
	client, err := kube.Open(kube.Options{Server: "https://127.0.0.1:1", Namespace: "shop", Token: adg.NewSecret("t"), Timeout: time.Second}, adg.Host{})
	if err != nil {
		t.Fatal(err)
	}
	s := &state{target: &target{client: client}, history: []revision{{Number: 1, Status: deployed}}, release: adg.Release{Version: "v1"}, note: note{OpID: "d/1", Version: "v1"}}
	if seen := s.observed(); !seen.Done {
		t.Errorf("not done: %+v", seen)
	}
	s.note.Running = &running{OpID: "d/2"}
	if seen := s.observed(); seen.Done || !strings.Contains(seen.Text, "d/2") {
		t.Errorf("%+v", seen)
	}
}

func FuzzHistoryIsReadOrRefused(f *testing.F) {
	f.Add(`[{"revision":1,"updated":"2026-11-21T22:00:00.1Z","status":"deployed","chart":"shop-1.2.3","app_version":"7.0","description":"Rollback to 1"}]`)
	f.Add(`[{"revision":2,"description":"Rollback to 1"},{"revision":1,"description":"adg: {\"version\":\"v1\"}"}]`)
	f.Add(`[]`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseHistory([]byte(text))
		if err != nil {
			return
		}
		for _, r := range all {
			got, err := (&target{}).releaseOf(t.Context(), all, r)
			if err != nil || adg.ValidVersion(got.Version) != nil {
				t.Errorf("%+v: %+v, %v", r, got, err)
			}
		}
	})
}
