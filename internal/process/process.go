// Package process runs programs that users configured: in a process group of their own, with an environment that
// holds only what was declared, within limits of time and output, and with nothing left behind when stopped.
package process

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/deployguardian/adg"
)

// The limits that hold where a Spec names none.
const (
	DefaultTimeout   = time.Minute
	DefaultGrace     = 5 * time.Second
	DefaultMaxOutput = 1 << 20
)

// Spec says what to run.
type Spec struct {
	Path      string        // with a slash in it, relative to Dir if not absolute; PATH is never searched
	Args      []string      // without the program's own name; no shell reads them
	Env       []string      // NAME=value: the whole environment; nothing is inherited
	Dir       string        // empty: that of this process
	Stdin     []byte        // nil: empty
	Files     []*os.File    // open in the program as descriptors 3, 4, …
	Timeout   time.Duration // zero: DefaultTimeout
	Grace     time.Duration // between SIGTERM and SIGKILL; zero: DefaultGrace
	MaxOutput int           // bytes kept of stdout and of stderr each; zero: DefaultMaxOutput
}

// Result is how a program ended. Of too much output, the start of stdout and the end of stderr are kept.
type Result struct {
	Stdout, Stderr []byte
	Exit           int // 128 plus the signal's number if a signal ended it
	Took           time.Duration
	Truncated      bool // some output was dropped
}

// Run starts the program in a process group of its own and waits for it and, for at most Grace, until every
// descendant has closed its output; descendants that go on after a normal end are left alone. When the timeout passes
// or ctx is cancelled the whole group gets SIGTERM, and after Grace SIGKILL.
//
// A non-zero exit is not an error: Result.Exit tells. An error means that the program could not be started (Permanent
// where trying again cannot help) or was stopped (Unavailable, naming the timeout or wrapping the cause of the
// cancellation); Result then holds what it had written. A ctx that is already cancelled starts nothing. Run is safe
// for concurrent use.
func Run(ctx context.Context, s Spec) (Result, error) {
	s = s.withDefaults()
	if err := context.Cause(ctx); err != nil {
		return Result{}, adg.Errorf(adg.Unavailable, "did not start %s: %w", s.Path, err)
	}
	if !strings.ContainsRune(s.Path, '/') {
		return Result{}, adg.Permanent(adg.Errorf(adg.Invalid, "program %q: write its full path, PATH is not searched", s.Path))
	}
	tooLong := adg.Errorf(adg.Unavailable, "%s did not end within its timeout of %s and was stopped", s.Path, adg.Short(s.Timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, tooLong)
	defer cancel()

	stdout, stderr := &head{limit: s.MaxOutput}, &tail{limit: s.MaxOutput}
	cmd := exec.CommandContext(ctx, s.Path, s.Args...)
	cmd.Env = append([]string{}, s.Env...) // nil would mean: inherit
	cmd.Dir, cmd.ExtraFiles = s.Dir, s.Files
	if s.Stdin != nil {
		cmd.Stdin = bytes.NewReader(s.Stdin)
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = s.Grace
	ownGroup(cmd)
	var stopped time.Time
	cmd.Cancel = func() error {
		stopped = time.Now() //nolint:forbidigo // the grace runs in real time
		return signalGroup(cmd, syscall.SIGTERM)
	}

	begin := time.Now() //nolint:forbidigo // how long a program took is real time
	if err := cmd.Start(); err != nil {
		switch cause := context.Cause(ctx); {
		case cause == nil || !errors.Is(err, ctx.Err()):
			return Result{}, startError(s.Path, err)
		case errors.Is(cause, tooLong):
			return Result{}, tooLong
		default:
			return Result{}, adg.Errorf(adg.Unavailable, "did not start %s: %w", s.Path, cause)
		}
	}
	waited := cmd.Wait()
	if !stopped.IsZero() {
		endGroup(cmd, stopped.Add(s.Grace))
	}
	result := Result{
		Stdout: stdout.kept, Stderr: stderr.bytes(), Exit: exitCode(cmd.ProcessState), Truncated: stdout.dropped || stderr.dropped,
		Took: time.Since(begin), //nolint:forbidigo // see above
	}
	exit := (*exec.ExitError)(nil)
	switch cause := context.Cause(ctx); {
	case !stopped.IsZero() && errors.Is(cause, tooLong):
		return result, tooLong
	case !stopped.IsZero():
		return result, adg.Errorf(adg.Unavailable, "%s was stopped: %w", s.Path, cause)
	case waited == nil, errors.As(waited, &exit), errors.Is(waited, exec.ErrWaitDelay):
		return result, nil
	default:
		return result, adg.Errorf(adg.Unavailable, "wait for %s: %w", s.Path, waited)
	}
}

// Startable tells what would keep Run from starting a program, as far as it can be seen without starting it.
func Startable(path, dir string) error {
	at := path
	if dir != "" && !filepath.IsAbs(path) {
		at = dir + "/" + path
	}
	if !strings.ContainsRune(path, '/') {
		return adg.Permanent(adg.Errorf(adg.Invalid, "program %q: write its full path, PATH is not searched", path))
	}
	if dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return startError(path, err)
		}
	}
	switch _, err := exec.LookPath(at); {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EISDIR):
		return startError(path, fs.ErrPermission) // as starting it would say
	default:
		return startError(path, err)
	}
}

// Complaint is the last line that the program wrote to stderr, fit for an error text: control characters stripped,
// at most 300 bytes. It is empty if there is none.
func (r Result) Complaint() string {
	lines := bytes.Split(r.Stderr, []byte("\n"))
	for _, line := range slices.Backward(lines) {
		text := strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(line), "")))
		if text != "" {
			return cut(text, 300)
		}
	}
	return ""
}

// Private

func (s Spec) withDefaults() Spec {
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	s.Grace = cmp.Or(s.Grace, DefaultGrace)
	s.MaxOutput = cmp.Or(s.MaxOutput, DefaultMaxOutput)
	return s
}

func startError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return adg.Permanent(adg.Errorf(adg.Invalid, "start %s: there is no such program (or the interpreter in its first line, or the working directory, does not exist)", path))
	case errors.Is(err, fs.ErrPermission):
		return adg.Permanent(adg.Errorf(adg.Invalid, "start %s: it may not be executed here: check chmod +x, its owner and the mount", path))
	case errors.Is(err, syscall.ENOEXEC):
		return adg.Permanent(adg.Errorf(adg.Invalid, "start %s: neither a program of this machine's kind nor a script that starts with #!", path))
	default:
		return adg.Errorf(adg.Unavailable, "start %s: %w", path, err)
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	default:
		return -1
	}
}

// cut shortens text to at most limit bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}
