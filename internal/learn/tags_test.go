package learn

import (
	"context"
	"strings"
	"testing"
)

func readTags(t *testing.T, h *history, o Tags) History {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = late
	}
	got, err := ReadTags(context.Background(), h.dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestATagFailsByARevertAHotfixOrByGoingBack(t *testing.T) {
	h := newHistory(t)
	h.tag("v1.0.0", h.commit("main", 0, "first", "a", "1"), hour)
	bad := h.commit("main", 5*day, "add search", "a", "2")
	h.tag("v1.1.0", h.commit("main", 6*day, "docs", "b", "2"), 10*day)
	h.tag("v1.1.1", h.commit("main", 11*day, "Revert \"add search\"\n\nThis reverts commit "+bad+".", "a", "1"), 11*day+hour)
	h.tag("v1.2.0", h.commit("main", 20*day, "more", "a", "3"), 21*day)
	old := h.commit("main", 21*day+2*hour, "fix crash at start", "a", "4")
	h.tag("v1.2.1", old, 21*day+3*hour)
	h.tag("v1.3.0-rc.1", h.commit("main", 30*day, "x", "a", "5"), 30*day)
	h.tag("v1.3.0", h.commit("main", 31*day, "x", "a", "6"), 32*day)
	h.tag("v1.3.1", old, 32*day+hour)
	h.tag("v1.4.0", h.commit("main", 98*day, "y", "a", "7"), 99*day)
	got := readTags(t, h, Tags{})
	want(t, got, "shop →v1.0.0 success", "shop v1.0.0→v1.1.0 rolled-back", "shop v1.1.0→v1.1.1 success", "shop v1.1.1→v1.2.0 hotfixed",
		"shop v1.2.0→v1.2.1 success", "shop v1.2.1→v1.3.0 rolled-back", "shop v1.3.0→v1.3.1 unknown", "shop v1.3.1→v1.4.0 unknown")
	if d := got.Deployments[1]; d.Why != "a commit in v1.1.0 was reverted after 24h" || d.Features["n_commits"] != 2 || d.FromCommit == "" {
		t.Errorf("%+v", d)
	}
	roundTrip(t, got)
	if all := readTags(t, h, Tags{PreReleases: true}); len(all.Deployments) != len(got.Deployments)+1 {
		t.Errorf("with pre-releases %d", len(all.Deployments))
	}
}

func TestAMaintenanceReleaseIsNoReturn(t *testing.T) {
	h := newHistory(t)
	base := h.commit("main", 0, "first", "a", "1")
	h.tag("v1.0.0", base, 0)
	h.tag("v2.0.0", h.commit("main", 10*day, "second", "a", "2"), 10*day)
	h.git("", "branch", "maint", base)
	h.tag("v1.0.1", h.commit("maint", 10*day+hour, "fix of the old line", "a", "1.1"), 10*day+hour)
	want(t, readTags(t, h, Tags{}), "shop →v1.0.0 success", "shop v1.0.0→v2.0.0 success", "shop v1.0.0→v1.0.1 success")
}

func TestServicesOfOneRepositoryAreKeptApart(t *testing.T) {
	h := newHistory(t)
	a := h.commit("main", 0, "a", "a", "1")
	b := h.commit("main", 10*day, "b", "a", "2")
	h.tag("api/v1.0", a, 0)
	h.tag("web-v1.0", a, hour)
	h.tag("api/v1.1", b, 10*day)
	h.tag("latest", b, 10*day)
	h.tag("@scope/lib@2.0.0", b, 11*day)
	h.commit("main", 10*day+2*hour, "Revert \"b\"\n\nThis reverts commit "+b, "a", "1")
	got := readTags(t, h, Tags{Pattern: ""})
	want(t, got, "api →api/v1.0 success", "web →web-v1.0 success", "api api/v1.0→api/v1.1 rolled-back", "@scope.lib →@scope/lib@2.0.0 success")
	if some := readTags(t, h, Tags{Pattern: "web-*"}); len(some.Deployments) != 1 {
		t.Errorf("%+v", some)
	}
}

func TestARewrittenHistoryIsReadAsItIs(t *testing.T) {
	h := newHistory(t)
	gone := h.commit("main", 0, "first", "a", "1")
	h.tag("v1", gone, 0)
	h.git("", "update-ref", "-d", "refs/heads/main")
	h.commit("main", day, "rewritten", "a", "1")
	h.tag("v2", h.commit("main", 10*day, "Revert \"nothing\"\n\nThis reverts commit "+strings.Repeat("ab", 20), "a", "3"), 10*day)
	want(t, readTags(t, h, Tags{}), "shop →v1 success", "shop →v2 success")
}

func FuzzLog(f *testing.F) {
	id := strings.Repeat("a", 40)
	f.Add([]byte("\x01" + id + "\x00\x00" + "12\x00e\x00n\x00e\x00n\x00message\x00\x00\n:100644 100644 " + id + " " + id + " M\x00path\x00"))
	f.Add([]byte("\x01" + id + "\x00" + id + "\x0099999999999999999999\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(_ *testing.T, out []byte) { _, _ = parseLog(nil, out) })
}

func FuzzManifest(f *testing.F) {
	f.Add("kustomization.yaml", "images: [{name: a, newTag: b}]")
	f.Add("a.yaml", "kind: Application\nspec: {sources: [{helm: {parameters: [{name: x.image.tag, value: 1}], valuesObject: {image: {tag: 2}}}}]}")
	f.Add("a.yaml", "a: &a {image: {tag: 1}}\nb: *a\n")
	f.Fuzz(func(t *testing.T, file, text string) {
		pins, _ := readPins(file, []byte(text))
		for _, p := range pins {
			if p.version == "" || p.version != clean(p.version) || p.name != clean(p.name) {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add("v1.2.3", "v1.10.0-rc.1")
	f.Add("main-0a1b2c3", "20260101.2")
	f.Fuzz(func(t *testing.T, a, b string) {
		order, ok := compareVersions(a, b)
		back, ok2 := compareVersions(b, a)
		if ok != ok2 || ok && order != -back {
			t.Errorf("%q %q: %d %v, %d %v", a, b, order, ok, back, ok2)
		}
		_, _ = splitTag(a)
		_, _, _ = isPatchOf(a, b), isPreRelease(a), readMessage(a)
	})
}

func TestVersionsAreOrderedByTheirNumbers(t *testing.T) {
	for _, pair := range [][2]string{{"1.9", "1.10"}, {"v1.0.0-rc.1", "v1.0.0"}, {"v1.0.0-rc.2", "v1.0.0-rc.10"}, {"v1", "1.0.1"}, {"release-7", "release-12"}, {"1.2.3-0a1b2c3", "1.2.4-9f8e7d6"}} {
		if order, ok := compareVersions(pair[0], pair[1]); !ok || order >= 0 {
			t.Errorf("%v: %d %v", pair, order, ok)
		}
	}
	for _, pair := range [][2]string{{"main-0a1b2c3", "main-9f8e7d6"}, {"0a1b2c3", "1b2c3d4"}, {"api-1", "web-2"}, {"blue", "green"}, {"1.0+a", "1.0+b"}} {
		if order, ok := compareVersions(pair[0], pair[1]); ok {
			t.Errorf("%v: %d, though nothing says which came first", pair, order)
		}
	}
}

func TestALowerNumberOnTopOfAHigherOneIsNoReturnAndARevertInsideATagIsNoFailureOfIt(t *testing.T) {
	h := newHistory(t)
	h.tag("v2.0.0", h.commit("main", 0, "first", "a", "1"), 0)
	bad := h.commit("main", 10*day, "try", "a", "2")
	tip := h.commit("main", 10*day+2*hour, "Revert \"try\"\n\nThis reverts commit "+bad, "a", "1")
	h.tag("v1.9.0", tip, 10*day+hour) // by a clock that is behind
	want(t, readTags(t, h, Tags{}), "shop →v2.0.0 success", "shop v2.0.0→v1.9.0 success")
}
