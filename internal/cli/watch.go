package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/client"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

func patienceFlag(cmd *cobra.Command, patience *time.Duration) {
	cmd.Flags().DurationVar(patience, "patience", 15*time.Minute, "how long a lost connection to the server is borne")
}

func watchCommand(t Terminal, connect Connect) *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "watch ID",
		Short: "Watch a deployment to its end",
		Long: `Watch a deployment to its end; the exit code says how that was, as for adg deploy start --wait.

On a terminal it is a live picture, elsewhere plain lines; --output json prints one event per line, the same as those
of adg run. Interrupting ends the watching, not the deployment.`,
		Example: `  adg deploy watch checkout-1.4.2-k3v9x2qa
  adg deploy watch checkout-1.4.2-k3v9x2qa --patience 1h --output json`,
		Args: cobra.ExactArgs(1),
	}
	patienceFlag(cmd, &patience)
	completeDeployment(cmd, t, connect, true)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		view := newView(s.t, s.output, "ctrl-C ends the watching, not the deployment", moreOf)
		return watch(ctx, s, args[0], patienceOf(view, s, patience), view)
	})
}

// startAndWatch starts a deployment, for which the server may be away for a while, too, and watches it.
func startAndWatch(ctx context.Context, s session, request *adgv1.StartDeploymentRequest, patience time.Duration) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	said := &lineView{out: s.t.Err, after: moreOf}
	id := ""
	err := s.Bear(ctx, patienceOf(said, s, patience), func(ctx context.Context, alive func()) error {
		d, err := s.Deployments.StartDeployment(ctx, request)
		if err == nil {
			alive()
			id = d.GetId()
		}
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return adg.Errorf(adg.Unavailable, "interrupted while it was being started, and it may have been: the same command with --idempotency-key %s goes on with it", request.GetIdempotencyKey())
		}
		return err
	}
	said.Say("started " + id)
	view := newView(s.t, s.output, "ctrl-C ends the watching, not the deployment", moreOf)
	return watch(ctx, s, id, patienceOf(view, s, patience), view)
}

// moreOf says how more is seen of a deployment.
func moreOf(id string) string { return "more: adg deploy status " + id }

// patienceOf tells a view of lost connections.
func patienceOf(view View, s session, patience time.Duration) client.Patience {
	return client.Patience{
		For: patience,
		Lost: func(since time.Time, err error) {
			view.Say(fmt.Sprintf("the connection to %s is lost since %s, waiting for up to %s: %v", s.at.Server, since.Format("15:04:05"), span(patience), err))
		},
		Back: func(_ time.Time, gone time.Duration) {
			view.Say(fmt.Sprintf("%s is back after %s", s.at.Server, span(gone)))
		},
	}
}

// watch shows a deployment until it has ended; the error has the exit code.
func watch(ctx context.Context, s session, id string, p client.Patience, view View) error {
	var seen watching
	last, err := s.Follow(ctx, id, p, func(d *adgv1.Deployment, at time.Time) error {
		view.Tick(seen.tick(d, at))
		return nil
	})
	if err != nil && ctx.Err() != nil {
		err = &unwatchedError{id}
	}
	d := deploymentOf(last)
	view.Close(d, err)
	if err != nil {
		return err
	}
	if exit := ExitOf(d.Status.State); exit != ExitGood {
		return &endedError{exit}
	}
	return nil
}

// unwatchedError ends a watch that a person ended: the deployment has not.
type unwatchedError struct{ id string }

// Error says how the deployment is found again.
func (e *unwatchedError) Error() string {
	return "no longer watched, and the server goes on with it: adg deploy watch " + e.id
}

// Is makes it one of the ends that a person chose.
func (e *unwatchedError) Is(target error) bool { return errors.Is(target, ErrLeft) }

// watching makes the ticks of a view from what a watch says.
type watching struct{ before *adgv1.Status }

// tick is what is new in a deployment.
func (w *watching) tick(d *adgv1.Deployment, at time.Time) (adg.Deployment, adg.Tick) {
	now := deploymentOf(d)
	a := adg.Assessment{At: at, Health: now.Status.Health, Score: now.Status.Score}
	for _, c := range now.Status.Checks {
		a.Judgements = append(a.Judgements, c.Last)
	}
	a.Text = essence(d.GetStatus())
	decision := adg.Decision{At: at, From: now.Status.State, Reasons: now.Status.Reasons, Next: now.Status}
	if s := d.GetStatus(); w.before == nil || s.GetState() != w.before.GetState() || s.GetStep() != w.before.GetStep() || s.GetPhase() != w.before.GetPhase() {
		decision.Kind = kindOf(s)
		same(&decision.From, w.before.GetState())
	}
	w.before = d.GetStatus()
	return now, adg.Tick{Input: adg.Input{Assessment: &a}, Decision: decision}
}

