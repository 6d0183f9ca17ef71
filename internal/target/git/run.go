package git

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// Private

const (
	maxOutput = 16 << 20
	grace     = time.Second
)

// run starts git where nothing but what configure says and the repository's objects can have a say: no hooks, no
// prompts, no work tree, nobody's settings. It gives what git said, whatever its exit.
func (s *session) run(ctx context.Context, stdin []byte, args ...string) (process.Result, error) {
	if err := context.Cause(ctx); err != nil {
		return process.Result{}, adg.Errorf(adg.Unavailable, "git %s was not begun: %w", args[0], err)
	}
	if err := s.begun(); err != nil {
		return process.Result{}, err
	}
	env := []string{
		"PATH=" + filepath.Dir(s.o.Git) + ":/usr/bin:/bin", "HOME=" + s.scratch, "LC_ALL=C", "TZ=UTC", "GIT_DIR=" + s.clone,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false",
		"SSH_ASKPASS_REQUIRE=never", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1", "GIT_ALLOW_PROTOCOL=" + s.at.scheme,
		"GIT_PAGER=cat", "GIT_EDITOR=/bin/false", "GIT_INDEX_FILE=" + filepath.Join(s.scratch, "index"), "GNUPGHOME=" + filepath.Join(s.scratch, "gnupg"),
		"GIT_AUTHOR_NAME=" + s.o.Author.Name, "GIT_AUTHOR_EMAIL=" + s.o.Author.Email,
		"GIT_COMMITTER_NAME=" + s.o.Author.Name, "GIT_COMMITTER_EMAIL=" + s.o.Author.Email,
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(s.config)/2),
	}
	for i := 0; i < len(s.config); i += 2 {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i/2, s.config[i]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i/2, s.config[i+1]))
	}
	if stdin == nil {
		stdin = []byte{}
	}
	result, err := process.Run(ctx, process.Spec{
		Path: s.o.Git, Args: append([]string{"--no-pager"}, args...), Env: env, Dir: s.scratch, Stdin: stdin,
		Files: []*os.File{s.lock}, Timeout: s.o.Timeout, Grace: grace, MaxOutput: maxOutput,
	})
	if err != nil {
		s.killed = true
		err = adg.Errorf(adg.CodeOf(err), "git %s: %w", args[0], err)
	}
	return result, err
}

// must gives what git wrote; an exit other than 0 is an error.
func (s *session) must(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	result, err := s.run(ctx, stdin, args...)
	switch {
	case err != nil:
		return nil, err
	case result.Exit != 0:
		return nil, s.failure(args[0], result)
	case result.Truncated && len(result.Stdout) >= maxOutput:
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "git %s: its answer is larger than %d MiB", args[0], maxOutput>>20))
	}
	return result.Stdout, nil
}

// The oldest git that can be told which address to talk to: an older one looks a name up by itself, and may find one
// that is not allowed.
const oldestMajor, oldestMinor = 2, 37

var versionOfGit = regexp.MustCompile(`^git version ([0-9]{1,4})\.([0-9]{1,4})`)

// checkVersion asks git for its version, until it is known to be new enough.
func (s *session) checkVersion(ctx context.Context) error {
	if s.fit {
		return nil
	}
	said, err := s.must(ctx, nil, "version")
	if err != nil {
		return err
	}
	found := versionOfGit.FindSubmatch(said)
	if found == nil {
		return adg.Permanent(adg.Errorf(adg.Invalid, "git: %s does not say which version it is: name git itself, %d.%d or later", s.o.Git, oldestMajor, oldestMinor))
	}
	major, _ := strconv.Atoi(string(found[1])) // digits, and few
	minor, _ := strconv.Atoi(string(found[2]))
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return adg.Permanent(adg.Errorf(adg.Invalid, "git: %s is version %d.%d: install %d.%d or later, an older one cannot be kept to the addresses that are allowed",
			s.o.Git, major, minor, oldestMajor, oldestMinor))
	}
	s.fit = true
	return nil
}

// symptoms are what git says when something is wrong that has a kind of its own. The first one found counts.
var symptoms = []struct {
	says      string
	code      adg.Code
	permanent bool
	advice    string
}{
	{"host key verification failed", adg.Unauthorized, true, "the server is not the one of known_hosts: compare its key with what its operator publishes"},
	{"permission denied (", adg.Unauthorized, true, "the server refused the key: check key, and that it may write"},
	{"load key", adg.Unauthorized, true, "the key cannot be read: check key, it must have no passphrase"},
	{"authentication failed", adg.Unauthorized, true, "the server refused the credentials: check user and token, and when the token expires"},
	{"could not read username", adg.Unauthorized, true, "the server asks for credentials: set user and token"},
	{"returned error: 401", adg.Unauthorized, true, "the server refused the credentials: check user and token, and when the token expires"},
	{"returned error: 403", adg.Unauthorized, true, "the credentials do not allow this: the token needs to read and write the contents of the repository"},
	{"returned error: 429", adg.Unavailable, false, "the server asks to wait"},
	{"returned error: 404", adg.NotFound, true, "there is no such repository, or the credentials may not see it"},
	{"' not found", adg.NotFound, true, "there is no such repository, or the credentials may not see it"},
	{"repository not found", adg.NotFound, true, "there is no such repository, or the credentials may not see it"},
	{"does not appear to be a git repository", adg.NotFound, true, "there is no such repository, or the credentials may not see it"},
	{"couldn't find remote ref", adg.NotFound, true, "there is no such branch: check branch"},
	{"returned error: 30", adg.Invalid, true, "the server redirects: write the final address in repository"},
	{"protected branch", adg.Unauthorized, true, "the branch is protected: let the user of the token push to it, or use mode: pull-request"},
	{"not allowed to push", adg.Unauthorized, true, "the credentials do not allow to push to the branch: allow it, or use mode: pull-request"},
	{"certificate", adg.Unavailable, false, "check ca_file"},
}

// failure is the kind of error that git's words say, with an excerpt of them.
func (s *session) failure(command string, result process.Result) error {
	raw := complaints(result.Stderr)
	said, lower := s.scrub(string(raw)), strings.ToLower(string(raw))
	for _, symptom := range symptoms {
		if !strings.Contains(lower, symptom.says) {
			continue
		}
		err := adg.Errorf(symptom.code, "git %s: %s (%s)", command, symptom.advice, said)
		switch {
		case symptom.permanent:
			return adg.Permanent(err)
		case symptom.says == "returned error: 429":
			return adg.Throttled(err, 0)
		}
		return err
	}
	return adg.Errorf(adg.Unavailable, "git %s: exit %d: %s", command, result.Exit, said)
}

// complaints are the lines of a program that tell of failure, the last ones of them; all, where none is marked.
func complaints(stderr []byte) []byte {
	const enough = 12
	var marked [][]byte
	for line := range bytes.Lines(stderr) {
		lower := bytes.ToLower(line)
		for _, mark := range []string{"fatal: ", "error: ", "remote: ", " ! ", "permission denied", "host key", "load key", "ssh: "} {
			if bytes.HasPrefix(lower, []byte(mark)) || len(mark) > 8 && bytes.Contains(lower, []byte(mark)) {
				marked = append(marked, line)
				break
			}
		}
	}
	if len(marked) == 0 {
		marked = bytes.SplitAfter(stderr, []byte("\n"))
	}
	return bytes.Join(marked[max(len(marked)-enough, 0):], nil)
}
