package argorollouts

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	corev1 "k8s.io/api/core/v1"
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
	kubetest.Main(m, func(c *kubetest.Cluster) {
		switch err := install(c); {
		case err == nil:
			cluster = c
		case !errors.Is(err, kubetest.ErrMissing):
			c.Stop()
			fmt.Fprintln(os.Stderr, "Argo Rollouts was not installed:", err)
			os.Exit(1)
		}
	})
}

// install gives the cluster the kinds and the controller of Argo Rollouts, the real ones.
func install(c *kubetest.Cluster) error {
	for file, served := range map[string]kube.Resource{
		"rollout-crd.yaml":                   rollouts,
		"experiment-crd.yaml":                {Group: "argoproj.io", Version: "v1alpha1", Plural: "experiments"},
		"analysis-run-crd.yaml":              {Group: "argoproj.io", Version: "v1alpha1", Plural: "analysisruns"},
		"analysis-template-crd.yaml":         analysisTemplates,
		"cluster-analysis-template-crd.yaml": {Group: "argoproj.io", Version: "v1alpha1", Plural: "clusteranalysistemplates", Cluster: true},
	} {
		text, err := kubetest.Asset("argo-rollouts/" + file)
		if err != nil {
			return err
		}
		var definition map[string]any
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return err
		}
		if err := c.Define(definition, served); err != nil {
			return err
		}
	}
	ports, err := kubetest.FreePorts(2)
	if err != nil {
		return err
	}
	return c.Launch("rollouts-controller", "--leader-elect=false", "--loglevel=error", "--qps=500", "--burst=1000",
		"--metricsPort="+ports[0], "--healthzPort="+ports[1])
}

var (
	analysisTemplates = kube.Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "analysistemplates"}
	services          = kube.Resource{Version: "v1", Plural: "services"}
	ingresses         = kube.Resource{Group: "networking.k8s.io", Version: "v1", Plural: "ingresses"}
)

// world is a namespace of a real cluster, and a proxy before its API server, through which the target under test goes.
type world struct {
	*kubetest.Gate
	admin   *kube.Client
	options Options
	routed  bool
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

// emptyWorld is a namespace without anything in it.
func emptyWorld(t testing.TB) *world {
	t.Helper()
	c := kubetest.Need(t, cluster)
	namespace := c.Namespace(t)
	w := &world{Gate: kubetest.NewGate(t, c), admin: c.Admin(t, namespace)}
	w.Effect = effect
	w.options = Driver.Options.(Options)
	w.options.Server, w.options.CAFile, w.options.Namespace, w.options.Name, w.options.Token = w.Address, w.CAFile, namespace, "shop", c.Token
	return w
}

// populate has v1 live in a Rollout of so many pods, whose canary strategy has what is said.
func (w *world) populate(t testing.TB, size int, canary map[string]any, more ...func(spec map[string]any)) *world {
	t.Helper()
	spec := map[string]any{
		"replicas": size, "selector": map[string]any{"matchLabels": map[string]any{"app": "shop"}},
		"strategy": map[string]any{"canary": canary}, "progressDeadlineSeconds": 60,
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "shop"}}, "spec": map[string]any{
			"terminationGracePeriodSeconds": 0,
			"containers":                    []any{map[string]any{"name": "shop", "image": kubetest.Image + ":v1"}},
		}},
	}
	for _, m := range more {
		m(spec)
	}
	w.create(t, rollouts, "shop", map[string]any{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": spec})
	w.eventually(t, done)
	return w
}

// podsWorld shares the traffic by the number of pods.
func podsWorld(t testing.TB, size int, more ...func(spec map[string]any)) *world {
	t.Helper()
	return emptyWorld(t).populate(t, size, map[string]any{"maxSurge": "50%", "maxUnavailable": 0}, more...)
}

// routedWorld shares it by the weight that the controller sets for ingress-nginx.
func routedWorld(t testing.TB) *world {
	t.Helper()
	canary := map[string]any{"stableService": "shop-stable", "canaryService": "shop-canary",
		"trafficRouting": map[string]any{"nginx": map[string]any{"stableIngress": "shop"}}}
	w := emptyWorld(t)
	w.routed = true
	port := []any{map[string]any{"port": 80}}
	for _, name := range []string{"shop-stable", "shop-canary"} {
		w.create(t, services, name, map[string]any{"apiVersion": "v1", "kind": "Service", "spec": map[string]any{"selector": map[string]any{"app": "shop"}, "ports": port}})
	}
	backend := map[string]any{"service": map[string]any{"name": "shop-stable", "port": map[string]any{"number": 80}}}
	w.create(t, ingresses, "shop", map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": map[string]any{"ingressClassName": "nginx",
		"rules": []any{map[string]any{"host": "shop.test", "http": map[string]any{"paths": []any{map[string]any{"path": "/", "pathType": "Prefix", "backend": backend}}}}}}})
	return w.populate(t, 2, canary)
}

