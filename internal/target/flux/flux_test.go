package flux

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			w := newWorld(t, nil)
			return targettest.Fixture{Target: kubetest.Paced(w.open(t)), World: w, Reopen: w.open}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true, Parallel: true,
	})
}

func applied(t *testing.T, target adg.Target, want adg.Desired) {
	t.Helper()
	if _, err := target.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
}

func live(version string) func(adg.Observed) bool {
	return func(seen adg.Observed) bool {
		share, _ := seen.Share(version)
		return seen.Done && share == 100
	}
}

// followed is a world whose repository has just brought v2.
func followed(t *testing.T) (*world, adg.Target) {
	t.Helper()
	w := newWorld(t, &repository{})
	target := w.open(t)
	w.repo.push(t, "v2")
	w.until(t, target, live("v2"))
	return w, target
}

func TestARollbackSuspendsTheKustomizationUntilTheRepositoryHasNoHeldRelease(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	want := "the Kustomization " + w.repo.namespace + "/apps"
	if what, err := target.(adg.Suspender).Suspends(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); what != want || err != nil || w.paused(t) {
		t.Errorf("before the rollback it would suspend %q, %v", what, err)
	}
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	seen := w.until(t, w.open(t), live("v1"))
	if seen.Suspended != want {
		t.Errorf("suspended is %q, want %q", seen.Suspended, want)
	}
	held := []adg.Release{targettest.Release("v2")}
	seen, err := w.open(t).(adg.Suspender).Resume(t.Context(), held)
	if err != nil || seen.Suspended == "" || !strings.Contains(seen.Text, "v2, which is on hold") {
		t.Errorf("with v2 in the repository: %+v, %v", seen, err)
	}
	w.repo.with(func() { w.repo.archive = []byte("not what the digest is of") })
	if seen, err := target.(adg.Suspender).Resume(t.Context(), nil); err != nil || seen.Suspended == "" {
		t.Errorf("with an artifact that nobody can tell of: %+v, %v", seen, err)
	}
	w.repo.push(t, "v3")
	if seen, err := target.(adg.Suspender).Resume(t.Context(), held); err != nil || seen.Suspended != "" {
		t.Errorf("with v3 in the repository: %+v, %v", seen, err)
	}
	w.until(t, target, func(seen adg.Observed) bool { share, _ := seen.Share("v3"); return share == 100 })
}

func TestAKustomizationThatSomebodyResumesIsNotReportedAsSuspended(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	w.until(t, target, live("v1"))
	w.suspend(t, w.repo.admin, kustomizations, "apps", false)
	seen := w.until(t, target, func(seen adg.Observed) bool { share, _ := seen.Share("v2"); return share == 100 })
	if seen.Suspended != "" || seen.Done {
		t.Errorf("it is %+v", seen)
	}
	applied(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	if seen := w.until(t, target, live("v1")); seen.Suspended == "" {
		t.Errorf("rolled back again: %+v", seen)
	}
}

func TestWhatTheRepositoryHasIsLeftToIt(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	w.repo.push(t, "v1")
	if what, err := target.(adg.Suspender).Suspends(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); what != "" || err != nil {
		t.Errorf("it would suspend %q, %v", what, err)
	}
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	if seen := w.until(t, target, live("v1")); seen.Suspended != "" {
		t.Errorf("suspended without need: %+v", seen)
	}
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 100)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("what is not merged yet: %v", err)
	}
	w.repo.push(t, "v2")
	applied(t, target, targettest.Want("shop-v2-abc/2", 1, 100))
	w.until(t, target, live("v2"))
	if effects := w.Effects(t); len(effects) != 0 {
		t.Errorf("adg has set the version itself: %v", effects)
	}
}

func TestAControllerThatSaysReadyTooEarlyIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	target := w.open(t)
	w.with(func() { w.lies = true })
	want := targettest.Want("shop-v2-abc/1", 1, 100)
	want.Releases[0].Release.Version = "never"
	applied(t, target, want)
	seen := w.until(t, target, func(seen adg.Observed) bool { return strings.Contains(seen.Text, "pods are ready") })
	if seen.Done {
		t.Errorf("it is %+v", seen)
	}
}

