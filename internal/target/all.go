// Package target lists the drivers of targets, and stacks the wrappers around what they open.
package target

import (
	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/audit"
	"github.com/deployguardian/adg/internal/target/command"
	"github.com/deployguardian/adg/internal/target/dryrun"
	"github.com/deployguardian/adg/internal/target/haproxy"
	"github.com/deployguardian/adg/internal/target/retry"
	"github.com/deployguardian/adg/internal/target/webhook"
)

// All are the drivers that policies can name.
var All = []adg.TargetDriver{
	command.Driver,
	haproxy.Driver,
	webhook.Driver,
}

// WrapOptions say what stands around a target.
type WrapOptions struct {
	Host   adg.Host // the one that the target was opened with: audit writes there
	DryRun bool     // change nothing, say what would be done
	Retry  retry.Options
}

// Wrap is the one place where wrappers are stacked. From the inside: a dry run keeps everything from the target, the
// audit records every attempt, and retry makes the attempts. The result has a Close, which closes t if it can be closed.
func Wrap(t adg.Target, o WrapOptions) adg.Target {
	if o.DryRun {
		t = dryrun.New(t, o.Host)
	}
	return retry.New(audit.New(t, o.Host), o.Retry)
}
