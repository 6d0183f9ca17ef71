package guard

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rehearsal"
	"github.com/deployguardian/adg/internal/rollout"
	"github.com/deployguardian/adg/internal/trace"
)

// evidence is what one tick found out, beside what the decision itself needs.
type evidence struct {
	measurements []adg.Measurement
	baselines    []adg.Baseline // frozen by this tick, to be stored with it
}

// turn does everything that is due for a deployment: it closes what an owner before left open, looks, decides, and
// acts on the decision until nothing is left to do now. The lease goes back with the last commit.
func (g *Guard) turn(ctx context.Context, w adg.Work) error {
	d := w.Deployment
	if d.Status.State.Ended() {
		return g.store.GiveBack(ctx, w.Lease)
	}
	var err error
	in := adg.Input{Now: w.Now, Command: w.Command, Newer: w.Newer}
	var ev evidence
	if w.Open != nil {
		in.Command = nil
		if in.Outcome, err = g.settle(ctx, w); err != nil {
			return err
		}
	} else if ev, err = g.look(ctx, d, &in); err != nil {
		return err
	}
	for {
		decision, stored, err := g.commit(ctx, w.Lease, d, in, ev)
		if err != nil || decision.Apply == nil {
			return err
		}
		g.reached(pointIntended)
		d = stored
		want := *decision.Apply
		want.Fence = w.Lease.Fence
		outcome, err := g.act(ctx, d, want)
		if err != nil {
			return err
		}
		g.reached(pointActed)
		now, err := g.store.Now(ctx)
		if err != nil {
			return err
		}
		in, ev = adg.Input{Now: now, Outcome: &outcome}, evidence{}
	}
}

// Private

// traced is the context within the trace of whoever asked for this turn: the command's, else the deployment's.
func traced(ctx context.Context, w adg.Work) context.Context {
	if w.Command != nil && w.Command.Trace != "" {
		return trace.Continued(ctx, w.Command.Trace)
	}
	return trace.Continued(ctx, w.Deployment.Spec.Trace)
}

// look finds out what the next decision needs: the target's state, the gates, the checks.
func (g *Guard) look(ctx context.Context, d adg.Deployment, in *adg.Input) (evidence, error) {
	need := rollout.Wants(d, in.Now)
	var ev evidence
	frozen, fresh, err := g.frozen(ctx, d, in.Now)
	if err != nil {
		return ev, err
	}
	if fresh {
		ev.baselines = frozen
	}
	if need.Gates {
		if in.Gates, err = g.Gates(ctx, d); err != nil {
			return ev, err
		}
	}
	if need.Observe {
		in.Observed = g.observe(ctx, d)
	}
	if need.Rehearse {
		in.Rehearsal = g.rehearse(ctx, d)
	}
	if len(need.Checks) > 0 {
		ev.measurements = g.assess(ctx, d, need, frozen, in)
	}
	// What was cancelled on the way is no evidence: the next owner looks again.
	return ev, context.Cause(ctx)
}

// observe reads the target's state; a target that does not answer is nil, which promotes nothing and proves nothing.
func (g *Guard) observe(ctx context.Context, d adg.Deployment) *adg.Observed {
	target, err := g.world.Target(ctx, d)
	if err == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, queryTimeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(queryTimeout)))
		defer cancel()
		var seen adg.Observed
		if seen, err = target.Current(ctx); err == nil {
			g.unread.Delete(d.ID)
			return &seen
		}
	}
	if before, logged := g.unread.Swap(d.ID, err.Error()); ctx.Err() == nil && (!logged || before != err.Error()) {
		g.o.Log.Warn("the target's state could not be read", "deployment", d.ID, "error", err)
	}
	return nil
}

// rehearse asks whether the way back works; nil once the context has ended.
func (g *Guard) rehearse(ctx context.Context, d adg.Deployment) *adg.Rehearsal {
	limited := ctx
	if s := d.Status.State; s != adg.Pending && s != adg.Gated { // the checks wait meanwhile
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, max(d.Spec.Policy.Interval/3, time.Second), adg.Errorf(adg.Unavailable, "the target took too long to say so beside the checks"))
		defer cancel()
	}
	found, err := rehearsal.Of(limited, g.world.Target, d)
	return rehearsed(ctx, found, err)
}

func rehearsed(ctx context.Context, found []adg.Obstacle, err error) *adg.Rehearsal {
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return &adg.Rehearsal{Obstacles: found, Err: err.Error()}
	}
	return &adg.Rehearsal{Obstacles: found}
}

// commit decides and stores the decision. The fleet's state is read only when the decision is more than "go on":
// Step is pure, so asking it twice costs nothing and the second answer is the one that counts.
func (g *Guard) commit(ctx context.Context, lease adg.Lease, d adg.Deployment, in adg.Input, ev evidence) (adg.Decision, adg.Deployment, error) {
	decision := rollout.Step(d, in)
	if decision.Changed() || d.Status.State == adg.RollbackPending {
		fleet, err := g.store.Fleet(ctx, d.Spec.Policy.Environment, d.ID)
		if err != nil {
			return decision, d, err
		}
		in.Fleet = fleet
		decision = rollout.Step(d, in)
	}
	if decision.Kind == adg.RollBack {
		if in.Suspends = g.suspends(ctx, d, *decision.Apply); in.Suspends != "" {
			decision = rollout.Step(d, in)
		}
	}
	g.reached(pointDecided)
	tick := tickOf(lease, d, in, ev, decision)
	stored, err := g.store.Commit(ctx, tick)
	if errors.Is(err, adg.ErrNoSlot) {
		in.Fleet.Rollbacks = max(in.Fleet.Rollbacks, decision.Slot)
		decision = rollout.Step(d, in)
		tick = tickOf(lease, d, in, ev, decision)
		stored, err = g.store.Commit(ctx, tick)
	}
	if err != nil {
		return decision, d, err
	}
	if ev.baselines != nil {
		g.baselines.Put(d.ID, ev.baselines)
	}
	if stored.Status.State.Ended() {
		g.baselines.Drop(d.ID)
		g.unread.Delete(d.ID)
	}
	if in.Outcome != nil {
		g.reached(pointConcluded)
	}
	g.o.Watch(stored, tick)
	return decision, stored, nil
}

