package rollout_test

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
)

// oracle keeps, apart from the code under test, since when things have lasted.
type oracle struct {
	notGood time.Time   // the latest time at which the release was not known to be good: reached, or seen bad
	better  []time.Time // per rule: the latest time at which the health was known to be better
}

// learn takes in a tick before it is checked.
func (o *oracle) learn(d *adg.Deployment, in *adg.Input, dec *adg.Decision) {
	if in.Assessment != nil && in.Assessment.Health != adg.HealthUnknown {
		h := in.Assessment.Health
		if h != adg.Healthy {
			o.notGood = in.Now
		}
		for i, r := range d.Spec.Policy.Rollback.Rules {
			if h != adg.Unhealthy && (h != adg.Degraded || r.When != adg.Degraded) {
				o.better[i] = in.Now
			}
		}
	}
	if dec.Next.Reached && !d.Status.Reached || entered(dec, adg.VerifyingRollback) {
		o.notGood = in.Now
	}
}

// forward are the states in which a release may still go on.
func forward(s adg.State) bool {
	return slices.Contains([]adg.State{adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held}, s)
}

func goingBack(s adg.State) bool { return s == adg.RollingBack || s == adg.VerifyingRollback }

// check is every invariant, applied to one decision.
func (l *randomLife) check(in *adg.Input, dec *adg.Decision) {
	was, is := &l.d.Status, &dec.Next
	fail := func(format string, args ...any) {
		l.r.Fatalf("%s → %s: %s\nreasons: %q\nbefore: %+v\nafter: %+v", was.State, is.State, fmt.Sprintf(format, args...), dec.Reasons, *was, *is)
	}
	l.oracle.learn(&l.d, in, dec)
	if was.State.Ended() {
		if dec.Changed() || !reflect.DeepEqual(was, is) || dec.At != in.Now {
			fail("something was done after the end")
		}
		return
	}
	l.checkEffects(in, dec, fail)
	l.checkFacts(dec, fail)
	l.checkKind(dec, fail)
	l.checkProgress(in, dec, fail)
	l.checkRollback(in, dec, fail)
	l.checkEnds(in, dec, fail)
	l.checkHumans(in, dec, fail)
	l.checkDue(in, dec, fail)
	waiting := is.State == adg.Held || is.State == adg.RollbackPending
	if goesOn := is.Resume == adg.Rolling || is.Resume == adg.Verifying; waiting != goesOn {
		fail("it would go on with %s", is.Resume)
	}
	if dec.Changed() && len(dec.Reasons) == 0 {
		fail("no reason was given")
	}
}

type failing func(format string, args ...any)

// entered tells whether the decision enters a state.
func entered(dec *adg.Decision, s adg.State) bool { return dec.From != s && dec.Next.State == s }

func (l *randomLife) checkEffects(in *adg.Input, dec *adg.Decision, fail failing) {
	was, is, p := &l.d.Status, &dec.Next, &l.d.Spec.Policy
	if was.Op != "" && is.Op != was.Op && !is.State.Ended() && (in.Outcome == nil || in.Outcome.OpID != was.Op) &&
		in.Now.Before(was.Entered.Add(min(p.Settle, p.Rollback.Timeout))) {
		fail("operation %s was closed without its outcome", was.Op)
	}
	if dec.Apply == nil {
		if is.Ops != was.Ops || is.Op != "" && is.Op != was.Op {
			fail("operation %q has no effect", is.Op)
		}
		return
	}
	want := *dec.Apply
	if err := want.Validate(); err != nil {
		fail("invalid effect: %v", err)
	}
	if is.Ops != was.Ops+1 || want.OpID != fmt.Sprintf("%s/%d", l.d.ID, is.Ops) || is.Op != want.OpID || want.Deployment != l.d.ID {
		fail("operation %s is not number %d", want.OpID, was.Ops+1)
	}
	if want.Rollback != (is.State == adg.RollingBack) {
		fail("an effect with rollback %t", want.Rollback)
	}
	if !want.Rollback && l.fleet.Stopped != "" && dec.Facts == nil {
		fail("the line is stopped, and something goes forward by itself")
	}
	if is.State == adg.Rolling && want.Releases[0].Share != l.d.Spec.Policy.Strategy.Steps[is.Step].Share {
		fail("step %d asks for %g %%", is.Step, want.Releases[0].Share)
	}
	if want.Rollback {
		good := l.d.Spec.LastGood
		if good == nil || want.Releases[0].Release != *good || good.Identity() == l.d.Spec.Release.Identity() || good.Version == l.d.Spec.Release.Version {
			fail("a rollback to %+v", want.Releases)
		}
		if want.Approved != is.Approved {
			fail("a rollback that %q has approved, not %q", want.Approved, is.Approved)
		}
		before := 0.0
		if l.want != nil && l.want.Rollback && was.Fallback == is.Fallback {
			before = l.want.Releases[0].Share
		}
		if share := want.Releases[0].Share; share < before || share < 100 && (p.Rollback.Over == 0 || is.Fallback) {
			fail("a rollback to %g %% after one to %g %%", share, before)
		}
	}
}

