package learn

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

// history is a real repository that a test writes with git fast-import.
type history struct {
	t   *testing.T
	dir string
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{t: t, dir: filepath.Join(t.TempDir(), "shop.git")}
	h.git("", "init", "--quiet", "--bare", "--initial-branch=main", h.dir)
	return h
}

func (h *history) git(stdin string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if _, err := os.Stat(h.dir); err == nil {
		cmd.Dir = h.dir
	}
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

// commit adds a commit to a branch and gives its id; files come as path, text, path, text; an empty text deletes.
func (h *history) commit(branch string, after time.Duration, message string, files ...string) string {
	h.t.Helper()
	var s strings.Builder
	ref := "refs/heads/" + branch
	fmt.Fprintf(&s, "commit %s\nmark :1\ncommitter Ada <Ada@example.com> %d +0000\ndata %d\n%s\n", ref, start.Add(after).Unix(), len(message), message)
	if h.exists(ref) {
		fmt.Fprintf(&s, "from %s^0\n", ref)
	}
	for i := 0; i+1 < len(files); i += 2 {
		if files[i+1] == "" {
			fmt.Fprintf(&s, "D %s\n", quoted(files[i]))
			continue
		}
		fmt.Fprintf(&s, "M 100644 inline %s\ndata %d\n%s\n", quoted(files[i]), len(files[i+1]), files[i+1])
	}
	s.WriteString("\n")
	h.git(s.String(), "fast-import", "--quiet", "--force")
	return h.git("", "rev-parse", ref)
}

func (h *history) exists(ref string) bool {
	cmd := exec.Command("git", "rev-parse", "--verify", "--quiet", ref)
	cmd.Dir = h.dir
	return cmd.Run() == nil
}

func (h *history) tag(name, target string, after time.Duration) {
	h.t.Helper()
	h.git(fmt.Sprintf("tag %s\nfrom %s\ntagger Bob <bob@example.com> %d +0000\ndata 1\nx\n", name, target, start.Add(after).Unix()), "fast-import", "--quiet")
}

func quoted(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// told puts a history in lines: environment service from→to outcome.
func told(h History) string {
	var lines []string
	for _, d := range h.Deployments {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s→%s %s", d.Environment, d.Service, d.From, d.To, d.Outcome)))
	}
	return strings.Join(lines, "\n")
}

func want(t *testing.T, h History, lines ...string) {
	t.Helper()
	if got := told(h); got != strings.Join(lines, "\n") {
		var why []string
		for _, d := range h.Deployments {
			why = append(why, d.To+": "+d.Why)
		}
		t.Errorf("got\n%s\nwant\n%s\nwhy\n%s\nnotes %q", got, strings.Join(lines, "\n"), strings.Join(why, "\n"), h.Notes)
	}
}

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

var late = start.Add(100 * day)

func timeOf(days float64) time.Duration { return time.Duration(days * float64(day)).Round(time.Second) }
