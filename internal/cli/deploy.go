package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

func deployCommand(t Terminal, connect Connect, changed Changed) *cobra.Command {
	cmd := group("deploy", "Start deployments on a server, watch them, and say how they go on", startCommand(t, connect), watchCommand(t, connect),
		statusCommand(t, connect), deploymentsCommand(t, connect), deployReportCommand(t, connect, changed), deployReplayCommand(t, connect))
	for _, c := range deployCommands {
		cmd.AddCommand(commandOn(t, connect, c))
	}
	return cmd
}

// starting is what `adg deploy start` is told.
type starting struct {
	scope
	release   adg.Release
	policy    int64
	author    string
	previous  string
	emergency string
	reason    string
	features  []string
	labels    map[string]string
	key       string
	plan      bool
	wait      bool
	patience  time.Duration
}

func startCommand(t Terminal, connect Connect) *cobra.Command {
	var o starting
	cmd := &cobra.Command{
		Use:   "start -s SERVICE -e ENVIRONMENT --version VERSION",
		Short: "Start a deployment",
		Long: `Start a deployment under the policy that the server has for the service in the environment.

With --wait it is watched to its end, and the exit code says how that was: 0 it is good; 3 rolled back; 4 blocked by a
gate; 5 the rollback failed; 6 ended undecided, was cancelled, gave way to a newer deployment, or is no longer watched.
Lost connections and restarts of the server are borne for as long as --patience says. Interrupting ends the watching,
not the deployment.

The same --idempotency-key again starts nothing twice: it gives the deployment that was started. In a pipeline it is
made of the job's own id and of what is deployed, so that a step which is repeated within its job goes on with its
deployment. --plan starts nothing and says what would happen; what a start would refuse it refuses in the same words.`,
		Example: `  adg deploy start -s checkout -e production --version 1.4.2 --wait
  adg deploy start -s checkout -e production --version 1.4.2 --artifact registry.example.com/checkout@sha256:… --commit 4f2a…
  adg deploy start -s checkout -e production --version 1.4.2 --plan`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	o.flags(cmd, t, connect)
	flags.StringVar(&o.release.Version, "version", "", "`version` to deploy")
	flags.StringVar(&o.release.Artifact, "artifact", "", "image, digest or path of the release")
	flags.StringVar(&o.release.Config, "config-revision", "", "revision of the release's configuration")
	flags.StringVar(&o.release.Commit, "commit", "", "commit that the release was built from")
	flags.StringVar(&o.release.Schema, "schema", "", "revision of the database schema that the release needs")
	flags.Int64Var(&o.policy, "policy-version", 0, "`number` of the policy's version (default: the newest in force)")
	flags.StringVar(&o.previous, "previous", "", "`version` that a rollback goes to (default: the last good one on record, else what is live and healthy)")
	flags.StringVar(&o.emergency, "emergency", "", "`reason` why no freeze window may hold it up")
	flags.StringVar(&o.author, "author", "", "`name` of who wrote the change")
	reasonFlag(cmd, &o.reason)
	flags.StringArrayVar(&o.features, "feature", nil, "what is known for the prediction, as `name=number`: tests_failed=2; may be repeated")
	flags.StringToStringVar(&o.labels, "label", nil, "what else there is to say, as `name=text`; may be repeated")
	flags.StringVar(&o.key, "idempotency-key", "", "`key` of this start (default: in a pipeline of its job and of what is deployed, else a new one)")
	flags.BoolVar(&o.plan, "plan", false, "start nothing, and say what would happen")
	flags.BoolVar(&o.wait, "wait", false, "watch it to its end; the exit code says how that was")
	patienceFlag(cmd, &o.patience)
	return online(t, connect, cmd, func(ctx context.Context, s session, _ []string) error { return start(ctx, s, o) })
}

func start(ctx context.Context, s session, o starting) error {
	if err := o.whole(); err != nil {
		return err
	}
	if o.release.Version == "" {
		return adg.Errorf(adg.Invalid, "which version? say it with --version")
	}
	o.release.Service = o.service
	if err := o.release.Validate(); err != nil {
		return err
	}
	if o.plan && o.wait {
		return adg.Errorf(adg.Invalid, "--plan starts nothing that --wait could watch: leave one of them out")
	}
	features, err := named(o.features)
	if err != nil {
		return err
	}
	release := &adgv1.Release{Service: o.service, Version: o.release.Version, Artifact: o.release.Artifact, Config: o.release.Config, Commit: o.release.Commit, Schema: o.release.Schema}
	if o.plan {
		plan, err := s.Deployments.PlanDeployment(ctx, &adgv1.PlanDeploymentRequest{
			Environment: o.environment, Release: release, PolicyVersion: o.policy, Features: features, Previous: o.previous,
		})
		if err != nil {
			return err
		}
		return s.show(plan, func() error { return showPlan(s, plan) })
	}
	request := &adgv1.StartDeploymentRequest{
		IdempotencyKey: o.key, Environment: o.environment, Release: release, PolicyVersion: o.policy, Author: o.author, Reason: o.reason,
		Labels: o.labels, Features: features, Previous: o.previous, Emergency: o.emergency,
	}
	if request.IdempotencyKey == "" {
		request.IdempotencyKey = startKey(os.Getenv, request)
	}
	if o.wait {
		return startAndWatch(ctx, s, request, o.patience)
	}
	d, err := s.Deployments.StartDeployment(ctx, request)
	if err != nil {
		return err
	}
	if err := s.show(d, func() error { return s.line(d.GetId()) }); err != nil || s.output == "json" {
		return err
	}
	return s.tellWayBack(ctx, &adgv1.PlanDeploymentRequest{Environment: o.environment, Release: release, PolicyVersion: o.policy, Previous: o.previous})
}

// wayBackWithin is how long who starts a deployment waits to hear how it would be rolled back.
const wayBackWithin = 10 * time.Second

// tellWayBack tells how what has just been started would be rolled back, beside the output. What cannot be found out now
// is what the deployment's own page says later.
func (s session) tellWayBack(ctx context.Context, request *adgv1.PlanDeploymentRequest) error {
	ctx, cancel := context.WithTimeout(ctx, wayBackWithin)
	defer cancel()
	plan, err := s.Deployments.PlanDeployment(ctx, request)
	if err != nil {
		return nil //nolint:nilerr // the deployment was started: nothing else is told by the exit code
	}
	return facts(Terminal{Out: s.t.Err}, wayBack(plan.GetRollback())...)
}

// jobs are the variables by which pipelines tell one run of a job from all others, a repeated one included.
var jobs = [][]string{
	{"GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"},
	{"CI_SERVER_URL", "CI_PIPELINE_ID", "CI_JOB_ID"},
	{"BUILDKITE_BUILD_ID", "BUILDKITE_JOB_ID"},
	{"CIRCLE_WORKFLOW_ID", "CIRCLE_WORKFLOW_JOB_ID"},
	{"SYSTEM_COLLECTIONURI", "BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"},
	{"JENKINS_URL", "BUILD_TAG"},
}

// startKey is the idempotency key of a start: the same for the same job and the same request, a new one elsewhere.
func startKey(env func(string) string, r *adgv1.StartDeploymentRequest) string {
	for _, variables := range jobs {
		sum := sha256.New()
		whole := true
		for _, name := range variables {
			value := env(name)
			whole = whole && value != ""
			_, _ = fmt.Fprintf(sum, "%s=%q\n", name, value)
		}
		if !whole {
			continue
		}
		release := r.GetRelease()
		_, _ = fmt.Fprintf(sum, "%q %q %q %q %q %q %q", r.GetEnvironment(), release.GetService(), release.GetVersion(), release.GetArtifact(),
			release.GetConfig(), release.GetCommit(), release.GetSchema())
		return "job-" + hex.EncodeToString(sum.Sum(nil))
	}
	return "once-" + strings.ToLower(rand.Text())
}

// onDeployment is something that a person says about a deployment.
type onDeployment struct {
	use    string
	action adgv1.Action
	short  string
	done   string // how it is said that the word was taken
	ask    func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error)
}