// entryFacts is what is told when a state is entered.
var entryFacts = map[adg.State][]adg.FactKind{
	adg.Gated: {adg.FactGated}, adg.Held: {adg.FactHeld, adg.FactReprieved}, adg.RollbackPending: {adg.FactCondemned, adg.FactAsked},
	adg.Blocked: {adg.FactBlocked}, adg.Succeeded: {adg.FactSucceeded}, adg.RolledBack: {adg.FactRolledBack},
	adg.RollbackFailed: {adg.FactRollbackFailed}, adg.Cancelled: {adg.FactCancelled}, adg.Superseded: {adg.FactSuperseded},
	adg.Undecided: {adg.FactDeadline},
}

func (l *randomLife) checkFacts(dec *adg.Decision, fail failing) {
	spec := &l.d.Spec
	for _, f := range dec.Facts {
		if l.facts[f.ID] {
			fail("fact %s is told twice", f.ID)
		}
		l.facts[f.ID] = true
		if f.Service != "shop" || f.Environment != "production" || f.Release != spec.Release.Version || f.Text == "" || f.Deployment != l.d.ID ||
			f.State != dec.Next.State || f.Health != dec.Next.Health || !slices.Equal(f.Reasons, dec.Reasons) {
			fail("fact %+v is not complete", f)
		}
		urgent := f.Kind == adg.FactPage || f.Kind == adg.FactRollbackFailed || f.Kind == adg.FactAsked
		if urgent && !f.Urgent {
			fail("fact %s wakes nobody", f.Kind)
		}
	}
	told := func(kinds ...adg.FactKind) int {
		n := 0
		for _, f := range dec.Facts {
			if slices.Contains(kinds, f.Kind) {
				n++
			}
		}
		return n
	}
	for state, kinds := range entryFacts {
		if n := told(kinds...); entered(dec, state) && n != 1 || n > 0 && state.Ended() && !entered(dec, state) {
			fail("entering %s: %d of %v told", state, n, kinds)
		}
	}
	first := entered(dec, adg.RollingBack) && dec.From != adg.VerifyingRollback
	if n := told(adg.FactRollbackStarted); first && n != 1 || !first && n != 0 {
		fail("%d rollback_started told", n)
	}
	if dec.From == adg.Pending && told(adg.FactStarted) != 1 {
		fail("the start is not told")
	}
}

func (l *randomLife) checkKind(dec *adg.Decision, fail failing) {
	begun := dec.Next.Rollbacks > l.d.Status.Rollbacks
	ok := false
	switch dec.Kind {
	case adg.Continue:
		ok = !entered(dec, adg.Held) && !begun && !movedOn(&l.d.Status, &dec.Next)
	case adg.Hold:
		ok = slices.Contains([]adg.State{adg.Held, adg.Gated, adg.RollbackPending}, dec.Next.State)
	case adg.Promote:
		ok = movedOn(&l.d.Status, &dec.Next) || dec.Next.State == adg.Verifying && dec.Apply != nil
	case adg.RollBack:
		ok = begun && dec.Apply != nil
	}
	if !ok {
		fail("decision %s does not fit", dec.Kind)
	}
	if dec.From != l.d.Status.State {
		fail("from %s", dec.From)
	}
}

