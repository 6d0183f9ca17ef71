package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// In these tests people and nodes do something to the workloads that adg has not asked for.

func TestPodsAreLateByTheTimeThatTheyAreUnreadyOnTheClustersClock(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"statefulset", "daemonset"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := rollingWorld(t, kind)
			const hour = 3600
			w.Ahead.Store(hour) // so all pods are an hour old
			w.unready(t, time.Now().Add(time.Hour))
			seen := w.eventually(t, func(seen adg.Observed) bool { return !seen.Done })
			if seen.Failed {
				t.Errorf("a pod that has just become unready is late: %+v", seen)
			}
			w.unready(t, time.Now().Add(time.Hour-2*w.options.Deadline))
			seen = w.eventually(t, func(seen adg.Observed) bool { return !seen.Done })
			if !seen.Failed || !strings.Contains(seen.Text, "not ready within") {
				t.Errorf("a pod that has been unready for twice the deadline is not late: %+v", seen)
			}
		})
	}
}

// unready has one of the pods become unready at that time.
func (w *world) unready(t *testing.T, since time.Time) {
	t.Helper()
	for {
		pods, err := kube.List[kube.Object](t.Context(), w.admin, podResource, kube.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		pod := pods[0].Object
		pod["apiVersion"], pod["kind"] = "v1", "Pod"
		conditions, _, _ := unstructured.NestedSlice(pod, "status", "conditions")
		for _, c := range conditions {
			if condition := c.(map[string]any); condition["type"] == string(corev1.PodReady) {
				condition["status"], condition["lastTransitionTime"] = "False", since.UTC().Format(time.RFC3339)
			}
		}
		if err := unstructured.SetNestedSlice(pod, conditions, "status", "conditions"); err != nil {
			t.Fatal(err)
		}
		err = w.admin.Replace(t.Context(), podResource, pods[0].GetName()+"/status", pod, nil)
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Fatal(err)
		}
	}
}

func TestNothingThatIsWrongWithTheBadReleaseKeepsAnybodyFromGoingBack(t *testing.T) {
	t.Parallel()
	configMaps := kube.Resource{Version: "v1", Plural: "configmaps"}
	for _, row := range []struct {
		name, strategy string
		happens        func(t *testing.T, w *world)
	}{
		{"its Deployment is paused, beside a Service", blueGreen, func(t *testing.T, w *world) {
			w.change(t, "shop-green", func(spec map[string]any) { spec["paused"] = true })
		}},
		{"its Deployment is paused, with shares by pods", replicas, func(t *testing.T, w *world) {
			w.change(t, "shop-green", func(spec map[string]any) { spec["paused"] = true })
		}},
		{"its ConfigMap is deleted", blueGreen, func(t *testing.T, w *world) {
			var object metav1.PartialObjectMetadata
			if err := w.admin.Get(t.Context(), configMaps, "shop-r7", &object); err != nil {
				t.Fatal(err)
			}
			if err := w.admin.Delete(t.Context(), configMaps, "shop-r7", string(object.UID)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := pairWorld(t, row.strategy, 2)
			w.options.ConfigMaps = []string{"shop"}
			w.create(t, configMaps, "shop-r7", map[string]any{"apiVersion": "v1", "kind": "ConfigMap"})
			there, back := targettest.Want("d/1", 1, 100), targettest.Rollback("d/2", 1)
			there.Releases[0].Release.Config, back.Releases[1].Release.Config = "R7", "R7"
			apply(t, w, there)
			w.eventually(t, done)
			row.happens(t, w)
			apply(t, w, back)
			w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == back.OpID })
			if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Not at the same time as other tests: their DaemonSets are to run on all nodes.
func TestNodeThatTheDaemonIsNotToRunOnAnyMoreKeepsNobodyWaiting(t *testing.T) {
	w := rollingWorld(t, "daemonset")
	t.Cleanup(func() {
		if err := taint(context.WithoutCancel(t.Context()), w, "node-0"); err != nil {
			t.Error(err)
		}
	})
	if err := taint(t.Context(), w, "node-0", map[string]any{"key": "test/reserved", "effect": "NoSchedule"}); err != nil {
		t.Fatal(err)
	}
	// The controller takes notice of the node when the template changes.
	apply(t, w, deploy("d/1", "v2", "v1"))
	w.eventually(t, done)
	if n, _, _ := unstructured.NestedInt64(w.workload(t).Object, "status", "desiredNumberScheduled"); n != 2 {
		t.Errorf("the daemon is to run on %d nodes, want 2 of the 3", n)
	}
	apply(t, w, back("d/2", "v2"))
	w.eventually(t, done)
}

func TestPodsOnNodesThatTheDaemonHasLeftAreSetApart(t *testing.T) {
	for _, row := range []struct {
		name         string
		pods         string // version@node
		misscheduled int
		complete     bool
		strays       int
	}{
		{"the old pod of a node that got a taint", "v1@a v2@b v2@c", 1, true, 1},
		{"an old pod beside the one that replaces it", "v1@a v2@a v2@b", 1, true, 0},
		{"a rollout that goes on", "v1@a v2@b v2@c", 1, false, 0},
		{"more nodes than the controller counts", "v1@a v1@b v2@c", 1, true, 0},
		{"no node that the daemon has left", "v1@a v2@b v2@c", 0, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := func(version, node string) corev1.PodSpec {
				return corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "shop", Image: "shop:" + version}}}
			}
			w := &workload{template: corev1.PodTemplateSpec{Spec: spec("v2", "")}, misscheduled: row.misscheduled, complete: row.complete}
			var all []corev1.Pod
			for _, word := range strings.Fields(row.pods) {
				version, node, _ := strings.Cut(word, "@")
				all = append(all, corev1.Pod{Spec: spec(version, node)})
			}
			pods, strays := (&target{o: Options{Name: "shop"}}).apart(w, all)
			if len(strays) != row.strays || len(pods)+len(strays) != len(all) {
				t.Errorf("%d stay and %d are set apart, want %d", len(pods), len(strays), row.strays)
			}
		})
	}
}

