package git

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// TestWhoIsKilledAtAnyRequestIsFollowedByAnother has the process end before and after each request to the server, and
// another one, which knows nothing of it, repeat the operation.
func TestWhoIsKilledAtAnyRequestIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			o := r.options(t)
			for n := 1; killedAt(t, r, o, when, n); n++ {
				op := fmt.Sprintf("shop-v2-abc/%d", n)
				seen := mustApply(t, openAt(t, o, t.TempDir()), targettest.Rollback(op, 2))
				effects := 0
				for _, e := range r.operations(t) {
					if e.OpID == op {
						effects++
					}
				}
				if effects != 1 || !seen.Done || seen.OpID != op || r.Shares(t)["v1"] != 100 {
					t.Errorf("%s request %d: %d commits, %+v", when, n, effects, seen)
				}
			}
		})
	}
}

// killedAt applies a rollback and kills it at the request with a number; false: it needs fewer than that, and was done.
func killedAt(t *testing.T, r *repository, o Options, when string, n int) bool {
	t.Helper()
	var hit atomic.Bool // a request may end later than the one who asked
	r.commit(t, "v2", map[string]string{versionFile: values("v2")})
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	at := func(k int, moment string) {
		if k == n && when == moment {
			hit.Store(true)
			kill(errors.New("killed"))
		}
	}
	r.on(func(k int, _ http.ResponseWriter, _ *http.Request) bool {
		at(k, "before")
		return k >= n && when == "before"
	}, func(k int) { at(k, "after") })
	_, err := openAt(t, o, t.TempDir()).Apply(ctx, targettest.Rollback(fmt.Sprintf("shop-v2-abc/%d", n), 2))
	r.on(nil)
	if !hit.Load() && (err != nil || n < 6) {
		t.Fatalf("%s: with less than %d requests it ended with %v", when, n, err)
	}
	return hit.Load()
}

func TestARivalWhoPushesAllTheTimeDoesNotKeepARollbackOut(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit(t, "v2", map[string]string{versionFile: values("v2")})
	const faster = 5
	pushes := 0
	r.on(func(_ int, _ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "git-receive-pack") && req.ContentLength != 4 {
			if pushes++; pushes <= faster {
				r.commit(t, "the rival", map[string]string{"apps/rival/values.yaml": fmt.Sprintf("n: %d\n", pushes)})
			}
		}
		return false
	})
	seen := mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1))
	if len(r.operations(t)) != 1 || !seen.Done || r.Shares(t)["v1"] != 100 || r.file(t, "apps/rival/values.yaml") != fmt.Sprintf("n: %d", faster) {
		t.Errorf("after %d pushes: %+v\n%s", pushes, seen, strings.Join(r.messages(t), "\n"))
	}
	if pushes <= faster {
		t.Errorf("%d pushes: the rival was never faster", pushes)
	}
}

// TestABranchThatWasSetBackIsNotSetForthAgain has somebody take a commit off the branch between fetch and push.
func TestABranchThatWasSetBackIsNotSetForthAgain(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit(t, "a secret that was not to be published", map[string]string{"oops": "x\n"})
	once := sync.OnceFunc(func() { r.git(t, nil, "update-ref", "refs/heads/main", "refs/heads/main^") })
	r.on(func(_ int, _ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "git-receive-pack") || strings.Contains(req.URL.RawQuery, "git-receive-pack") {
			once()
		}
		return false
	})
	mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Want("shop-v2-abc/1", 1, 100))
	if files := r.git(t, nil, "ls-tree", "-r", "--name-only", "main"); strings.Contains(files, "oops") || r.Shares(t)["v2"] != 100 {
		t.Errorf("the branch holds\n%s", files)
	}
}

