package argorollouts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// A process may be killed before or after its write. Whoever takes over finishes it, and changes nothing twice.
func TestKilledAroundTheWriteAnotherOneFinishesTheRollback(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]float64{"in the middle of a canary": 25, "after the promotion": 100} {
		for when, says := range map[kubetest.Cut]string{kubetest.Beforehand: "before", kubetest.Afterwards: "after"} {
			t.Run(name+", "+says+" the write", func(t *testing.T) {
				t.Parallel()
				w := podsWorld(t, 4)
				apply(t, w, targettest.Want("shop-v2-abc/1", 1, share))
				w.eventually(t, done)
				before := len(w.Effects(t))
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				var hit atomic.Bool
				w.Cut = func(r *http.Request) kubetest.Cut {
					if !kubetest.Writes(r) || hit.Swap(true) {
						return kubetest.Never
					}
					if when == kubetest.Beforehand {
						kill()
					}
					return when
				}
				want := targettest.Rollback("shop-v2-abc/2", 2)
				if _, err := w.open(t).Apply(ctx, want); err == nil {
					t.Fatal("nobody noticed that the process was killed")
				}
				want.Fence++
				apply(t, w, want)
				w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == want.OpID })
				if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
					t.Error(diff)
				}
				if n := len(w.Effects(t)) - before; n != 1 {
					t.Errorf("%d changes, want 1, as without a kill", n)
				}
				stale := want
				stale.Fence, stale.OpID = 2, "shop-v2-abc/9"
				if _, err := w.open(t).Apply(t.Context(), stale); !errors.Is(err, adg.ErrFenced) {
					t.Errorf("the one that was killed may go on: %v", err)
				}
			})
		}
	}
}

