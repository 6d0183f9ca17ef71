package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/deployguardian/adg"
)

// usualFailures is how many failures in a row are Fail where the check does not say.
const usualFailures = 3

// probe counts failures in a row, each sample once. A verdict of Unknown leaves the count as it is.
func probe(o adg.Observation, now time.Time) (adg.Judgement, adg.CheckState) {
	samples, problem := probed(o, now)
	if !problem.known() {
		return problem.unknown(), o.State
	}
	state := o.State
	if state.Last.After(now.Add(skew)) {
		// It was counted by a clock that has been set back since: waiting for that time would make the probe blind.
		state.Last = time.Time{}
	}
	for _, s := range samples {
		switch {
		case !s.At.After(state.Last):
			continue
		case s.Value < 1:
			state.Streak++
		default:
			state.Streak = 0
		}
		state.Last = s.At
	}
	return streak(o, state.Streak, float64(len(samples))), state
}

// probed is the samples of the probe in order, or why there are none to be counted.
func probed(o adg.Observation, now time.Time) ([]adg.Sample, reading) {
	m := o.Candidate
	if m.Err != "" {
		return nil, reading{why: adg.SourceError, text: "the probe could not be made: " + plain(m.Err)}
	}
	if r := fresh(o.Check, now, m); !r.known() {
		return nil, r
	}
	if r := single(m.Values, oneByOne); !r.known() {
		return nil, r
	}
	var samples []adg.Sample
	for _, s := range m.Values {
		for _, sample := range inOrder(s.Samples) {
			if !math.IsNaN(sample.Value) {
				samples = append(samples, sample)
			}
		}
	}
	if len(samples) == 0 {
		return nil, reading{why: adg.NotANumber, text: "the probe's result is not a number (NaN): 1 is passed, 0 is failed"}
	}
	return samples, reading{}
}

// streak is the verdict on failures in a row.
func streak(o adg.Observation, failed int, n float64) adg.Judgement {
	limit := o.Check.Failures
	if limit <= 0 {
		limit = usualFailures
	}
	j := adg.Judgement{Value: finite(float64(failed)), Limit: finite(float64(limit)), N: n}
	switch {
	case failed >= limit:
		j.Verdict, j.Why = adg.Fail, adg.ProbeFailed
		j.Text = fmt.Sprintf("the probe failed %d times in a row, limit %d", failed, limit)
	case failed > 0:
		j.Verdict, j.Why = adg.Warn, adg.ProbeFailing
		j.Text = fmt.Sprintf("the probe failed, %d in a row; limit %d", failed, limit)
	default:
		j.Verdict, j.Why = adg.Pass, adg.WithinLimits
		j.Text = fmt.Sprintf("the probe passed; limit %d failures in a row", limit)
	}
	if failed > 0 && len(o.Candidate.Warnings) > 0 {
		j.Text += ": " + plain(o.Candidate.Warnings[0])
	}
	return j
}
