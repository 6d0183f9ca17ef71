package scenarios

import (
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// repository makes a repository of what is in a folder, at $WORK/team/deploy.git, and puts the address of git's own
// server in front of it into guardian.yaml, as in: repository seed.
func repository(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: repository FOLDER")
	}
	program, err := exec.LookPath("git")
	ts.Check(err)
	bare := ts.MkAbs("team/deploy.git")
	git := func(args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_AUTHOR_NAME=Rita", "GIT_AUTHOR_EMAIL=rita@example.com", "GIT_COMMITTER_NAME=Rita", "GIT_COMMITTER_EMAIL=rita@example.com",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			ts.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", bare)
	git("--git-dir="+bare, "config", "http.receivepack", "true")
	git("--git-dir="+bare, "config", "uploadpack.allowFilter", "true")
	seed := []string{"--git-dir=" + bare, "--work-tree=" + ts.MkAbs(args[0])}
	git(append(seed, "add", "--all")...)
	git(append(seed, "commit", "--quiet", "--message=the shop begins")...)
	serve(ts, &cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"), InheritEnv: []string{"PATH"},
		Env: []string{"GIT_PROJECT_ROOT=" + ts.MkAbs("."), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	})
}