// taint gives a node these taints and no others.
func taint(ctx context.Context, w *world, name string, taints ...any) error {
	nodes := kube.Resource{Version: "v1", Plural: "nodes", Cluster: true}
	for {
		node := &unstructured.Unstructured{}
		err := w.admin.Get(ctx, nodes, name, node)
		if err == nil {
			err = unstructured.SetNestedSlice(node.Object, taints, "spec", "taints")
		}
		if err == nil {
			err = w.admin.Replace(ctx, nodes, name, node, nil)
		}
		if adg.CodeOf(err) != adg.Conflict {
			return err
		}
	}
}

func TestPodsThatPeopleAddAreKept(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		people      map[string]int64 // what they scale to, while v1 has 9 pods in blue and v2 one in green
		then        adg.Desired
		blue, green int64
	}{
		{"going back", map[string]int64{"blue": 14}, targettest.Rollback("d/2", 1), 15, 0},
		{"going back from both", map[string]int64{"blue": 12, "green": 3}, targettest.Rollback("d/2", 1), 15, 0},
		{"going back after they took some away", map[string]int64{"blue": 4}, targettest.Rollback("d/2", 1), 5, 0},
		{"the next step", map[string]int64{"blue": 13}, targettest.Want("d/2", 1, 50), 7, 7},
		{"the last step", map[string]int64{"blue": 12, "green": 3}, targettest.Want("d/2", 1, 100), 0, 15},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := pairWorld(t, replicas, 10)
			apply(t, w, targettest.Want("d/1", 1, 10))
			w.eventually(t, done)
			for slot, n := range row.people {
				w.change(t, "shop-"+slot, func(spec map[string]any) { spec["replicas"] = n })
			}
			for range 2 { // the second time it has nothing to do
				apply(t, w, row.then)
				w.eventually(t, done)
				if blue, green := w.size(t, "shop-blue"), w.size(t, "shop-green"); blue != row.blue || green != row.green {
					t.Fatalf("%d and %d pods, want %d and %d", blue, green, row.blue, row.green)
				}
			}
		})
	}
}

func TestPodsThatPeopleAddWhileTrafficMovesAreKept(t *testing.T) {
	t.Parallel()
	w := pairWorld(t, replicas, 10)
	apply(t, w, targettest.Want("d/1", 1, 10))
	w.eventually(t, done)
	puts := 0
	w.Before = func(r *http.Request) {
		if r.Method != http.MethodPut {
			return
		}
		if puts++; puts == 2 { // the first one has been prepared, nothing was taken away
			w.change(t, "shop-blue", func(spec map[string]any) { spec["replicas"] = int64(15) })
		}
	}
	apply(t, w, targettest.Rollback("d/2", 1))
	w.eventually(t, done)
	if blue, green := w.size(t, "shop-blue"), w.size(t, "shop-green"); blue != 15 || green != 0 || puts < 2 {
		t.Errorf("%d and %d pods after %d writes", blue, green, puts)
	}
}

func TestSharesThatWholePodsCannotHaveAreDoneWhenRounded(t *testing.T) {
	t.Parallel()
	w := pairWorld(t, replicas, 3)
	apply(t, w, targettest.Want("d/1", 1, 5))
	seen := w.eventually(t, done)
	if share, _ := seen.Share("v2"); share < 33 || share > 34 {
		t.Errorf("%+v", seen)
	}
}

func (w *world) size(t *testing.T, name string) int64 {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), kinds["deployment"].resource, name, object); err != nil {
		t.Fatal(err)
	}
	n, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	return n
}
