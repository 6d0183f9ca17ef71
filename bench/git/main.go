// Command git measures how long it takes from Apply of a rollback to the commit that the server holds, with git's own
// server over HTTP on this machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/git"
)

// result is the line of output.
type result struct {
	Commits   int     `json:"commits"` // in the history before
	Rollbacks int     `json:"rollbacks"`
	FirstS    float64 `json:"first_s"` // with an empty clone
	P50S      float64 `json:"p50_s"`
	MaxS      float64 `json:"max_s"`
}

func main() {
	commits := flag.Int("commits", 2000, "commits in the history")
	rollbacks := flag.Int("n", 20, "rollbacks")
	program := flag.String("git", "/usr/bin/git", "path of git")
	flag.Parse()
	if err := run(*program, *commits, *rollbacks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program string, commits, rollbacks int) error {
	root, err := os.MkdirTemp("", "adg-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }() // what is left goes with the machine's temporary files
	r := repository{program: program, dir: filepath.Join(root, "deploy.git")}
	server, err := r.serve(commits)
	if err != nil {
		return err
	}
	defer server.Close()
	o := git.Driver.Options.(git.Options)
	o.Repository, o.Git = server.URL+"/deploy.git", program
	o.Version = git.Place{File: "apps/shop/values.yaml", Path: "tag"}
	target, err := git.Driver.Open(context.Background(), o, adg.Host{Name: "shop", Dir: filepath.Join(root, "target"), Commands: true})
	if err != nil {
		return err
	}
	var took []float64
	for n := range rollbacks {
		if err := r.commit("v2", 1); err != nil {
			return err
		}
		want := adg.Desired{
			OpID: fmt.Sprintf("shop/%d", n), Deployment: "shop", Fence: 1, Rollback: true,
			Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}},
		}
		begin := time.Now()
		seen, err := target.Apply(context.Background(), want)
		took = append(took, time.Since(begin).Seconds())
		if err != nil || !seen.Done || seen.Releases[0].Release.Version != "v1" {
			return fmt.Errorf("rollback %d: %+v, %w", n, seen, err)
		}
	}
	first := took[0]
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(result{commits, rollbacks, first, took[len(took)/2], took[len(took)-1]})
}

type repository struct{ program, dir string }

func (r repository) run(stdin string, args ...string) (string, error) {
	cmd := exec.Command(r.program, args...)
	cmd.Env = []string{"GIT_DIR=" + r.dir, "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	cmd.Stdin = strings.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// serve starts a server whose branch has a history of that length, with v1 live.
func (r repository) serve(commits int) (*httptest.Server, error) {
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--template=", "--initial-branch=main", r.dir},
		{"config", "http.receivepack", "true"}, {"config", "uploadpack.allowFilter", "true"},
	} {
		if _, err := r.run("", args...); err != nil {
			return nil, err
		}
	}
	if err := r.commit("v1", max(commits, 1)); err != nil {
		return nil, err
	}
	place, err := r.run("", "--exec-path")
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(http.Handler(&cgi.Handler{
		Path: filepath.Join(place, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=adg", "HOME=/nonexistent"},
	})), nil
}

// commit adds commits, all with a version and each with a file of its own.
func (r repository) commit(version string, times int) error {
	from := ""
	if _, err := r.run("", "rev-parse", "--verify", "--quiet", "refs/heads/main"); err == nil {
		from = "from refs/heads/main^0\n"
	}
	var in strings.Builder
	for i := range times {
		tag := "replicas: 3\ntag: " + version + "\n"
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Rita Rival <rita@example.com> now\ndata 1\nx\n%s", from)
		fmt.Fprintf(&in, "M 100644 inline apps/shop/values.yaml\ndata %d\n%s\nM 100644 inline apps/other/%d.yaml\ndata 2\nx\n\n", len(tag), tag, i%100)
		from = ""
	}
	_, err := r.run(in.String(), "fast-import", "--quiet", "--date-format=now")
	return err
}
