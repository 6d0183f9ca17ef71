package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/ranks"
)

// mannWhitney compares the window's samples, of all series, with the baseline's.
func mannWhitney(o adg.Observation, now time.Time) adg.Judgement {
	candidate, r := sampled(o.Check, o.Candidate, now)
	if !r.known() {
		return r.unknown()
	}
	baseline, r := controls(o, now)
	if !r.known() {
		j := r.unknown()
		j.N = float64(len(candidate))
		return j
	}
	found := ranks.CompareIn(o.Check.CountedIn(), o.Check.Ranks, candidate, baseline)
	j := adg.Judgement{
		Value: middle(candidate), N: float64(found.N), Baseline: middle(baseline), BaseN: float64(found.Base),
		Estimate: finite(found.Estimate), Low: finite(found.Lower), High: finite(found.Upper),
	}
	if j.Value != nil && j.Baseline != nil {
		j.Text = fmt.Sprintf("median %s against %s, ", o.Check.Amount(*j.Value), o.Check.Amount(*j.Baseline))
	}
	j.Text += found.Text
	if o.Check.Baseline == adg.Historical {
		j.Text += "; the control is the time before the deployment, which is weaker than side by side"
	}
	switch found.Class {
	case ranks.High, ranks.Low:
		j.Verdict, j.Why = adg.Fail, adg.BeyondFail
	case ranks.Pass:
		j.Verdict, j.Why = adg.Pass, adg.WithinLimits
	case ranks.Nodata:
		j.Why = adg.TooFew
	case ranks.Error:
		j.Why = adg.NotANumber
	}
	return j
}

// Private

// controls are the baseline's samples: those of the stable version at the same time, or the frozen values.
func controls(o adg.Observation, now time.Time) ([]float64, reading) {
	if o.Check.Baseline == adg.Historical {
		r := past(o.Check, o.Before)
		if !r.known() {
			return nil, r
		}
		return o.Before.Values, r
	}
	if o.Stable == nil {
		return nil, beside(o, now)
	}
	values, r := sampled(o.Check, *o.Stable, now)
	switch {
	case r.known():
	case r.why == adg.NoData:
		r.why, r.text = adg.NoBaseline, "nothing to compare with: of the stable version, "+r.text
	default:
		r.text = "of the baseline, " + r.text
	}
	return values, r
}

// sampled is the values of a measurement since its window began, those that are no number included.
func sampled(c adg.Check, m adg.Measurement, now time.Time) ([]float64, reading) {
	if r := answered(c, now, m); !r.known() {
		return nil, r
	}
	var values []float64
	for _, s := range m.Values {
		for _, sample := range since(inOrder(s.Samples), start(c, m, now)) {
			values = append(values, sample.Value)
		}
	}
	slices.Sort(values)
	if len(values) == 0 {
		return nil, reading{why: adg.NoData, text: "there was no sample " + lately(c)}
	}
	return values, enough(c, reading{n: float64(len(values))}, "")
}

// middle is the median of the values that are numbers.
func middle(values []float64) *float64 {
	told := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) })
	if len(told) == 0 {
		return nil
	}
	slices.Sort(told)
	return finite(quantile(told, 0.5))
}