func TestAHelmReleaseThatSomebodyHasSuspendedIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	target := w.open(t)
	w.suspend(t, w.admin, helmReleases, "shop", true)
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); adg.CodeOf(err) != adg.Conflict {
		t.Errorf("it gives %v", err)
	}
	obstacles, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if err != nil || len(obstacles) != 1 || obstacles[0].Name != "sync" {
		t.Errorf("rehearsed: %v, %v", obstacles, err)
	}
}

// neighbour is another target, of a HelmRelease beside the world's own.
func (w *world) neighbour(t *testing.T) adg.Target {
	t.Helper()
	w.create(t, w.admin, helmReleases, helmRelease("cart", map[string]any{kustomizationName: "apps", kustomizationNamespace: w.repo.namespace}))
	options := w.options
	options.Name = "cart"
	target, err := Driver.Open(t.Context(), options, adg.Host{Name: "cart"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func TestAKustomizationOfSeveralGoesOnWithTheLastOfThem(t *testing.T) {
	t.Parallel()
	w, shop := followed(t)
	cart := w.neighbour(t)
	w.repo.pushFiles(t, "v2", map[string]string{"apps/shop.yaml": manifest("shop", "v2"), "apps/cart.yaml": manifest("cart", "v2")})
	applied(t, shop, targettest.Rollback("shop-v2-abc/1", 1))
	back := targettest.Rollback("cart-v2-def/1", 1)
	back.Deployment = "cart-v2-def"
	applied(t, cart, back)
	resumed := func(target adg.Target, held ...adg.Release) bool {
		seen, err := target.(adg.Suspender).Resume(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		return seen.Suspended == ""
	}
	w.repo.pushFiles(t, "v3", map[string]string{"apps/shop.yaml": manifest("shop", "v3"), "apps/cart.yaml": manifest("cart", "v2")})
	held := targettest.Release("v2")
	if !resumed(shop, held) || resumed(cart, held) || !w.paused(t) {
		t.Error("the shop has taken the suspension away that the cart needs")
	}
	if !resumed(cart) || w.paused(t) {
		t.Error("nobody needs it, and it stays suspended")
	}
}

func (w *world) paused(t *testing.T) bool {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := w.repo.admin.Get(t.Context(), kustomizations, "apps", object); err != nil {
		t.Fatal(err)
	}
	return suspended(object)
}

func TestASuspensionOfSomebodyElseStaysTheirs(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	w.suspend(t, w.repo.admin, kustomizations, "apps", true)
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	if seen := w.until(t, target, live("v1")); seen.Suspended != "" {
		t.Errorf("reported as adg's own: %+v", seen)
	}
	if _, err := target.(adg.Suspender).Resume(t.Context(), nil); err != nil || !w.paused(t) {
		t.Errorf("it was taken away: %v", err)
	}
}

func TestItHasFailedWhenTheControllerTriesNoMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ready, stalled string
		failed         bool
		text           string
	}{
		"the chart is being fetched":   {"HelmChart 'shop' is not ready", "", false, "not ready"},
		"there are no more retries":    {"Helm upgrade failed", "Failed to upgrade after 1 attempt(s)", true, "upgrade failed"},
		"it has not taken notice yet":  {"", "", false, "not taken notice"},
		"what is said is of the older": {"old", "old", false, "not taken notice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			target := w.open(t)
			w.with(func() { w.stuck = true })
			applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
			generation := int64(2)
			if c.ready == "old" {
				generation = 1
			}
			var all []any
			for kind, message := range map[string]string{"Ready": c.ready, "Stalled": c.stalled} {
				if message != "" {
					all = append(all, map[string]any{"type": kind, "status": map[string]string{"Ready": "False", "Stalled": "True"}[kind], "reason": "Because",
						"message": message, "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation})
				}
			}
			w.conditions(t, all)
			seen, err := target.Current(t.Context())
			if err != nil || seen.Done || seen.Failed != c.failed || !strings.Contains(seen.Text, c.text) {
				t.Errorf("%+v, %v", seen, err)
			}
		})
	}
}

func TestDoneIsWhatThePodsSay(t *testing.T) {
	target := offline(t)
	release := &unstructured.Unstructured{Object: helmRelease("shop", nil)}
	release.SetGeneration(3)
	ready := map[string]any{"type": "Ready", "status": "True", "observedGeneration": int64(3)}
	if err := unstructured.SetNestedSlice(release.Object, []any{ready}, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pods map[string]count
		done bool
	}{
		"all pods are ready":           {map[string]count{"v1": {2, 2}}, true},
		"one of them is not":           {map[string]count{"v1": {2, 1}}, false},
		"one of another version stays": {map[string]count{"v1": {2, 2}, "v0": {1, 0}}, false},
		"there are none":               {nil, false},
	} {
		s := &state{t: target, release: release, pods: c.pods}
		if seen := s.observed(); seen.Done != c.done || (seen.Text == "") != c.done {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	for name, c := range map[string]struct {
		status    int
		code      adg.Code
		permanent bool
		throttled time.Duration
	}{
		"the credentials have expired": {http.StatusUnauthorized, adg.Unauthorized, true, 0},
		"the account may not do it":    {http.StatusForbidden, adg.Unauthorized, true, 0},
		"the HelmRelease is not there": {http.StatusNotFound, adg.NotFound, true, 0},
		"the API server asks to wait":  {http.StatusTooManyRequests, adg.Unavailable, false, 7 * time.Second},
		"the API server fails":         {http.StatusInternalServerError, adg.Unavailable, false, 0},
	} {
		w.Answer = func(*http.Request) (int, http.Header) {
			return c.status, http.Header{"Retry-After": {"7"}, "Date": nil}
		}
		_, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
		wait, _ := adg.RetryAfter(err)
		if adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || wait != c.throttled {
			t.Errorf("%s: code %s, permanent %t, wait %s: %v", name, adg.CodeOf(err), adg.IsPermanent(err), wait, err)
		}
	}
}

func TestSomebodyElsesWritesAreKept(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	writes, without := 0, 3
	w.Before = func(r *http.Request) {
		if kubetest.Writes(r) && writes < without {
			writes++
			w.change(t, w.admin, helmReleases, "shop", func(o *unstructured.Unstructured) { annotate(o, "theirs", fmt.Sprint(writes)) })
		}
	}
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	release := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), helmReleases, "shop", release); err != nil || release.GetAnnotations()["theirs"] != "3" {
		t.Errorf("theirs are %v, %v", release.GetAnnotations(), err)
	}
	w.until(t, target, live("v1"))
	without = 1000
	if _, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("without end: %v", err)
	}
}

func TestARehearsalTellsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, &repository{})
	rehearse := func() []adg.Obstacle {
		obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
		if err != nil {
			t.Fatal(err)
		}
		return obstacles
	}
	if obstacles := rehearse(); len(obstacles) != 0 {
		t.Errorf("with nothing in the way: %v", obstacles)
	}
	w.change(t, w.repo.admin, kustomizations, "apps", func(o *unstructured.Unstructured) {
		patch := map[string]any{"patch": "- {op: replace, path: /spec/values/image/tag, value: v9}", "target": map[string]any{"kind": "HelmRelease"}}
		_ = unstructured.SetNestedSlice(o.Object, []any{patch}, "spec", "patches")
	})
	if obstacles := rehearse(); len(obstacles) != 1 || obstacles[0].Name != "sync" || obstacles[0].Final {
		t.Errorf("with patches that nobody evaluates: %v", obstacles)
	}
	w.change(t, w.repo.admin, kustomizations, "apps", func(o *unstructured.Unstructured) { unstructured.RemoveNestedField(o.Object, "spec", "patches") })
	w.change(t, w.admin, helmReleases, "shop", func(o *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(o.Object, "far", "spec", "kubeConfig", "secretRef", "name")
	})
	if obstacles := rehearse(); len(obstacles) != 1 || obstacles[0].Name != "release" || !strings.Contains(obstacles[0].Text, "another cluster") {
		t.Errorf("with pods in another cluster: %v", obstacles)
	}
	w.options.Name = "cart"
	if obstacles := rehearse(); len(obstacles) != 1 || obstacles[0].Name != "release" || !obstacles[0].Final {
		t.Errorf("without the HelmRelease: %v", obstacles)
	}
	w.options.Name, w.options.Token = "shop", cluster.ServiceAccount(t, w.namespace, "nobody")
	if obstacles := rehearse(); len(obstacles) != 1 || obstacles[0].Name != "access" || !obstacles[0].Final {
		t.Errorf("without rights: %v", obstacles)
	}
}

