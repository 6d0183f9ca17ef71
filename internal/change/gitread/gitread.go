// Package gitread asks git what is in a repository, so that nothing but the repository's objects has a say.
package gitread

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// ErrAnswer is an answer that git does not give.
var ErrAnswer = errors.New("this is not what git writes")

// Repository is read by the program git: no configuration but the repository's own, and of that nothing that names a
// program; no hooks, no prompts, no network, no work tree. So it does not matter who owns the repository, and git's
// check of that is off. It is safe for concurrent use.
type Repository struct {
	Dir     string // its own folder, absolute
	Shallow bool   // a part of the history is not in this clone

	program   string
	maxOutput int
}

// Open finds the repository that a folder lies in; bare ones and linked work trees are as good. The program is looked for
// in PATH where it is empty; of one answer maxOutput bytes are read. Invalid: there is no such program or repository.
func Open(ctx context.Context, program, dir string, maxOutput int) (Repository, error) {
	path, err := exec.LookPath(cmp.Or(program, "git"))
	if err != nil {
		return Repository{}, adg.Permanent(adg.Errorf(adg.Invalid, "look for git: %w", err))
	}
	if path, err = filepath.Abs(path); err != nil {
		return Repository{}, adg.Errorf(adg.Internal, "look for git: %w", err)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return Repository{}, adg.Errorf(adg.Invalid, "open the repository: %w", err)
	}
	if _, err := os.Stat(absolute); err != nil {
		return Repository{}, adg.Errorf(adg.Invalid, "open the repository: %w", err)
	}
	r := Repository{program: path, maxOutput: maxOutput}
	told, err := r.start(ctx, absolute, nil, "rev-parse", "--is-shallow-repository", "--absolute-git-dir")
	if err != nil {
		return Repository{}, err
	}
	shallow, folder, found := strings.Cut(strings.TrimSuffix(string(told.Stdout), "\n"), "\n")
	if told.Exit != 0 || !found {
		return Repository{}, adg.Errorf(adg.Invalid, "%s is not in a git repository: %s", dir, told.Complaint())
	}
	r.Dir, r.Shallow = folder, shallow == "true"
	return r, nil
}

// Run gives what git said, whatever its exit.
func (r Repository) Run(ctx context.Context, stdin []byte, args ...string) (process.Result, error) {
	return r.start(ctx, r.Dir, stdin, args...)
}

// Must gives what git wrote; an exit other than 0 is an error, and so is an answer larger than what is read.
func (r Repository) Must(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	result, err := r.Run(ctx, stdin, args...)
	if err != nil {
		return nil, err
	}
	if result.Exit != 0 {
		return nil, adg.Errorf(adg.Unavailable, "git %s: exit %d: %s", args[0], result.Exit, result.Complaint())
	}
	if result.Truncated && len(result.Stdout) >= r.maxOutput {
		return nil, adg.Errorf(adg.Invalid, "git %s: its answer is larger than %d MiB", args[0], r.maxOutput>>20)
	}
	return result.Stdout, nil
}

// IsObjectID tells whether a text has the shape of a full name of an object.
func IsObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// Tokens are texts that end with NUL, as git writes them with -z.
type Tokens struct {
	Rest []byte
	Err  error // once set, nothing follows
}

// Done tells whether nothing follows.
func (t *Tokens) Done() bool { return len(t.Rest) == 0 || t.Err != nil }

// Next is empty where nothing follows, or no whole text: Err is ErrAnswer then.
func (t *Tokens) Next() string {
	token, rest, found := bytes.Cut(t.Rest, []byte{0})
	if !found {
		t.Rest, t.Err = nil, ErrAnswer
		return ""
	}
	t.Rest = rest
	return string(token)
}

// Private

const timeout = 10 * time.Minute

// start runs git in a folder.
func (r Repository) start(ctx context.Context, dir string, stdin []byte, args ...string) (process.Result, error) {
	fixed := []string{
		"--no-pager", "-c", "safe.directory=*", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
		"-c", "core.attributesFile=/dev/null", "-c", "diff.external=", "-c", "diff.orderFile=/dev/null", "-c", "log.showSignature=false",
		"-c", "log.showRoot=true", "-c", "mailmap.file=/dev/null", "-c", "gc.auto=0", "-c", "protocol.allow=never",
	}
	env := []string{
		"PATH=" + filepath.Dir(r.program) + ":/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_PAGER=cat",
	}
	if r.Dir != "" { // --bare: what lies in the work tree, its .gitattributes and .mailmap, is not part of any release
		env = append(env, "GIT_DIR="+r.Dir)
		fixed = append([]string{"--bare"}, fixed...)
	}
	if stdin == nil {
		stdin = []byte{}
	}
	result, err := process.Run(ctx, process.Spec{
		Path: r.program, Args: append(fixed, args...), Env: env, Dir: dir, Stdin: stdin, Timeout: timeout, MaxOutput: r.maxOutput,
	})
	if err != nil {
		return result, adg.Errorf(adg.CodeOf(err), "git %s: %w", args[0], err)
	}
	return result, nil
}
