package git

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// What a process is told that is started to be killed: the operation, and where.
const (
	victimOperation  = "ADG_TEST_OPERATION"
	victimRepository = "ADG_TEST_REPOSITORY"
	victimDir        = "ADG_TEST_DIR"
	victimGit        = "ADG_TEST_GIT"
)

// victim applies a rollback as a process of its own, and gives its exit status.
func victim(op string) int {
	o := Driver.Options.(Options)
	o.Repository, o.Git, o.Token = os.Getenv(victimRepository), os.Getenv(victimGit), adg.NewSecret(targettest.Planted)
	o.Version = Place{File: versionFile, Path: "image.tag"}
	target, err := Driver.Open(context.Background(), o, adg.Host{Name: "shop", Dir: os.Getenv(victimDir), Commands: true})
	if err == nil {
		_, err = target.Apply(context.Background(), targettest.Rollback(op, 2))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestAProcessThatIsKilledAtAnyRequestIsFollowedOnItsMachine kills a process without warning while the server serves each
// of its requests, and has another one go on with the same clone. The git that the killed one had started goes on too.
func TestAProcessThatIsKilledAtAnyRequestIsFollowedOnItsMachine(t *testing.T) {
	t.Parallel()
	r, dir := newRepository(t), t.TempDir()
	o := r.options(t)
	for n := 1; ; n++ {
		op := fmt.Sprintf("shop-v2-abc/%d", n)
		r.commit(t, "v2", map[string]string{versionFile: values("v2")})
		killed := killProcess(t, r, o, dir, op, n)
		if killed != there(t, dir, "unclean") {
			t.Errorf("request %d: killed %v, and the clone is marked: %v", n, killed, !killed)
		}
		seen := mustApply(t, openAt(t, o, dir), targettest.Rollback(op, 2))
		effects := 0
		for _, e := range r.operations(t) {
			if e.OpID == op {
				effects++
			}
		}
		if effects != 1 || !seen.Done || seen.OpID != op || r.Shares(t)["v1"] != 100 || there(t, dir, "unclean") {
			t.Errorf("request %d: %d commits, %+v", n, effects, seen)
		}
		if !killed {
			if n < 6 {
				t.Errorf("it needs %d requests: nothing was killed", n-1)
			}
			return
		}
	}
}

// killProcess starts a process that rolls back, and kills it at the request with a number; false: it needs fewer than
// that, and was done.
func killProcess(t *testing.T, r *repository, o Options, dir, op string, n int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimOperation+"="+op, victimRepository+"="+o.Repository, victimDir+"="+dir, victimGit+"="+o.Git)
	cmd.Stderr = os.Stderr
	started := make(chan *os.Process, 1)
	r.on(func(k int, _ http.ResponseWriter, _ *http.Request) bool {
		if k == n {
			_ = (<-started).Kill() // Wait tells whether it was
		}
		return false
	})
	defer r.on(nil)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started <- cmd.Process
	err := cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("it was not killed: %v", err)
	}
	return err != nil
}

// TestWhoIsKilledWhileARequestIsOpenedIsFollowedByAnother has the process end after each request, to git or to the forge,
// and another one, which knows nothing of it, repeat the operation.
func TestWhoIsKilledWhileARequestIsOpenedIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	killed := true
	for n := 1; killed; n++ {
		f := newForge(t, "github")
		o := f.options(t)
		killed = killedAt(t, f.repository, o, "after", n)
		want := targettest.Rollback(fmt.Sprintf("shop-v2-abc/%d", n), 2)
		next := openAt(t, o, t.TempDir())
		seen := mustApply(t, next, want)
		branches := strings.Count(f.git(t, nil, "branch", "--list", "adg/*"), "adg/")
		if seen.Done || seen.Failed || seen.OpID != want.OpID || f.state(1) != "open" || f.state(2) != "none" || branches != 1 || f.Shares(t)["v2"] != 100 {
			t.Fatalf("request %d: %+v, %d branches, requests: %s, %s", n, seen, branches, f.state(1), f.state(2))
		}
		f.merge(t, f.requests[0])
		if seen, err := next.Current(t.Context()); err != nil || !seen.Done || f.Shares(t)["v1"] != 100 {
			t.Errorf("request %d, merged: %+v, %v", n, seen, err)
		}
	}
}

func TestARequestThatAnotherOneOpenedMeanwhileIsTheOperationsOwn(t *testing.T) {
	t.Parallel()
	for kind := range dialects {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, kind)
			f.raced = true
			want := targettest.Want("shop-v2-abc/1", 1, 100)
			seen := mustApply(t, openAt(t, f.options(t), t.TempDir()), want)
			if seen.Done || seen.OpID != want.OpID || f.state(1) != "open" || f.state(2) != "none" || f.Shares(t)["v1"] != 100 {
				t.Errorf("%+v, requests: %s, %s", seen, f.state(1), f.state(2))
			}
		})
	}
}

// TestATokenThatMayNotOpenRequestsIsAnErrorUntilItMay has the branch pushed and nothing asked for, and then the rest.
func TestATokenThatMayNotOpenRequestsIsAnErrorUntilItMay(t *testing.T) {
	t.Parallel()
	f := newForge(t, "github")
	f.forbids = true
	o, want := f.options(t), targettest.Want("shop-v2-abc/1", 1, 100)
	target := openAt(t, o, t.TempDir())
	if _, err := target.Apply(t.Context(), want); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
	if seen, err := target.Current(t.Context()); err != nil || seen.Done || !strings.Contains(seen.Text, "waits for its request") || f.Shares(t)["v1"] != 100 {
		t.Errorf("without the right: %+v, %v", seen, err)
	}
	f.lock.Lock()
	f.forbids = false
	f.lock.Unlock()
	seen := mustApply(t, openAt(t, o, t.TempDir()), want)
	if branches := strings.Count(f.git(t, nil, "branch", "--list", "adg/*"), "adg/"); seen.OpID != want.OpID || f.state(1) != "open" || f.state(2) != "none" || branches != 1 {
		t.Errorf("with it: %+v, %d branches, requests: %s, %s", seen, branches, f.state(1), f.state(2))
	}
}

// TestARollbackThatMadeItWorseStaysUntilAPersonActs repeats a rollback after which the service answers with errors, and
// again after a person has put another version there.
func TestARollbackThatMadeItWorseStaysUntilAPersonActs(t *testing.T) {
	t.Parallel()
	r := released(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "worse than before", http.StatusInternalServerError)
	}))
	defer service.Close()
	o := r.options(t)
	o.Verify.URL = service.URL
	target, back := openAt(t, o, t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1)
	mustApply(t, target, back)
	head := r.head(t)
	for range 2 {
		if seen := mustApply(t, target, back); seen.Done || len(seen.Releases) != 0 || !strings.Contains(seen.Text, "nobody knows what runs") {
			t.Errorf("nobody can tell what runs: %+v", seen)
		}
	}
	if r.head(t) != head || r.Shares(t)["v1"] != 100 {
		t.Errorf("something was done about it: %v", r.messages(t))
	}
	r.commit(t, "v3 by hand", map[string]string{versionFile: values("v3")})
	head = r.head(t)
	mustApply(t, target, back)
	if r.head(t) != head || r.Shares(t)["v3"] != 100 {
		t.Errorf("what the person did was undone: %v", r.messages(t))
	}
}