// TestItIsKilledAtEveryRequestAndTakenOver is about what is written: the pods follow in the other tests.
func TestItIsKilledAtEveryRequestAndTakenOver(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	w.with(func() { w.stuck = true })
	for _, when := range []kubetest.Cut{kubetest.Beforehand, kubetest.Afterwards} {
		for n, reached := int64(1), true; reached; n++ {
			w.again(t)
			before := len(w.Effects(t))
			var requests atomic.Int64
			w.Cut = func(*http.Request) kubetest.Cut {
				switch now := requests.Add(1); {
				case now < n:
					return kubetest.Never
				case now == n:
					return when
				}
				return kubetest.Beforehand // the dead ask for nothing
			}
			_, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
			reached = requests.Load() >= n
			w.Cut = nil
			if reached && err == nil {
				t.Errorf("cut %d, request %d: no error", when, n)
			}
			seen, err := w.open(t).Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 2))
			times := 1
			if w.tag(t) != "v1" { // by a reconciliation that was under way when it was suspended: the last one
				seen, err = w.open(t).Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 2))
				times++
			}
			if effects := w.Effects(t)[before:]; err != nil || seen.Suspended == "" || w.tag(t) != "v1" || len(effects) != times {
				t.Errorf("cut %d, request %d, taken over: set by %+v, %+v, %v", when, n, effects, seen, err)
			}
			if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 100)); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("the one who was taken for dead: %v", err)
			}
			if !reached && n < 12 {
				t.Errorf("a rollback took %d requests only", n-1)
			}
		}
	}
}

