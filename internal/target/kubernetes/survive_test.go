package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
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

// In these tests something happens at every step of a rollback, and what counts is what is in the cluster then.

// each runs a test for every way in which a release can be live, in a world that has v1.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for name, fresh := range everyWorld {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

// forth makes v2 live, so that there is something to go back from.
func (w *world) forth(t *testing.T, op string, fence int64) {
	t.Helper()
	want := targettest.Want(op, fence, 100)
	apply(t, w, want)
	w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == op })
}

// isBack says that a rollback is done, by what is in the cluster, and returns how many changes there were since before.
func (w *world) isBack(t *testing.T, op string, before int) int {
	t.Helper()
	w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == op })
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
	return len(w.Effects(t)) - before
}

func TestCancelledAtAnyRequestTheSameOwnerGoesOnAndChangesNothingTwice(t *testing.T) {
	t.Parallel()
	const maxAttempts = 500
	each(t, func(t *testing.T, w *world) {
		w.forth(t, "shop-v2-abc/1", 1)
		before := len(w.Effects(t))
		apply(t, w, targettest.Rollback("shop-v2-abc/2", 1))
		changes := w.isBack(t, "shop-v2-abc/2", before)
		w.forth(t, "shop-v2-abc/3", 2)
		before = len(w.Effects(t))
		want := targettest.Rollback("shop-v2-abc/4", 2)
		attempts := 0
		for !w.cancelled(t, want, int64(attempts)) {
			if attempts++; attempts > maxAttempts {
				t.Fatal("it never gets through")
			}
		}
		if got := w.isBack(t, want.OpID, before); got != changes || attempts < 3 {
			t.Errorf("%d changes in %d attempts, want %d, as when nobody cancels", got, attempts, changes)
		}
	})
}

// cancelled is an attempt that is cancelled when it sends its request of that number. A read does not get to the server;
// a write does, and nobody waits for the answer. It tells whether the attempt had no such request any more and got through.
func (w *world) cancelled(t *testing.T, want adg.Desired, at int64) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int64
	w.Cut = func(r *http.Request) kubetest.Cut {
		if sent.Add(1)-1 != at {
			return kubetest.Never
		}
		cancel()
		if r.Method == http.MethodPut {
			return kubetest.Afterwards
		}
		return kubetest.Beforehand
	}
	defer func() { w.Cut = nil }()
	_, err := w.open(t).Apply(ctx, want)
	if err != nil && (!errors.Is(err, context.Canceled) || adg.IsPermanent(err)) {
		t.Fatalf("cancelled at request %d: %v", at, err)
	}
	return err == nil
}

// disturbance is what happens to every other write, so that each fails once and is taken the next time.
type disturbance struct {
	name      string
	does      func(t *testing.T, w *world, r *http.Request) (status int, header http.Header)
	code      adg.Code // adg.Internal: the attempt gets through all the same
	permanent bool
	wait      time.Duration
}

var disturbances = []disturbance{
	{name: "nothing", does: func(*testing.T, *world, *http.Request) (int, http.Header) { return 0, nil }},
	{name: "the API server throttles", code: adg.Unavailable, wait: 7 * time.Second, does: func(*testing.T, *world, *http.Request) (int, http.Header) {
		return http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}, "Date": nil}
	}},
	{name: "the credentials expire", code: adg.Unauthorized, permanent: true, does: func(_ *testing.T, _ *world, r *http.Request) (int, http.Header) {
		r.Header.Set("Authorization", "Bearer expired") // what the server says to that is its own
		return 0, nil
	}},
	{name: "somebody else writes the object first", does: func(t *testing.T, w *world, r *http.Request) (int, http.Header) {
		w.touch(t, r)
		return 0, nil
	}},
}

func TestWhateverHappensOnceAtEveryWriteTheRollbackGoesOnAndChangesNothingTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		changes := 0
		for i, d := range disturbances {
			fence := int64(i + 1) // each owner claims the objects for itself, which are more writes
			w.forth(t, fmt.Sprintf("shop-v2-abc/%d", 2*i+1), fence)
			before := len(w.Effects(t))
			want := targettest.Rollback(fmt.Sprintf("shop-v2-abc/%d", 2*i+2), fence)
			failures := w.disturbed(t, d, want)
			got := w.isBack(t, want.OpID, before)
			if i == 0 {
				changes = got
			}
			if got != changes || (failures > 0) != (d.code != adg.Internal) {
				t.Errorf("%s: %d failures and %d changes, want %d, as without", d.name, failures, got, changes)
			}
		}
		w.stillTouched(t)
	})
}

