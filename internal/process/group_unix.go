//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup makes the program the leader of a new process group, so that its children can be stopped with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends a signal to the program and its descendants, except those that left the group.
func signalGroup(cmd *exec.Cmd, signal syscall.Signal) error {
	err := syscall.Kill(-cmd.Process.Pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// endGroup waits until the leader's descendants are gone too, or kills them when the grace is over. The group's
// number stays theirs as long as one of them lives.
func endGroup(cmd *exec.Cmd, deadline time.Time) {
	const pause = 5 * time.Millisecond
	for signalGroup(cmd, 0) == nil {
		if time.Until(deadline) <= 0 { //nolint:forbidigo // the grace runs in real time
			_ = signalGroup(cmd, syscall.SIGKILL) // fails only if they are gone
			return
		}
		time.Sleep(pause)
	}
}