func tickOf(lease adg.Lease, d adg.Deployment, in adg.Input, ev evidence, decision adg.Decision) adg.Tick {
	return adg.Tick{
		Lease: lease, Version: d.Version, Before: d.Status, Input: in, Decision: decision,
		Measurements: ev.measurements, Baselines: ev.baselines,
		Notifiers: d.Spec.Policy.Notify, GiveBack: decision.Apply == nil,
	}
}

// act brings the target to what was decided. An error of the target is an outcome; a context that ended is not: the
// intent stays open, and whoever has the deployment next reads the target's state first.
func (g *Guard) act(ctx context.Context, d adg.Deployment, want adg.Desired) (adg.Outcome, error) {
	timeout := want.Timeout
	if timeout == 0 {
		timeout = d.Spec.Policy.Settle
	}
	if g.o.Effect > 0 {
		timeout = min(timeout, g.o.Effect)
	}
	begin := time.Now() //nolint:forbidigo // how long the target takes is real time, and decides nothing
	target, err := g.world.Target(ctx, d)
	var seen adg.Observed
	if err == nil {
		limited, cancel := context.WithTimeoutCause(ctx, timeout, adg.Errorf(adg.Unavailable, "the target did not finish within %s", adg.Short(timeout)))
		within, end := trace.Start(limited, "target.apply", attribute.String("adg.deployment", d.ID), attribute.String("adg.operation", want.OpID), attribute.Bool("adg.rollback", want.Rollback))
		seen, err = target.Apply(within, want)
		end(err)
		cancel()
	}
	if cause := context.Cause(ctx); cause != nil {
		return adg.Outcome{}, cause
	}
	if errors.Is(err, adg.ErrFenced) {
		return adg.Outcome{}, err
	}
	at, clockErr := g.store.Now(ctx)
	if clockErr != nil {
		return adg.Outcome{}, clockErr
	}
	outcome := adg.Outcome{OpID: want.OpID, At: at, Took: time.Since(begin), Observed: seen} //nolint:forbidigo // see above
	if err != nil {
		outcome.Err, outcome.Final = err.Error(), adg.IsPermanent(err)
		if want.Rollback && target != nil && len(seen.Releases) == 0 { // it may have come some of the way, or had none to go
			outcome.Observed = after(ctx, target)
		}
	}
	return outcome, nil
}

// asideTimeout bounds a question beside a rollback, which waits for the answer.
const asideTimeout = 5 * time.Second

// suspends is what a rollback is about to suspend, as far as its target can tell.
func (g *Guard) suspends(ctx context.Context, d adg.Deployment, want adg.Desired) string {
	target, err := g.world.Target(ctx, d)
	if err != nil {
		return "" // the attempt will say so
	}
	suspender, can := adg.PowerOf[adg.Suspender](target)
	if !can {
		return ""
	}
	ctx, cancel := context.WithTimeoutCause(ctx, asideTimeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(asideTimeout)))
	defer cancel()
	what, err := suspender.Suspends(ctx, want)
	if err != nil {
		g.o.Log.Warn("what the rollback will suspend could not be found out", "deployment", d.ID, "error", err)
	}
	return what
}

// after is what a target reports after a failed attempt; nothing where it does not answer: the next look will say.
func after(ctx context.Context, target adg.Target) adg.Observed {
	ctx, cancel := context.WithTimeoutCause(ctx, asideTimeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(asideTimeout)))
	defer cancel()
	seen, err := target.Current(ctx)
	if err != nil {
		return adg.Observed{}
	}
	return seen
}

// settle closes an effect that was begun and whose outcome nobody wrote. The target's real state comes first: an
// effect that is done there is not done again.
func (g *Guard) settle(ctx context.Context, w adg.Work) (*adg.Outcome, error) {
	want := w.Open.Desired
	want.Fence = w.Lease.Fence
	if seen := g.observe(ctx, w.Deployment); seen != nil && seen.Done && achieved(*seen, want) {
		at, err := g.store.Now(ctx)
		if err != nil {
			return nil, err
		}
		return &adg.Outcome{OpID: want.OpID, At: at, Observed: *seen}, nil
	}
	outcome, err := g.act(ctx, w.Deployment, want)
	if err != nil {
		return nil, err
	}
	return &outcome, nil
}

// achieved tells whether the target is where the effect was to bring it.
func achieved(seen adg.Observed, want adg.Desired) bool {
	if seen.OpID != "" {
		return seen.OpID == want.OpID
	}
	for _, p := range want.Releases {
		share, _ := seen.Share(p.Release.Version)
		if diff := share - p.Share; diff > 0.5 || diff < -0.5 {
			return false
		}
	}
	return true
}