func TestWhatTheServerRefusesIsAnErrorOfItsKind(t *testing.T) {
	t.Parallel()
	isPush := func(req *http.Request) bool { return strings.Contains(req.URL.String(), "git-receive-pack") }
	for name, c := range map[string]struct {
		spoil     func(*repository, *Options)
		code      adg.Code
		permanent bool
		throttled bool
		says      string
	}{
		"an expired token": {func(r *repository, _ *Options) { r.token = "new" }, adg.Unauthorized, true, false, "token"},
		"no token":         {func(_ *repository, o *Options) { o.Token = adg.Secret{} }, adg.Unauthorized, true, false, "token"},
		"a token that may only read": {func(r *repository, _ *Options) {
			r.on(func(_ int, w http.ResponseWriter, req *http.Request) bool {
				if isPush(req) {
					w.WriteHeader(http.StatusForbidden)
				}
				return isPush(req)
			})
		}, adg.Unauthorized, true, false, "write the contents"},
		"too many requests": {func(r *repository, _ *Options) {
			r.on(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
		}, adg.Unavailable, false, true, "asks to wait"},
		"a redirect": {func(r *repository, _ *Options) {
			r.on(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
				w.WriteHeader(http.StatusFound)
				return true
			})
		}, adg.Invalid, true, false, "redirects"},
		"no such repository": {func(_ *repository, o *Options) { o.Repository += "x" }, adg.NotFound, true, false, "no such repository"},
		"no such branch":     {func(_ *repository, o *Options) { o.Branch = "live" }, adg.NotFound, true, false, "check branch"},
		"no such file":       {func(_ *repository, o *Options) { o.Version.File = "apps/shop/other.yaml" }, adg.NotFound, true, false, "version.file"},
		"no such value":      {func(_ *repository, o *Options) { o.Version.Path = "image.version" }, adg.Invalid, true, false, "there is no version"},
		"a protected branch": {func(r *repository, _ *Options) {
			refuse(t, r, "GH006: Protected branch update failed for refs/heads/main. "+targettest.Planted)
		}, adg.Unauthorized, true, false, "pull-request"},
		"a hook that refuses": {func(r *repository, _ *Options) { refuse(t, r, "not today") }, adg.Unavailable, false, false, "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			o := r.options(t)
			c.spoil(r, &o)
			head := r.head(t)
			_, err := openAt(t, o, t.TempDir()).Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
			if _, asked := adg.RetryAfter(err); adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || asked != c.throttled || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("got %v (%s, permanent %v)", err, adg.CodeOf(err), adg.IsPermanent(err))
			}
			if strings.Contains(fmt.Sprint(err), targettest.Planted) || r.head(t) != head {
				t.Errorf("a secret shows, or the branch moved: %v", err)
			}
		})
	}
}

func TestOnlyAddressesThatWereLookedAtAreTalkedTo(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	o := r.options(t)
	o.Repository = strings.Replace(o.Repository, "127.0.0.1", "localhost", 1)
	if seen, err := openAt(t, o, t.TempDir()).Current(t.Context()); err != nil || !seen.Done {
		t.Errorf("by its name: %+v, %v", seen, err)
	}
	o.Repository, o.Key, o.KnownHosts = "ssh://git@169.254.169.254/team/deploy.git", adg.NewSecret("x"), "x"
	if _, err := openAt(t, o, t.TempDir()).Current(t.Context()); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("a metadata service: %v", err)
	}
}

