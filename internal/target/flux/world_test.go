package flux

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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
	kubetest.Main(m, func(c *kubetest.Cluster) { cluster = c })
}

// definitions teaches the cluster the kinds of Flux: of their fields, those that are read or written here have their types,
// and the others are kept as they are.
var definitions = sync.OnceValue(func() error {
	for kind, r := range map[string]kube.Resource{"HelmRelease": helmReleases, "Kustomization": kustomizations, "GitRepository": gitRepositories} {
		if err := cluster.Define(definition(kind, r), r); err != nil {
			return err
		}
	}
	return nil
})

func definition(kind string, r kube.Resource) map[string]any {
	open := func(fields map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": fields, "x-kubernetes-preserve-unknown-fields": true}
	}
	text, whole := map[string]any{"type": "string"}, map[string]any{"type": "integer", "format": "int64"}
	spec := open(map[string]any{"suspend": map[string]any{"type": "boolean"}, "interval": text, "values": open(nil), "path": text})
	status := open(map[string]any{"observedGeneration": whole, "conditions": map[string]any{"type": "array", "items": open(map[string]any{"type": text, "status": text})}})
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": r.Plural + "." + r.Group},
		"spec": map[string]any{
			"group": r.Group, "scope": "Namespaced", "names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": r.Plural, "singular": strings.ToLower(kind)},
			"versions": []any{map[string]any{
				"name": r.Version, "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{"spec": spec, "status": status}}},
			}},
		},
	}
}

// world is a namespace of a real cluster with a HelmRelease and the Deployment of its chart. What the controllers of Flux
// do with both is played, as their documentation tells it. The target under test goes through a proxy before the API server.
type world struct {
	*kubetest.Gate
	admin     *kube.Client
	namespace string
	options   Options
	repo      *repository // nil: the HelmRelease comes from nowhere

	mu    sync.Mutex
	lies  bool // the helm-controller says that it is ready at once
	stuck bool // the helm-controller does nothing
}

var deployments = kube.Resource{Group: "apps", Version: "v1", Plural: "deployments"}

func newWorld(t *testing.T, repo *repository) *world {
	t.Helper()
	c := kubetest.Need(t, cluster)
	if err := definitions(); err != nil {
		t.Fatal(err)
	}
	w := &world{Gate: kubetest.NewGate(t, c), namespace: c.Namespace(t), repo: repo}
	w.Effect = effect
	w.admin = c.Admin(t, w.namespace)
	labels := map[string]any{}
	if repo != nil {
		repo.start(t, w)
		labels = map[string]any{kustomizationName: "apps", kustomizationNamespace: repo.namespace}
	}
	w.create(t, w.admin, helmReleases, helmRelease("shop", labels))
	own := map[string]any{"app.kubernetes.io/instance": "shop"}
	w.create(t, w.admin, deployments, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "shop"},
		"spec": map[string]any{"replicas": 2, "selector": map[string]any{"matchLabels": own}, "template": map[string]any{
			"metadata": map[string]any{"labels": own}, "spec": map[string]any{"terminationGracePeriodSeconds": 0,
				"containers": []any{map[string]any{"name": "shop", "image": kubetest.Image + ":v1"}}}}}})
	w.options = Driver.Options.(Options)
	w.options.Name, w.options.Image, w.options.Namespace, w.options.Token = "shop", kubetest.Image, w.namespace, c.Token
	w.options.Server = w.Address
	ctx, cancel := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	playing.Go(func() { w.play(ctx) })
	t.Cleanup(func() { cancel(); playing.Wait() })
	w.until(t, w.open(t), func(seen adg.Observed) bool { return seen.Done })
	return w
}

func helmRelease(name string, labels map[string]any) map[string]any {
	return map[string]any{"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
		"metadata": map[string]any{"name": name, "labels": labels},
		"spec": map[string]any{"interval": "1m", "values": map[string]any{"image": map[string]any{"tag": "v1"}},
			"chart": map[string]any{"spec": map[string]any{"chart": name, "sourceRef": map[string]any{"kind": "HelmRepository", "name": "shop"}}}}}
}

