package judge

import (
	"time"

	"github.com/deployguardian/adg"
)

// readEvents is by how much the events' counter rose: the query's, or bad, whose missing beside a total means none.
func readEvents(c adg.Check, m adg.Measurement, now time.Time) reading {
	from := start(c, m, now)
	list, what := m.Values, "the counter"
	if c.Counts() {
		list, what = m.Bad, "bad"
	}
	gap := usualGap(from, list, m.Total)
	events := count(list, from, gap)
	if events.told() {
		return reading{value: events.increase, n: float64(events.samples)}
	}
	if total := count(m.Total, from, gap); c.Counts() && !events.onlyNaN() && total.told() {
		return reading{n: float64(total.samples)}
	}
	return events.untold(what, lately(c))
}
