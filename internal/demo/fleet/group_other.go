//go:build !unix

package fleet

import "os/exec"

// Private

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // fails only if it has ended
}
