package kubernetes

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// deploy is a state in which one version has everything; the other one is what it came from.
func deploy(op, version, from string) adg.Desired {
	want := targettest.Want(op, 1, 100)
	want.Releases[0].Release.Version, want.Releases[1].Release.Version = version, from
	return want
}

// back is the way back from a version.
func back(op, from string) adg.Desired {
	want := targettest.Rollback(op, 1)
	want.Releases[1].Release.Version = from
	return want
}

func apply(t *testing.T, w *world, want adg.Desired) adg.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), kubetest.Patience)
	defer cancel()
	seen, err := w.open(t).Apply(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func done(seen adg.Observed) bool { return seen.Done }

// change changes the workload as somebody else does.
func (w *world) change(t *testing.T, name string, change func(spec map[string]any)) {
	t.Helper()
	r := kinds[w.options.Kind].resource
	for {
		object := &unstructured.Unstructured{}
		if err := w.admin.Get(t.Context(), r, name, object); err != nil {
			t.Fatal(err)
		}
		change(object.Object["spec"].(map[string]any))
		object.SetManagedFields(nil)
		err := w.admin.Replace(t.Context(), r, name, object, nil)
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Fatal(err)
		}
	}
}

func (w *world) workload(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), kinds[w.options.Kind].resource, w.options.Name, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func impatient(spec map[string]any) { spec["progressDeadlineSeconds"] = int64(3) }

func TestBadReleasesFailAndSayWhy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, kind, version string
		says                []string
	}{
		{"a Deployment that is killed for its memory", "deployment", "crash", []string{"CrashLoopBackOff", "OOMKilled", "5 restarts", "137"}},
		{"a Deployment whose image is not there", "deployment", "pull", []string{"ImagePullBackOff", "not found"}},
		{"a Deployment that never becomes ready", "deployment", "never", []string{"pods of never are ready", "given up"}},
		{"a StatefulSet that is killed for its memory", "statefulset", "crash", []string{"OOMKilled", "not ready within"}},
		{"a DaemonSet whose image is not there", "daemonset", "pull", []string{"ImagePullBackOff", "not ready within"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var w *world
			if row.kind == "deployment" {
				w = rollingWorld(t, row.kind, impatient)
			} else {
				w = rollingWorld(t, row.kind)
				w.options.Deadline = 3 * time.Second
			}
			apply(t, w, deploy("d/1", row.version, "v1"))
			seen := w.eventually(t, func(seen adg.Observed) bool {
				silent := func(text string) bool { return !strings.Contains(seen.Text, text) }
				return seen.Failed && !slices.ContainsFunc(row.says, silent)
			})
			if seen.Done {
				t.Errorf("done, and failed: %+v", seen)
			}
			if live, _ := seen.Share("v1"); live != 100 {
				t.Errorf("v1 has %g %% while nothing of the new version is ready", live)
			}
			w.options.Deadline = time.Minute
			apply(t, w, back("d/2", row.version))
			w.eventually(t, done)
			if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRollbackBringsBackTheRecordedTemplateAndNotThePreviousOne(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"deployment", "statefulset", "daemonset"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := rollingWorld(t, kind)
			before, _, _ := unstructured.NestedMap(w.workload(t).Object, "spec", "template")
			apply(t, w, deploy("d/1", "v2", "v1"))
			w.eventually(t, done)
			w.change(t, "shop", func(spec map[string]any) {
				container := spec["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
				container["env"] = []any{map[string]any{"name": "FEATURE", "value": "on"}}
			})
			w.eventually(t, done)
			apply(t, w, deploy("e/1", "v3", "v2"))
			seen := w.eventually(t, done)
			if share, _ := seen.Share("v3"); share != 100 {
				t.Fatalf("%+v", seen)
			}
			apply(t, w, back("e/2", "v3"))
			w.eventually(t, done)
			after, _, _ := unstructured.NestedMap(w.workload(t).Object, "spec", "template")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the template of v1 (-) is not what came back (+):\n%s", diff)
			}
		})
	}
}

