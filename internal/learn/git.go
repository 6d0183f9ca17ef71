package learn

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// MaxCommits bounds how much history of a repository is read: of a longer one, the newest commits.
const MaxCommits = 1_000_000

// Private

const (
	gitTimeout   = 10 * time.Minute
	gitMaxOutput = 128 << 20
	chunkCommits = 1000
	recordMark   = "\x01"
	logFormat    = "--format=%x01%H%x00%P%x00%ct%x00%cE%x00%cN%x00%aE%x00%aN%x00%B%x00"
)

var errLog = errors.New("this is not what git writes")

// git runs the program where nothing but the repository's objects can have a say: no configuration that names a
// program, no hooks, no prompts, no network, no work tree.
type git struct {
	program string
	dir     string
	found   bool
	shallow bool
}

// openGit finds the repository that a folder lies in.
func openGit(ctx context.Context, program, dir string) (git, error) {
	path, err := exec.LookPath(cmp.Or(program, "git"))
	if err != nil {
		return git{}, adg.Permanent(adg.Errorf(adg.Invalid, "look for git: %w", err))
	}
	if path, err = filepath.Abs(path); err != nil {
		return git{}, adg.Errorf(adg.Internal, "look for git: %w", err)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return git{}, adg.Errorf(adg.Invalid, "open the repository: %w", err)
	}
	if _, err := os.Stat(absolute); err != nil {
		return git{}, adg.Errorf(adg.Invalid, "open the repository: %w", err)
	}
	g := git{program: path, dir: absolute}
	told, err := g.run(ctx, nil, "rev-parse", "--is-shallow-repository", "--absolute-git-dir")
	if err != nil {
		return git{}, err
	}
	shallow, folder, found := strings.Cut(strings.TrimSuffix(string(told.Stdout), "\n"), "\n")
	if told.Exit != 0 || !found {
		return git{}, adg.Errorf(adg.Invalid, "%s is not in a git repository: %s", dir, told.Complaint())
	}
	g.dir, g.found, g.shallow = folder, true, shallow == "true"
	return g, nil
}

// run gives what git said, whatever its exit.
func (g git) run(ctx context.Context, stdin []byte, args ...string) (process.Result, error) {
	fixed := []string{
		"--no-pager", "-c", "safe.directory=*", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
		"-c", "core.attributesFile=/dev/null", "-c", "diff.external=", "-c", "diff.orderFile=/dev/null", "-c", "log.showSignature=false",
		"-c", "log.showRoot=true", "-c", "log.mailmap=true", "-c", "mailmap.file=/dev/null", "-c", "gc.auto=0", "-c", "protocol.allow=never",
	}
	env := []string{
		"PATH=" + filepath.Dir(g.program) + ":/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_PAGER=cat",
	}
	if g.found {
		env = append(env, "GIT_DIR="+g.dir)
		fixed = append([]string{"--bare"}, fixed...)
	}
	if stdin == nil {
		stdin = []byte{}
	}
	result, err := process.Run(ctx, process.Spec{
		Path: g.program, Args: append(fixed, args...), Env: env, Dir: g.dir, Stdin: stdin, Timeout: gitTimeout, MaxOutput: gitMaxOutput,
	})
	if err != nil {
		return result, adg.Errorf(adg.CodeOf(err), "git %s: %w", args[0], err)
	}
	return result, nil
}

// must gives what git wrote; an exit other than 0 is an error.
func (g git) must(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	result, err := g.run(ctx, stdin, args...)
	if err != nil {
		return nil, err
	}
	if result.Exit != 0 {
		return nil, adg.Errorf(adg.Unavailable, "git %s: exit %d: %s", args[0], result.Exit, result.Complaint())
	}
	if result.Truncated && len(result.Stdout) >= gitMaxOutput {
		return nil, adg.Errorf(adg.Invalid, "git %s: its answer is larger than %d MiB", args[0], gitMaxOutput>>20)
	}
	return result.Stdout, nil
}

// resolve finds a commit by any of its names; empty, with no error, is a repository without commits.
func (g git) resolve(ctx context.Context, name string) (string, error) {
	if len(name) > 256 || strings.ContainsAny(name, " \t\r\n\x00") {
		return "", adg.Errorf(adg.Invalid, "%q names no commit: give a branch, a tag or a commit's id", cut(name, 60))
	}
	told, err := g.run(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", cmp.Or(name, "HEAD")+"^{commit}")
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(told.Stdout))
	if told.Exit == 0 && isObjectID(id) {
		return id, nil
	}
	if name == "" {
		return "", nil
	}
	return "", adg.Errorf(adg.NotFound, "the repository has no commit %q", name)
}

// commit is one commit as git tells it.
type commit struct {
	id      string
	parents []string
	at      time.Time // the committer's clock: the author's says when work began, not when it joined
	bad     bool      // the clock is not to be believed
	actor   string
	message message
	files   []fileChange
}

// fileChange is one file of a commit.
type fileChange struct {
	status    byte // A, C, D, M, R or T
	path, old string
	blob      string
	regular   bool
}