func TestAnOwnerWhoIsOvertakenBeforeItsWriteIsRefused(t *testing.T) {
	t.Parallel()
	w, target := followed(t)
	var overtaken atomic.Bool
	w.Before = func(r *http.Request) {
		if kubetest.Writes(r) && overtaken.CompareAndSwap(false, true) {
			applied(t, w.open(t), targettest.Rollback("shop-v2-abc/1", 2))
		}
	}
	_, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/0", 1, 100))
	if w.tag(t) != "v1" { // by a reconciliation that was under way when it was suspended: the last one
		applied(t, w.open(t), targettest.Rollback("shop-v2-abc/1", 2))
	}
	if !errors.Is(err, adg.ErrFenced) || w.tag(t) != "v1" || !w.paused(t) {
		t.Errorf("it has %s, suspended: %t, and gives %v", w.tag(t), w.paused(t), err)
	}
}

// again brings back what was before a rollback, without what adg noted.
func (w *world) again(t *testing.T) {
	t.Helper()
	w.change(t, w.admin, helmReleases, "shop", func(o *unstructured.Unstructured) {
		o.SetAnnotations(nil)
		_ = unstructured.SetNestedField(o.Object, "v2", "spec", "values", "image", "tag")
	})
	w.change(t, w.repo.admin, kustomizations, "apps", func(o *unstructured.Unstructured) {
		o.SetAnnotations(nil)
		unstructured.RemoveNestedField(o.Object, "spec", "suspend")
	})
}

// offline is a target that asks nobody.
func offline(t testing.TB) *target {
	t.Helper()
	o := Driver.Options.(Options)
	o.Name, o.Image, o.Server, o.Token, o.Namespace = "shop", kubetest.Image, "https://localhost:1", adg.NewSecret("t"), "shops"
	opened, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*target)
}