func (w *world) create(t *testing.T, client *kube.Client, r kube.Resource, object map[string]any) {
	t.Helper()
	if err := client.Create(t.Context(), r, object, nil); err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(t *testing.T) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), w.options, adg.Host{Name: "shop", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

// until waits until what a target sees is right.
func (w *world) until(t *testing.T, target adg.Target, right func(adg.Observed) bool) (seen adg.Observed) {
	t.Helper()
	kubetest.Poll(t, func() (bool, any) {
		var err error
		seen, err = target.Current(t.Context())
		return err == nil && right(seen), fmt.Sprintf("%+v, %v", seen, err)
	})
	return seen
}

// play does what the helm-controller and the kustomize-controller do, until the context ends. A write that conflicts is
// made again at the next look.
func (w *world) play(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if w.repo != nil {
			w.repo.play(ctx)
		}
		w.install(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// install brings the values to the Deployment, and says that it is ready when it is.
func (w *world) install(ctx context.Context) {
	w.mu.Lock()
	lies, stuck := w.lies, w.stuck
	w.mu.Unlock()
	release, deployment := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	if stuck || w.admin.Get(ctx, helmReleases, "shop", release) != nil || suspended(release) || w.admin.Get(ctx, deployments, "shop", deployment) != nil {
		return
	}
	tag := tagOf(release)
	var typed appsv1.Deployment
	raw, _ := json.Marshal(deployment.Object)
	if json.Unmarshal(raw, &typed) != nil {
		return
	}
	if image := kubetest.Image + ":" + tag; typed.Spec.Template.Spec.Containers[0].Image != image {
		container := map[string]any{"name": "shop", "image": image}
		_ = unstructured.SetNestedSlice(deployment.Object, []any{container}, "spec", "template", "spec", "containers")
		_ = w.admin.Replace(ctx, deployments, "shop", deployment, nil)
		return
	}
	status := typed.Status
	complete := status.ObservedGeneration == typed.Generation && status.UpdatedReplicas == 2 && status.ReadyReplicas == 2 && status.Replicas == 2
	if !complete && !lies {
		return
	}
	ready := map[string]any{"type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "message": "Helm upgrade succeeded",
		"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": release.GetGeneration()}
	conditions, _, _ := unstructured.NestedSlice(release.Object, "status", "conditions")
	if len(conditions) > 0 && conditions[0].(map[string]any)["observedGeneration"] == release.GetGeneration() {
		return
	}
	_ = unstructured.SetNestedSlice(release.Object, []any{ready}, "status", "conditions")
	_ = w.admin.Replace(ctx, helmReleases, "shop/status", release, nil)
}

// Shares counts ready pods, once the played controllers have nothing more to do.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	var count map[string]float64
	kubetest.Poll(t, func() (bool, any) {
		release := &unstructured.Unstructured{}
		if err := w.admin.Get(t.Context(), helmReleases, "shop", release); err != nil {
			t.Fatal(err)
		}
		conditions, _, _ := unstructured.NestedSlice(release.Object, "status", "conditions")
		done := len(conditions) > 0 && conditions[0].(map[string]any)["observedGeneration"] == release.GetGeneration()
		pods, err := kube.List[corev1.Pod](t.Context(), w.admin, podResource, kube.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		count = map[string]float64{}
		for _, p := range pods {
			_, tag, _ := kube.SplitImage(p.Spec.Containers[0].Image)
			count[tag]++
		}
		for version := range count {
			count[version] *= 100 / float64(len(pods))
		}
		return done && len(count) == 1, count
	})
	return count
}

func (w *world) with(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// tag is the version that the HelmRelease has.
func (w *world) tag(t *testing.T) string {
	t.Helper()
	release := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), helmReleases, "shop", release); err != nil {
		t.Fatal(err)
	}
	return tagOf(release)
}

func tagOf(release *unstructured.Unstructured) string {
	return textOf(release, "spec", "values", "image", "tag")
}

// effect is a write that changed the version of the HelmRelease.
func effect(_, path string, before, after *unstructured.Unstructured) (targettest.Effect, bool) {
	if !strings.HasSuffix(path, "/helmreleases/shop") || before != nil && tagOf(before) == tagOf(after) {
		return targettest.Effect{}, false
	}
	n := notes.Of[note](after)
	e := targettest.Effect{OpID: n.OpID, Overlapped: before == nil} // nothing was compared: it may have run over another
	if len(n.Fences) > 0 {
		e.Fence = n.Fences[0].Fence
	}
	return e, true
}

// repository is what the GitRepository of a Kustomization in another namespace has.
type repository struct {
	namespace string
	admin     *kube.Client
	world     *world
	address   string

	mu      sync.Mutex
	version string
	archive []byte
}

func (r *repository) start(t *testing.T, w *world) {
	t.Helper()
	r.world, r.namespace = w, cluster.Namespace(t)
	r.admin = cluster.Admin(t, r.namespace)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, _ = rw.Write(r.archive)
	}))
	t.Cleanup(server.Close)
	r.address = server.URL + "/gitrepository/flux-system/apps/latest.tar.gz"
	w.create(t, r.admin, gitRepositories, map[string]any{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
		"metadata": map[string]any{"name": "apps"}, "spec": map[string]any{"interval": "1m", "url": "https://git.test/apps"}})
	r.push(t, "v1")
	w.create(t, r.admin, kustomizations, map[string]any{"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": map[string]any{"name": "apps"},
		"spec": map[string]any{"interval": "1m", "prune": true, "path": "./apps", "sourceRef": map[string]any{"kind": "GitRepository", "name": "apps"}}})
}

