package judge

import (
	"time"

	"github.com/deployguardian/adg"
)

// Alone is the check as it is asked when no stable version serves beside the release: relative checks compare with the
// frozen baseline (Historical).
func Alone(c adg.Check) adg.Check {
	if c.Compare == adg.Relative {
		c.Baseline = adg.Historical
	}
	return c
}

// Restored is Alone with the window of a rollback's verification: min(window, 1 m). What is older than that says
// nothing about the restored release, so the latest sample may not be older either.
func Restored(c adg.Check) adg.Check {
	c = Alone(c)
	c.Window = min(window(c), time.Minute)
	c.MaxAge = min(maxAge(c), time.Minute)
	return c
}

// Private

// relative compares the window's value with the baseline's.
func relative(o adg.Observation, now time.Time) adg.Judgement {
	r, base := read(o.Check, o.Candidate, now), against(o, now)
	if r.known() && base.known() {
		return decide(o, r, &base)
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
		return reading{why: adg.NotANumber, text: "the baseline is " + number(base.value, 4) + ", which nothing can be compared with"}
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
	case c.Counts() || len(b.Values) == 0:
		return none("the baseline from before the deployment is empty")
	}
	return enough(c, reading{value: spreadOf(b.Values).typical, n: float64(len(b.Values))}, "of the baseline, ")
}