func TestRolloutThatAbortsByItsOwnAnalysisIsNotLedOn(t *testing.T) {
	t.Parallel()
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"healthy": "no"}`) }))
	t.Cleanup(metrics.Close)
	w := emptyWorld(t)
	w.create(t, analysisTemplates, "health", map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "spec": map[string]any{"metrics": []any{map[string]any{
		"name": "health", "interval": "1s", "successCondition": `result == "yes"`, "failureLimit": 0,
		"provider": map[string]any{"web": map[string]any{"url": metrics.URL, "jsonPath": "{$.healthy}"}},
	}}}})
	w.populate(t, 4, map[string]any{"maxSurge": "50%", "analysis": map[string]any{"templates": []any{map[string]any{"templateName": "health"}}}})
	apply(t, w, targettest.Want("d/1", 1, 25))
	seen := w.eventually(t, failed)
	if !strings.Contains(seen.Text, "aborted v2") || !strings.Contains(seen.Text, "health") || seen.Done {
		t.Errorf("%+v", seen)
	}
	kubetest.Poll(t, func() (bool, any) { // the controller says that it aborted before it has scaled
		shares := w.Shares(t)
		return shares["v1"] == 100, shares
	})
	want := targettest.Want("d/2", 1, 50)
	want.Deployment = "d"
	before := len(w.Effects(t))
	if _, err := w.open(t).Apply(t.Context(), want); adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "aborted v2 itself") {
		t.Errorf("it is led on: %v", err)
	}
	if n := len(w.Effects(t)) - before; n != 0 {
		t.Errorf("%d changes", n)
	}
	apply(t, w, targettest.Rollback("d/3", 1))
	w.eventually(t, done)
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
}

// The controller may lose a change that comes while it is at work on the Rollout; here it does not look at it at all.
func TestControllerThatTakesNoNoticeIsNudged(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2)
	w.edit(t, func(object *unstructured.Unstructured) {
		object.SetLabels(map[string]string{"argo-rollouts.argoproj.io/controller-instance-id": "another"})
	})
	before := w.Written()
	seen := apply(t, w, deploy("d/1", "v2", "v1"))
	if seen.Done || !strings.Contains(seen.Text, "not seen the change") {
		t.Errorf("%+v", seen)
	}
	if n := w.Written() - before; n != 4 {
		t.Errorf("%d writes, want the change and three nudges", n)
	}
	if n := len(w.Effects(t)); n != 1 {
		t.Errorf("%d changes", n)
	}
	w.edit(t, func(object *unstructured.Unstructured) { object.SetLabels(nil) })
	w.eventually(t, done)
	if diff := cmp.Diff(map[string]float64{"v2": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
}

func impatient(spec map[string]any) { spec["progressDeadlineSeconds"] = 3 }

func TestBadReleaseFailsAndTheLastGoodOneKeepsTheTraffic(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, version string
		share         float64
	}{
		{"a canary whose image is not there", "pull", 50},
		{"all of the traffic for what never becomes ready", "never", 100},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := podsWorld(t, 4, impatient)
			want := targettest.Want("d/1", 1, row.share)
			want.Releases[0].Release.Version = row.version
			apply(t, w, want)
			seen := w.eventually(t, failed)
			if live, _ := seen.Share("v1"); live != 100 || seen.Done || !strings.Contains(seen.Text, "degraded") {
				t.Errorf("%+v", seen)
			}
			back := targettest.Rollback("d/2", 1)
			back.Releases[1].Release.Version = row.version
			apply(t, w, back)
			w.eventually(t, done)
			if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A rollback to something that does not work is said to have failed: nothing is done about it here.
func TestRollbackThatMakesItWorseIsSaidToHaveFailed(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2, impatient)
	apply(t, w, deploy("d/1", "v2", "v1"))
	w.eventually(t, done)
	worse := deploy("d/2", "crash", "v2")
	worse.Rollback = true
	apply(t, w, worse)
	seen := w.eventually(t, failed)
	if live, _ := seen.Share("v2"); live != 100 || !strings.Contains(seen.Text, "0 of 2") && !strings.Contains(seen.Text, "degraded") {
		t.Errorf("%+v", seen)
	}
}

// What somebody else changed in the template of the bad release does not stay: the last good one's whole template comes
// back, and not the one before it.
func TestRollbackBringsTheWholeTemplateOfTheRecordedReleaseBack(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2)
	setting := func(value string) func(map[string]any) {
		return func(spec map[string]any) {
			containers, _, _ := unstructured.NestedSlice(spec, "template", "spec", "containers")
			containers[0].(map[string]any)["env"] = []any{map[string]any{"name": "SETTING", "value": value}}
			_ = unstructured.SetNestedSlice(spec, containers, "template", "spec", "containers")
		}
	}
	w.change(t, setting("good"))
	w.eventually(t, done)
	for i, version := range []string{"v2", "v3"} {
		apply(t, w, deploy(fmt.Sprintf("d/%d", i+1), version, "v1"))
		w.eventually(t, done)
	}
	w.change(t, setting("bad"))
	back := targettest.Rollback("d/9", 1)
	back.Releases[1].Release.Version = "v3"
	apply(t, w, back)
	w.eventually(t, done)
	env := w.rollout(t).spec.Template.Spec.Containers[0].Env
	if len(env) != 1 || env[0].Value != "good" {
		t.Errorf("%+v", env)
	}
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatOthersDoWithTheRolloutIsNotRunOver(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name      string
		change    func(spec map[string]any)
		code      adg.Code
		permanent bool
		says      string
	}{
		{"they have paused it", func(spec map[string]any) { spec["paused"] = true }, adg.Conflict, false, "paused, by somebody else"},
		{"they have put another release there", image("v7"), adg.Conflict, true, "runs v7 now"},
		{"they have given it a step that adg would drop", func(spec map[string]any) {
			steps := []any{map[string]any{"setCanaryScale": map[string]any{"weight": int64(10)}}, map[string]any{"setWeight": int64(10)}, map[string]any{"pause": map[string]any{}}}
			_ = unstructured.SetNestedSlice(spec, steps, "strategy", "canary", "steps")
			spec["strategy"].(map[string]any)["canary"].(map[string]any)["trafficRouting"] = map[string]any{"nginx": map[string]any{"stableIngress": "shop"}}
			spec["strategy"].(map[string]any)["canary"].(map[string]any)["stableService"] = "shop-stable"
			spec["strategy"].(map[string]any)["canary"].(map[string]any)["canaryService"] = "shop-canary"
		}, adg.Invalid, true, "setCanaryScale"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := podsWorld(t, 4)
			apply(t, w, targettest.Want("d/1", 1, 25))
			w.eventually(t, done)
			before := len(w.Effects(t))
			w.change(t, row.change)
			want := targettest.Want("d/2", 1, 50)
			obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), want)
			if err != nil || len(obstacles) != 1 || obstacles[0].Final != row.permanent || !strings.Contains(obstacles[0].Text, row.says) {
				t.Errorf("rehearsed: %+v, %v", obstacles, err)
			}
			_, err = w.open(t).Apply(t.Context(), want)
			if adg.CodeOf(err) != row.code || adg.IsPermanent(err) != row.permanent || !strings.Contains(fmt.Sprint(err), row.says) {
				t.Errorf("%v", err)
			}
			if n := len(w.Effects(t)) - before; n != 0 {
				t.Errorf("%d changes", n)
			}
		})
	}
}

func image(tag string) func(map[string]any) {
	return func(spec map[string]any) {
		containers, _, _ := unstructured.NestedSlice(spec, "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = kubetest.Image + ":" + tag
		_ = unstructured.SetNestedSlice(spec, containers, "template", "spec", "containers")
	}
}

func TestRefusalsOfTheServerAreOfTheirKind(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2)
	for _, row := range []struct {
		name      string
		status    int
		code      adg.Code
		permanent bool
	}{
		{"credentials that have expired", 401, adg.Unauthorized, true},
		{"a right that is missing", 403, adg.Unauthorized, true},
		{"a Rollout that is gone", 404, adg.NotFound, true},
		{"too many requests", 429, adg.Unavailable, false},
		{"a conflict that does not end", 409, adg.Unavailable, false},
		{"a server that fails", 500, adg.Unavailable, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.Answer = func(r *http.Request) (int, http.Header) {
				if kubetest.Writes(r) {
					return row.status, nil
				}
				return 0, nil
			}
			defer func() { w.Answer = nil }()
			_, err := w.open(t).Apply(t.Context(), targettest.Want("d/1", 1, 100))
			if adg.CodeOf(err) != row.code || adg.IsPermanent(err) != row.permanent || strings.Contains(err.Error(), w.options.Token.Reveal()) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRehearsalSaysWhatWouldKeepTheRollbackFromWorking(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2, func(spec map[string]any) { spec["revisionHistoryLimit"] = 0 })
	rehearse := func() []adg.Obstacle {
		t.Helper()
		obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("d/9", 1))
		if err != nil {
			t.Fatal(err)
		}
		return obstacles
	}
	if got := rehearse(); len(got) != 0 {
		t.Errorf("nothing is in the way, and %+v", got)
	}
	for i, version := range []string{"v2", "v3"} {
		apply(t, w, deploy(fmt.Sprintf("d/%d", i+1), version, "v1"))
		w.eventually(t, done)
	}
	kept := func(seen []adg.Obstacle) bool {
		return len(seen) == 1 && !seen[0].Final && strings.Contains(seen[0].Text, "revisionHistoryLimit")
	}
	kubetest.Poll(t, func() (bool, any) { // the controller drops old ReplicaSets in its own time
		obstacles := rehearse()
		return kept(obstacles), obstacles
	})
	w.options.ConfigMaps = []string{"settings"}
	want := targettest.Rollback("d/9", 1)
	want.Releases[0].Release.Config = "r7"
	obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), want)
	if err != nil || len(obstacles) == 0 || !obstacles[0].Final || !strings.Contains(obstacles[0].Text, "settings-r7") {
		t.Errorf("%+v, %v", obstacles, err)
	}
	w.options.ConfigMaps, w.options.Name = nil, "other"
	if got := rehearse(); len(got) != 1 || !got[0].Final || got[0].Name != "release" {
		t.Errorf("a Rollout that is not there: %+v", got)
	}
	w.options.Name, w.options.Token = "shop", cluster.ServiceAccount(t, w.options.Namespace, "nobody")
	got := rehearse()
	if len(got) != 4 || got[1].Name != "access" || !strings.Contains(got[1].Text, "update rollouts.argoproj.io") {
		t.Errorf("no rights: %+v", got)
	}
}

func TestTheRoleThatIsShippedIsEnoughAndEachOfItsRightsIsNeeded(t *testing.T) {
	t.Parallel()
	w := podsWorld(t, 2)
	w.options.ConfigMaps = []string{"settings"}
	w.options.Token = cluster.ServiceAccount(t, w.options.Namespace, "adg-rollouts")
	text, err := os.ReadFile("../../../deploy/kubernetes/argo-rollouts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var granted []string
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(part), &object); err != nil {
			t.Fatal(err)
		}
		plural := map[any]string{"Role": "roles", "RoleBinding": "rolebindings"}[object["kind"]]
		if plural == "" {
			continue
		}
		if rules, has := object["rules"].([]any); has {
			granted = append(granted, rightsIn(rules)...)
		}
		w.create(t, kube.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: plural}, "adg-rollouts", object)
	}
	want := targettest.Want("d/1", 1, 50)
	kubetest.Poll(t, func() (bool, any) { // the API server notices a role some time after it was made
		obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		return len(obstacles) == 0, obstacles
	})
	apply(t, w, want)
	w.eventually(t, done)
	apply(t, w, targettest.Rollback("d/2", 1))
	w.eventually(t, done)
	var needed []string
	for _, r := range w.open(t).(*target).rights() {
		needed = append(needed, r.Verb+" "+r.Resource.Group+"/"+r.Resource.Plural)
	}
	slices.Sort(granted)
	slices.Sort(needed)
	if diff := cmp.Diff(needed, granted); diff != "" {
		t.Errorf("needed (-), granted (+):\n%s", diff)
	}
	t.Run("the one of the chart", func(t *testing.T) {
		var granted []string
		for _, r := range kubetest.Chart(t, "rbac.deployments=false", "rbac.argoRollouts=true", "rbac.configMaps=true") {
			granted = append(granted, r.Verbs[0]+" "+r.Groups[0]+"/"+r.Resources[0])
		}
		slices.Sort(granted)
		if diff := cmp.Diff(needed, granted); diff != "" {
			t.Errorf("needed (-), granted (+):\n%s", diff)
		}
	})
}

// rightsIn are the rights that the rules of a role give.
func rightsIn(rules []any) []string {
	var all []string
	for _, rule := range rules {
		r := rule.(map[string]any)
		for _, verb := range r["verbs"].([]any) {
			all = append(all, fmt.Sprintf("%s %s/%s", verb, r["apiGroups"].([]any)[0], r["resources"].([]any)[0]))
		}
	}
	return all
}

func TestRolloutsThatAdgCannotLeadAreRefused(t *testing.T) {
	for name, spec := range map[string]map[string]any{
		"strategy canary": {"strategy": map[string]any{"blueGreen": map[string]any{"activeService": "shop"}}},
		"workloadRef":     {"strategy": map[string]any{"canary": map[string]any{}}, "workloadRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}},
	} {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
		if _, err := (&target{o: Options{Name: "shop"}}).parse(object); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Growing from one weight to the next, a canary behind a traffic router keeps the traffic that it has.
func TestCanaryBehindARouterNeverLosesItsTrafficOnTheWayUp(t *testing.T) {
	for _, row := range []struct {
		name   string
		now    float64
		fresh  bool
		weight int64
		want   []any
	}{
		{"the first weight", 0, true, 5, []any{map[string]any{"setWeight": int64(5)}, map[string]any{"pause": map[string]any{}}}},
		{"the next one", 5, false, 25, []any{map[string]any{"setWeight": int64(5)}, map[string]any{"setWeight": int64(25)}, map[string]any{"pause": map[string]any{}}}},
		{"to the end", 50, false, 100, []any{map[string]any{"setWeight": int64(50)}, map[string]any{"setWeight": int64(100)}}},
		{"another release in its place", 50, true, 5, []any{map[string]any{"setWeight": int64(5)}, map[string]any{"pause": map[string]any{}}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			object := map[string]any{"spec": map[string]any{
				"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "shop", "image": "shop:v1"}}}},
				"strategy": map[string]any{"canary": map[string]any{}}},
				"status": map[string]any{"stableRS": "a", "currentPodHash": "b", "canary": map[string]any{"weights": map[string]any{"canary": map[string]any{"weight": row.now}}}}}
			r, err := (&target{}).parse(&unstructured.Unstructured{Object: object})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, r.steps(row.weight, row.fresh)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