// stream hands over commits in the order of ids, some at a time, so that memory is bounded.
func (g git) stream(ctx context.Context, key []byte, ids []string, extra []string, each func([]commit) error) error {
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), chunkCommits)]
		ids = ids[len(chunk):]
		args := append([]string{"log", "--no-walk=unsorted", "--stdin", "-z", "--no-color", "--no-ext-diff", "--no-textconv", logFormat}, extra...)
		out, err := g.must(ctx, []byte(strings.Join(chunk, "\n")+"\n"), args...)
		if err != nil {
			return err
		}
		commits, err := parseLog(key, out)
		if err != nil {
			return adg.Errorf(adg.Internal, "read git log: %w", err)
		}
		if err := each(commits); err != nil {
			return err
		}
	}
	return nil
}

// blobs reads files by the ids of their content; what is larger than limit, or not in this clone, is left out.
func (g git) blobs(ctx context.Context, ids []string, limit, room int64) (map[string][]byte, error) {
	found := map[string][]byte{}
	for len(ids) > 0 {
		answer, err := g.must(ctx, []byte(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
		if err != nil {
			return nil, err
		}
		var wanted []string
		left, taken := room, 0
		for line := range strings.Lines(string(answer)) {
			fields := strings.Fields(line)
			size := int64(-1)
			if len(fields) == 3 && fields[1] == "blob" {
				size, _ = strconv.ParseInt(fields[2], 10, 64)
			}
			if size >= 0 && size <= limit {
				if size > left && len(wanted) > 0 {
					break
				}
				left -= size + 100
				wanted = append(wanted, fields[0])
			}
			taken++
		}
		if taken == 0 {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", errLog)
		}
		ids = ids[min(taken, len(ids)):]
		if err := g.contents(ctx, wanted, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (g git) contents(ctx context.Context, ids []string, found map[string][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	rest, err := g.must(ctx, []byte(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch")
	if err != nil {
		return err
	}
	for _, id := range ids {
		head, after, _ := bytes.Cut(rest, []byte("\n"))
		fields := strings.Fields(string(head))
		if len(fields) != 3 || fields[0] != id {
			return adg.Errorf(adg.Internal, "git cat-file: %w", errLog)
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size < 0 || len(after) < size+1 {
			return adg.Errorf(adg.Internal, "git cat-file: %w", errLog)
		}
		found[id] = after[:size:size]
		rest = after[size+1:]
	}
	return nil
}

// parseLog reads what git log -z --raw wrote in logFormat. Messages and names cannot hold a NUL and paths are found by
// their place, so nothing that a committer writes can pass for a record.
func parseLog(key, output []byte) ([]commit, error) {
	t := tokens{rest: output}
	var commits []commit
	for !t.done() {
		c, err := parseCommit(key, &t)
		if err != nil {
			return nil, fmt.Errorf("commit %d: %w", len(commits)+1, err)
		}
		commits = append(commits, c)
	}
	return commits, t.err
}

func parseCommit(key []byte, t *tokens) (commit, error) {
	id, found := strings.CutPrefix(t.next(), recordMark)
	if !found || !isObjectID(id) {
		return commit{}, errLog
	}
	c := commit{id: id, parents: strings.Fields(t.next())}
	seconds, err := strconv.ParseInt(t.next(), 10, 64)
	if err != nil {
		seconds = 0
	}
	c.at = time.Unix(seconds, 0).UTC()
	c.bad = !plausible(c.at)
	committerMail, committer, mail, name := t.next(), t.next(), t.next(), t.next()
	// On a forge's merge button the committer is the forge.
	if strings.HasPrefix(strings.ToLower(committerMail), "noreply@") {
		committerMail, committer = mail, name
	}
	c.actor = pseudonym(key, committer, committerMail)
	c.message = readMessage(t.next())
	if !t.done() && t.next() != "" { // the end of the format itself
		return commit{}, errLog
	}
	for !t.done() && !bytes.HasPrefix(t.rest, []byte(recordMark)) {
		head := strings.TrimPrefix(t.next(), "\n")
		if head == "" {
			continue
		}
		f, err := parseRaw(head, t)
		if err != nil {
			return commit{}, err
		}
		c.files = append(c.files, f)
	}
	return c, t.err
}

// parseRaw reads ":<mode> <mode> <blob> <blob> <status>" and the one or two paths behind it.
func parseRaw(head string, t *tokens) (fileChange, error) {
	fields := strings.Split(strings.TrimPrefix(head, ":"), " ")
	if len(fields) != 5 || head[0] != ':' || fields[4] == "" || !isObjectID(fields[3]) {
		return fileChange{}, errLog
	}
	f := fileChange{status: fields[4][0], blob: fields[3], regular: strings.HasPrefix(fields[1], "100")}
	f.old = t.next()
	f.path = f.old
	if f.status == 'R' || f.status == 'C' {
		f.path = t.next()
	}
	if f.path == "" || f.old == "" {
		return fileChange{}, errLog
	}
	return f, t.err
}

// tokens are texts that end with NUL.
type tokens struct {
	rest []byte
	err  error
}

func (t *tokens) done() bool { return len(t.rest) == 0 || t.err != nil }

func (t *tokens) next() string {
	token, rest, found := bytes.Cut(t.rest, []byte{0})
	if !found {
		t.rest, t.err = nil, errLog
		return ""
	}
	t.rest = rest
	return string(token)
}

func isObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