// kindOf is the decision that leads to a status.
func kindOf(after *adgv1.Status) adg.DecisionKind {
	switch after.GetState() {
	case adgv1.State_STATE_HELD, adgv1.State_STATE_GATED:
		return adg.Hold
	case adgv1.State_STATE_ROLLBACK_PENDING, adgv1.State_STATE_ROLLING_BACK, adgv1.State_STATE_VERIFYING_ROLLBACK, adgv1.State_STATE_ROLLED_BACK,
		adgv1.State_STATE_ROLLBACK_FAILED:
		return adg.RollBack
	case adgv1.State_STATE_ROLLING, adgv1.State_STATE_VERIFYING, adgv1.State_STATE_SUCCEEDED:
		return adg.Promote
	case adgv1.State_STATE_UNSPECIFIED, adgv1.State_STATE_PENDING, adgv1.State_STATE_BLOCKED, adgv1.State_STATE_CANCELLED,
		adgv1.State_STATE_SUPERSEDED, adgv1.State_STATE_UNDECIDED:
		return adg.Continue
	}
	return adg.Continue
}

// essence is why a deployment is how it is: its reasons, else what its worst check says.
func essence(s *adgv1.Status) string {
	if len(s.GetReasons()) > 0 {
		return strings.Join(s.GetReasons(), "; ")
	}
	var worst *adgv1.Judgement
	for _, c := range s.GetChecks() {
		if j := c.GetLast(); j != nil && (worst == nil || j.GetVerdict() > worst.GetVerdict()) {
			worst = j
		}
	}
	if worst == nil {
		return "nothing is measured yet"
	}
	return worst.GetCheck() + ": " + worst.GetText()
}

// deploymentOf is as much of a deployment as the views show. What a server says that cannot be is left out.
func deploymentOf(d *adgv1.Deployment) adg.Deployment {
	var out adg.Deployment
	if d == nil {
		return out
	}
	s := d.GetStatus()
	out.ID, out.Version = d.GetId(), d.GetVersion()
	out.Spec.Release = adg.Release{Service: d.GetRelease().GetService(), Version: d.GetRelease().GetVersion()}
	out.Spec.Policy.Service, out.Spec.Policy.Environment = d.GetRelease().GetService(), d.GetEnvironment()
	if last := d.GetLastGood(); last != nil {
		out.Spec.LastGood = &adg.Release{Service: last.GetService(), Version: last.GetVersion()}
	}
	for _, step := range d.GetPolicy().GetStrategy().GetSteps() {
		out.Spec.Policy.Strategy.Steps = append(out.Spec.Policy.Strategy.Steps, adg.Step{Share: step.GetShare(), Bake: step.GetBake().AsDuration()})
	}
	for _, phase := range d.GetPolicy().GetVerify() {
		out.Spec.Policy.Verify = append(out.Spec.Policy.Verify, adg.Phase{Name: phase.GetName(), For: phase.GetDuration().AsDuration()})
	}
	for _, c := range d.GetPolicy().GetChecks() {
		out.Spec.Policy.Checks = append(out.Spec.Policy.Checks, adg.Check{Name: c.GetName(), Unit: c.GetUnit()})
	}
	steps := len(out.Spec.Policy.Strategy.Steps)
	out.Status = adg.Status{
		Since: timeOf(s.GetSinceTime()), Entered: timeOf(s.GetEnteredTime()), Good: s.GetGood().AsDuration(), Score: s.GetScore(), Reasons: s.GetReasons(),
		Step: max(0, min(int(s.GetStep()), steps-1)), Reached: s.GetReached() && steps > 0, Phase: max(0, int(s.GetPhase())),
	}
	same(&out.Status.State, s.GetState())
	same(&out.Status.Health, s.GetHealth())
	for _, w := range s.GetChecks() {
		out.Status.Checks = append(out.Status.Checks, adg.Watch{Check: w.GetCheck(), Last: judgementOf(w)})
	}
	return out
}

func judgementOf(w *adgv1.Watch) adg.Judgement {
	from := w.GetLast()
	if from == nil {
		return adg.Judgement{Check: w.GetCheck(), Text: "not judged yet"}
	}
	j := adg.Judgement{Check: w.GetCheck(), Text: from.GetText(), Value: from.Value, Baseline: from.Baseline, Limit: from.Limit, N: from.GetSamples()}
	same(&j.Verdict, from.GetVerdict())
	same(&j.Why, from.GetWhy())
	return j
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