func refuse(t *testing.T, r *repository, why string) {
	t.Helper()
	hook := filepath.Join(r.dir, "hooks", "pre-receive")
	if err := errors.Join(os.MkdirAll(filepath.Dir(hook), 0o700), os.WriteFile(hook, []byte("#!/bin/sh\necho '"+why+"' >&2\nexit 1\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsAreInNoArgumentAndInNoFileAfterwards(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	secret := "planted-" + rand.Text() // of its own: programs of other tests have the usual one as an argument
	r.token = secret
	o := r.options(t)
	o.Token = adg.NewSecret(secret)
	programs := 0
	r.on(func(int, http.ResponseWriter, *http.Request) bool {
		lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, list := range lists {
			line, _ := os.ReadFile(list) // a program that has ended meanwhile has none
			if bytes.Contains(line, []byte("remote-http")) {
				programs++
			}
			for _, form := range []string{secret, basic("x-access-token", o.Token)} {
				if bytes.Contains(line, []byte(form)) {
					t.Errorf("a secret is in the arguments of a program: %q", line)
				}
			}
		}
		return false
	})
	dir := t.TempDir()
	target := openAt(t, o, dir)
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	if _, err := os.Stat("/proc/self/cmdline"); err == nil && programs == 0 {
		t.Error("no program was seen at all")
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "scratch", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestACloneThatAKilledProcessLeftIsMadeAnew(t *testing.T) {
	t.Parallel()
	r, dir := newRepository(t), t.TempDir()
	target := openAt(t, r.options(t), dir)
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	for name, file := range map[string]string{"a lock": "clone/shallow.lock", "another lock": "clone/refs/adg/branch.lock", "the mark of a session": "unclean"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if seen := mustApply(t, target, targettest.Rollback("shop-v2-abc/2", 1)); !seen.Done || r.Shares(t)["v1"] != 100 {
		t.Errorf("got %+v", seen)
	}
}

func TestAPushThatTheServerTookAndDidNotKeepIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.Break(t, targettest.Lie)
	seen := mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Want("shop-v2-abc/1", 1, 100))
	if share, _ := seen.Share("v1"); seen.Done || share != 100 || !strings.Contains(seen.Text, "main does not hold it") {
		t.Errorf("got %+v", seen)
	}
}

func TestAnOperatorWhoChangesTheVersionMeanwhileIsReported(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	target := openAt(t, r.options(t), t.TempDir())
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	r.commit(t, "by hand", map[string]string{versionFile: values("v3")})
	seen := mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100)) // repeated: it is done, and not done again
	if share, _ := seen.Share("v3"); share != 100 || !strings.Contains(seen.Text, "Rita Rival") || !strings.Contains(seen.Text, "v3 was written after operation shop-v2-abc/1") {
		t.Errorf("got %+v", seen)
	}
}

func TestTheServiceItselfCountsWhereItCanBeAsked(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	running := "v1"
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"version":%q}`, running) })
	o := r.options(t)
	service := newService(t, mux)
	o.Verify.URL, o.Verify.Path = service+"/version", "version"
	target := openAt(t, o, t.TempDir())
	seen := mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	if share, _ := seen.Share("v1"); seen.Done || share != 100 || !strings.Contains(seen.Text, "v1 runs") {
		t.Errorf("the branch is believed, and the service runs v1: %+v", seen)
	}
	running = "v2"
	if seen, err := target.Current(t.Context()); err != nil || !seen.Done || seen.Releases[0].Release.Version != "v2" {
		t.Errorf("got %+v, %v", seen, err)
	}
	running = "<html>"
	if seen, err := target.Current(t.Context()); err != nil || seen.Done || len(seen.Releases) != 0 {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestRehearsingSaysWhatWouldKeepARollbackOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(*repository, *Options)
		name   string // of the obstacle; empty: none
		final  bool
		effect string
	}{
		"nothing": {func(*repository, *Options) {}, "", false, ""},
		"a later change of the same lines": {func(r *repository, _ *Options) {
			r.commit(t, "again", map[string]string{"apps/shop/new.yaml": "only: v3\n"})
		}, "release", true, "apps/shop/new.yaml"},
		"a later change, and the fallback": {func(r *repository, o *Options) {
			r.commit(t, "again", map[string]string{"apps/shop/new.yaml": "only: v3\n"})
			o.Fallback = write
		}, "release", false, "only the version"},
		"no right to push": {func(r *repository, _ *Options) {
			r.on(func(_ int, w http.ResponseWriter, req *http.Request) bool {
				push := strings.Contains(req.URL.String(), "git-receive-pack")
				if push {
					w.WriteHeader(http.StatusForbidden)
				}
				return push
			})
		}, "access", true, "write the contents"},
		"an expired token": {func(r *repository, _ *Options) { r.token = "new" }, "access", true, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := released(t)
			o := r.options(t)
			c.spoil(r, &o)
			head := r.head(t)
			obstacles, err := openAt(t, o, t.TempDir()).(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("shop-v2-abc/1", 1))
			if err != nil || (c.name == "") != (len(obstacles) == 0) || r.head(t) != head {
				t.Fatalf("got %+v, %v", obstacles, err)
			}
			if c.name != "" && (obstacles[0].Name != c.name || obstacles[0].Final != c.final || !strings.Contains(obstacles[0].Text, c.effect)) {
				t.Errorf("got %+v", obstacles)
			}
		})
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	o := Driver.Options.(Options)
	o.Repository, o.Branch, o.Version = "https://adg:"+targettest.Planted+"@host/team/x", "--upload-pack=x", Place{File: "../x", Pattern: "tag"}
	o.Paths, o.Mode, o.Fallback, o.History, o.Timeout, o.Git, o.Verify.URL = []string{"/etc"}, "pray", "weep", 0, 0, "git", "ftp://x"
	o.Author.Name = "A <b>"
	_, err := Driver.Open(context.Background(), o, adg.Host{})
	for _, part := range []string{"repository:", "branch:", "version.file:", "version.pattern:", "paths:", "mode:", "fallback:", "history:", "timeout:", "git:", "verify.url:", "author.name:", "directory of its own"} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if strings.Contains(fmt.Sprint(err), targettest.Planted) || adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("error %v", err)
	}
	o = Driver.Options.(Options)
	o.Repository, o.Version = "https://host/team/x", Place{File: "x.yaml", Path: "tag"}
	if _, err := Driver.Open(context.Background(), o, adg.Host{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "may not be started here") {
		t.Errorf("where no programs may be started: %v", err)
	}
}
