package change

import (
	"bytes"
	"cmp"
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// The limits on every run of git.
const (
	gitTimeout   = 10 * time.Minute
	gitMaxOutput = 64 << 20
)

// Private

// git runs the program where nothing but the repository's objects can have a say: no configuration but the
// repository's own, and of that nothing that names a program; no hooks, no prompts, no network, no work tree. So it
// does not matter who owns the repository, and git's check of that is off.
type git struct {
	program string
	dir     string // the repository's own folder, or where to look for it while that is not known
	found   bool
}

func newGit(program, dir string) (git, error) {
	path, err := exec.LookPath(cmp.Or(program, "git"))
	if err != nil {
		return git{}, adg.Permanent(adg.Errorf(adg.Invalid, "look for git: %w", err))
	}
	if path, err = filepath.Abs(path); err != nil {
		return git{}, adg.Errorf(adg.Internal, "look for git: %w", err)
	}
	return git{program: path, dir: dir}, nil
}

// run gives what git said, whatever its exit.
func (g git) run(ctx context.Context, stdin []byte, args ...string) (process.Result, error) {
	fixed := []string{
		"--no-pager", "-c", "safe.directory=*", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
		"-c", "core.attributesFile=/dev/null", "-c", "diff.external=", "-c", "diff.orderFile=/dev/null", "-c", "log.showSignature=false",
		"-c", "log.showRoot=true", "-c", "mailmap.file=/dev/null", "-c", "gc.auto=0", "-c", "protocol.allow=never",
	}
	env := []string{
		"PATH=" + filepath.Dir(g.program) + ":/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_PAGER=cat",
	}
	if g.found { // --bare: what lies in the work tree, its .gitattributes and .mailmap, is not part of any release
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

// blob is a file's content; nil text means that it is too large, or not in this clone, or nowhere.
type blob struct {
	text []byte
	size int64
}

// blobs reads objects by their names, each up to a size and all together within room; one that does
// not exist has no text. Names may be ids or <commit>:<path>.
func (g git) blobs(ctx context.Context, names []string, limit, room int64) (map[string]blob, error) {
	found := map[string]blob{}
	if len(names) == 0 {
		return found, nil
	}
	answer, err := g.must(ctx, lines(names), "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
	if err != nil {
		return nil, err
	}
	var wanted, ids []string
	for i, line := range strings.Split(strings.TrimSuffix(string(answer), "\n"), "\n") {
		fields := strings.Fields(line)
		if i >= len(names) {
			break
		}
		if len(fields) != 3 || fields[1] != "blob" || !isObjectID(fields[0]) {
			found[names[i]] = blob{}
			continue
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", errLog)
		}
		found[names[i]] = blob{size: size}
		if size <= limit && size+int64(len(line))+2 <= room {
			room -= size + int64(len(line)) + 2
			wanted, ids = append(wanted, names[i]), append(ids, fields[0])
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	rest, err := g.must(ctx, lines(ids), "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	for _, name := range wanted {
		_, after, _ := bytes.Cut(rest, []byte("\n"))
		size := found[name].size
		if int64(len(after)) < size+1 {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", errLog)
		}
		found[name] = blob{text: after[:size:size], size: size}
		rest = after[size+1:]
	}
	return found, nil
}

func lines(words []string) []byte {
	if len(words) == 0 {
		return []byte{}
	}
	return []byte(strings.Join(words, "\n") + "\n")
}
