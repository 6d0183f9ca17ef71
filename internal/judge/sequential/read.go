package sequential

import "math"

// steps is the size of the grid of the ratio's interval: from 1/16 to 256, evenly in logarithms.
const steps = 19

var ratios, lnRatios = func() (r, ln [steps]float64) {
	for i := range ln {
		ln[i] = math.Log(1.0/16) + float64(i)*lnStep
		r[i] = math.Exp(ln[i])
	}
	return r, ln
}()

var lnStep = math.Log(256*16) / (steps - 1)

// Result is what a test has come to.
type Result struct {
	Outcome  Outcome
	LogE     float64 // natural logarithm of the evidence that the canary is worse
	LogLimit float64 // from which on it is; the same for the test of "not worse" below

	LogENotWorse     float64
	LogLimitNotWorse float64
	WorseAt          int // the bucket that showed it, from 0; -1: none has
	NotWorseAt       int

	Canary, Control Counts  // of the buckets that counted
	Estimate        float64 // ratio of the rates; NaN while nothing can be said
	Low, High       float64 // its interval, which holds at every moment together with probability 1-Alpha; 0 and +Inf: open

	Phi       float64 // over-dispersion between the baseline's replicas; 1: none
	Tolerated float64 // the ratio that is tolerated now: the design's, and what the replicas differ by for good
	Replicas  int     // of the baseline, as far as they can be told apart
	RankLogE  float64 // logarithm of what the canary's rank among the replicas says against it; NaN: it says nothing
	Robust    bool    // there are enough of them; else the promise holds for independent requests only
	Able      bool    // a canary worse by Detect would have been found by now, with probability Power
	Refused   int     // buckets that were no counts
}

// Read is what the test has come to.
func (d Design) Read(s *State) Result {
	d = d.withDefaults()
	t := *s
	t.begin(d)
	r := Result{
		LogE: t.logE(), LogENotWorse: t.logENotWorse(), LogLimit: -math.Log(d.Alpha), LogLimitNotWorse: -math.Log(d.Beta),
		WorseAt: t.Worse - 1, NotWorseAt: t.NotWorse - 1, Replicas: len(t.Spread.Total),
		RankLogE: t.Ranks.logE(), Canary: t.Canary, Control: t.Control, Robust: len(t.Spread.Total) >= fewest, Refused: t.Refused,
	}
	switch {
	case t.Worse > 0:
		r.Outcome = Worse
	case t.NotWorse > 0:
		r.Outcome = NotWorse
	}
	phi, lasting := t.Spread.caution(d, t.Canary.All/max(1, t.Canary.All+t.Control.All))
	r.Phi, r.Tolerated = phi, d.Ratio*lasting
	r.Estimate, r.Low, r.High = d.interval(&t)
	r.Low, r.High = r.Low/lasting, r.High*lasting
	r.Able = d.able(&t)
	return r
}

// LogE is the LogE of [Design.Read] without the rest of it, for whoever asks after every bucket. It allocates nothing.
func (d Design) LogE(s *State) float64 {
	if s.Restarts == 0 { // not begun
		var t State
		t.begin(d)
		return t.logE()
	}
	return s.logE()
}

// Start is a test that knows the baseline's replicas from before the canary's first request.
func (d Design) Start(c *Calibration) State {
	var s State
	if c != nil {
		s.Spread = *c
		s.Spread.Total = append([]Counts(nil), c.Total...)
		for i := range s.Spread.Blocks {
			s.Spread.Blocks[i].Open = nil
			s.Spread.Blocks[i].Seconds = 0
		}
	}
	return s
}

// Private

// interval holds the ratios that a mixture of all ratios does not refute: the likelihood ratio of the mixture to a
// ratio is a martingale if that ratio is the true one.
func (d Design) interval(s *State) (estimate, low, high float64) {
	low, high = 0, math.Inf(1)
	if s.Canary.Bad+s.Control.Bad == 0 {
		return math.NaN(), low, high
	}
	estimate = (s.Canary.Bad / s.Canary.All) / (s.Control.Bad / s.Control.All)
	best := 0
	for i, v := range s.Likely {
		if v > s.Likely[best] {
			best = i
		}
	}
	floor := sumLogs(s.Likely[:]) - math.Log(steps) + math.Log(d.Alpha)
	for i := best; i > 0; i-- {
		if s.Likely[i-1] < floor {
			low = math.Exp(lnRatios[i] - lnStep*s.leaves(i, -1, floor))
			break
		}
	}
	for i := best; i < steps-1; i++ {
		if s.Likely[i+1] < floor {
			high = math.Exp(lnRatios[i] + lnStep*s.leaves(i, +1, floor))
			break
		}
	}
	return estimate, low, high
}

// leaves is where, as a part of the way from point i of the grid to the next, the log-likelihood falls below the floor,
// or a little after: it is concave, and so below the lines through the two points before and through the two after.
func (s *State) leaves(i, way int, floor float64) float64 {
	here, next := s.Likely[i], s.Likely[i+way]
	part := 1.0
	if before := i - way; before >= 0 && before < steps {
		if slope := here - s.Likely[before]; slope < 0 {
			part = min(part, (floor-here)/slope)
		}
	}
	if after := i + 2*way; after >= 0 && after < steps {
		if slope := s.Likely[after] - next; slope < 0 {
			part = min(part, 1+(floor-next)/slope)
		}
	}
	return max(part, 0)
}