// movedOn tells whether the rollout went forward: started, next step, next phase, or success.
func movedOn(was, is *adg.Status) bool {
	started := (was.State == adg.Pending || was.State == adg.Gated) && is.State == adg.Rolling
	verifying := is.State == adg.Verifying && (was.State == adg.Rolling || was.State == adg.Held && was.Resume == adg.Rolling)
	return started || verifying || is.Step > was.Step || is.Phase > was.Phase || is.State == adg.Succeeded
}

// checkProgress: Unknown never promotes, good has lasted, gates are open, and nothing moves while it is held.
func (l *randomLife) checkProgress(in *adg.Input, dec *adg.Decision, fail failing) {
	was, is, p := &l.d.Status, &dec.Next, &l.d.Spec.Policy
	removal := was.State == adg.Verifying && is.State == adg.Verifying && dec.Apply != nil && was.Reached
	if !movedOn(was, is) && !removal {
		return
	}
	human := in.Command != nil && (in.Command.Kind == adg.CommandPromote || in.Command.Kind == adg.CommandResume)
	if was.State == adg.Pending || was.State == adg.Gated {
		for _, g := range in.Gates {
			if g.Open != adg.GateOpen {
				fail("started through gate %s", g.Open)
			}
		}
		if p.Approve && (is.Approved == "" || p.FourEyes && is.Approved == l.d.Spec.Actor) {
			fail("started with the approval of %q", is.Approved)
		}
		if pr, r := l.d.Spec.Prediction, p.Risk; is.Approved == "" && !r.Approve.IsZero() && (pr == nil || r.Approve.Holds(*pr)) {
			fail("started at the risk of %+v, which nobody approved", pr)
		}
		if pr := l.d.Spec.Prediction; pr != nil && p.Risk.Block.Holds(*pr) {
			fail("started at the risk of %+v", *pr)
		}
		if in.Fleet.Stopped != "" || in.Fleet.Rolling != "" {
			fail("started in spite of the fleet %+v", in.Fleet)
		}
		return
	}
	if human {
		return
	}
	if was.State == adg.Held {
		fail("went on while held by %s", was.HeldBy)
	}
	if was.State == adg.Verifying && !was.Reached {
		return // the removal of the old release has ended: nothing is promoted by it
	}
	unseen := was.State == adg.Rolling && p.Strategy.Steps[was.Step].Share == 0 &&
		!slices.ContainsFunc(p.Checks, func(c adg.Check) bool { return c.Compare == adg.Probe || c.Compare == adg.Events })
	if unseen {
		if (in.Observed == nil || !in.Observed.Done) && (in.Outcome == nil || !in.Outcome.Observed.Done) {
			fail("a staged release was switched on without the target's word")
		}
		return
	}
	if in.Assessment == nil || in.Assessment.Health != adg.Healthy {
		fail("went on without known good health")
	}
	if bake := p.Strategy.Steps[was.Step].Bake; l.jumps == 0 && was.State == adg.Rolling && in.Now.Sub(l.oracle.notGood) < bake {
		fail("good for %s, the bake is %s", in.Now.Sub(l.oracle.notGood), bake)
	}
	if in.Fleet.Stopped != "" && dec.Apply != nil {
		fail("went on although the line is stopped")
	}
	if l.jumps == 0 && (is.State == adg.Succeeded || removal) && p.Strategy.Keep > 0 && is.ReachedAt.Add(p.Strategy.Keep).After(in.Now) &&
		l.d.Spec.LastGood != nil && l.d.Spec.LastGood.Version != "v2" {
		fail("the old release was kept too short a time")
	}
}