var deployCommands = []onDeployment{
	{"promote", adgv1.Action_ACTION_PROMOTE, "Go on to the next step or phase without waiting for the rest of the bake", "asked to go on", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.PromoteDeployment(ctx, &adgv1.PromoteDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}},
	{"hold", adgv1.Action_ACTION_HOLD, "Pause a deployment where it is", "asked to pause", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.HoldDeployment(ctx, &adgv1.HoldDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}},
	{"resume", adgv1.Action_ACTION_RESUME, "Go on after a hold", "asked to go on after the hold", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.ResumeDeployment(ctx, &adgv1.ResumeDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}},
	{"rollback", adgv1.Action_ACTION_ROLL_BACK, "Bring the last good release back", "asked to roll back", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.RollBackDeployment(ctx, &adgv1.RollBackDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}},
	{"cancel", adgv1.Action_ACTION_CANCEL, "End a deployment, and take back what it began", "asked to end", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.CancelDeployment(ctx, &adgv1.CancelDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}},
}

func commandOn(t Terminal, connect Connect, c onDeployment) *cobra.Command {
	var reason, key, etag string
	var noWait bool
	cmd := &cobra.Command{
		Use: c.use + " ID --reason WHY", Short: c.short, Args: cobra.ExactArgs(1),
		Long: c.short + `.

The word is on record with your name and the reason. For a few seconds it is waited for what comes of it: the exit code
is 1 where it cannot be done. What happens after that shows adg deploy watch.`,
		Example: fmt.Sprintf("  adg deploy %s checkout-1.4.2-k3v9x2qa --reason 'as agreed with the team'", c.use),
	}
	reasonFlag(cmd, &reason)
	commandFlags(cmd, &key, &etag, &noWait)
	completeDeployment(cmd, t, connect, true)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := because(reason); err != nil {
			return err
		}
		d, err := c.ask(ctx, s, args[0], etag, key, reason)
		if err != nil {
			return err
		}
		return s.told(ctx, c, d, asked{reason: reason, again: key != "", noWait: noWait})
	})
}

