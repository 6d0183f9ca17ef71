package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/target/notes"
	"github.com/deployguardian/adg/internal/target/targettest"
)

var cluster *kubetest.Cluster

// TestMain lets more tests run at once than there are processors: they wait for controllers more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	kubetest.Main(m, func(c *kubetest.Cluster) { cluster = c })
}

// world is a namespace of a real cluster, and a proxy before its API server, through which the target under test goes.
type world struct {
	*kubetest.Gate
	admin     *kube.Client
	namespace string
	options   Options
	shares    func(t *testing.T) map[string]float64
	touched   []touched // by somebody else

	mu    sync.Mutex
	moves []targettest.Move
}

func (w *world) Shares(t *testing.T) map[string]float64 { t.Helper(); return w.shares(t) }

// slotOf is where releases are that a world of two Deployments begins with, and the one that follows.
var slotOf = map[string]string{"v1": "blue", "v2": "green"}

// Shrink scales the Deployment of a release to nothing. Pods that it gets again are not ready before the target has looked
// for them: what goes on without that finds none.
func (w *world) Shrink(t *testing.T, version string) {
	t.Helper()
	name := "shop-" + slotOf[version]
	w.change(t, name, func(spec map[string]any) { spec["replicas"] = int64(0) })
	w.rest(t)
	kubetest.Poll(t, func() (bool, any) { n := w.readyIn(t.Context(), slotOf[version]); return n == 0, n })
	thaw := w.Freeze(t)
	counts, grown, looks := w.Before, false, 0
	w.Before = func(r *http.Request) {
		counts(r)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/deployments/"+name):
			grown = true
		case grown && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pods"):
			if looks++; looks == 3 {
				thaw()
			}
		}
	}
}

// Moves are the selectors that were written to the Service.
func (w *world) Moves(*testing.T) []targettest.Move {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.moves)
}

// countMoves looks, before the API server gets a selector of the Service, how many pods it would find.
func (w *world) countMoves(size int) *world {
	w.Before = func(r *http.Request) {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/services/shop") {
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var service corev1.Service
		_ = json.Unmarshal(body, &service) // what is no Service selects nothing
		for version, slot := range slotOf {
			if service.Spec.Selector["slot"] == slot {
				ready := 100 * float64(w.readyIn(r.Context(), slot)) / float64(size)
				w.mu.Lock()
				w.moves = append(w.moves, targettest.Move{To: version, Ready: ready})
				w.mu.Unlock()
			}
		}
	}
	return w
}

// readyIn counts the pods of a slot that are ready; -1: they could not be read.
func (w *world) readyIn(ctx context.Context, slot string) (ready int) {
	pods, err := kube.List[corev1.Pod](ctx, w.admin, podResource, kube.Selection{Labels: "slot=" + slot})
	if err != nil {
		return -1
	}
	for _, p := range pods {
		if p.DeletionTimestamp == nil && kube.Ready(p) {
			ready++
		}
	}
	return ready
}

func (w *world) open(t testing.TB) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), w.options, adg.Host{Name: "shop", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func (w *world) fixture(t *testing.T) targettest.Fixture {
	t.Helper()
	return targettest.Fixture{Target: kubetest.Paced(w.open(t)), World: w, Reopen: func(t *testing.T) adg.Target { t.Helper(); return w.open(t) }}
}

// newWorld is a namespace without anything in it.
func newWorld(t testing.TB) *world {
	t.Helper()
	c := kubetest.Need(t, cluster)
	w := &world{namespace: c.Namespace(t), Gate: kubetest.NewGate(t, c)}
	w.Effect = effect
	w.admin = c.Admin(t, w.namespace)
	w.options = Driver.Options.(Options)
	w.options.Server, w.options.Namespace, w.options.Name = w.Address, w.namespace, "shop"
	w.options.Token = c.Token
	w.shares = w.byPods
	return w
}

// rollingWorld has v1 of a workload live.
func rollingWorld(t testing.TB, kind string, more ...func(spec map[string]any)) *world {
	t.Helper()
	w := newWorld(t)
	w.options.Kind = kind
	spec := map[string]any{"selector": labelled("app", "shop"), "template": template("v1", map[string]any{"app": "shop"})}
	if kind != "daemonset" {
		spec["replicas"] = 3
	}
	if kind == "statefulset" {
		spec["serviceName"] = "shop"
	}
	for _, m := range more {
		m(spec)
	}
	w.create(t, kinds[kind].resource, "shop", map[string]any{"apiVersion": "apps/v1", "kind": kinds[kind].word, "spec": spec})
	w.settle(t)
	return w
}

// pairWorld has v1 live in one of two Deployments, and nothing in the other.
func pairWorld(t testing.TB, strategy string, size int) *world {
	t.Helper()
	w := newWorld(t)
	w.options.Strategy, w.options.Name, w.options.Other = strategy, "shop-blue", "shop-green"
	w.options.Container = "shop"
	for slot, n := range map[string]int{"blue": size, "green": 0} {
		own := map[string]any{"app": "shop", "slot": slot}
		w.create(t, kinds["deployment"].resource, "shop-"+slot, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
			"spec": map[string]any{"replicas": n, "selector": map[string]any{"matchLabels": own}, "template": template(map[string]string{"blue": "v1", "green": "v0"}[slot], own)}})
	}
	switch strategy {
	case blueGreen:
		w.options.Service = "shop"
		w.service(t, "shop", map[string]any{"app": "shop", "slot": "blue"})
		w.shares = w.byEndpoints
	case route:
		w.options.Service, w.options.OtherService, w.options.Route = "shop-blue", "shop-green", "shop"
		w.service(t, "shop-blue", map[string]any{"app": "shop", "slot": "blue"})
		w.service(t, "shop-green", map[string]any{"app": "shop", "slot": "green"})
	}
	w.settle(t)
	return w
}

