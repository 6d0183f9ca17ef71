package argocd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/notes"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			s, server := newStandIn(t)
			dir := t.TempDir()
			return targettest.Fixture{Target: s.open(t, server, dir), World: s, Reopen: func(t *testing.T) adg.Target { return s.open(t, server, dir) }}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true,
	})
}

// automatic is an Application with automated sync that has just brought v2.
func automatic(t *testing.T) (*standIn, *httptest.Server, adg.Target) {
	t.Helper()
	s, server := newStandIn(t)
	s.policy = map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}, "syncOptions": []any{"CreateNamespace=true"}}
	s.reconcile()
	return s, server, s.open(t, server, t.TempDir())
}

func applied(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func looked(t *testing.T, target adg.Target) adg.Observed {
	t.Helper()
	seen, err := target.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

const suspended = "automated sync of the Application shop"

func TestARollbackSuspendsAutomatedSyncUntilTheRepositoryHasNoHeldRelease(t *testing.T) {
	s, server, target := automatic(t)
	suspends := func() string {
		what, err := target.(adg.Suspender).Suspends(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
		if err != nil {
			t.Fatal(err)
		}
		return what
	}
	if what := suspends(); what != suspended || !s.automated() {
		t.Errorf("before the rollback it would suspend %q, automated sync is %t", what, s.automated())
	}
	seen := applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	if what := suspends(); what != suspended {
		t.Errorf("after the rollback it has suspended %q", what)
	}
	if share, _ := seen.Share("v1"); share != 100 || !seen.Done || seen.Suspended != suspended {
		t.Fatalf("rolled back: %+v", seen)
	}
	s.with(s.reconcile)
	elsewhere := s.open(t, server, t.TempDir())
	if seen := looked(t, elsewhere); seen.Suspended != suspended || !seen.Done {
		t.Errorf("another machine sees %+v", seen)
	}
	held := []adg.Release{targettest.Release("v2")}
	resume := func() adg.Observed {
		seen, err := elsewhere.(adg.Suspender).Resume(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if seen := resume(); seen.Suspended != suspended || !strings.Contains(seen.Text, "v2, which is on hold") || s.automated() {
		t.Errorf("with v2 in the repository: %+v", seen)
	}
	s.with(func() { s.repo["r3"], s.head = "other.test/cart:v9", "r3" })
	if seen := resume(); seen.Suspended != suspended || s.automated() {
		t.Errorf("with nothing in the repository that tells: %+v", seen)
	}
	s.with(func() { s.repo["r4"], s.head = image+":v3", "r4" })
	if seen := resume(); seen.Suspended != "" {
		t.Errorf("with v3 in the repository: %+v", seen)
	}
	want := map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}, "syncOptions": []any{"CreateNamespace=true"}}
	if diff := cmp.Diff(want, s.policy); diff != "" {
		t.Errorf("the policy is not as it was:\n%s", diff)
	}
	if share := s.Shares(t)["v3"]; share != 100 {
		t.Errorf("automated sync has brought v3 to %g %%", share)
	}
	effects := len(s.Effects(t))
	if seen := resume(); seen.Suspended != "" || len(s.Effects(t)) != effects {
		t.Errorf("resumed twice: %+v", seen)
	}
}

func TestAutomatedSyncThatSomebodyPutsBackIsNotReportedAsSuspended(t *testing.T) {
	s, _, target := automatic(t)
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	s.with(func() { s.policy["automated"] = map[string]any{}; s.version++; s.reconcile() })
	seen := looked(t, target)
	if share, _ := seen.Share("v2"); share != 100 || seen.Suspended != "" || seen.Done {
		t.Errorf("it is %+v", seen)
	}
	seen = applied(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	if share, _ := seen.Share("v1"); share != 100 || seen.Suspended != suspended || !seen.Done {
		t.Errorf("rolled back again: %+v", seen)
	}
}

func TestARollbackToWhatTheRepositoryHasSuspendsNothing(t *testing.T) {
	s, _, target := automatic(t)
	s.with(func() { s.repo["r3"], s.head = image+":v1", "r3" })
	if what, err := target.(adg.Suspender).Suspends(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); what != "" || err != nil {
		t.Errorf("it would suspend %q, %v", what, err)
	}
	seen := applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	if share, _ := seen.Share("v1"); share != 100 || seen.Suspended != "" || !s.automated() {
		t.Errorf("it is %+v", seen)
	}
}

func TestDoneIsWhatThePodsSay(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*standIn)
		done   bool
		failed bool
		text   string
	}{
		"all is well":                         {func(*standIn) {}, true, false, ""},
		"a sync is under way":                 {func(s *standIn) { s.last["phase"] = "Running" }, false, false, "under way"},
		"pods of the old release are there":   {func(s *standIn) { s.pods[image+":v1"] = "Healthy" }, false, false, "v1 and v2"},
		"none of the pods is healthy":         {func(s *standIn) { s.pods[image+":v2"] = "Progressing" }, false, false, "0 of 3 pods"},
		"there are no pods":                   {func(s *standIn) { s.pods = nil }, false, false, "they run nothing"},
		"the Application is not healthy yet":  {func(s *standIn) { s.health = "Progressing" }, false, false, "Progressing"},
		"the release is what is degraded":     {func(s *standIn) { s.health, s.pods[image+":v2"] = "Degraded", "Degraded" }, false, true, "Degraded"},
		"the release before is what degraded": {func(s *standIn) { s.health, s.pods[image+":v1"] = "Degraded", "Degraded" }, false, false, "v1 and v2"},
		"the sync has failed":                 {func(s *standIn) { s.last["phase"], s.last["message"] = "Failed", "no quota" }, false, true, "no quota"},
	} {
		t.Run(name, func(t *testing.T) {
			s, server := newStandIn(t)
			target := s.open(t, server, t.TempDir())
			applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
			s.with(func() { c.change(s) })
			seen := looked(t, target)
			if seen.Done != c.done || seen.Failed != c.failed || !strings.Contains(seen.Text, c.text) {
				t.Errorf("%+v", seen)
			}
		})
	}
}

func TestARollbackEndsTheSyncThatIsInItsWay(t *testing.T) {
	s, _, target := automatic(t)
	s.with(func() { s.repo["r3"], s.head, s.slow = image+":v2", "r3", true; s.reconcile() })
	if _, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); err == nil || adg.IsPermanent(err) {
		t.Fatalf("the first attempt: %v", err)
	}
	s.with(func() { s.slow = false })
	if seen := applied(t, target, targettest.Rollback("shop-v2-abc/1", 1)); !seen.Done {
		t.Errorf("%+v", seen)
	}
}

func TestAStepForwardWaitsForTheSyncThatIsInItsWay(t *testing.T) {
	s, server := newStandIn(t)
	target := s.open(t, server, t.TempDir())
	s.with(func() { s.slow = true; s.run("r1", map[string]any{"sync": map[string]any{"revision": "r1"}}) })
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); err == nil || adg.IsPermanent(err) {
		t.Errorf("it gives %v", err)
	}
	if s.last["phase"] != "Running" {
		t.Error("the other sync was ended")
	}
}

