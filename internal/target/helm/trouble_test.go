package helm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// A process may be killed before the first write of a rollback or after any of them, helm's own included. Whoever takes
// over finishes it, also where helm has left the release locked.
func TestKilledAfterAnyWriteAnotherOneFinishesTheRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	apply(t, w, deploy("d/1", "v2", "v1"))
	writes := w.Written()
	apply(t, w, back("d/2", "v2", 2))
	if writes = w.Written() - writes; writes < 6 { // the note, the revision, the Deployment, the revision, the revision before, the note
		t.Fatalf("a rollback of %d writes", writes)
	}
	for after := range writes + 1 {
		t.Run(fmt.Sprintf("after %d of %d writes", after, writes), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			apply(t, w, deploy("d/1", "v2", "v1"))
			w.rest(t)
			takenOver(t, w, after)
		})
	}
}

// takenOver has another one take over from a process that is killed when so many of its writes were done; of the last one
// it does not hear.
func takenOver(t *testing.T, w *world, after int) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	var seen atomic.Int64
	var dead, over atomic.Bool
	w.Cut = func(r *http.Request) kubetest.Cut {
		if over.Load() {
			return kubetest.Never
		}
		if dead.Load() {
			return kubetest.Beforehand // a dead process writes nothing more, not even that it is dead
		}
		if !kubetest.Writes(r) {
			return kubetest.Never
		}
		done := int(seen.Add(1))
		if done < after {
			return kubetest.Never
		}
		dead.Store(true)
		kill()
		if done > after {
			return kubetest.Beforehand
		}
		return kubetest.Afterwards
	}
	want := back("d/2", "v2", 2)
	want.Timeout = 3 * time.Second    // whoever takes over waits until it is over
	_, _ = w.open(t).Apply(ctx, want) // after the last write it may have got through
	over.Store(true)
	want.Fence++
	want.Timeout = 0
	apply(t, w, want)
	w.eventually(t, func(seen adg.Observed) bool { return seen.Done && seen.OpID == want.OpID })
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
	for _, e := range w.Effects(t) {
		if e.Overlapped {
			t.Errorf("a run of helm beside another one: %+v", e)
		}
	}
	stale := back("d/9", "v2", 2)
	if _, err := w.open(t).Apply(t.Context(), stale); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the one that was killed may go on: %v", err)
	}
}

// What other people deployed, and how often it was rolled back since, does not matter: the revision that was the release
// comes back, with the values that it had.
func TestRollbackGoesToTheRevisionThatWasTheReleaseWithItsValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--set", "setting=good")
	apply(t, w, deploy("d/1", "v2", "v1"))
	apply(t, w, deploy("e/1", "v3", "v2"))
	apply(t, w, back("e/2", "v3", 1))
	apply(t, w, deploy("f/1", "v4", "v1"))
	w.helm(t, "upgrade", "shop", w.options.Chart, "--reuse-values", "--set", "setting=bad", "--set-string", "image.tag=v4")
	apply(t, w, back("f/2", "v4", 1))
	w.eventually(t, done)
	object := &unstructured.Unstructured{}
	if err := w.admin.Get(t.Context(), apps("deployments"), "shop", object); err != nil {
		t.Fatal(err)
	}
	containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	env := containers[0].(map[string]any)["env"].([]any)[0].(map[string]any)["value"]
	if env != "good" || !strings.HasSuffix(containers[0].(map[string]any)["image"].(string), ":v1") {
		t.Errorf("%+v", containers)
	}
	if kept, err := filepath.Glob(filepath.Join(os.Getenv("KUBECACHEDIR"), "discovery", "*"+w.Address[strings.LastIndex(w.Address, ":")+1:])); len(kept) != 1 {
		t.Errorf("helm has not been told where to keep what it knows of the cluster: %v, %v", kept, err)
	}
}

// A lock that somebody's helm has left is broken once nobody can be at work any more, and not before.
func TestLockOfSomebodysHelmIsRespectedAsLongAsItMayBeAtWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	apply(t, w, deploy("d/1", "v2", "v1"))
	w.eventually(t, done)
	w.helm(t, "upgrade", "shop", w.options.Chart, "--reuse-values", "--set-string", "image.tag=v3")
	w.options.Deadline = time.Minute
	pend(t, w, "sh.helm.release.v1.shop.v3", time.Now())
	_, err := w.open(t).Apply(t.Context(), back("d/2", "v2", 1))
	if adg.CodeOf(err) != adg.Conflict || adg.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "pending-upgrade") {
		t.Errorf("it is run over: %v", err)
	}
	obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), back("d/2", "v2", 1))
	if err != nil || len(obstacles) != 1 || obstacles[0].Final {
		t.Errorf("%+v, %v", obstacles, err)
	}
	pend(t, w, "sh.helm.release.v1.shop.v3", time.Now().Add(-w.options.Deadline))
	apply(t, w, back("d/2", "v2", 1))
	w.eventually(t, done)
	if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
		t.Error(diff)
	}
}