// checkRollback: at most one, allowed, and for a reason that lasted.
func (l *randomLife) checkRollback(in *adg.Input, dec *adg.Decision, fail failing) {
	was, is, r := &l.d.Status, &dec.Next, &l.d.Spec.Policy.Rollback
	if is.Rollbacks > 1 || is.Rollbacks < was.Rollbacks {
		fail("%d rollbacks", is.Rollbacks)
	}
	if is.Attempt > r.Attempts && is.State == adg.RollingBack {
		fail("attempt %d of %d", is.Attempt, r.Attempts)
	}
	condemned := forward(was.State) && (is.State == adg.RollbackPending || is.State == adg.RollingBack)
	if condemned && is.Rule > 0 {
		rule := r.Rules[is.Rule-1]
		if since := in.Now.Sub(l.oracle.better[is.Rule-1]); l.jumps == 0 && !l.lasting && since < rule.For {
			fail("bad for %s, the rule wants %s", since, rule.For)
		}
		if is.Health == adg.HealthUnknown {
			fail("condemned while nothing is known")
		}
	}
	if is.Rollbacks == was.Rollbacks {
		if dec.Slot != 0 {
			fail("a slot without a rollback")
		}
		return
	}
	human := is.Approved != ""
	switch {
	case human && dec.Slot != 0, !human && dec.Slot != r.PerHour:
		fail("slot %d, approved by %q", dec.Slot, is.Approved)
	case human:
		return
	case r.Trust < adg.Ask, r.Trust == adg.Ask && r.AskThen != adg.AskThenRollBack:
		fail("rolled back with trust %s", r.Trust)
	case r.SchemaIrreversible:
		fail("rolled back although the schema cannot go back")
	case in.Fleet.Stopped != "", in.Fleet.Rolling != "", in.Fleet.TurnedBad >= 3, in.Fleet.Rollbacks >= r.PerHour:
		fail("rolled back in spite of the fleet %+v", in.Fleet)
	case is.Rule > 0 && was.State != adg.RollbackPending && r.Rules[is.Rule-1].After > 0:
		fail("rolled back without the grace")
	}
}

func (l *randomLife) checkEnds(in *adg.Input, dec *adg.Decision, fail failing) {
	was, is, r := &l.d.Status, &dec.Next, &l.d.Spec.Policy.Rollback
	switch is.State {
	case adg.Succeeded:
		if dec.Standing == nil || dec.Standing.Standing != adg.StandingGood || is.Rollbacks > 0 {
			fail("success with standing %+v after %d rollbacks", dec.Standing, is.Rollbacks)
		}
	case adg.RolledBack, adg.Cancelled:
		if is.State == adg.RolledBack && (dec.Hold == nil || dec.Hold.Identity != "v2" || dec.Standing == nil || dec.Standing.Standing != adg.StandingRolledBack) {
			fail("hold %+v, standing %+v", dec.Hold, dec.Standing)
		}
		stopped := is.State == adg.Cancelled && goingBack(was.State) && was.Rule != -3
		if stopped && (in.Command == nil || in.Command.Kind != adg.CommandCancel) {
			fail("a rollback is stopped, and nobody asked for that")
		}
		if is.State == adg.Cancelled && (dec.Hold != nil && !stopped || dec.Standing != nil) {
			fail("a cancelled release is blamed")
		}
		if is.Rollbacks > 0 && !stopped && (was.State != adg.VerifyingRollback || in.Assessment == nil || in.Assessment.Health != adg.Healthy ||
			in.Observed == nil || !in.Observed.Done || in.Observed.Releases[0].Release.Version != "v1") {
			fail("a rollback is done without proof")
		}
		if is.Rollbacks > 0 && !stopped && l.jumps == 0 && in.Now.Sub(l.oracle.notGood) < r.VerifyFor {
			fail("restored for %s, %s are wanted", in.Now.Sub(l.oracle.notGood), r.VerifyFor)
		}
	case adg.Superseded:
		if in.Newer == "" || !forward(was.State) {
			fail("superseded by %q", in.Newer)
		}
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack, adg.VerifyingRollback,
		adg.Blocked, adg.RollbackFailed, adg.Undecided:
	}
	if !is.State.Ended() && (dec.Standing != nil || dec.Hold != nil && !entered(dec, adg.RollingBack) && is.Suspended == was.Suspended) {
		fail("a release is judged before the end")
	}
}

