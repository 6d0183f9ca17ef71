//go:build unix

package haproxyd

import (
	"os/exec"
	"syscall"
)

// Private

// ownGroup keeps a Ctrl-C on the terminal from HAProxy: it is stopped by us, after its customers.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
