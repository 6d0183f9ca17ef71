// Package scenarios tells whole stories with the real binary: what a user types, what happens at the target, what is
// shown, and how the process ends.
package scenarios

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// adg is the real binary, built once for all tests of the package.
var adg string

// atOnce is how many stories are told at the same time, unless -parallel says so: most of the time they wait for what
// other processes do, on however few processors.
const atOnce = 8

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "adg-scenarios")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		adg = filepath.Join(dir, "adg")
		build := exec.Command("go", "build", "-o", adg, "../cmd/adg")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building adg: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               begin,
		Cmds:                words,
		Condition:           conditions(t, false),
	})
}

// conditions are what a story may ask of the machine that it is told on, and of the store of its servers.
func conditions(t *testing.T, onPostgres bool) func(name string) (bool, error) {
	t.Helper()
	has := map[string]bool{"mountable": mountable(t), "provider": loginable(t), "postgres": onPostgres, "typescript": typed(t)}
	return func(name string) (bool, error) {
		is, known := has[name]
		if !known {
			return false, fmt.Errorf("unknown condition %q", name)
		}
		return is, nil
	}
}

// begin is how every story begins.
func begin(env *testscript.Env) error {
	env.Setenv("PATH", filepath.Dir(adg)+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("ADG_ACTOR", "alice")
	return nil
}

// exits runs a program and demands an exit code, as in: exits 3 adg run -f guardian.yaml.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // testscript returns it bare
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