func (w *world) service(t testing.TB, name string, selector map[string]any) {
	t.Helper()
	w.create(t, services, name, map[string]any{"apiVersion": "v1", "kind": "Service",
		"spec": map[string]any{"selector": selector, "ports": []any{map[string]any{"port": 80}}}})
}

func (w *world) create(t testing.TB, r kube.Resource, name string, object map[string]any) {
	t.Helper()
	object["metadata"] = map[string]any{"name": name}
	if err := w.admin.Create(t.Context(), r, object, nil); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the target says that what is there is there.
func (w *world) settle(t testing.TB) {
	t.Helper()
	w.eventually(t, func(seen adg.Observed) bool { return seen.Done })
}

// eventually waits until what the target sees is right.
func (w *world) eventually(t testing.TB, right func(adg.Observed) bool) adg.Observed {
	t.Helper()
	target := w.open(t)
	var seen adg.Observed
	kubetest.Poll(t, func() (bool, any) {
		var err error
		if seen, err = target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
		return right(seen), seen
	})
	return seen
}

// rest waits until the controllers have nothing more to do: a rollout goes on by itself after Apply.
func (w *world) rest(t *testing.T) {
	t.Helper()
	for _, name := range []string{w.options.Name, w.options.Other} {
		if name == "" {
			continue
		}
		kubetest.Poll(t, func() (bool, any) {
			object := &unstructured.Unstructured{}
			if err := w.admin.Get(t.Context(), kinds[w.options.Kind].resource, name, object); err != nil {
				t.Fatal(err)
			}
			parsed, err := (&target{kind: kinds[w.options.Kind]}).parse(object)
			if err != nil {
				t.Fatal(err)
			}
			return parsed.complete, object
		})
	}
}

// byPods counts the pods that are ready, by the tag of their image.
func (w *world) byPods(t *testing.T) map[string]float64 {
	t.Helper()
	w.rest(t)
	pods, err := kube.List[corev1.Pod](t.Context(), w.admin, podResource, kube.Selection{Labels: "app=shop"})
	if err != nil {
		t.Fatal(err)
	}
	count, all := map[string]float64{}, 0.0
	for _, p := range pods {
		if p.DeletionTimestamp == nil && kube.Ready(p) {
			count[tag(p)]++
			all++
		}
	}
	for version := range count {
		count[version] *= 100 / all
	}
	return count
}

// byEndpoints counts the addresses of the Service, by the tag of the image behind each.
func (w *world) byEndpoints(t *testing.T) map[string]float64 {
	t.Helper()
	slices, err := kube.List[discoveryv1.EndpointSlice](t.Context(), w.admin, endpointSlices, kube.Selection{Labels: "kubernetes.io/service-name=shop"})
	if err != nil {
		t.Fatal(err)
	}
	count, all := map[string]float64{}, 0.0
	for _, s := range slices {
		for _, e := range s.Endpoints {
			var p corev1.Pod
			if err := w.admin.Get(t.Context(), podResource, e.TargetRef.Name, &p); err != nil {
				t.Fatal(err)
			}
			count[tag(p)]++
			all++
		}
	}
	for version := range count {
		count[version] *= 100 / all
	}
	return count
}

func tag(p corev1.Pod) string {
	_, tag, _ := kube.SplitImage(p.Spec.Containers[0].Image)
	return tag
}

func labelled(key, value string) map[string]any {
	return map[string]any{"matchLabels": map[string]any{key: value}}
}

func template(version string, labels map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{
		"terminationGracePeriodSeconds": 0,
		"containers":                    []any{map[string]any{"name": "shop", "image": kubetest.Image + ":" + version}},
	}}
}

// effect is a write that changed the spec of an object.
func effect(method, _ string, before, after *unstructured.Unstructured) (targettest.Effect, bool) {
	if method != http.MethodPut || before != nil && reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
		return targettest.Effect{}, false
	}
	n := notes.Of[note](after)
	e := targettest.Effect{OpID: n.OpID, Overlapped: before == nil} // nothing was compared: it may have run over another
	if len(n.Fences) > 0 {
		e.Fence = n.Fences[0].Fence
	}
	return e, true
}
