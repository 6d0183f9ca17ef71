//go:build !unix

package process

import (
	"os/exec"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
)

// Without process groups a program's children could not be stopped with it, so none is started here.

func ownGroup(cmd *exec.Cmd) {
	cmd.Err = adg.Permanent(adg.Errorf(adg.Invalid, "programs can be run on Unix only: there are no process groups here"))
}

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) error { return cmd.Process.Kill() }

func endGroup(*exec.Cmd, time.Time) {}
