package sequential

import "math"

// The grids. Each is a mixture: the test need not know how bad a bad release is.
var (
	// worseBy are the ratios, over the tolerated one, that the canary is tested for.
	worseBy = [...]float64{1.25, 1.5, 2, 3, 5, 10, 30}
	// betterBy are the ratios, over RMax, that the canary is tested for by the mirrored test.
	betterBy = [...]float64{1 / 1.25, 1 / 1.5, 1 / 2.0, 1 / 3.0, 1 / 10.0}

	lnWorseBy, lnBetterBy = logs(worseBy[:]), logs(betterBy[:])
)

// lnMost is more than the logarithm of the number of points of either grid.
const lnMost = 3

const (
	// lateShare is the part of alpha for faults that begin late; the rest is for those that are there from the start.
	lateShare = 0.1
	// restartEvery is how many seconds lie between the times at which a late fault may be taken to begin.
	restartEvery = 60
)

// State is what a test remembers from one bucket to the next: bounded, whatever the length of the bake. The zero value
// is a test that has not begun; [Design.Start] gives one that knows the baseline. It is a value of plain numbers: what
// JSON makes of it goes on as if nothing had happened. A State must not be used by two goroutines at once.
type State struct {
	Buckets  int `json:"buckets"` // so far, those without a canary included
	Refused  int `json:"refused,omitempty"`
	Worse    int `json:"worse,omitempty"`     // the bucket that showed it, 1 for the first; zero: none has
	NotWorse int `json:"not_worse,omitempty"` // the same for the mirrored test

	Canary  Counts `json:"canary"` // of the buckets that counted
	Control Counts `json:"control"`

	Since    float64                `json:"since"`    // seconds of buckets that counted
	Restarts int                    `json:"restarts"` // times at which a late fault was taken to begin
	Ladder   ladder                 `json:"ladder"`   // logarithm of the evidence for each ratio
	Mirror   [len(betterBy)]float64 `json:"mirror"`   // the same of the mirrored test
	Likely   [steps]float64         `json:"likely"`   // log-likelihood of each ratio of the interval's grid
	Reach    [2]float64             `json:"reach"`    // mean and variance that the evidence would have if the canary were worse by Detect
	Ranks    Ranking                `json:"ranks"`    // the canary among the replicas
	Spread   Calibration            `json:"spread"`   // how much the baseline's replicas differ
}

// Next takes in one bucket. What is no count (negative, not finite, more bad than all) is refused and counted, and
// changes nothing else. It allocates nothing once the replicas are known.
func (d Design) Next(s *State, b *Bucket) {
	d = d.withDefaults()
	s.begin(d)
	s.Buckets++
	if !sane(b) {
		s.Refused++
		return
	}
	seconds := b.Seconds
	if !(seconds > 0) {
		seconds = d.Seconds
	}
	if b.Canary.All > 0 && b.Control.All > 0 {
		s.weigh(d, b, seconds)
	}
	s.Ranks.add(d, s, b, seconds)
	s.Spread.add(b.Groups, seconds)
}

// Private

func (d Design) withDefaults() Design {
	set := func(v *float64, usual float64) {
		if !(*v > 0) || math.IsInf(*v, 1) {
			*v = usual
		}
	}
	set(&d.Alpha, 0.01)
	set(&d.Ratio, 1)
	set(&d.RMax, 1.5*d.Ratio)
	set(&d.Beta, 0.05)
	set(&d.Detect, 3*d.Ratio)
	set(&d.Power, 0.9)
	set(&d.Seconds, 1)
	d.Canaries = max(d.Canaries, 1)
	return d
}

// begin lays the weights: most on a fault that is there from the start, spread evenly over the ratios.
func (s *State) begin(Design) {
	if s.Restarts > 0 {
		return
	}
	s.Restarts = 1
	s.Ladder.begin()
	for i := range s.Mirror {
		s.Mirror[i] = -math.Log(float64(len(s.Mirror)))
	}
}

// weigh takes in what the canary did beside the baseline. What it is weighed with, the over-dispersion and the
// tolerated ratio, was fixed by the buckets before.
func (s *State) weigh(d Design, b *Bucket, seconds float64) {
	if s.Since >= float64(s.Restarts)*restartEvery {
		s.Restarts = s.Ladder.restart(s.Restarts, 1+int(s.Since/restartEvery))
	}
	s.Since = min(s.Since+seconds, longest)
	phi, lasting := s.Spread.caution(d, b.Canary.All/(b.Canary.All+b.Control.All))
	k, m := b.Canary.Bad, b.Control.Bad
	odds := b.Canary.All / b.Control.All
	s.expect(d, b, phi, lasting)
	s.Canary.Bad, s.Canary.All = s.Canary.Bad+k, s.Canary.All+b.Canary.All
	s.Control.Bad, s.Control.All = s.Control.Bad+m, s.Control.All+b.Control.All
	if k+m == 0 {
		return
	}
	// With x = odds·ratio, a bad request is the canary's with probability x/(1+x), so that the log-likelihood of a ratio
	// is k·ln(x/(1+x)) + m·ln(1/(1+x)); what is the same for all ratios is left out.
	k, all := k/phi, (k+m)/phi
	s.Ladder.climb(k, all, odds*(d.Ratio*lasting))
	excluded := d.RMax / lasting
	at := all * math.Log(1+odds*excluded)
	for i, by := range betterBy {
		s.Mirror[i] += k*lnBetterBy[i] - all*math.Log(1+odds*excluded*by) + at
	}
	for i := range s.Likely {
		s.Likely[i] += k*lnRatios[i] - all*math.Log(1+odds*ratios[i])
	}
	if s.Worse == 0 && reaches(s.Ladder[:], d.Alpha) {
		s.Worse = s.Buckets
	}
	if s.NotWorse == 0 && reaches(s.Mirror[:], d.Beta) {
		s.NotWorse = s.Buckets
	}
}

func (s *State) logE() float64         { return sumLogs(s.Ladder[:]) }
func (s *State) logENotWorse() float64 { return sumLogs(s.Mirror[:]) }

// reaches tells whether a sum is 1/alpha or more. Where the largest is too small for that, the sum need not be made.
func reaches(ln []float64, alpha float64) bool {
	limit := -math.Log(alpha)
	top := ln[0]
	for _, v := range ln[1:] {
		top = max(top, v)
	}
	return top+lnMost >= limit && sumLogs(ln) >= limit
}

func sane(b *Bucket) bool {
	if !counts(b.Canary) || !counts(b.Control) {
		return false
	}
	for _, g := range b.Groups {
		if !counts(g) {
			return false
		}
	}
	return true
}

func counts(c Counts) bool {
	return c.Bad >= 0 && c.Bad <= c.All && (c.All == 0 || c.All >= tiny && c.All <= believable)
}

const (
	// believable keeps sums exact, and tiny what is divided by them finite: rates make fractions of a request, too.
	believable, tiny = 1e12, 1e-6
	// longest, in seconds, bounds the time for the same reason.
	longest = 1e12
)

func addLogs(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

func sumLogs(all []float64) float64 {
	top := math.Inf(-1)
	for _, v := range all {
		top = max(top, v)
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, v := range all {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func logs(all []float64) []float64 {
	made := make([]float64, len(all))
	for i, v := range all {
		made[i] = math.Log(v)
	}
	return made
}