func TestAReleaseThatIsNowhereIsNotFound(t *testing.T) {
	s, _, target := automatic(t)
	s.with(func() { s.history = s.history[1:] })
	_, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if adg.CodeOf(err) != adg.NotFound || !adg.IsPermanent(err) || !s.automated() {
		t.Errorf("rolling back: %v", err)
	}
	obstacles, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if err != nil || len(obstacles) != 1 || obstacles[0].Name != "release" || !obstacles[0].Final {
		t.Errorf("rehearsed: %v, %v", obstacles, err)
	}
	s.with(func() { delete(s.repo, "r2") })
	if _, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("while a revision cannot be read, nobody knows: %v", err)
	}
	s.with(func() { s.repo["r2"] = image + ":v2" })
	want := targettest.Want("shop-v2-abc/2", 1, 100)
	want.Releases[0].Release.Version = "v9"
	if _, err := target.Apply(t.Context(), want); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("what is not merged yet: %v", err)
	}
}

func TestAReleaseOfOtherParametersIsFoundWhereItWasSeenLive(t *testing.T) {
	s, server := newStandIn(t)
	target := s.open(t, server, t.TempDir())
	s.with(func() {
		s.history[0]["source"] = map[string]any{"repoURL": "https://git.test/shop", "kustomize": map[string]any{"images": []string{image + ":v1"}}}
	})
	obstacles, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
	if err != nil || len(obstacles) != 1 {
		t.Errorf("before anybody has seen it: %v, %v", obstacles, err)
	}
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	if seen := applied(t, target, targettest.Rollback("shop-v2-abc/2", 1)); !seen.Done {
		t.Errorf("%+v", seen)
	}
}

func TestARehearsalTellsWhatIsInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*standIn)
		want   []string
	}{
		"nothing":                      {func(*standIn) {}, nil},
		"the token may not sync":       {func(s *standIn) { s.refuses["sync"] = true }, []string{"access true"}},
		"the token may not update":     {func(s *standIn) { s.refuses["update"] = true }, []string{"access true"}},
		"a sync window":                {func(s *standIn) { s.closed = true }, []string{"sync false"}},
		"an ApplicationSet owns it":    {func(s *standIn) { s.owner = "shops" }, []string{"sync false"}},
		"the revision cannot be had":   {func(s *standIn) { delete(s.repo, "r2") }, nil},
		"expired credentials":          {func(s *standIn) { s.status = http.StatusUnauthorized }, []string{"access true"}},
		"the Application is not there": {func(s *standIn) { s.status = http.StatusNotFound }, []string{"release true"}},
		"the policy is there, and off": {func(s *standIn) { s.policy["automated"] = map[string]any{"enabled": false}; s.owner = "shops" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, target := automatic(t)
			s.with(func() { c.change(s) })
			version := s.version
			obstacles, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range obstacles {
				got = append(got, fmt.Sprint(o.Name, " ", o.Final))
				if strings.Contains(o.Text, targettest.Planted) {
					t.Errorf("a secret shows: %s", o.Text)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || s.version != version {
				t.Errorf("version %d was %d, %s", s.version, version, diff)
			}
		})
	}
}

func TestARollbackThatMakesItWorseHasFailedAndStartsNothingElse(t *testing.T) {
	s, _, target := automatic(t)
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	s.with(func() { s.health, s.pods[image+":v1"] = "Degraded", "Degraded" })
	began := len(s.Effects(t))
	for what, seen := range map[string]adg.Observed{"read": looked(t, target), "asked again": applied(t, target, targettest.Rollback("shop-v2-abc/1", 1))} {
		if seen.Done || !seen.Failed || seen.Suspended != suspended || !strings.Contains(seen.Text, "Degraded") {
			t.Errorf("%s: %+v", what, seen)
		}
	}
	if more := len(s.Effects(t)) - began; more != 0 {
		t.Errorf("%d more were started", more)
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		code      adg.Code
		permanent bool
		throttled time.Duration
	}{
		"the credentials have expired": {http.StatusUnauthorized, adg.Unauthorized, true, 0},
		"the account may not do it":    {http.StatusForbidden, adg.Unauthorized, true, 0},
		"the Application is not there": {http.StatusNotFound, adg.NotFound, true, 0},
		"the server asks to wait":      {http.StatusTooManyRequests, adg.Unavailable, false, 7 * time.Second},
		"somebody changes it just now": {http.StatusConflict, adg.Unavailable, false, 0},
		"the server fails":             {http.StatusInternalServerError, adg.Unavailable, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, target := automatic(t)
			s.with(func() { s.status = c.status })
			_, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
			wait, _ := adg.RetryAfter(err)
			if adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || wait != c.throttled || strings.Contains(fmt.Sprint(err), targettest.Planted) {
				t.Errorf("code %s, permanent %t, wait %s: %v", adg.CodeOf(err), adg.IsPermanent(err), wait, err)
			}
		})
	}
}

