//go:build !unix

package haproxyd

import "os/exec"

// Private

func ownGroup(*exec.Cmd) {}