func TestTheRepositorysVersionIsFoundOrNotTold(t *testing.T) {
	const overlay = "resources: [../base]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"it is there":                      {map[string]string{"apps/shop.yaml": manifest("shop", "v7")}, "v7"},
		"it is in a folder below":          {map[string]string{"./apps/a/b/shop.yml": manifest("shop", "v7")}, "v7"},
		"it is outside the path":           {map[string]string{"apps2/shop.yaml": manifest("shop", "v7")}, ""},
		"it has another name":              {map[string]string{"apps/shop.yaml": manifest("cart", "v7")}, ""},
		"it is in another namespace":       {map[string]string{"apps/shop.yaml": strings.ReplaceAll(manifest("shop", "v7"), "name: shop", "name: shop\n  namespace: staging")}, ""},
		"it is a number":                   {map[string]string{"apps/shop.yaml": manifest("shop", "20261121")}, "20261121"},
		"it is there twice, and differs":   {map[string]string{"apps/a.yaml": manifest("shop", "v7"), "apps/b.yaml": manifest("shop", "v8")}, ""},
		"it is there twice, and is one":    {map[string]string{"apps/a.yaml": manifest("shop", "v7"), "apps/b.yaml": manifest("shop", "v7")}, "v7"},
		"beside a template":                {map[string]string{"apps/a.yaml": "{{ x }}: [", "apps/b.yaml": manifest("shop", "v7")}, "v7"},
		"a variable is filled in later":    {map[string]string{"apps/shop.yaml": manifest("shop", "${tag}")}, ""},
		"an overlay has its part of it":    {map[string]string{"apps/kustomization.yaml": overlay + "patches: [{path: shop.yaml}]", "apps/shop.yaml": manifest("shop", "v7"), "base/shop.yaml": manifest("shop", "v1")}, "v7"},
		"an overlay has a patch in itself": {map[string]string{"apps/kustomization.yaml": overlay + "patches: [{patch: x}]", "apps/shop.yaml": manifest("shop", "v7")}, ""},
		"an older patch in itself":         {map[string]string{"apps/kustomization.yml": overlay + "patchesStrategicMerge: [\"a\\nb\"]", "apps/shop.yaml": manifest("shop", "v7")}, ""},
		"an overlay replaces":              {map[string]string{"apps/Kustomization": overlay + "replacements: [{path: x}]", "apps/shop.yaml": manifest("shop", "v7")}, ""},
		"there is a JSON patch":            {map[string]string{"apps/patch.yaml": "- {op: replace, path: /spec/values/image/tag, value: v8}", "apps/shop.yaml": manifest("shop", "v7")}, ""},
		"there is nothing":                 {nil, ""},
	} {
		got, err := offline(t).search(packed(t, c.files), "./apps")
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzAnArchiveFromElsewhereIsHarmless(f *testing.F) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	f.Add(packed(f, map[string]string{"apps/shop.yaml": manifest("shop", "v7"), "apps/kustomization.yaml": "patches: [{path: shop.yaml}]"}))
	f.Add(packed(f, map[string]string{"apps/laughs.yaml": laughs}))
	f.Add([]byte("\x1f\x8b"))
	target := offline(f)
	f.Fuzz(func(t *testing.T, archive []byte) {
		if version, err := target.search(archive, "apps"); err == nil && adg.ValidVersion(version) != nil {
			t.Errorf("neither a version nor an error: %q", version)
		}
	})
}

func TestEveryProblemOfTheOptionsIsReported(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{Options: kube.Options{Timeout: time.Second}, Name: "A", Field: "values..tag"}, adg.Host{Name: "shop"})
	for _, option := range []string{"cluster", "name", "field", "image"} {
		if !strings.Contains(fmt.Sprint(err), option) || !adg.IsPermanent(err) {
			t.Errorf("%s is not in %v", option, err)
		}
	}
}

func (w *world) suspend(t *testing.T, client *kube.Client, r kube.Resource, name string, is bool) {
	t.Helper()
	w.change(t, client, r, name, func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, is, "spec", "suspend") })
}

// conditions are what the helm-controller says of the HelmRelease.
func (w *world) conditions(t *testing.T, all []any) {
	t.Helper()
	w.change(t, w.admin, helmReleases, "shop", func(o *unstructured.Unstructured) {
		_ = unstructured.SetNestedSlice(o.Object, all, "status", "conditions")
	}, "/status")
}

func (w *world) change(t *testing.T, client *kube.Client, r kube.Resource, name string, do func(*unstructured.Unstructured), below ...string) {
	t.Helper()
	for {
		object := &unstructured.Unstructured{}
		if err := client.Get(t.Context(), r, name, object); err != nil {
			t.Fatal(err)
		}
		do(object)
		err := client.Replace(t.Context(), r, name+strings.Join(below, ""), object, nil)
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Fatal(err)
		}
	}
}

func (r *repository) with(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}
