// Package scenarios tells whole stories with the real binary: what a user types, what happens at the target, what is
// shown, and how the process ends.
package scenarios

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// adg is the real binary, built once for all tests of the package.
var adg string

func TestMain(m *testing.M) {
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
	disk := mountable(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(adg)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("ADG_ACTOR", "alice")
			return nil
		},
		Cmds: words,
		Condition: func(name string) (bool, error) {
			if name != "mountable" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return disk, nil
		},
	})
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
