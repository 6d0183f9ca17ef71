// Package verdict is the pure half of a look at a deployment: which questions are asked now, and which judgements
// and which health follow from the answers. The guard asks the sources in between; a replay has the answers on record.
package verdict

import (
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
	"github.com/deployguardian/adg/internal/risk"
	"github.com/deployguardian/adg/internal/rollout"
)

// Question is what one arm of a check is asked.
type Question struct {
	Check   adg.Check    // as it is asked and judged now: its window never reaches to before the step
	Arm     adg.Arm      // which of the two releases is measured
	Release adg.Release  // the one that is measured
	Stable  *adg.Release // the one that the candidate is compared with; nil: none serves beside it
}

// Questions are what the due checks ask, with what was frozen before the deployment. There are none while the step warms
// up: nothing that could be measured yet is evidence.
func Questions(d adg.Deployment, need rollout.Need, frozen []adg.Baseline, now time.Time) []Question {
	if !need.From.IsZero() && now.Sub(need.From) < time.Millisecond {
		return nil
	}
	var all []Question
	for _, at := range need.Checks {
		check := d.Spec.Policy.Checks[at]
		switch {
		case need.Restored:
			check = judge.RestoredTo(check, baselineOf(frozen, check.Name))
		case need.Stable == nil:
			check = judge.Alone(check)
		}
		check.Window = window(check.Window, need.From, now)
		if !check.Counts() { // counters are cut to the window, and say so better
			check.MaxAge = window(check.MaxAge, need.From, now)
		}
		all = append(all, Arms(check, need.Subject, need.Stable)...)
	}
	return all
}

// Arms are the questions of one check: about the release that is measured and, right after it, about the stable one
// beside it, where there is one and the check compares with it.
func Arms(check adg.Check, subject adg.Release, stable *adg.Release) []Question {
	all := []Question{{Check: check, Arm: adg.CandidateArm, Release: subject, Stable: stable}}
	if stable != nil && compares(check) && check.Baseline == adg.Concurrent {
		all = append(all, Question{Check: check, Arm: adg.BaselineArm, Release: *stable, Stable: stable})
	}
	return all
}

// Observations pair the arms' answers, answers[i] belonging to asked[i], and lay the frozen baselines beside them:
// one observation per check.
func Observations(asked []Question, answers []adg.Measurement, frozen []adg.Baseline) []adg.Observation {
	var all []adg.Observation
	for i, q := range asked {
		if q.Arm == adg.BaselineArm {
			all[len(all)-1].Stable = &answers[i]
			continue
		}
		all = append(all, adg.Observation{Check: q.Check, Candidate: answers[i], Before: baselineOf(frozen, q.Check.Name)})
	}
	return all
}

// Of judges the answers to the questions and gives the health of all checks that count now, with the checks' new
// states: one per check of the policy, in its order.
func Of(d adg.Deployment, need rollout.Need, asked []Question, answers []adg.Measurement, frozen []adg.Baseline, now time.Time) (adg.Assessment, []adg.Watch) {
	policy := d.Spec.Policy
	watches := watchesOf(d)
	for _, o := range Observations(asked, answers, frozen) {
		at := slices.IndexFunc(watches, func(w adg.Watch) bool { return w.Check == o.Check.Name })
		w := &watches[at]
		o.State, o.Interval, o.Share = w.State, intervalOf(need, at), need.Share
		w.Last, w.State = judge.Judge(o, now)
	}
	counted := make([]adg.Check, 0, len(need.Counted))
	verdicts := make([]adg.Judgement, 0, len(need.Counted))
	for _, at := range need.Counted {
		counted = append(counted, policy.Checks[at])
		verdicts = append(verdicts, watches[at].Last)
	}
	a := judge.Assess(now, counted, verdicts, policy.Scoring)
	if logE, found := judge.Evidence(counted, verdicts); found && d.Spec.Prediction != nil {
		success := risk.Success(d.Spec.Prediction.Success, logE)
		a.Success = &success
	}
	return a, watches
}

// Private

func compares(c adg.Check) bool {
	switch c.Compare {
	case adg.Relative, adg.Sequential, adg.MannWhitney, adg.Logs:
		return true
	case adg.Threshold, adg.Probe, adg.Events:
	}
	return false
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

func intervalOf(need rollout.Need, check int) time.Duration {
	if at := slices.Index(need.Checks, check); at >= 0 && at < len(need.Intervals) {
		return need.Intervals[at]
	}
	return 0
}

func baselineOf(all []adg.Baseline, check string) *adg.Baseline {
	for i := range all {
		if all[i].Check == check {
			return &all[i]
		}
	}
	return nil
}