// effect is a write that changed the Rollout's spec.
func effect(method, path string, before, after *unstructured.Unstructured) (targettest.Effect, bool) {
	if !strings.HasSuffix(path, "/rollouts/shop") || before != nil && reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
		return targettest.Effect{}, false
	}
	n := notes.Of[note](after)
	e := targettest.Effect{OpID: n.OpID, Overlapped: before == nil || method != "PUT"} // nothing was compared: it may have run over another
	if len(n.Fences) > 0 {
		e.Fence = n.Fences[0].Fence
	}
	return e, true
}

func (w *world) create(t testing.TB, r kube.Resource, name string, object map[string]any) {
	t.Helper()
	object["metadata"] = map[string]any{"name": name}
	if err := w.admin.Create(t.Context(), r, object, nil); err != nil {
		t.Fatal(err)
	}
}

func (w *world) rollout(t testing.TB) *rollout {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), rollouts, "shop", object); err != nil {
		t.Fatal(err)
	}
	r, err := (&target{templates: kube.Templates{Workload: "shop"}}).parse(object)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// change changes the Rollout as somebody else does.
func (w *world) change(t testing.TB, change func(spec map[string]any)) {
	t.Helper()
	w.edit(t, func(object *unstructured.Unstructured) { change(object.Object["spec"].(map[string]any)) })
}

func (w *world) edit(t testing.TB, change func(object *unstructured.Unstructured)) {
	t.Helper()
	for {
		object := w.rollout(t).object
		change(object)
		object.SetManagedFields(nil)
		err := w.admin.Replace(t.Context(), rollouts, "shop", object, nil)
		if err == nil {
			return
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Fatal(err)
		}
	}
}

func done(seen adg.Observed) bool   { return seen.Done }
func failed(seen adg.Observed) bool { return seen.Failed }

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

// Shares waits until the controller has nothing more to do, and counts what is really there.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	kubetest.Poll(t, func() (bool, any) {
		r := w.rollout(t)
		rests := r.status.Phase == healthy || r.status.Phase == degraded || r.status.Phase == paused && len(r.status.PauseConditions) > 0
		return rests && r.observedSpec(), r.status
	})
	if w.routed {
		return w.byIngress(t)
	}
	count, all := map[string]float64{}, 0.0
	kubetest.Poll(t, func() (bool, any) { // an abort is on record before its pods are gone
		clear(count)
		all = 0
		pods, err := kube.List[corev1.Pod](t.Context(), w.admin, podResource, kube.Selection{Labels: "app=shop"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods {
			if p.DeletionTimestamp == nil && kube.Ready(p) {
				count[tag(p)]++
				all++
			}
		}
		return all == float64(*w.rollout(t).spec.Replicas), count
	})
	for version := range count {
		count[version] *= 100 / all
	}
	return count
}

// byIngress is the weight that ingress-nginx would read, and the pods that its Services select.
func (w *world) byIngress(t *testing.T) map[string]float64 {
	t.Helper()
	canary := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), ingresses, "shop-shop-canary", canary); err != nil {
		t.Fatal(err)
	}
	weight, err := strconv.ParseFloat(canary.GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight"], 64)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	for service, share := range map[string]float64{"shop-stable": 100 - weight, "shop-canary": weight} {
		if share > 0 {
			shares[w.behind(t, service)] += share
		}
	}
	return shares
}

// behind is the version of the pods that a Service selects.
func (w *world) behind(t *testing.T, service string) string {
	t.Helper()
	var s corev1.Service
	if err := w.admin.Get(t.Context(), services, service, &s); err != nil {
		t.Fatal(err)
	}
	pods, err := kube.List[corev1.Pod](t.Context(), w.admin, podResource, kube.Selection{Labels: hashLabel + "=" + s.Spec.Selector[hashLabel]})
	if err != nil || len(pods) == 0 {
		t.Fatalf("no pod behind %s: %v", service, err)
	}
	return tag(pods[0])
}

func tag(p corev1.Pod) string {
	_, tag, _ := kube.SplitImage(p.Spec.Containers[0].Image)
	return tag
}

func apply(t *testing.T, w *world, want adg.Desired) adg.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, err := w.open(t).Apply(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// deploy is a state in which one version has everything; the other one is what it came from.
func deploy(op, version, from string) adg.Desired {
	want := targettest.Want(op, 1, 100)
	want.Releases[0].Release.Version, want.Releases[1].Release.Version = version, from
	return want
}