func TestSomebodyElsesWritesAreKept(t *testing.T) {
	s, _, target := automatic(t)
	s.annotations = map[string]string{"theirs": "0"}
	writes := 0
	s.before = func(r *http.Request) {
		if r.Method == http.MethodPatch && writes < 3 {
			writes++
			s.with(func() { s.annotations["theirs"] = fmt.Sprint(writes); s.version++ })
		}
	}
	if seen := applied(t, target, targettest.Rollback("shop-v2-abc/1", 1)); !seen.Done || s.annotations["theirs"] != "3" {
		t.Errorf("%+v with %v", seen, s.annotations)
	}
	s.before = func(r *http.Request) {
		if r.Method == http.MethodPatch {
			s.with(func() { s.version++ })
		}
	}
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 100)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("without end: %v", err)
	}
}

func TestAnOwnerWhoseTimeIsOverIsRefusedOnEveryMachine(t *testing.T) {
	s, server, target := automatic(t)
	applied(t, target, targettest.Rollback("shop-v2-abc/1", 5))
	elsewhere := s.open(t, server, t.TempDir())
	if _, err := elsewhere.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 4, 100)); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("it gives %v", err)
	}
}

// TestItIsKilledAtEveryRequestAndTakenOver counts the rollbacks that begin at the server: one, whatever happens.
func TestItIsKilledAtEveryRequestAndTakenOver(t *testing.T) {
	hits := 0
	for _, does := range []step{refuse, lose, pass} {
		for n := 1; ; n++ {
			s, server, target := automatic(t)
			ctx, kill := context.WithCancelCause(t.Context())
			s.script = func(request int) step {
				switch {
				case request < n:
					return pass
				case request == n && does == pass:
					kill(errors.New("the operator went home"))
					return refuse
				case request == n:
					return does
				}
				return refuse // the dead ask for nothing
			}
			seen, err := target.Apply(ctx, targettest.Rollback("shop-v2-abc/1", 1))
			kill(nil)
			reached := false
			s.with(func() { reached = s.requests >= n })
			if reached && err == nil {
				t.Errorf("step %d, request %d: no error, but %+v", does, n, seen)
			}
			s.with(func() { s.script = nil })
			elsewhere := s.open(t, server, t.TempDir())
			seen = applied(t, elsewhere, targettest.Rollback("shop-v2-abc/1", 2))
			if share, _ := seen.Share("v1"); share != 100 || !seen.Done || seen.Suspended != suspended || len(s.Effects(t)) != 1 {
				t.Errorf("step %d, request %d, taken over: %d rollbacks, %+v", does, n, len(s.Effects(t)), seen)
			}
			if !reached {
				break
			}
			hits++
		}
	}
	if hits < 3*7 {
		t.Errorf("%d requests were broken off, and a rollback takes more", hits)
	}
}

func TestANoteThatIsNoneIsNobodys(t *testing.T) {
	s, _, target := automatic(t)
	s.annotations = map[string]string{notes.Annotation: "by hand"}
	if seen := looked(t, target); !seen.Done || seen.OpID != "" {
		t.Errorf("%+v", seen)
	}
}

func TestEveryProblemOfTheOptionsIsReported(t *testing.T) {
	_, err := open(t.Context(), Options{URL: "not an address", Application: "a/b", Namespace: "-", Image: "shop:v1@x", Options: remote.Defaults()}, adg.Host{Name: "shop"})
	for _, option := range []string{"url", "application", "namespace", "image", "directory"} {
		if !strings.Contains(fmt.Sprint(err), option) || !adg.IsPermanent(err) {
			t.Errorf("%s is not in %v", option, err)
		}
	}
}
