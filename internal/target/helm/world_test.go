package helm

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
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
		cluster = c
		if err := os.Setenv("KUBECACHEDIR", filepath.Join(c.Dir, "cache")); err != nil { // not the home of who tests
			panic(err)
		}
	})
}

// world is a namespace of a real cluster with a release of a real helm, and a proxy before its API server, through which
// the target under test and the helm that it starts go.
type world struct {
	*kubetest.Gate
	admin   *kube.Client
	options Options
	running struct {
		sync.Mutex
		run *running // as the note said last
		on  bool     // a run of helm was begun and not ended
	}
}

// program finds helm, or skips the test.
func program(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range []string{"helm", filepath.Join(cache, "adg-test", "helm")} {
		if found, err := exec.LookPath(candidate); err == nil {
			if found, err = filepath.Abs(found); err == nil {
				return found
			}
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no helm: run scripts/test-helm")
	}
	t.Skip("there is no helm: run scripts/test-helm")
	return ""
}

// newWorld has v1 of the chart live, as somebody else than adg installed it.
func newWorld(t testing.TB, more ...string) *world {
	t.Helper()
	helm := program(t)
	c := kubetest.Need(t, cluster)
	namespace := c.Namespace(t)
	w := &world{Gate: kubetest.NewGateWithTLS(t, c), admin: c.Admin(t, namespace)}
	w.Effect = w.effect
	chart, err := filepath.Abs("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	w.options = Driver.Options.(Options)
	w.options.Program, w.options.Release, w.options.Chart, w.options.Set = helm, "shop", chart, map[string]string{"image.tag": "$version"}
	w.options.Server, w.options.CAFile, w.options.Namespace, w.options.Token, w.options.Deadline = w.Address, w.CAFile, namespace, c.Token, 20*time.Second
	w.helm(t, append([]string{"install", "shop", chart, "--set-string", "image.tag=v1"}, more...)...)
	w.rest(t)
	return w
}

// helm runs it as somebody else does, past the proxy.
func (w *world) helm(t testing.TB, args ...string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, []byte(cluster.Kubeconfig(cluster.Token)), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), w.options.Program, append(args, "--namespace", w.options.Namespace, "--kubeconfig", config)...).CombinedOutput()
	if err != nil {
		t.Fatalf("helm %s: %v: %s", args[0], err, said)
	}
	return string(said)
}

func (w *world) open(t testing.TB) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), w.options, adg.Host{Name: "shop", Dir: t.TempDir(), Commands: true})
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

// effect is a revision that helm made, by the run that the note tells of.
func (w *world) effect(method, path string, _, after *unstructured.Unstructured) (targettest.Effect, bool) {
	w.running.Lock()
	defer w.running.Unlock()
	if strings.HasSuffix(path, "/configmaps") || strings.HasSuffix(path, "/adg-helm-shop") {
		n, err := parseNote(after)
		w.running.on = err == nil && n.Running != nil
		if w.running.on {
			w.running.run = n.Running
		}
		return targettest.Effect{}, false
	}
	if method != "POST" || !strings.HasPrefix(after.GetName(), "sh.helm.release.v1.") {
		return targettest.Effect{}, false
	}
	if w.running.run == nil {
		return targettest.Effect{Overlapped: true}, true
	}
	return targettest.Effect{OpID: w.running.run.OpID, Fence: w.running.run.Fence, Overlapped: !w.running.on}, true
}

// rest waits until the Deployment's controller has nothing more to do, which is sooner seen without helm.
func (w *world) rest(t testing.TB) {
	t.Helper()
	kubetest.Poll(t, func() (bool, any) {
		object := &unstructured.Unstructured{}
		if err := w.admin.Get(t.Context(), apps("deployments"), "shop", object); err != nil {
			t.Fatal(err)
		}
		parsed, err := parseWorkload("Deployment", object)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.complete || parsed.failed != "", parsed
	})
}

// Shares counts the pods that are ready, when the Deployment's controller rests.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	w.rest(t)
	pods, err := kube.List[corev1.Pod](t.Context(), w.admin, kube.Resource{Version: "v1", Plural: "pods"}, kube.Selection{Labels: "app=shop"})
	if err != nil {
		t.Fatal(err)
	}
	count, all := map[string]float64{}, 0.0
	for _, p := range pods {
		if p.DeletionTimestamp == nil && kube.Ready(p) {
			_, tag, _ := kube.SplitImage(p.Spec.Containers[0].Image)
			count[tag]++
			all++
		}
	}
	for version := range count {
		count[version] *= 100 / all
	}
	return count
}

func done(seen adg.Observed) bool      { return seen.Done }
func hasFailed(seen adg.Observed) bool { return seen.Failed }

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

// back is the way back to v1 from a version.
func back(op, from string, fence int64) adg.Desired {
	want := targettest.Rollback(op, fence)
	want.Releases[1].Release.Version = from
	return want
}
