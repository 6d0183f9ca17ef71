package guard

import (
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
	"github.com/deployguardian/adg/internal/rollout"
)

// assess measures the checks that are due, has them judged, and puts the health of all that count now into the input.
// Without a question that can be asked yet, there is no assessment.
func (g *Guard) assess(ctx context.Context, d adg.Deployment, need rollout.Need, frozen []adg.Baseline, in *adg.Input) []adg.Measurement {
	policy := d.Spec.Policy
	asked := questions(d, need, in.Now)
	if len(asked) == 0 {
		return nil
	}
	answers := g.measure(ctx, d, asked, in.Now)
	watches := watchesOf(d)
	for _, o := range observations(asked, answers, frozen) {
		w := &watches[indexOf(policy.Checks, o.Check.Name)]
		o.State = w.State
		w.Last, w.State = judge.Judge(o, in.Now)
	}
	counted := make([]adg.Check, 0, len(need.Counted))
	verdicts := make([]adg.Judgement, 0, len(need.Counted))
	for _, at := range need.Counted {
		counted = append(counted, policy.Checks[at])
		verdicts = append(verdicts, watches[at].Last)
	}
	assessment := judge.Assess(in.Now, counted, verdicts, policy.Scoring)
	in.Assessment, in.Watches = &assessment, watches
	return answers
}

// questions are what the due checks ask. There are none while the step warms up: nothing that could be measured yet
// is evidence.
func questions(d adg.Deployment, need rollout.Need, now time.Time) []question {
	if !need.From.IsZero() && now.Sub(need.From) < time.Millisecond {
		return nil
	}
	var all []question
	for _, at := range need.Checks {
		check := d.Spec.Policy.Checks[at]
		switch {
		case need.Restored:
			check = judge.Restored(check)
		case need.Stable == nil:
			check = judge.Alone(check)
		}
		check.Window = window(check.Window, need.From, now)
		if !check.Counts() { // counters are cut to the window, and say so better
			check.MaxAge = window(check.MaxAge, need.From, now)
		}
		all = append(all, arms(d, check, need.Subject, need.Stable)...)
	}
	return all
}

// Private

// arms are the questions of one check: about the release that is measured and, right after it, about the stable one
// beside it, where there is one and the check compares with it.
func arms(d adg.Deployment, check adg.Check, subject adg.Release, stable *adg.Release) []question {
	all := []question{{check: check, arm: adg.CandidateArm, vars: variables(d, subject, stable)}}
	if stable != nil && check.Compare == adg.Relative && check.Baseline == adg.Concurrent {
		all = append(all, question{check: check, arm: adg.BaselineArm, vars: variables(d, *stable, stable)})
	}
	return all
}

// observations pair the arms' answers and lay the frozen baselines beside them, one observation per check.
func observations(asked []question, answers []adg.Measurement, frozen []adg.Baseline) []adg.Observation {
	var all []adg.Observation
	for i, q := range asked {
		if q.arm == adg.BaselineArm {
			all[len(all)-1].Stable = &answers[i]
			continue
		}
		all = append(all, adg.Observation{Check: q.check, Candidate: answers[i], Before: baselineOf(frozen, q.check.Name)})
	}
	return all
}

// window is how far back a measurement may look, and how old a sample may be: never to before the step (or the
// rollback) was made, because what was then is no evidence about what is now.
func window(wanted time.Duration, from, now time.Time) time.Duration {
	if from.IsZero() {
		return wanted
	}
	return min(wanted, now.Sub(from).Truncate(time.Millisecond))
}

// watchesOf is a fresh copy of the checks' states, one per check of the policy, in its order.
func watchesOf(d adg.Deployment) []adg.Watch {
	all := make([]adg.Watch, len(d.Spec.Policy.Checks))
	for i, check := range d.Spec.Policy.Checks {
		all[i] = adg.Watch{Check: check.Name, Last: adg.Judgement{Check: check.Name, Why: adg.NotDue, Text: "not measured yet"}}
		if at := slices.IndexFunc(d.Status.Checks, func(w adg.Watch) bool { return w.Check == check.Name }); at >= 0 {
			all[i] = d.Status.Checks[at]
		}
	}
	return all
}

func indexOf(checks []adg.Check, name string) int {
	return slices.IndexFunc(checks, func(c adg.Check) bool { return c.Name == name })
}
