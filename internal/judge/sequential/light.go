package sequential

import "math"

// Light is the test of State without all but its evidence: what many tests side by side are made of, such as one for each
// pattern of a log. It promises the same; that they are many is for the alpha of each to say. The zero value has not begun.
//
// A bucket without bad requests on either side changes nothing, so that a test may begin with the first that has one.
type Light struct {
	Restarts int    `json:"restarts,omitempty"`
	Ladder   ladder `json:"ladder"`
}

// Weigh takes in a bucket that ends so many seconds after the first of all tests began. Spread is what the baseline's
// replicas were seen to differ by until then. What is no count changes nothing.
func (d Design) Weigh(l *Light, spread *Calibration, b *Bucket, since float64) {
	d = d.withDefaults()
	if l.Restarts == 0 {
		l.Restarts = 1
		l.Ladder.begin()
	}
	if !sane(b) || b.Canary.All == 0 || b.Control.All == 0 || b.Canary.Bad+b.Control.Bad == 0 {
		return
	}
	if since = min(since, longest); since >= float64(l.Restarts)*restartEvery {
		l.Restarts = l.Ladder.restart(l.Restarts, 1+int(since/restartEvery))
	}
	phi, lasting := spread.caution(d, b.Canary.All/(b.Canary.All+b.Control.All))
	l.Ladder.climb(b.Canary.Bad/phi, (b.Canary.Bad+b.Control.Bad)/phi, b.Canary.All/b.Control.All*(d.Ratio*lasting))
}

// LogE is the evidence so far, as a natural logarithm; decisive is from -ln(alpha) on.
func (l *Light) LogE() float64 {
	if l.Restarts == 0 {
		return 0
	}
	return sumLogs(l.Ladder[:])
}

// Learn takes in what each replica of the baseline did in so many seconds, always in the same order.
func (c *Calibration) Learn(groups []Counts, seconds float64) {
	if sane(&Bucket{Groups: groups}) {
		c.add(groups, seconds)
	}
}

// Robust tells whether there are replicas enough to say how much they differ.
func (c *Calibration) Robust() bool { return len(c.Total) >= fewest }

// Private

// ladder is the logarithm of the evidence for each ratio.
type ladder [len(worseBy)]float64

func (l *ladder) begin() {
	for i := range l {
		l[i] = math.Log((1 - lateShare) / float64(len(l)))
	}
}

// restart lets a fault begin now. The j-th restart has the weight lateShare/(j(j+1)): all of them together lateShare,
// however long the bake is, so that no horizon is needed. Those that a long bucket skipped begin now, too: their
// weights up to the next add up to lateShare·(1/restarts - 1/next).
func (l *ladder) restart(restarts, next int) int {
	weight := math.Log(lateShare * (1/float64(restarts) - 1/float64(next)) / float64(len(l)))
	for i := range l {
		l[i] = addLogs(l[i], weight)
	}
	return next
}

// climb takes in k bad requests of the canary among all of both sides, odds being those that one is the canary's if it is
// as bad as is tolerated.
func (l *ladder) climb(k, all, odds float64) {
	at := all * math.Log(1+odds)
	for i, by := range worseBy {
		l[i] += k*lnWorseBy[i] - all*math.Log(1+odds*by) + at
	}
}
