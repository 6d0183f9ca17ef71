package learn

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func values(tag string) string {
	return "image:\n  repository: example.com/shop/api\n  tag: \"" + tag + "\"\n"
}

func gitops(t *testing.T, h *history, o GitOps) History {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = late
	}
	got, err := ReadGitOps(context.Background(), h.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestGoingBackInAGitOpsRepositoryIsARollbackOfWhatWasLeft(t *testing.T) {
	h := newHistory(t)
	const file = "apps/api/values-production.yaml"
	h.commit("main", 0, "first", file, values("1.3"))
	h.commit("main", 10*day, "bump", file, values("1.4"))
	h.commit("main", 10*day+42*minute, "bump", file, values("1.3"))
	h.commit("main", 20*day, "bump", file, values("1.5"))
	h.commit("main", 20*day+10*minute, "bump", file, values("1.6"))
	h.commit("main", 30*day, "bump", file, values("1.7"))
	h.commit("main", 30*day+2*hour, "hotfix for checkout", file, values("1.7.1"))
	h.commit("main", 98*day, "bump", file, values("1.8"))
	got := gitops(t, h, GitOps{})
	want(t, got,
		"production api →1.3 success", "production api 1.3→1.4 rolled-back", "production api 1.4→1.3 unknown", "production api 1.3→1.5 superseded",
		"production api 1.5→1.6 success", "production api 1.6→1.7 hotfixed", "production api 1.7→1.7.1 success", "production api 1.7.1→1.8 unknown")
	if d := got.Deployments[1]; d.Why != "image tag went back from 1.4 to 1.3 after 42m" || !d.FailedAt.Equal(start.Add(10*day+42*minute)) {
		t.Errorf("why %q, failed at %s", d.Why, d.FailedAt)
	}
	if a := got.Deployments[0].Actor; len(a) != 16 || strings.Contains(told(got), "example.com") {
		t.Errorf("actor %q is no pseudonym", a)
	}
}

func TestGoingBackCountsForAllThatItPassesButNotForRacesPlansAndLateReturns(t *testing.T) {
	h := newHistory(t)
	const file = "prod/api.yaml"
	for _, step := range []struct {
		after float64
		text  string
		tag   string
	}{
		{0, "a", "1"}, {10, "b", "2"}, {11, "c", "3"}, {11.1, "back", "1"}, // past 2
		{20, "d", "4"}, {20.001, "crossed", "3"}, {20.002, "e", "5"},
		{40, "f", "6"}, {40.5, "Revert \"f\"\n\nplanned maintenance is over", "5"},
		{60, "g", "7"}, {75, "back late", "6"},
	} {
		h.commit("main", timeOf(step.after), step.text, file, "image_tag: v"+step.tag+"\n")
	}
	want(t, gitops(t, h, GitOps{Paths: []string{"{environment}/{service}.yaml"}}),
		"prod api →v1 success", "prod api v1→v2 rolled-back", "prod api v2→v3 rolled-back", "prod api v3→v1 unknown",
		"prod api v1→v4 superseded", "prod api v4→v3 unknown", "prod api v3→v5 success", "prod api v5→v6 unknown", "prod api v6→v5 unknown",
		"prod api v5→v7 success", "prod api v7→v6 unknown")
}

func TestAVersionThatNeverReachedProductionWasBlocked(t *testing.T) {
	h := newHistory(t)
	stage, prod := "tags/staging/api", "tags/production/api"
	at := 0.0
	both := func(version string, promote bool) {
		h.commit("main", timeOf(at), "x", stage, "image_tag: "+version+"\n")
		if promote {
			h.commit("main", timeOf(at+0.1), "x", prod, "image_tag: "+version+"\n")
		}
		at++
	}
	both("v1", true)
	both("v2", false)
	both("v3", true)
	at -= 0.85
	both("v4", false) // replaced within the hour, before its turn
	at -= 0.95
	both("v5", true)
	both("v6", false)
	got := gitops(t, h, GitOps{Paths: []string{"tags/{environment}/{service}"}})
	want(t, got,
		"staging api →v1 success", "production api →v1 success", "staging api v1→v2 blocked", "staging api v2→v3 success", "production api v1→v3 success",
		"staging api v3→v4 superseded", "staging api v4→v5 success", "production api v3→v5 success", "staging api v5→v6 unknown")
}

func TestAVersionBySHAGoesBackByWhenItWasSeenFirst(t *testing.T) {
	h := newHistory(t)
	a, b := "main-0a1b2c3d", "main-9f8e7d6"
	for i, v := range []string{b, a, b, a} {
		h.commit("main", timeOf(float64(10*i)/24), "x", "live/kustomization.yaml", "kind: Kustomization\nimages:\n- name: shop/api\n  newTag: "+v+"\n")
	}
	got := gitops(t, h, GitOps{})
	want(t, got, "live api →"+b+" success", "live api "+b+"→"+a+" rolled-back", "live api "+a+"→"+b+" unknown", "live api "+b+"→"+a+" success")
	if got.Deployments[1].ToCommit != "0a1b2c3d" || got.Deployments[1].FromCommit != "9f8e7d6" {
		t.Errorf("commits %+v", got.Deployments[1])
	}
}

func TestManyServicesThatGoBackTogetherAreOneEvent(t *testing.T) {
	h := newHistory(t)
	for step, tag := range []string{"1", "2", "1"} {
		var files []string
		for s := range 5 {
			files = append(files, fmt.Sprintf("prod/s%d.yaml", s), "image_tag: v"+tag+"\n")
		}
		h.commit("main", timeOf(float64(step)), "x", files...)
	}
	got := gitops(t, h, GitOps{Paths: []string{"{environment}/{service}.yaml"}}).Summary()
	if got.Outcomes[RolledBack] != 1 || got.Failed != 1 || got.Services != 5 || got.Returns != 5 {
		t.Errorf("%+v", got)
	}
}

func TestFilesThatMoveSwapOrBreakKeepTheirHistory(t *testing.T) {
	h := newHistory(t)
	h.commit("main", 0, "x", "prod/a.yaml", values("1.0"))
	h.commit("main", day, "move", "prod/a.yaml", "", "prod/api/values.yaml", values("1.0"))
	h.commit("main", 2*day, "template", "prod/api/values.yaml", "image: {{ oops\n")
	h.commit("main", 3*day, "whole again", "prod/api/values.yaml", values("1.1"))
	got := gitops(t, h, GitOps{})
	want(t, got, "prod api →1.0 success", "prod api 1.0→1.1 success")
	if !strings.Contains(strings.Join(got.Notes, "\n"), "could not be read as YAML") {
		t.Errorf("notes %q", got.Notes)
	}
}

func TestHostileRepositoriesAreOnlyText(t *testing.T) {
	h := newHistory(t)
	evil := "prod/\x1b[31m\n-=cmd|x/a.yaml"
	h.commit("main", 0, "--upload-pack=x\x01\n\nThis reverts commit zzz", evil, "image_tag: \"@1\\u202e\"\n")
	h.commit("main", -400*day, "backwards", evil, "image_tag: v2\n", "prod/link", "x")
	got := gitops(t, h, GitOps{})
	if len(got.Deployments) != 2 || got.Deployments[1].At.Before(got.Deployments[0].At) {
		t.Fatalf("%+v", got)
	}
	if text := got.Summary().String() + told(got); strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("%q", text)
	}
	roundTrip(t, got)
}

