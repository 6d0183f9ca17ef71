package judge

import (
	"math"
	"slices"

	"github.com/deployguardian/adg"
)

// tolerated is how much worse than before a fault may be that the deployment is not blamed for.
const tolerated = 0.10

// preexisting tells whether the limit was broken before the deployment already and the value is not worse than then,
// and gives the level that it was at.
func preexisting(o adg.Observation, limit adg.Condition, value, baseline float64) (level float64, yes bool) {
	c, b := o.Check, o.Before
	concurrent := c.Compare == adg.Relative && c.Baseline == adg.Concurrent
	if b == nil || b.Err != "" || c.BlamePreexisting || concurrent {
		return 0, false
	}
	was := spreadOf(b.Values)
	if c.Counts() && c.Compare != adg.Events && b.Total > 0 {
		was = was.with(b.Bad / b.Total)
	}
	lower, upper := limit.Limits(baseline)
	broken := adg.Condition{Operator: limit.Operator, Value: lower, Upper: upper}
	switch {
	case limit.Operator != adg.Outside:
	case value > upper:
		broken = adg.Condition{Operator: adg.Above, Value: upper}
	default:
		broken = adg.Condition{Operator: adg.Below, Value: lower}
	}
	switch broken.Operator {
	case adg.Above, adg.AtLeast:
		level = was.high
		yes = value <= level+tolerated*math.Abs(level)
	case adg.Below, adg.AtMost:
		level = was.low
		yes = value >= level-tolerated*math.Abs(level)
	case adg.Equal, adg.NotEqual, adg.Inside:
		level = was.typical
		yes = math.Abs(value-level) <= tolerated*math.Abs(level)
	case adg.Outside, adg.OperatorNone:
	}
	return level, yes && broken.Holds(level, 0)
}

// spread is what was normal: the 5th and the 95th percentile, and the median. Without values all are NaN.
type spread struct{ low, typical, high float64 }

func spreadOf(values []float64) spread {
	var buffer [maxValues]float64
	sorted := append(buffer[:0], values...)
	sorted = slices.DeleteFunc(sorted, math.IsNaN)
	if len(sorted) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(sorted)
	return spread{quantile(sorted, 0.05), quantile(sorted, 0.5), quantile(sorted, 0.95)}
}

// with widens the spread to the value over all of the windows.
func (s spread) with(overall float64) spread {
	if math.IsNaN(s.typical) {
		return spread{overall, overall, overall}
	}
	return spread{min(s.low, overall), s.typical, max(s.high, overall)}
}
