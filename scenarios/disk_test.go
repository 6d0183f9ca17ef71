package scenarios

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// mountable tells whether a small disk can be mounted here. CI must be able to: there it is true, and what cannot be
// mounted fails.
func mountable(t *testing.T) bool {
	if os.Getenv("CI") != "" {
		return true
	}
	dir := filepath.Join(t.TempDir(), "disk")
	if os.Mkdir(dir, 0o700) != nil || asRoot("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir) != nil {
		return false
	}
	return asRoot("umount", dir) == nil
}

// smallDisk mounts a disk of 8 MB at a directory for as long as the story takes: smalldisk data.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: smalldisk DIRECTORY")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	if err := asRoot("mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", dir); err != nil {
		ts.Fatalf("mounting a small disk: %v", err)
	}
	ts.Defer(func() { _ = asRoot("umount", "-l", dir) })
}

// asRoot runs a program as root, without asking for a password.
func asRoot(program string, args ...string) error {
	if os.Geteuid() == 0 {
		return exec.Command(program, args...).Run()
	}
	return exec.Command("sudo", append([]string{"-n", program}, args...)...).Run()
}