func TestForgottenTemplateGoesBackByItsImageAndIsAnObstacle(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment", func(spec map[string]any) { spec["revisionHistoryLimit"] = 0 })
	apply(t, w, deploy("d/1", "v2", "v1"))
	w.eventually(t, done)
	kubetest.Poll(t, func() (bool, any) { // the controller takes the old ReplicaSet away some time after the rollout
		kept, err := kube.List[kube.Object](t.Context(), w.admin, replicaSets, kube.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		return len(kept) == 1, len(kept)
	})
	obstacles := rehearse(t, w, back("d/2", "v2"))
	if len(obstacles) != 1 || obstacles[0].Name != "release" || obstacles[0].Final || !strings.Contains(obstacles[0].Text, "revisionHistoryLimit") {
		t.Errorf("%+v", obstacles)
	}
	apply(t, w, back("d/2", "v2"))
	w.eventually(t, done)
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
}

func TestSomebodyElsesReleaseIsNotRunOver(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment")
	apply(t, w, deploy("shop-v2-abc/1", "v2", "v1"))
	w.eventually(t, done)
	w.change(t, "shop", func(spec map[string]any) {
		container := spec["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
		container["image"] = strings.ReplaceAll(container["image"].(string), "v2", "v9")
	})
	seen := w.eventually(t, func(seen adg.Observed) bool { share, _ := seen.Share("v9"); return share == 100 })
	if seen.Done || !strings.Contains(seen.Text, "has been changed since") {
		t.Errorf("%+v", seen)
	}
	before := w.Written()
	_, err := w.open(t).Apply(t.Context(), back("shop-v2-abc/2", "v2"))
	if adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "v9") || w.Written() != before {
		t.Errorf("%d writes, %v", w.Written()-before, err)
	}
	next := deploy("shop-v10-def/1", "v10", "v9")
	next.Deployment = "shop-v10-def"
	apply(t, w, next) // another deployment begins with what is there
	w.eventually(t, done)
}

func TestConflictsAreReadAgainAndNobodysWriteIsLost(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment")
	left := 3
	w.Before = func(r *http.Request) {
		if r.Method == http.MethodPut && left > 0 {
			left--
			w.change(t, "shop", func(spec map[string]any) { spec["replicas"] = int64(4 + left) })
		}
	}
	apply(t, w, deploy("d/1", "v2", "v1"))
	w.eventually(t, done)
	size, _, _ := unstructured.NestedInt64(w.workload(t).Object, "spec", "replicas")
	if left != 0 || size != 4 || w.Written() != 1 {
		t.Errorf("%d replicas, want the 4 that somebody else wrote last; %d writes, %d conflicts not made", size, w.Written(), left)
	}
}

func TestRepeatedOperationWritesNothing(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(*testing.T) *world{
		rolling:   func(t *testing.T) *world { return rollingWorld(t, "deployment") },
		blueGreen: func(t *testing.T) *world { return pairWorld(t, blueGreen, 2) },
		replicas:  func(t *testing.T) *world { return pairWorld(t, replicas, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fresh(t)
			want := targettest.Want("d/1", 1, 100)
			apply(t, w, want)
			w.eventually(t, done)
			before := w.Written()
			apply(t, w, want)
			if more := w.Written() - before; more != 0 {
				t.Errorf("%d writes", more)
			}
		})
	}
}

func TestRefusalsOfTheServerAreToldApart(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment")
	w.options.Token = adg.NewSecret(targettest.Planted)
	for _, row := range []struct {
		name      string
		status    int
		code      adg.Code
		permanent bool
		wait      time.Duration
	}{
		{"expired credentials", 401, adg.Unauthorized, true, 0},
		{"a right that is missing", 403, adg.Unauthorized, true, 0},
		{"a workload that is gone", 404, adg.NotFound, true, 0},
		{"throttling by the API server", 429, adg.Unavailable, false, 7 * time.Second},
		{"an API server that fails", 500, adg.Unavailable, false, 0},
		{"an object that it does not accept", 422, adg.Invalid, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.Answer = func(*http.Request) (int, http.Header) {
				return row.status, http.Header{"Retry-After": {"7"}, "Date": nil}
			}
			defer func() { w.Answer = nil }()
			_, applyErr := w.open(t).Apply(t.Context(), deploy("d/1", "v2", "v1"))
			_, currentErr := w.open(t).Current(t.Context())
			for _, err := range []error{applyErr, currentErr} {
				if wait, _ := adg.RetryAfter(err); adg.CodeOf(err) != row.code || adg.IsPermanent(err) != row.permanent || wait != row.wait {
					t.Errorf("code %s, permanent %v, wait %s: %v", adg.CodeOf(err), adg.IsPermanent(err), wait, err)
				}
				if err != nil && strings.Contains(err.Error(), targettest.Planted) {
					t.Errorf("the token shows in %v", err)
				}
			}
		})
	}
}

