//go:build unix

package fleet

import (
	"os/exec"
	"syscall"
)

// Private

// ownGroup keeps a Ctrl-C on the terminal from the process: it is stopped by us, after its requests have ended.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails only if all have ended
}