// disturbed applies until it gets through, and counts how often it did not.
func (w *world) disturbed(t *testing.T, d disturbance, want adg.Desired) (failures int) {
	t.Helper()
	const maxFailures = 50
	var writes atomic.Int64
	w.Answer = func(r *http.Request) (int, http.Header) {
		if r.Method != http.MethodPut || writes.Add(1)%2 == 0 {
			return 0, nil
		}
		return d.does(t, w, r)
	}
	defer func() { w.Answer = nil }()
	for ; failures < maxFailures; failures++ {
		_, err := w.open(t).Apply(t.Context(), want)
		if err == nil {
			return failures
		}
		if wait, _ := adg.RetryAfter(err); adg.CodeOf(err) != d.code || adg.IsPermanent(err) != d.permanent || wait != d.wait {
			t.Fatalf("%s: code %s, permanent %v, wait %s: %v", d.name, adg.CodeOf(err), adg.IsPermanent(err), wait, err)
		}
		seen, err := w.open(t).Current(t.Context())
		if err != nil || seen.Done && seen.OpID == want.OpID {
			t.Errorf("%s: a write was refused, and it is done: %+v, %v", d.name, seen, err)
		}
	}
	t.Fatalf("%s: it never gets through", d.name)
	return failures
}

// touchedAnnotation is what somebody else writes.
const touchedAnnotation = "test/touched"

// touch writes the object that a request is about to write.
func (w *world) touch(t *testing.T, r *http.Request) {
	t.Helper()
	name, resource := path.Base(r.URL.Path), w.resource(r)
	for {
		object := &unstructured.Unstructured{}
		err := w.admin.Get(t.Context(), resource, name, object)
		if err == nil {
			annotations := maps.Clone(object.GetAnnotations())
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[touchedAnnotation] += "x"
			object.SetAnnotations(annotations)
			if err = w.admin.Replace(t.Context(), resource, name, object, nil); err == nil {
				w.touched = append(w.touched, touched{resource, name, annotations[touchedAnnotation]})
				return
			}
		}
		if adg.CodeOf(err) != adg.Conflict {
			t.Error(err)
			return
		}
	}
}

// touched is an object and what somebody else wrote into it.
type touched struct {
	resource    kube.Resource
	name, value string
}

// stillTouched says that nobody's write was lost.
func (w *world) stillTouched(t *testing.T) {
	t.Helper()
	if len(w.touched) == 0 {
		t.Error("nobody wrote anything")
	}
	for _, by := range w.touched {
		object := &unstructured.Unstructured{}
		if err := w.admin.Get(t.Context(), by.resource, by.name, object); err != nil {
			t.Fatal(err)
		}
		if got := object.GetAnnotations()[touchedAnnotation]; !strings.HasPrefix(got, by.value) {
			t.Errorf("%s %s has %q of what somebody else wrote, want %q", by.resource, by.name, got, by.value)
		}
	}
}

func (w *world) resource(r *http.Request) kube.Resource {
	switch plural := path.Base(path.Dir(r.URL.Path)); plural {
	case services.Plural:
		return services
	case httpRoutes.Plural:
		return httpRoutes
	default:
		return kinds[w.options.Kind].resource
	}
}

func TestRollbackToWhatCannotRunStopsSaysWhyAndTakesNoTrafficAway(t *testing.T) {
	t.Parallel()
	// A controller that rolls may take one pod away before it starts the first new one; then it waits.
	kept := map[string]int{"statefulset": 2, "daemonset": 2}
	for _, row := range []struct{ name, version, says string }{
		{"its image is not in the registry any more", "pull", "ImagePullBackOff"},
		{"it is killed for its memory", "crash", "OOMKilled"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.impatient(t)
				want := back("d/1", "v1")
				want.Releases[0].Release.Version, want.Timeout = row.version, kubetest.Patience
				least := w.running(t, "v1")
				if n, rolls := kept[w.options.Kind]; rolls {
					least = n
				}
				apply(t, w, want)
				seen := w.eventually(t, func(seen adg.Observed) bool { return seen.Failed && strings.Contains(seen.Text, row.says) })
				share, _ := seen.Share("v1")
				if n := w.running(t, "v1"); n < least || share != 100 || seen.Done {
					t.Errorf("%d pods of v1 are left, want %d, with all traffic: %+v", n, least, seen)
				}
				if w.options.Kind != "deployment" {
					w.options.Deadline = kubetest.Patience
				}
				apply(t, w, back("d/2", row.version)) // what a person asks for then
				w.isBack(t, "d/2", 0)
			})
		})
	}
}

// impatient has a rollout count as failed when its pods are not ready within three seconds.
func (w *world) impatient(t *testing.T) {
	t.Helper()
	if w.options.Kind != "deployment" {
		w.options.Deadline = 3 * time.Second
		return
	}
	for _, name := range []string{w.options.Name, w.options.Other} {
		if name != "" {
			w.change(t, name, impatient)
		}
	}
	w.settle(t)
}

// running counts the pods of a version that are ready.
func (w *world) running(t *testing.T, version string) (n int) {
	t.Helper()
	pods, err := kube.List[corev1.Pod](t.Context(), w.admin, podResource, kube.Selection{Labels: "app=shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		if p.DeletionTimestamp == nil && kube.Ready(p) && tag(p) == version {
			n++
		}
	}
	return n
}
