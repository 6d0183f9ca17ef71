package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) {
	if op := os.Getenv(victimOperation); op != "" {
		os.Exit(victim(op))
	}
	goleak.VerifyTestMain(m)
}

const versionFile = "apps/shop/values.yaml"

func values(version string) string {
	return "# what the shop runs\nreplicas: 3\n\nimage:\n  name: shop # the repository's name\n  tag: " + version + "\n\nmemory: 1Gi\n"
}

// repository is a bare repository behind git's own HTTP server.
type repository struct {
	dir  string
	http *httptest.Server

	mu     sync.Mutex
	fault  *targettest.Fault
	mended chan struct{}
	token  string
	seen   int
	api    http.Handler // of a forge; nil: there is none
	// before may keep a request, which it gets with its number, from being served; after is called when it was.
	before func(n int, w http.ResponseWriter, req *http.Request) (served bool)
	after  func(n int)
}

// newRepository starts a server whose branch main says that v1 is live.
func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{dir: filepath.Join(t.TempDir(), "team", "deploy.git"), token: targettest.Planted}
	r.git(t, nil, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", r.dir)
	config := "[core]\n\tfsync = none\n[http]\n\treceivepack = true\n[uploadpack]\n\tallowFilter = true\n"
	file, err := os.OpenFile(filepath.Join(r.dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(config)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	r.commit(t, "the shop begins", map[string]string{versionFile: values("v1"), "apps/cart/values.yaml": "tag: c1\n", "README": "all that runs\n"})
	r.http = httptest.NewServer(r)
	t.Cleanup(r.http.Close)
	return r
}

// gitProgram is the one that the tests and the target run.
func gitProgram(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		missing(t, "git")
	}
	return program
}

// missing skips a test whose program is not installed; where everything has to be, it fails it.
func missing(t testing.TB, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: run scripts/test-servers", program)
	}
	t.Skipf("%s is not installed", program)
}

func (r *repository) git(t testing.TB, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command(gitProgram(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_DIR=" + r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, stderr.String())
	}
	return strings.TrimRight(string(out), "\n")
}

// commit puts files on main as somebody else does; an empty text removes the file.
func (r *repository) commit(t testing.TB, message string, files map[string]string) {
	t.Helper()
	r.commitTo(t, "main", message, files)
}

func (r *repository) commitTo(t testing.TB, branch, message string, files map[string]string) {
	t.Helper()
	var in strings.Builder
	fmt.Fprintf(&in, "feature done\ncommit refs/heads/%s\ncommitter Rita Rival <rita@example.com> now\ndata %d\n%s\n", branch, len(message), message)
	probe := exec.Command(gitProgram(t), "rev-parse", "--verify", "--quiet", "refs/heads/"+branch)
	probe.Env = []string{"GIT_DIR=" + r.dir}
	if probe.Run() == nil {
		fmt.Fprintf(&in, "from refs/heads/%s^0\n", branch)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] == "" {
			fmt.Fprintf(&in, "D %s\n", strconv.Quote(name))
			continue
		}
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", strconv.Quote(name), len(files[name]), files[name])
	}
	in.WriteString("done\n")
	r.git(t, []byte(in.String()), "fast-import", "--quiet", "--date-format=now")
}

func (r *repository) head(t testing.TB) string { return r.git(t, nil, "rev-parse", "refs/heads/main") }

func (r *repository) file(t testing.TB, name string) string {
	return r.git(t, nil, "cat-file", "blob", "refs/heads/main:"+name)
}

func (r *repository) messages(t testing.TB) []string {
	return strings.Split(r.git(t, nil, "log", "--format=%s", "refs/heads/main"), "\n")
}

// operations are the commits of ADG on main, the oldest first, as git's own reader of trailers sees them.
func (r *repository) operations(t testing.TB) (effects []targettest.Effect) {
	t.Helper()
	log := r.git(t, nil, "log", "--reverse", "--topo-order", "--format=%(trailers:key=ADG-Operation,valueonly,separator=) %(trailers:key=ADG-Fence,valueonly,separator=)", "refs/heads/main")
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 2 {
			fence, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			effects = append(effects, targettest.Effect{OpID: f[0], Fence: fence})
		}
	}
	return effects
}

func (r *repository) Effects(t *testing.T) []targettest.Effect { return r.operations(t) }

func (r *repository) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	_, after, _ := strings.Cut(r.file(t, versionFile), "tag: ")
	version, _, _ := strings.Cut(after, "\n")
	return map[string]float64{version: 100}
}

func (r *repository) Break(t *testing.T, fault targettest.Fault) func() {
	hook := filepath.Join(r.dir, "hooks", "post-receive")
	if fault == targettest.Lie {
		if err := os.MkdirAll(filepath.Dir(hook), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(hook, []byte("#!/bin/sh\nwhile read old new ref; do git update-ref \"$ref\" \"$old\"; done\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.mended = &fault, make(chan struct{})
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fault = nil
		close(r.mended)
		_ = os.Remove(hook)
	})
}

func (r *repository) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.seen++
	n, fault, mended, token, before, after := r.seen, r.fault, r.mended, r.token, r.before, r.after
	r.mu.Unlock()
	switch {
	case fault != nil && *fault == targettest.Unreachable:
		http.Error(w, "no backend for "+targettest.Planted, http.StatusBadGateway)
		return
	case fault != nil && *fault == targettest.Hang:
		select {
		case <-mended:
		case <-req.Context().Done():
		}
		return
	}
	forge := r.api != nil && strings.HasPrefix(req.URL.Path, "/api/")
	if _, password, ok := req.BasicAuth(); !forge && (!ok || password != token) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "wrong token "+password, http.StatusUnauthorized)
		return
	}
	if before != nil && before(n, w, req) {
		return
	}
	if after != nil {
		defer after(n)
	}
	if forge {
		r.api.ServeHTTP(w, req)
		return
	}
	(&cgi.Handler{
		Path: filepath.Join(execPath(), "git-http-backend"), Stderr: io.Discard,
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(filepath.Dir(r.dir)), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=adg", "HOME=/nonexistent",
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		},
	}).ServeHTTP(w, req)
}

var execPath = sync.OnceValue(func() string {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})

// on has f called for every request from now on, before it is served, and after when it was.
func (r *repository) on(f func(n int, w http.ResponseWriter, req *http.Request) bool, after ...func(n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.after, r.seen = f, nil, 0
	if len(after) > 0 {
		r.after = after[0]
	}
}

func (r *repository) options(t testing.TB) Options {
	o := Driver.Options.(Options)
	o.Repository = r.http.URL + "/team/deploy.git"
	o.Token = adg.NewSecret(targettest.Planted)
	o.Version = Place{File: versionFile, Path: "image.tag"}
	o.Git = gitProgram(t)
	return o
}

// openAt opens the target as the process does that keeps its state in a directory.
func openAt(t testing.TB, o Options, dir string) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Dir: dir, Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func mustApply(t testing.TB, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
	return seen
}

// newService answers at an address of its own.
func newService(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
