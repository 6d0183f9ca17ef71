package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// on sets what happens around the changes that the driver sends.
func (w *world) on(before, after func(writes int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after, w.writes = before, after, 0
}

func (w *world) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// wants is how many tasks the service is to have: what is told to stop may run for a while.
func (w *world) wants(t *testing.T, name string) uint64 {
	t.Helper()
	return service{Service: w.service(t, name)}.replicas()
}

// count is how many containers of a service run an image.
func (w *world) count(t *testing.T, name, image string) (n int) {
	t.Helper()
	for _, one := range w.containers(t, name) {
		if one == image {
			n++
		}
	}
	return n
}

func fenced(want adg.Desired, fence int64) adg.Desired {
	want.Fence = fence
	return want
}

// alone is v2 and nothing else.
func alone(op, version string) adg.Desired {
	want := targettest.Want(op, 1, 100)
	want.Releases = want.Releases[:1]
	want.Releases[0].Release.Version = version
	return want
}

func TestWhoeverTakesOverAKilledOwnerFinishesAndDoesNothingTwice(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		services int
		label    string
		effects  int // of one operation at the services, beyond the claims
	}{
		"one service is updated":             {1, "", 1},
		"tasks move between two services":    {2, "", 2},
		"traffic moves between two services": {2, "live=yes", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, test.services, 1, test.label)
			apply(t, openTarget(t, w.options()), targettest.Want("shop-v2-abc/1", 1, 0)) // where it can be idle, v2 is ready from here on
			l := &line{world: w, op: 1, fence: 1, effects: test.effects}
			kills := 0
			for _, answered := range []bool{false, true} {
				for point := 1; l.succeed(t, point, answered); point++ {
					kills++
				}
			}
			if writes := test.services + test.effects; kills < 2*writes-1 { // nobody waits for the last answer
				t.Errorf("killed %d times only", kills)
			}
		})
	}
}

// line is a line of owners, each of which takes over from one that was killed.
type line struct {
	*world
	op, effects int
	fence       int64
}

// succeed has an owner killed at a change, before the engine has it or when it is made and nobody read the answer, and
// an heir finish. It tells whether the owner came to the change at all.
func (l *line) succeed(t *testing.T, point int, answered bool) bool {
	t.Helper()
	died := errors.New("the owner was killed")
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	dies := func(n int) {
		if n == point {
			kill(died)
		}
	}
	if answered {
		l.on(nil, dies)
	} else {
		l.on(func(n int) {
			l.killed.Store(n == point)
			dies(n)
		}, nil)
	}
	l.op++
	want := targettest.Want(fmt.Sprintf("shop-v2-abc/%d", l.op), l.fence, 100)
	if l.op%2 == 1 {
		want = targettest.Rollback(want.OpID, l.fence)
	}
	_, err := openTarget(t, l.options()).Apply(ctx, want)
	killed := errors.Is(context.Cause(ctx), died)
	if killed != (err != nil) {
		t.Fatalf("killed %v at change %d: %v", killed, point, err)
	}
	l.on(nil, nil)
	l.fence++
	heir := openTarget(t, l.options())
	apply(t, heir, fenced(want, l.fence))
	seen := settled(t, heir)
	if share, _ := seen.Share(wanted(want)); !seen.Done || share != 100 || l.Shares(t)[wanted(want)] != 100 {
		t.Errorf("killed at change %d: %+v, really %v", point, seen, l.Shares(t))
	}
	if made := l.made(t, want.OpID); made != l.effects {
		t.Errorf("killed at change %d: %d changes at the services, want %d", point, made, l.effects)
	}
	return killed
}

// wanted is the version that gets everything.
func wanted(want adg.Desired) string {
	i := slices.IndexFunc(want.Releases, func(p adg.Placement) bool { return p.Share == 100 })
	return want.Releases[i].Release.Version
}

func TestAnOwnerWhoseTimeIsOverStopsInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, heirs := range map[string]adg.Desired{
		"another operation follows":  targettest.Rollback("shop-v2-abc/2", 2),
		"the same one is taken over": fenced(targettest.Want("shop-v2-abc/1", 1, 100), 2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, 2, 1, "live=yes")
			late, heir := openTarget(t, w.options()), openTarget(t, w.options())
			var taken atomic.Bool
			w.on(func(n int) {
				if n == 3 && taken.CompareAndSwap(false, true) { // both services are claimed, and the first change is about to be made
					if _, err := heir.Apply(t.Context(), heirs); err != nil {
						t.Errorf("the heir: %v", err)
					}
				}
			}, nil)
			if seen, err := late.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("the late owner: %+v, %v", seen, err)
			}
			for _, e := range w.Effects(t) {
				if e.Fence == 1 {
					t.Errorf("the late owner has changed something: %+v", e)
				}
			}
			if shares := w.Shares(t); shares[wanted(heirs)] != 100 {
				t.Errorf("really %v", shares)
			}
		})
	}
}

func TestWhatAnOperatorChangesMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 1, "")
	name := w.names[0]
	var once atomic.Bool
	w.on(func(int) {
		if once.CompareAndSwap(false, true) { // between what adg has read and what it writes
			w.edit(t, name, func(spec *swarm.ServiceSpec) {
				three := uint64(3)
				spec.Mode.Replicated.Replicas, spec.Labels["team"] = &three, "checkout"
			})
		}
	}, nil)
	target := openTarget(t, w.options())
	apply(t, target, targettest.Want("d/1", 1, 100))
	seen, spec := settled(t, target), w.service(t, name).Spec
	if share, _ := seen.Share("v2"); !seen.Done || share != 100 || len(w.containers(t, name)) != 3 || spec.Labels["team"] != "checkout" {
		t.Errorf("got %+v with %d tasks and labels %v", seen, len(w.containers(t, name)), spec.Labels)
	}
	w.edit(t, name, func(spec *swarm.ServiceSpec) { two := uint64(2); spec.Mode.Replicated.Replicas = &two })
	if seen := settled(t, target); !seen.Done || !strings.Contains(seen.Text, "from 3 to 2 tasks") {
		t.Errorf("got %+v", seen)
	}
}

func TestAHotfixOfAnOperatorIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 1, "")
	name, target := w.names[0], openTarget(t, w.options())
	apply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	settled(t, target)
	w.edit(t, name, func(spec *swarm.ServiceSpec) { spec.TaskTemplate.ContainerSpec.Image = "shop:hotfix" })
	within(t, "the hotfix runs alone", func() bool {
		seen, err := target.Current(t.Context())
		if err != nil || seen.Done || !strings.Contains(seen.Text, "somebody has changed service") {
			t.Fatalf("got %+v, %v", seen, err)
		}
		share, _ := seen.Share("hotfix")
		return share == 100
	})
	_, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
	if adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) || !slices.Equal(w.containers(t, name), []string{"shop:hotfix"}) {
		t.Errorf("got %v with %v", err, w.containers(t, name))
	}
	other := targettest.Want("shop-v2-xyz/1", 1, 100) // another deployment begins from what is there
	other.Deployment = "shop-v2-xyz"
	apply(t, target, other)
	if seen := settled(t, target); !seen.Done || w.Shares(t)["v2"] != 100 {
		t.Errorf("got %+v", seen)
	}
}

func TestARollbackBringsBackAllThatTheReleaseHadAndKeepsTheTasks(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 1, "")
	name, target := w.names[0], openTarget(t, w.options())
	flag := func(value string) func(*swarm.ServiceSpec) {
		return func(spec *swarm.ServiceSpec) { spec.TaskTemplate.ContainerSpec.Env = []string{"FLAG=" + value} }
	}
	w.edit(t, name, flag("old"))
	apply(t, target, targettest.Want("d/1", 1, 100))
	settled(t, target)
	w.edit(t, name, flag("new"))   // the release that is bad has a setting of its own
	w.edit(t, name, flag("newer")) // and the engine's previous spec knows nothing of the good one any more
	w.edit(t, name, func(spec *swarm.ServiceSpec) { two := uint64(2); spec.Mode.Replicated.Replicas = &two })
	apply(t, target, targettest.Rollback("d/2", 1))
	seen, spec := settled(t, target), w.service(t, name).Spec
	if !seen.Done || w.Shares(t)["v1"] != 100 || !slices.Equal(spec.TaskTemplate.ContainerSpec.Env, []string{"FLAG=old"}) || len(w.containers(t, name)) != 2 {
		t.Errorf("got %+v with %v in %d tasks", seen, spec.TaskTemplate.ContainerSpec.Env, len(w.containers(t, name)))
	}
}

func TestAReleaseThatCrashesIsGivenUpWithWhatItsTasksDiedOf(t *testing.T) {
	t.Parallel()
	for name, services := range map[string]int{"updated in place": 1, "beside the old one": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, services, 2, "")
			o := w.options()
			o.Monitor = 5 * time.Second // longer than a task takes to crash on a busy machine
			target := openTarget(t, o)
			apply(t, target, alone("d/1", "crash"))
			seen := settled(t, target)
			if !seen.Failed || seen.Done || !strings.Contains(seen.Text, "exit code 3") {
				t.Errorf("got %+v", seen)
			}
			if services == 2 && w.wants(t, w.names[0]) != 2 {
				t.Errorf("the old release is to have %d tasks", w.wants(t, w.names[0]))
			}
			apply(t, target, targettest.Rollback("d/2", 1))
			if seen := settled(t, target); !seen.Done || w.Shares(t)["v1"] != 100 {
				t.Errorf("after the rollback: %+v, really %v", seen, w.Shares(t))
			}
		})
	}
}

