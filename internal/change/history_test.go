package change

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

// history is a real repository that a test writes with git fast-import.
type history struct {
	t      *testing.T
	dir    string
	branch string
	begun  map[string]bool // branches
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{t: t, dir: filepath.Join(t.TempDir(), "repo.git"), branch: "main", begun: map[string]bool{}}
	plain(t, "", "", "init", "--quiet", "--bare", "--initial-branch=main", h.dir)
	return h
}

// plain runs git as tests need it, without what this machine's user configured.
func plain(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t",
		"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t", "LC_ALL=C")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

func (h *history) git(args ...string) string { h.t.Helper(); return plain(h.t, h.dir, "", args...) }

// edit is one line of a fast-import commit.
type edit string

func put(path, text string) edit {
	return edit(fmt.Sprintf("M 100644 inline %s\ndata %d\n%s\n", quoted(path), len(text), text))
}

func drop(path string) edit { return edit("D " + quoted(path) + "\n") }

func move(from, to string) edit { return edit("R " + quoted(from) + " " + quoted(to) + "\n") }

func pointTo(path, id string) edit { return edit("M 160000 " + id + " " + quoted(path) + "\n") }

func quoted(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}

// commit adds a commit to the branch, by "ann" or "Ann <ann@x>", on a day such as 2021-05-01, and gives its id.
func (h *history) commit(who, day, message string, edits ...edit) string {
	h.t.Helper()
	return h.merge(who, day, message, "", edits...)
}

// merge is a commit with a second parent.
func (h *history) merge(who, day, message, second string, edits ...edit) string {
	h.t.Helper()
	if !strings.Contains(who, "<") {
		who = fmt.Sprintf("%s <%s@example.org>", who, who)
	}
	var b strings.Builder
	ref := "refs/heads/" + h.branch
	// The author's clock is wrong on purpose: nothing may depend on it.
	fmt.Fprintf(&b, "commit %s\nmark :1\nauthor %s 1000000000 +0000\ncommitter c <c@c> %d +0000\ndata %d\n%s\n", ref, who, at(h.t, day), len(message), message)
	if h.begun[h.branch] {
		fmt.Fprintf(&b, "from %s^0\n", ref)
	}
	if second != "" {
		fmt.Fprintf(&b, "merge %s\n", second)
	}
	for _, e := range edits {
		b.WriteString(string(e))
	}
	b.WriteString("\nget-mark :1\n")
	h.begun[h.branch] = true
	return plain(h.t, h.dir, b.String(), "fast-import", "--quiet", "--force", "--date-format=raw")
}

// on goes to a branch, which starts at a commit if it is new.
func (h *history) on(branch, start string) {
	h.t.Helper()
	h.branch = branch
	if start != "" {
		h.git("update-ref", "refs/heads/"+branch, start)
		h.begun[branch] = true
	}
}

func at(t *testing.T, day string) int64 {
	t.Helper()
	layout := "2006-01-02"
	if strings.Contains(day, "T") {
		layout = "2006-01-02T15:04"
	}
	when, err := time.Parse(layout, day)
	if err != nil {
		t.Fatal(err)
	}
	return when.Unix()
}

// text of n numbered lines.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func open(t *testing.T, dir string, o Options) *Repository {
	t.Helper()
	r, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func measure(t *testing.T, r *Repository, from, to string) Change {
	t.Helper()
	return measureWith(t, r, &Index{}, from, to)
}

func measureWith(t *testing.T, r *Repository, x *Index, from, to string) Change {
	t.Helper()
	c, err := r.Measure(t.Context(), x, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expect compares some of the measures.
func expect(t *testing.T, c Change, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		got, found := c.Measures[name]
		if !found {
			t.Errorf("%s is missing, want %v; notes: %q", name, value, c.Notes)
		} else if diff := got - value; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
}

func expectMissing(t *testing.T, c Change, names ...string) {
	t.Helper()
	for _, name := range names {
		if value, found := c.Measures[name]; found {
			t.Errorf("%s is %v, it cannot be known", name, value)
		}
	}
}
