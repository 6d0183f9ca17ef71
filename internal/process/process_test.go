package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script writes an executable file; no process may be forked while it is open for writing, or exec says "text file busy".
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// lifeline is a pipe that reads as ended when the last process that holds its other end has ended.
func lifeline(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// allDead waits for the end of all processes that hold w, and gives what they had written to it.
func allDead(t *testing.T, r, w *os.File) string {
	t.Helper()
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	written, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("a process is still alive: %v", err)
	}
	return string(written)
}

func run(t *testing.T, s Spec) Result {
	t.Helper()
	result, err := Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestANonZeroExitIsAResultAndNotAnError(t *testing.T) {
	result := run(t, Spec{Path: script(t, `echo out; echo err >&2; exit 75`)})
	if result.Exit != 75 || string(result.Stdout) != "out\n" || string(result.Stderr) != "err\n" || result.Took <= 0 {
		t.Errorf("got %+v", result)
	}
}

func TestASignalIsReportedAsShellsDo(t *testing.T) {
	if got := run(t, Spec{Path: script(t, `kill -9 $$`)}).Exit; got != 137 {
		t.Errorf("exit %d, want 137", got)
	}
}

func TestNothingOfTheEnvironmentIsInherited(t *testing.T) {
	t.Setenv("ADG_TEST_CANARY", "secret")
	for name, env := range map[string][]string{"none declared": nil, "one declared": {"GIVEN=yes"}} {
		result := run(t, Spec{Path: "/usr/bin/env", Env: env})
		if got, want := string(result.Stdout), strings.Join(append(env, ""), "\n"); got != want {
			t.Errorf("%s: the program saw %q, want %q", name, got, want)
		}
	}
}

func TestArgumentsAreNotReadByAShell(t *testing.T) {
	args := []string{"$(id)", "; rm -rf x", "a b", "*", ""}
	result := run(t, Spec{Path: script(t, `for a; do printf '<%s>' "$a"; done`), Args: args})
	if got, want := string(result.Stdout), "<"+strings.Join(args, "><")+">"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStdinDirectoryAndFilesReachTheProgram(t *testing.T) {
	r, w := lifeline(t)
	result := run(t, Spec{Path: script(t, `pwd; cat; echo three >&3`), Dir: "/", Stdin: []byte("in"), Files: []*os.File{w}})
	if string(result.Stdout) != "/\nin" {
		t.Errorf("stdout %q", result.Stdout)
	}
	w.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "three\n" {
		t.Errorf("descriptor 3 got %q, %v", got, err)
	}
}

func TestAProgramThatIgnoresItsInputIsNoError(t *testing.T) {
	run(t, Spec{Path: "/bin/true", Stdin: bytes.Repeat([]byte("x"), 1<<20)})
}

func TestTooMuchOutputIsCutAndDoesNotBlockTheProgram(t *testing.T) {
	result := run(t, Spec{Path: script(t, `echo first; yes | head -c 3000000; seq 100000 >&2; echo last >&2`), MaxOutput: 1000})
	if !result.Truncated || len(result.Stdout) != 1000 || len(result.Stderr) != 1000 {
		t.Errorf("truncated %v, stdout %d, stderr %d", result.Truncated, len(result.Stdout), len(result.Stderr))
	}
	if !bytes.HasPrefix(result.Stdout, []byte("first\n")) || !bytes.HasSuffix(result.Stderr, []byte("last\n")) {
		t.Error("kept is not the start of stdout and the end of stderr")
	}
}

func TestTheTimeoutStopsTheWholeGroupAndSaysWhichTimeoutItWas(t *testing.T) {
	for name, text := range map[string]string{
		"child in the foreground":                            `sleep 300`,
		"child in the background with the pipe":              `sleep 300 & sleep 300`,
		"leader that ends at SIGTERM, child that ignores it": `(trap '' TERM; sleep 300; sleep 300) & sleep 300`,
		"everybody ignores SIGTERM":                          `trap '' TERM; sleep 300 & sleep 300; sleep 300`,
		"child that ignores it and holds no pipe":            `(trap '' TERM; sleep 300; sleep 300) >/dev/null 2>&1 & sleep 300`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for timeout := 200 * time.Millisecond; ; timeout *= 4 {
				r, w := lifeline(t)
				result, err := Run(t.Context(), Spec{
					Path: script(t, "echo started; echo >&3; "+text), Env: []string{"PATH=/usr/bin:/bin"}, Files: []*os.File{w},
					Timeout: timeout, Grace: 100 * time.Millisecond,
				})
				if allDead(t, r, w) == "" && timeout < 30*time.Second {
					continue // on a busy machine it is stopped before it has begun
				}
				if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "timeout of "+adg.Short(timeout)) {
					t.Errorf("error %v", err)
				}
				if string(result.Stdout) != "started\n" {
					t.Errorf("output before the timeout is lost: %q", result.Stdout)
				}
				return
			}
		})
	}
}

func TestTheGraceLetsAProgramAndItsChildrenCleanUp(t *testing.T) {
	r, w := lifeline(t)
	child := `(trap 'sleep 0.2; echo child >&3; exit' TERM; echo >&3; while :; do sleep 0.01; done) >/dev/null 2>&1 &`
	leader := `trap 'echo cleaned; exit 0' TERM; echo >&3; while :; do sleep 0.01; done`
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		_, _ = io.ReadFull(r, make([]byte, 2)) // both of them are ready for the signal
		stop()
	}()
	result, err := Run(ctx, Spec{
		Path: script(t, child+"\n"+leader), Env: []string{"PATH=/usr/bin:/bin"}, Files: []*os.File{w}, Grace: 20 * time.Second,
	})
	if err == nil || string(result.Stdout) != "cleaned\n" || result.Took > 15*time.Second {
		t.Errorf("got %+v, %v", result, err)
	}
	if got := allDead(t, r, w); got != "child\n" {
		t.Errorf("the child was not given the time to clean up: %q", got)
	}
}