// pend makes a revision one that helm has begun then, and was ended in the middle of.
func pend(t *testing.T, w *world, name string, begun time.Time) {
	t.Helper()
	secrets := kube.Resource{Version: "v1", Plural: "secrets"}
	var secret corev1.Secret
	if err := w.admin.Get(t.Context(), secrets, name, &secret); err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(string(secret.Data["release"]))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var release map[string]any
	if err := json.NewDecoder(unpacked).Decode(&release); err != nil {
		t.Fatal(err)
	}
	info := release["info"].(map[string]any)
	info["status"], info["last_deployed"] = "pending-upgrade", begun.Format(time.RFC3339Nano)
	text, err := json.Marshal(release)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	packer := gzip.NewWriter(&again)
	if _, err := packer.Write(text); err != nil || packer.Close() != nil {
		t.Fatal(err)
	}
	secret.Data["release"] = []byte(base64.StdEncoding.EncodeToString(again.Bytes()))
	secret.Labels["status"] = "pending-upgrade"
	if err := w.admin.Replace(t.Context(), secrets, name, secret, nil); err != nil {
		t.Fatal(err)
	}
}

func TestBadReleaseFailsAndTheLastGoodOneComesBack(t *testing.T) {
	t.Parallel()
	for _, wait := range []bool{false, true} {
		t.Run(fmt.Sprintf("helm waits: %v", wait), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "--set", "progressDeadlineSeconds=3")
			w.options.Wait, w.options.Deadline = wait, 15*time.Second
			apply(t, w, deploy("d/1", "pull", "v1"))
			seen := w.eventually(t, hasFailed)
			if seen.Done || seen.Text == "" {
				t.Errorf("%+v", seen)
			}
			before := len(w.Effects(t))
			apply(t, w, deploy("d/1", "pull", "v1"))
			if n := len(w.Effects(t)) - before; n != 0 {
				t.Errorf("what failed was run again: %d revisions more", n)
			}
			w.options.Deadline = 20 * time.Second
			apply(t, w, back("d/2", "pull", 1))
			w.eventually(t, done)
			if diff := cmp.Diff(map[string]float64{"v1": 100}, w.Shares(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatSomebodyElseDeployedMeanwhileIsNotRunOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := deploy("d/1", "v2", "v1")
	apply(t, w, first)
	w.helm(t, "upgrade", "shop", w.options.Chart, "--reuse-values", "--set-string", "image.tag=v9", "--description", "by hand")
	seen := w.eventually(t, func(seen adg.Observed) bool { return strings.Contains(seen.Text, "v9") })
	if seen.Done {
		t.Errorf("%+v", seen)
	}
	if _, err := w.open(t).Apply(t.Context(), back("d/2", "v2", 1)); adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "v9") {
		t.Errorf("%v", err)
	}
}

func TestRehearsalSaysWhatWouldKeepTheRollbackFromWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rehearse := func(want adg.Desired) []adg.Obstacle {
		t.Helper()
		obstacles, err := w.open(t).(adg.Rehearser).Rehearse(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		return obstacles
	}
	want := targettest.Rollback("d/9", 1)
	if got := rehearse(want); len(got) != 0 {
		t.Errorf("nothing is in the way, and %+v", got)
	}
	want.Releases[0].Release.Version = "v7"
	if got := rehearse(want); len(got) != 1 || got[0].Final || !strings.Contains(got[0].Text, "history-max") {
		t.Errorf("a revision that is not kept: %+v", got)
	}
	w.options.Chart, w.options.Set = "", nil
	if got := rehearse(want); len(got) != 1 || !got[0].Final {
		t.Errorf("a revision that is not kept, and no chart: %+v", got)
	}
	if _, err := w.open(t).Apply(t.Context(), want); adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	w.options.Release = "other"
	if got := rehearse(want); len(got) != 1 || !got[0].Final {
		t.Errorf("a release that is not there: %+v", got)
	}
	w.options.Token = cluster.ServiceAccount(t, w.options.Namespace, "nobody")
	if got := rehearse(want); len(got) != 10 || got[0].Name != "access" {
		t.Errorf("no rights: %+v", got)
	}
}

func TestRefusalsAreOfTheirKindAndKeepTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, row := range []struct {
		name      string
		status    int
		code      adg.Code
		permanent bool
	}{
		{"credentials that have expired", 401, adg.Unauthorized, true},
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
			if adg.CodeOf(err) != row.code || adg.IsPermanent(err) != row.permanent || strings.Contains(fmt.Sprint(err), w.options.Token.Reveal()) {
				t.Errorf("%v", err)
			}
		})
	}
}