func TestPausedRolloutIsRefusedWithTheWayOut(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment")
	w.change(t, "shop", func(spec map[string]any) { spec["paused"] = true })
	_, err := w.open(t).Apply(t.Context(), deploy("d/1", "v2", "v1"))
	if adg.CodeOf(err) != adg.Conflict || adg.IsPermanent(err) || !strings.Contains(err.Error(), "kubectl rollout resume deployment/shop") {
		t.Errorf("%v", err)
	}
}

func TestConfigurationGoesWithItsRelease(t *testing.T) {
	t.Parallel()
	w := rollingWorld(t, "deployment", func(spec map[string]any) {
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		pod["containers"].([]any)[0].(map[string]any)["envFrom"] = []any{map[string]any{"configMapRef": map[string]any{"name": "shop"}}, map[string]any{"secretRef": map[string]any{"name": "key"}}}
		pod["volumes"] = []any{map[string]any{"name": "c", "configMap": map[string]any{"name": "shop"}}, map[string]any{"name": "other", "configMap": map[string]any{"name": "other"}}}
	})
	w.options.ConfigMaps, w.options.Secrets = []string{"shop"}, []string{"key"}
	want := deploy("d/1", "v2", "v1")
	want.Releases[0].Release.Config = "R7"
	_, err := w.open(t).Apply(t.Context(), want)
	if adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) {
		t.Fatalf("a ConfigMap that is not there: %v", err)
	}
	obstacles := rehearse(t, w, want)
	if len(obstacles) != 1 || !obstacles[0].Final || obstacles[0].Name != "release" {
		t.Errorf("%+v", obstacles)
	}
	w.create(t, kube.Resource{Version: "v1", Plural: "configmaps"}, "shop-r7", map[string]any{"apiVersion": "v1", "kind": "ConfigMap"})
	w.create(t, kube.Resource{Version: "v1", Plural: "secrets"}, "key-r7", map[string]any{"apiVersion": "v1", "kind": "Secret"})
	apply(t, w, want)
	if diff := cmp.Diff([]string{"shop-r7", "key-r7", "shop-r7", "other"}, references(t, w)); diff != "" {
		t.Error(diff)
	}
	apply(t, w, back("d/2", "v2"))
	if diff := cmp.Diff([]string{"shop", "key", "shop", "other"}, references(t, w)); diff != "" {
		t.Error(diff)
	}
}

// references are the ConfigMaps and Secrets of the workload's template.
func references(t *testing.T, w *world) []string {
	t.Helper()
	var spec corev1.PodSpec
	raw, _, _ := unstructured.NestedMap(w.workload(t).Object, "spec", "template", "spec")
	if err := kube.Convert(raw, &spec); err != nil {
		t.Fatal(err)
	}
	e := spec.Containers[0].EnvFrom
	return []string{e[0].ConfigMapRef.Name, e[1].SecretRef.Name, spec.Volumes[0].ConfigMap.Name, spec.Volumes[1].ConfigMap.Name}
}

func rehearse(t *testing.T, w *world, want adg.Desired) []adg.Obstacle {
	t.Helper()
	before := w.Written()
	obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if w.Written() != before {
		t.Error("a rehearsal wrote something")
	}
	slices.SortFunc(obstacles, func(a, b adg.Obstacle) int { return strings.Compare(a.Text, b.Text) })
	return obstacles
}