func TestCancellingStopsTheProgramAndKeepsTheCause(t *testing.T) {
	r, w := lifeline(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("operator said stop")
	go func() {
		_, _ = r.Read(make([]byte, 1)) // the program says that it runs
		cancel(why)
	}()
	_, err := Run(ctx, Spec{Path: script(t, `echo >&3; exec sleep 300`), Env: []string{"PATH=/usr/bin:/bin"}, Files: []*os.File{w}})
	if !errors.Is(err, why) || adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("error %v", err)
	}
	allDead(t, r, w)
}

func TestACancelledContextStartsNothing(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Spec{Path: "/usr/bin/touch", Args: []string{trace}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("the program ran")
	}
}

func TestATimeoutThatIsOverBeforeTheStartStartsNothingAndIsNamed(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	_, err := Run(t.Context(), Spec{Path: "/usr/bin/touch", Args: []string{trace}, Timeout: time.Nanosecond})
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "timeout of 1ns") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("the program ran")
	}
}

func TestADaemonLeftBehindOnPurposeSurvivesAndDoesNotBlock(t *testing.T) {
	r, w := lifeline(t)
	result := run(t, Spec{
		Path: script(t, `sleep 300 & echo $!`), Env: []string{"PATH=/usr/bin:/bin"}, Files: []*os.File{w}, Grace: time.Second,
	})
	if result.Exit != 0 || len(result.Stdout) == 0 {
		t.Fatalf("got %+v", result)
	}
	kill := run(t, Spec{Path: "/bin/sh", Args: []string{"-c", "kill " + strings.TrimSpace(string(result.Stdout))}})
	if kill.Exit != 0 {
		t.Errorf("the daemon was stopped with its starter: %s", kill.Stderr)
	}
	allDead(t, r, w)
}

func TestWhatCannotBeStartedIsPermanentAndSaysWhatToDo(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(binary, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, dir, want string }{
		{"no such file", "/nonexistent/program", "", "no such program"},
		{"a name that only PATH could find", "ls", "", "full path"},
		{"not executable", plain, "", "chmod"},
		{"executable, but no program", binary, "", "#!"},
		{"interpreter that does not exist", interpreted(t), "", "interpreter"},
		{"working directory that does not exist", "/bin/true", "/nonexistent", "working directory"},
	} {
		_, err := Run(t.Context(), Spec{Path: c.path, Dir: c.dir})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWhatCannotBeStartedIsSeenBefore(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o700, "plain": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, dir, want string }{
		{dir + "/program", "", ""},
		{"./program", dir, ""},
		{dir + "/program", "/nonexistent", "working directory"},
		{"./program", "", "no such program"},
		{"./program", "/nonexistent", "no such program"},
		{"./plain", dir, "chmod"},
		{dir, "", "chmod"},
		{"ls", "", "full path"},
	} {
		err := Startable(c.path, c.dir)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %q: %v, want %q", c.path, c.dir, err, c.want)
		}
		if _, started := Run(t.Context(), Spec{Path: c.path, Dir: c.dir}); (started == nil) != (err == nil) {
			t.Errorf("%s in %q: %v was said before, and then %v", c.path, c.dir, err, started)
		}
	}
}

func interpreted(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "interpreted")
	if err := os.WriteFile(path, []byte("#!/nonexistent/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheComplaintIsTheLastLineThatSaysSomething(t *testing.T) {
	for _, c := range []struct{ name, stderr, want string }{
		{"nothing", "", ""},
		{"blank lines only", "\n \n\t\n", ""},
		{"last of several, blanks after it", "one\ntwo\r\n\n", "two"},
		{"terminal escapes", "\x1b[31mred\x1b[0m\x07", "[31mred[0m"},
		{"bytes that are no text", "a\xff\xfeb", "ab"},
		{"too long", strings.Repeat("é", 200), strings.Repeat("é", 148) + "…"},
	} {
		if got := (Result{Stderr: []byte(c.stderr)}).Complaint(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHeadAndTailKeepTheEndsOfWhateverIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		h, e := &head{limit: limit}, &tail{limit: limit}
		var all []byte
		for _, chunk := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 50)).Draw(t, "chunks") {
			all = append(all, chunk...)
			if n, err := h.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("head wrote %d, %v", n, err)
			}
			if n, err := e.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("tail wrote %d, %v", n, err)
			}
		}
		keep := min(limit, len(all))
		if !bytes.Equal(h.kept, all[:keep]) || !bytes.Equal(e.bytes(), all[len(all)-keep:]) {
			t.Fatalf("of %q kept %q and %q", all, h.kept, e.bytes())
		}
		if want := len(all) > limit; h.dropped != want || e.dropped != want {
			t.Fatalf("dropped %v, %v, want %v", h.dropped, e.dropped, want)
		}
		if len(e.kept) > 2*limit {
			t.Fatalf("tail holds %d bytes for a limit of %d", len(e.kept), limit)
		}
	})
}
