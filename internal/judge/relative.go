package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/deployguardian/adg"
)

// Alone is the check as it is asked when no stable version serves beside the release: what is compared is compared with
// the frozen baseline (Historical).
func Alone(c adg.Check) adg.Check {
	switch c.Compare {
	case adg.Relative, adg.Sequential, adg.MannWhitney, adg.Logs:
		c.Baseline = adg.Historical
	case adg.Threshold, adg.Probe, adg.Events:
	}
	return c
}

// Once is Alone for one look that has to do by itself: of logs the window is compared, without a test of many.
func Once(c adg.Check) adg.Check {
	c = Alone(c)
	c.Logs.Restored = c.Compare == adg.Logs
	return c
}

// Restored is Once with the window of a rollback's verification: min(window, 1 m). What is older than that says
// nothing about the restored release, so the latest sample may not be older either.
//
// A sequential check becomes a relative one, as its test needs longer than that: beyond the frozen baseline by NotBy is
// Fail, unless chance alone gives as many bad requests with a probability of Alpha.
func Restored(c adg.Check) adg.Check { return RestoredTo(c, nil) }

// RestoredTo is Restored with a window that holds four scrapes, too, as far as the check's own does: the baseline, which
// may be nil, says how often its counters are scraped.
func RestoredTo(c adg.Check, before *adg.Baseline) adg.Check {
	c = Once(c)
	longest := time.Minute
	if c.Logs.Restored {
		longest = max(longest, adg.Moments*c.Moment())
	}
	if before != nil {
		longest = max(longest, scrapesPerBucket*calibrationOf(before).gap())
	}
	c.Window = min(window(c), longest)
	c.MaxAge = min(maxAge(c), longest)
	if c.Compare == adg.Sequential {
		c.Compare = adg.Relative
		c.Sequential.Alpha = orElse(c.Sequential.Alpha, usualAlpha)
		notBy := orElse(c.Sequential.NotBy, usualNotBy)
		c.Warn, c.Fail = adg.Condition{}, adg.Condition{Operator: adg.Above, Relative: true, Value: math.Round(100 * (notBy - 1)), Unit: adg.Percent}
	}
	return c
}

// Private

// relative compares the window's value with the baseline's.
func relative(o adg.Observation, now time.Time) adg.Judgement {
	r, base := read(o.Check, o.Candidate, now), against(o, now)
	if r.known() && base.known() {
		return byChance(o.Check, r, base, decide(o, r, &base))
	}
	j := base.unknown()
	if !r.known() {
		j = r.unknown()
		if base.known() {
			j.Text += ", while the baseline has " + size(o.Check, base.n)
		}
	}
	j.Value, j.N, j.Baseline, j.BaseN = r.number(), r.n, base.number(), base.n
	return j
}

// byChance takes a Fail back that so few bad requests may come to without a fault, where the check promises so: that of
// a sequential check after a rollback.
func byChance(c adg.Check, r, base reading, j adg.Judgement) adg.Judgement {
	if j.Verdict != adg.Fail || c.Sequential.Alpha == 0 || !c.Counts() {
		return j
	}
	if p := chance(r.bad, r.n*(base.bad+1)/base.n); p >= c.Sequential.Alpha {
		j.Verdict, j.Why = adg.Pass, adg.WithinLimits
		j.Text += fmt.Sprintf("; so few say nothing yet: chance gives as many with a probability of %s %%", adg.Number(100*p, 2))
	}
	return j
}

// against is what the check's baseline says.
func against(o adg.Observation, now time.Time) reading {
	var base reading
	switch o.Check.Baseline {
	case adg.Concurrent:
		base = beside(o, now)
	case adg.Historical:
		base = past(o.Check, o.Before)
	default:
		return reading{why: adg.NoBaseline, text: "nothing to compare with: there is no baseline " + o.Check.Baseline.String()}
	}
	if base.known() && (!isFinite(base.value) || !isFinite(base.n)) {
		return reading{why: adg.NotANumber, text: "the baseline is " + adg.Number(base.value, 4) + ", which nothing can be compared with"}
	}
	return base
}

// beside is the reading of the stable version that serves at the same time.
func beside(o adg.Observation, now time.Time) reading {
	if o.Stable == nil {
		return reading{why: adg.NoBaseline, text: "nothing to compare with: no stable version serves beside the release"}
	}
	base := read(o.Check, *o.Stable, now)
	switch {
	case base.known():
	case base.why == adg.NoData:
		base.why, base.text = adg.NoBaseline, "nothing to compare with: of the stable version, "+base.text
	default:
		base.text = "of the baseline, " + base.text
	}
	return base
}

// past is the reading of the baseline that was frozen before the deployment.
func past(c adg.Check, b *adg.Baseline) reading {
	none := func(why string) reading {
		return reading{why: adg.NoBaseline, text: "nothing to compare with: " + why}
	}
	switch {
	case b == nil:
		return none("no baseline was frozen before the deployment")
	case b.Err != "":
		return none("before the deployment, " + plain(b.Err))
	case c.Counts() && b.Total > 0:
		return enough(c, reading{value: b.Bad / b.Total, n: b.Total, bad: b.Bad}, "of the baseline, ")
	case c.Histogram != "" && len(b.Values) > 0 && b.Total > 0:
		return enough(c, reading{value: spreadOf(b.Values).typical, n: b.Total}, "of the baseline, ")
	case c.Counts() || c.Histogram != "" || len(b.Values) == 0:
		return none("the baseline from before the deployment is empty")
	}
	return enough(c, reading{value: spreadOf(b.Values).typical, n: float64(len(b.Values))}, "of the baseline, ")
}