func TestAnEmptyRepositoryGivesAnEmptyHistoryAndAWrongOneAnError(t *testing.T) {
	h := newHistory(t)
	if got := gitops(t, h, GitOps{}); len(got.Deployments) != 0 || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
	if tags, err := ReadTags(context.Background(), h.dir, Tags{}); err != nil || len(tags.Deployments) != 0 || len(tags.Notes) != 1 {
		t.Errorf("%+v %v", tags, err)
	}
	for name, o := range map[string]GitOps{"no such branch": {Ref: "nope"}, "an option": {Ref: "--all"}, "a pattern twice": {Paths: []string{"{service}/{service}"}}, "rules": {Options: Options{Rules: Rules{Count: []Outcome{Success}}}}} {
		if _, err := ReadGitOps(context.Background(), h.dir, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := ReadGitOps(context.Background(), t.TempDir(), GitOps{}); err == nil {
		t.Error("a folder without a repository is no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ReadTags(ctx, h.dir, Tags{}); err == nil {
		t.Error("a cancelled reading is no error")
	}
}

func TestVersionsAreFoundWhereTheToolsKeepThem(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a deployment with a sidecar": {"a.yaml", "kind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: envoy, image: 'e/envoy:v1.2'}, {name: web, image: 'r:5000/web:3.1@sha256:0123456789abcdef01'}]}}}", "image tag web.envoy v1.2; image tag web 3.1"},
		"a digest alone":              {"a.yaml", "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: 'x@sha256:0123456789abcdef0123'}]}", "image tag p sha256-0123456789abcdef"},
		"several documents":           {"a.yaml", "---\nkind: Application\nmetadata: {name: shop}\nspec: {source: {chart: shop, targetRevision: 1.2.3}}\n---\nkind: HelmRelease\nmetadata: {name: db}\nspec: {chart: {spec: {version: 4.5.6}}}\n", "chart version shop 1.2.3; chart version db 4.5.6"},
		"several sources":             {"a.yaml", "kind: Application\nmetadata: {name: shop}\nspec: {sources: [{targetRevision: v1}, {chart: x, targetRevision: 2.0.0}]}", "revision shop v1; chart version shop 2.0.0"},
		"a moving target":             {"a.yaml", "kind: Application\nmetadata: {name: shop}\nspec: {source: {targetRevision: HEAD}}", ""},
		"a range":                     {"a.yaml", "kind: HelmRelease\nmetadata: {name: db}\nspec: {chart: {spec: {version: '>=4.0'}}}", ""},
		"kustomize":                   {"kustomization.yaml", "images: [{name: x, newName: r/api, newTag: '7'}, {name: y, digest: 'sha256:aaaaaaaaaaaaaaaa1'}]", "image tag api 7; image tag y sha256-aaaaaaaaaaaaaaaa"},
		"nested Helm values":          {"values.yaml", "api: {image: {tag: 1.0}}\nworker: {image: 'r/worker:2.0'}\nimageTag: v9", "image tag api 1.0; image tag worker 2.0; image tag  v9"},
		"an umbrella chart":           {"Chart.yaml", "name: u\ndependencies: [{name: api, version: 1.1.0}]", "chart version api 1.1.0"},
		"helmfile":                    {"helmfile.yaml", "releases: [{name: api, version: 1.1.0}]", "chart version api 1.1.0"},
	} {
		pins, err := readPins(c.file, []byte(c.text))
		var words []string
		for _, p := range pins {
			words = append(words, p.noun+" "+p.name+" "+p.version)
		}
		if got := strings.Join(words, "; "); err != nil || got != c.want {
			t.Errorf("%s: got %q, want %q (%v)", name, got, c.want, err)
		}
	}
}