func commandFlags(cmd *cobra.Command, key, etag *string, noWait *bool) {
	cmd.Flags().BoolVar(noWait, "no-wait", false, "do not wait for what comes of it")
	cmd.Flags().StringVar(key, "idempotency-key", "", "`key` of this word: the same again does nothing twice (default: a new one)")
	cmd.Flags().StringVar(etag, "etag", "", "`etag` of what you looked at: if it has changed since, nothing is done")
}

// approval and rejection are the answers to what a deployment asks for.
var (
	approval = onDeployment{"approve", adgv1.Action_ACTION_APPROVE, "Approve what a deployment asks for: its start, or its rollback", "approved", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.ApproveDeployment(ctx, &adgv1.ApproveDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}}
	rejection = onDeployment{"reject", adgv1.Action_ACTION_REJECT, "Refuse what a deployment asks for: its start, or its rollback", "rejected", func(ctx context.Context, s session, id, etag, key, reason string) (*adgv1.Deployment, error) {
		return s.Deployments.RejectDeployment(ctx, &adgv1.RejectDeploymentRequest{Id: id, Etag: etag, IdempotencyKey: key, Reason: reason})
	}}
)

// answerCommand is a verb that answers what a deployment asks for. The answer is bound to what the deployment is then.
func answerCommand(t Terminal, connect Connect, c onDeployment) *cobra.Command {
	var reason, key, etag string
	var noWait bool
	cmd := &cobra.Command{
		Use: c.use + " ID --reason WHY", Short: c.short, Args: cobra.ExactArgs(1),
		Long: c.short + `.

The answer holds for the state that the deployment is in: with --etag, for the one that you looked at (adg deploy
status --output json shows it); without, for the one that it is in now, which is said first.`,
		Example: fmt.Sprintf("  adg %s checkout-1.4.2-k3v9x2qa --reason 'looked at the plan with the team'", c.use),
	}
	reasonFlag(cmd, &reason)
	commandFlags(cmd, &key, &etag, &noWait)
	completeDeployment(cmd, t, connect, true)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := because(reason); err != nil {
			return err
		}
		if etag == "" {
			now, err := s.Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: args[0]})
			if err != nil {
				return err
			}
			if err := s.line(title(now) + ": " + strings.Join(append([]string{spoken(now.GetStatus().GetState())}, now.GetStatus().GetReasons()...), "; ")); err != nil {
				return err
			}
			etag = now.GetEtag()
		}
		d, err := c.ask(ctx, s, args[0], etag, key, reason)
		if err != nil {
			return err
		}
		return s.told(ctx, c, d, asked{reason: reason, again: key != "", noWait: noWait})
	})
}

// title is what a deployment is, on one line.
func title(d *adgv1.Deployment) string {
	return fmt.Sprintf("%s %s in %s", d.GetRelease().GetService(), d.GetRelease().GetVersion(), d.GetEnvironment())
}