// push is what the source-controller does with a new commit.
func (r *repository) push(t *testing.T, version string) {
	t.Helper()
	r.pushFiles(t, version, map[string]string{"apps/shop.yaml": manifest("shop", version), "staging/shop.yaml": manifest("shop", "v0"), "apps/README.md": "shop"})
}

func (r *repository) pushFiles(t *testing.T, version string, files map[string]string) {
	t.Helper()
	archive := packed(t, files)
	r.mu.Lock()
	r.version, r.archive = version, archive
	r.mu.Unlock()
	sum := sha256.Sum256(archive)
	source := &unstructured.Unstructured{}
	if err := r.admin.Get(t.Context(), gitRepositories, "apps", source); err != nil {
		t.Fatal(err)
	}
	_ = unstructured.SetNestedMap(source.Object, map[string]any{"url": r.address, "revision": "main@sha1:" + version, "digest": "sha256:" + hex.EncodeToString(sum[:]),
		"path": "latest.tar.gz", "lastUpdateTime": "2026-01-01T00:00:00Z"}, "status", "artifact")
	if err := r.admin.Replace(t.Context(), gitRepositories, "apps/status", source, nil); err != nil {
		t.Fatal(err)
	}
}

// play is what the kustomize-controller does: it sets back what differs.
func (r *repository) play(ctx context.Context) {
	parent, release := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	if r.admin.Get(ctx, kustomizations, "apps", parent) != nil || suspended(parent) || r.world.admin.Get(ctx, helmReleases, "shop", release) != nil {
		return
	}
	r.mu.Lock()
	version := r.version
	r.mu.Unlock()
	if tagOf(release) != version {
		_ = unstructured.SetNestedField(release.Object, version, "spec", "values", "image", "tag")
		_ = r.world.admin.Replace(ctx, helmReleases, "shop", release, nil)
	}
}

func manifest(name, version string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %[1]s\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: %[1]s\nspec:\n  values:\n    image:\n      tag: %[2]s\n", name, version)
}

func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var all bytes.Buffer
	zipped := gzip.NewWriter(&all)
	archive := tar.NewWriter(zipped)
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if archive.Close() != nil || zipped.Close() != nil {
		t.Fatal("the archive cannot be written")
	}
	return all.Bytes()
}