// checkHumans: what a human may do is done, and what was refused changes nothing but the reasons.
func (l *randomLife) checkHumans(in *adg.Input, dec *adg.Decision, fail failing) {
	c, was, is := in.Command, &l.d.Status, &dec.Next
	if c == nil {
		return
	}
	good := l.d.Spec.LastGood
	back := good != nil && good.Version != "v2"
	condemnable := slices.Contains([]adg.State{adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending}, was.State)
	if c.Kind == adg.CommandRollBack && back && condemnable {
		if is.State != adg.RollingBack && (is.State != adg.RollbackPending || is.Op == "") || is.Approved != c.Actor {
			fail("a human's rollback was not obeyed")
		}
	}
	if c.Kind == adg.CommandCancel && (forward(was.State) || was.State == adg.RollbackPending) {
		if is.State != adg.Cancelled && is.State != adg.RollingBack && (is.State != adg.RollbackPending || is.Op == "") {
			fail("a human's cancel was not obeyed")
		}
	}
	if second := l.d.Spec.Policy.FourEyes && c.Actor == l.d.Spec.Actor; c.Kind == adg.CommandCancel && goingBack(was.State) && was.Rule != -3 && !second && is.State != adg.Cancelled {
		fail("a human's cancel of the rollback was not obeyed")
	}
	if c.Kind == adg.CommandHold && in.Now.Before(is.Deadline) && (was.State == adg.Rolling || was.State == adg.Verifying) && (is.State != adg.Held || is.HeldBy != c.Actor) {
		fail("a human's hold was not obeyed")
	}
}

func (l *randomLife) checkDue(in *adg.Input, dec *adg.Decision, fail failing) {
	is, r := &dec.Next, &l.d.Spec.Policy.Rollback
	if is.State.Ended() {
		return
	}
	if is.Deadline.IsZero() || !is.Due.After(l.now) {
		fail("due at %s, it is %s", is.Due, l.now)
	}
	if is.Due.Sub(l.now) > 35*time.Second {
		fail("due only in %s", is.Due.Sub(l.now))
	}
	end := is.Deadline
	if !forward(is.State) {
		tries := time.Duration(r.Attempts)
		if r.Fallback != "" {
			tries *= 2
		}
		if r.Over > 0 {
			tries *= 4 // in four stages
		}
		end = end.Add(3 * (r.VerifyMax + tries*r.Timeout + r.Over) * time.Duration(r.Attempts+1))
	}
	if is.Due.After(end) && end.After(l.now) {
		fail("due at %s, after the end %s", is.Due, end)
	}
	// A rollback that is called off after the deadline, or a human's promote then, leaves one more tick.
	last := forward(is.State) && (!forward(dec.From) || in.Command != nil) && is.Due.Sub(l.now) <= time.Second
	if l.now.After(end) && !last {
		fail("still alive at %s, the end was %s", l.now, end)
	}
}

// original is a copy of what was lent to Step.
type original struct {
	bad      []time.Duration
	checks   []adg.Watch
	reasons  []string
	watches  []adg.Watch
	gates    []adg.Gate
	releases []adg.Placement
}

func frozenCopy(d *adg.Deployment, in *adg.Input) original {
	o := original{
		bad: slices.Clone(d.Status.Bad), checks: slices.Clone(d.Status.Checks), reasons: slices.Clone(d.Status.Reasons),
		watches: slices.Clone(in.Watches), gates: slices.Clone(in.Gates),
	}
	if in.Observed != nil {
		o.releases = slices.Clone(in.Observed.Releases)
	}
	return o
}

// unchanged tells whether Step wrote through something that it was lent.
func (o original) unchanged(r *rapid.T, d *adg.Deployment, in *adg.Input) {
	same := slices.Equal(o.bad, d.Status.Bad) && cmp.Equal(o.checks, d.Status.Checks) && slices.Equal(o.reasons, d.Status.Reasons) &&
		cmp.Equal(o.watches, in.Watches) && slices.Equal(o.gates, in.Gates)
	if in.Observed != nil {
		same = same && slices.Equal(o.releases, in.Observed.Releases)
	}
	if !same {
		r.Fatalf("Step wrote through its input: %+v became %+v", o, d.Status)
	}
}

func deterministic(r *rapid.T, d *adg.Deployment, in *adg.Input, dec *adg.Decision) {
	if again := rollout.Step(*d, *in); !reflect.DeepEqual(*dec, again) {
		r.Fatalf("the same question, two answers:\n%+v\n%+v", dec, again)
	}
}
