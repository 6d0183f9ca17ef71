package haproxyd

import (
	"context"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
)

// Mind runs a program that gets descriptor 3 of this process, and ends it when in does: so that HAProxy, which knows
// nothing of us, does not outlive us even if we are killed.
func Mind(ctx context.Context, in io.Reader, command []string) error {
	if len(command) == 0 {
		return adg.Errorf(adg.Invalid, "mind: which program?")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, the other side is gone
		cancel()
	}()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "customers")}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return adg.Errorf(adg.Unavailable, "%s ended: %w", command[0], err)
}
