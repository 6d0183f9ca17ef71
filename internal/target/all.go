// Package target lists the drivers of targets, and stacks the wrappers around what they open.
package target

import (
	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ansible"
	"github.com/deployguardian/adg/internal/target/argocd"
	"github.com/deployguardian/adg/internal/target/argorollouts"
	"github.com/deployguardian/adg/internal/target/audit"
	"github.com/deployguardian/adg/internal/target/circleci"
	"github.com/deployguardian/adg/internal/target/command"
	"github.com/deployguardian/adg/internal/target/composite"
	"github.com/deployguardian/adg/internal/target/database"
	"github.com/deployguardian/adg/internal/target/dryrun"
	"github.com/deployguardian/adg/internal/target/flagr"
	"github.com/deployguardian/adg/internal/target/flux"
	"github.com/deployguardian/adg/internal/target/git"
	"github.com/deployguardian/adg/internal/target/github"
	"github.com/deployguardian/adg/internal/target/gitlab"
	"github.com/deployguardian/adg/internal/target/haproxy"
	"github.com/deployguardian/adg/internal/target/helm"
	"github.com/deployguardian/adg/internal/target/httpflag"
	"github.com/deployguardian/adg/internal/target/jenkins"
	"github.com/deployguardian/adg/internal/target/kubernetes"
	"github.com/deployguardian/adg/internal/target/launchdarkly"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/retry"
	"github.com/deployguardian/adg/internal/target/spinnaker"
	"github.com/deployguardian/adg/internal/target/split"
	"github.com/deployguardian/adg/internal/target/ssh"
	"github.com/deployguardian/adg/internal/target/swarm"
	"github.com/deployguardian/adg/internal/target/unleash"
	"github.com/deployguardian/adg/internal/target/webhook"
)

// All are the drivers that policies can name.
var All = []adg.TargetDriver{
	ansible.Driver,
	argorollouts.Driver,
	argocd.Driver,
	circleci.Driver,
	command.Driver,
	composite.Driver,
	database.Driver,
	flagr.Driver,
	flux.Driver,
	git.Driver,
	github.Driver,
	gitlab.Driver,
	haproxy.Driver,
	helm.Driver,
	httpflag.Driver,
	jenkins.Driver,
	kubernetes.Driver,
	launchdarkly.Driver,
	pipeline.Driver,
	spinnaker.Driver,
	split.Driver,
	ssh.Driver,
	swarm.Driver,
	unleash.Driver,
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