func TestARollbackMovesTheTrafficWhileTheReleaseThatHasItCrashes(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 2, 2, "live=yes")
	target := openTarget(t, w.options())
	apply(t, target, targettest.Want("d/1", 1, 100))
	settled(t, target)
	w.edit(t, w.names[1], func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Env = []string{"CRASH=yes"}
		spec.UpdateConfig.Order, spec.UpdateConfig.FailureAction = swarm.UpdateOrderStopFirst, swarm.UpdateFailureActionContinue
	})
	within(t, "the release has crashed often enough to be given up", func() bool {
		seen, err := target.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return seen.Failed
	})
	apply(t, target, targettest.Rollback("d/2", 1))
	seen := settled(t, target)
	if share, _ := seen.Share("v1"); !seen.Done || seen.Failed || share != 100 || w.Shares(t)["v1"] != 100 {
		t.Errorf("got %+v, really %v", seen, w.Shares(t))
	}
	if replicas := w.wants(t, w.names[1]); replicas != 2 {
		t.Errorf("the release that crashes is to have %d tasks, and had 2", replicas)
	}
}

func TestARollbackToWhatCannotRunSaysWhyAndThereIsAWayOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		services int
		good     string // the last good release, which is none
		says     string
		found    int // by the rehearsal
	}{
		"two services, and the image is gone": {2, "v0", "No such image", 1},
		"two services, and it crashes":        {2, "crash", "exit code 3", 0},
		"one service, and the image is gone":  {1, "v0", "No such image", 1},
		"one service, and it crashes":         {1, "crash", "exit code 3", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, test.services, 2, "")
			for _, name := range w.names {
				w.edit(t, name, func(spec *swarm.ServiceSpec) {
					if test.good == "crash" { // else a task has run before it crashed
						spec.TaskTemplate.ContainerSpec.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/app", "healthy"}, Interval: time.Second}
					}
				})
			}
			target, bad := openTarget(t, w.options()), w.names[test.services-1]
			apply(t, target, targettest.Want("d/1", 1, 100))
			settled(t, target)
			want := targettest.Rollback("d/2", 1)
			want.Releases[0].Release.Version = test.good
			found, err := target.(adg.Rehearser).Rehearse(t.Context(), want)
			if err != nil || len(found) != test.found || test.found > 0 && (found[0].Name != "release" || !strings.Contains(found[0].Text, "shop:"+test.good)) {
				t.Errorf("rehearsed: %+v, %v", found, err)
			}
			apply(t, target, want)
			seen := settled(t, target)
			if !seen.Failed || !strings.Contains(seen.Text, test.says) {
				t.Errorf("got %+v", seen)
			}
			if n := w.count(t, bad, "shop:v2"); n != 2 {
				t.Errorf("%d tasks of the bad release are left, and it had 2", n)
			}
			apply(t, target, targettest.Want("d/3", 1, 100))
			if seen := settled(t, target); !seen.Done {
				t.Errorf("on the way out: %+v, really %v", seen, w.Shares(t))
			}
			// Those that the engine had begun to replace may take a moment to go.
			within(t, "the bad release has its two tasks again", func() bool { return w.count(t, bad, "shop:v2") == 2 })
		})
	}
}

func TestTheEnginesOwnRollbackIsSaid(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 2, "")
	o := w.options()
	o.EngineRollback, o.Monitor = true, 5*time.Second // longer than a task takes to crash on a busy machine
	target := openTarget(t, o)
	apply(t, target, alone("d/1", "crash"))
	seen := settled(t, target)
	if !seen.Failed || !strings.Contains(seen.Text, "by itself") && !strings.Contains(seen.Text, "exit code 3") {
		t.Errorf("got %+v", seen)
	}
	within(t, "the engine has rolled back", func() bool {
		status := w.service(t, w.names[0]).UpdateStatus
		return status != nil && status.State == swarm.UpdateStateRollbackCompleted
	})
	seen, err := target.Current(t.Context())
	if err != nil || !seen.Failed || seen.Done || !strings.Contains(seen.Text, "has rolled service") {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestRehearsingFindsNothingWhereNothingIsWrongAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 1, "")
	target := openTarget(t, w.options())
	apply(t, target, targettest.Want("d/1", 1, 100))
	settled(t, target)
	w.on(nil, nil)
	if found, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("d/2", 1)); err != nil || len(found) > 0 {
		t.Errorf("got %+v, %v", found, err)
	}
	w.edit(t, w.names[0], func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.Resources = &swarm.ResourceRequirements{Reservations: &swarm.Resources{MemoryBytes: 1 << 50}}
	})
	found, err := target.(adg.Rehearser).Rehearse(t.Context(), alone("d/2", "v3"))
	if err != nil || len(found) != 1 || found[0].Name != "capacity" || found[0].Final {
		t.Errorf("got %+v, %v", found, err)
	}
	if w.sent() > 0 {
		t.Errorf("%d changes were sent", w.sent())
	}
}

