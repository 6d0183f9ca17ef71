package judge

import (
	"math"
	"time"

	"github.com/deployguardian/adg"
)

// Judge judges one observation at now and returns what to remember for the next one. Numbers of the judgement that
// do not exist, or are infinite, are nil.
func Judge(o adg.Observation, now time.Time) (adg.Judgement, adg.CheckState) {
	state := o.State
	var j adg.Judgement
	switch o.Check.Compare {
	case adg.Threshold:
		j = threshold(o, now)
	case adg.Relative:
		j = relative(o, now)
	case adg.Probe:
		j, state = probe(o, now)
	case adg.Events:
		j = threshold(o, now)
	case adg.Sequential:
		j, state = sequentially(o, now)
	case adg.MannWhitney:
		j = mannWhitney(o, now)
	case adg.Logs:
		j, state = logs(o, now)
	default:
		j = adg.Judgement{Why: adg.NoData, Text: "there is no comparison " + o.Check.Compare.String()}
	}
	j.Check, j.At = o.Check.Name, now
	return j, state
}

// Private

// decide compares a value with the check's limits; base is nil where nothing is compared with.
func decide(o adg.Observation, r reading, base *reading) adg.Judgement {
	c := o.Check
	j := adg.Judgement{Value: finite(r.value), N: r.n}
	baseline := math.NaN()
	if base != nil {
		baseline = base.value
		j.Baseline, j.BaseN = finite(baseline), base.n
	}
	decisive := bound{"fail", c.Fail}
	switch {
	case c.Fail.Holds(r.value, baseline):
		j.Verdict, j.Why = adg.Fail, adg.BeyondFail
	case c.Warn.Holds(r.value, baseline):
		j.Verdict, j.Why = adg.Warn, adg.BeyondWarn
		decisive = bound{"warn", c.Warn}
	default:
		j.Verdict, j.Why = adg.Pass, adg.WithinLimits
		decisive = nearest(c, r.value, baseline)
	}
	if !decisive.limit.IsZero() {
		j.Limit = finite(edge(decisive.limit, r.value, baseline))
	}
	j.Text = sentence(c, r, base, decisive)
	if j.Verdict != adg.Pass {
		if was, ok := preexisting(o, decisive.limit, r.value, baseline); ok {
			j.Verdict, j.Why = adg.Warn, adg.Preexisting
			j.Text += "; it was " + c.Amount(was) + " before the deployment already, which is not to blame for it"
		}
	}
	return j
}

// bound is one of the two limits of a check with its name.
type bound struct {
	name  string
	limit adg.Condition
}

// nearest is the limit that the value is closest to: what to watch while everything is well.
func nearest(c adg.Check, value, baseline float64) bound {
	warn, fail := bound{"warn", c.Warn}, bound{"fail", c.Fail}
	switch {
	case c.Fail.IsZero():
		return warn
	case c.Warn.IsZero():
		return fail
	}
	if math.Abs(value-edge(c.Fail, value, baseline)) < math.Abs(value-edge(c.Warn, value, baseline)) {
		return fail
	}
	return warn
}

// edge is the number that a value is compared with: of a range, the end that it is closer to.
func edge(limit adg.Condition, value, baseline float64) float64 {
	lower, upper := limit.Limits(baseline)
	if math.Abs(value-upper) < math.Abs(value-lower) {
		return upper
	}
	return lower
}

// finite is a number of a judgement: one that JSON cannot say is left out.
func finite(v float64) *float64 {
	if !isFinite(v) {
		return nil
	}
	return new(v)
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