func TestAnImageThatTheManagerAloneHasIsAskedForWhereOtherNodesNeedIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		nodes, status int
		says          string // empty: nothing is in the way
	}{
		"the manager is alone":                     {1, http.StatusNotFound, ""},
		"two nodes, and the registry has it":       {2, http.StatusOK, ""},
		"two nodes, and the registry does not":     {2, http.StatusNotFound, "the registry does not have it"},
		"two nodes, and the registry does not say": {2, http.StatusServiceUnavailable, "cannot be asked"},
		"two nodes, and the registry refuses adg":  {2, http.StatusForbidden, "cannot be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, 1, 1, "")
			result, err := w.api.NodeList(t.Context(), client.NodeListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			nodes := slices.Repeat(result.Items, test.nodes)
			w.refusing(func(rw http.ResponseWriter, r *http.Request) bool {
				rw.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/nodes"):
					_ = json.NewEncoder(rw).Encode(nodes)
				case strings.Contains(r.URL.Path, "/distribution/"):
					rw.WriteHeader(test.status)
					_, _ = io.WriteString(rw, `{"message":"no"}`)
				default:
					rw.Header().Del("Content-Type")
					return false
				}
				return true
			})
			found, err := openTarget(t, w.options()).(adg.Rehearser).Rehearse(t.Context(), alone("d/1", "v2"))
			switch {
			case err != nil:
				t.Error(err)
			case test.says == "" && len(found) > 0, test.says != "" && (len(found) != 1 || found[0].Name != "release" || found[0].Final ||
				!strings.Contains(found[0].Text, "is on the manager") || !strings.Contains(found[0].Text, test.says)):
				t.Errorf("got %+v", found)
			}
		})
	}
}

func TestOldRecordsAreForgotten(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 0, "")
	engine := openTarget(t, w.options()).(*target).engine
	for i := range keptRecords + 3 {
		w.edit(t, w.names[0], func(spec *swarm.ServiceSpec) { spec.TaskTemplate.ContainerSpec.Env = []string{fmt.Sprint("N=", i)} })
		for range 2 { // the second one changes nothing
			if err := engine.keep(t.Context(), w.service(t, w.names[0])); err != nil {
				t.Fatal(err)
			}
		}
	}
	records, err := engine.records(t.Context(), w.names[0])
	if err != nil || len(records) != keptRecords {
		t.Fatalf("%d records are kept, %v", len(records), err)
	}
	last, err := engine.recorded(t.Context(), w.names[0], targettest.Release("v1"))
	if err != nil || !slices.Equal(last.ContainerSpec.Env, []string{fmt.Sprint("N=", keptRecords+2)}) {
		t.Errorf("the last one is %+v, %v", last, err)
	}
	if none, err := engine.recorded(t.Context(), w.names[0], targettest.Release("v9")); none != nil || err != nil {
		t.Errorf("got %+v, %v", none, err)
	}
}

func TestAServiceThatIsNotThereIsPastHelp(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 0, "")
	o := w.options()
	o.Services = []string{"nobody"}
	if _, err := openTarget(t, o).Current(t.Context()); adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestTheEngineMayAskForPatienceOrRefuse(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 0, "")
	target := openTarget(t, w.options())
	answer := func(code int) {
		w.refusing(func(rw http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/_ping") {
				return false
			}
			rw.Header().Set("Retry-After", "7")
			http.Error(rw, "no", code)
			return true
		})
	}
	answer(http.StatusTooManyRequests)
	_, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	if after, throttled := adg.RetryAfter(err); !throttled || after != 7*time.Second || adg.IsPermanent(err) {
		t.Errorf("429: %v, %v", after, err)
	}
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		answer(code)
		if _, err := target.Current(t.Context()); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
			t.Errorf("%d: %v", code, err)
		}
	}
	answer(http.StatusServiceUnavailable)
	if _, err := target.Current(t.Context()); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("503: %v", err)
	}
}

func TestAChangeThatTheEngineRefusesIsNotSentAgainAndAgain(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 1, "")
	var refused atomic.Int64
	w.refusing(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		refused.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(rw, `{"message":"rpc error: the swarm does not have a leader"}`)
		return true
	})
	_, err := openTarget(t, w.options()).Apply(t.Context(), alone("d/1", "v2"))
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "does not have a leader") || refused.Load() != 1 {
		t.Errorf("sent %d times: %v", refused.Load(), err)
	}
}
