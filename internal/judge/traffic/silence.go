package traffic

import (
	"fmt"
	"math"

	"github.com/deployguardian/adg"
)

// Silence finds a candidate that gets next to nothing of the requests while the baseline gets its own, from the start or
// at any time later. It says nothing while there are no requests at all. It is plain data of a few numbers, and not safe
// for concurrent use.
type Silence struct {
	Alpha   float64 `json:"alpha"`
	Horizon float64 `json:"horizon"` // in buckets
	Least   float64 `json:"least"`

	FromStart [bets]float64 `json:"from_start"` // evidence of each bet on the whole time, as logarithms
	Late      [bets]float64 `json:"late"`       // of each bet on a beginning at any time: ln(1 + sum)
	MaxLogE   float64       `json:"max_log_e"`

	Candidate float64 `json:"candidate"` // requests since the start
	Baseline  float64 `json:"baseline"`
	Expected  float64 `json:"expected"` // requests that were due to the candidate
	Quiet     Quiet   `json:"quiet"`
	Gone      bool    `json:"gone,omitempty"` // it had requests before it fell silent
}

// Quiet is the time since the candidate's last request.
type Quiet struct {
	Baseline  float64 `json:"baseline"`   // requests of the baseline in it
	Expected  float64 `json:"expected"`   // requests that were due to the candidate
	LogChance float64 `json:"log_chance"` // logarithm of the probability that a healthy one gets none of them
}

// NewSilence starts a test that gives a false alarm with probability alpha at most within a horizon of so many buckets
// (and in proportion more after it, but for what it finds from the start). Least is the part of its share that
// a healthy candidate gets at least: 1 is all of it, 0.5 leaves room for slow starts and connections that stay where
// they were. What is out of range is Invalid.
func NewSilence(alpha, horizon, least float64) (Silence, error) {
	if !(alpha > 0 && alpha < 1) || !(horizon >= 1) || math.IsInf(horizon, 1) || !(least > 0 && least <= 1) {
		return Silence{}, adg.Errorf(adg.Invalid,
			"alpha %g, a horizon of %g buckets, at least %g of the share: alpha is between 0 and 1, the horizon 1 or more, the part above 0 and up to 1",
			alpha, horizon, least)
	}
	return Silence{Alpha: alpha, Horizon: horizon, Least: least, MaxLogE: -math.Ln2}, nil
}

// Add counts a bucket. One that is out of range is Invalid and changes nothing.
func (s *Silence) Add(b Bucket) error {
	share, phi, some, err := b.check()
	if err != nil || !some {
		return err
	}
	share *= s.Least
	s.count(b, share, phi)
	start, late := 0.0, 0.0
	for i, part := range fractions {
		won := (b.Candidate*math.Log(part) + b.Baseline*wins(part, share)) / phi
		s.FromStart[i] += won
		s.Late[i] = logOnePlusExp(s.Late[i] + won)
		start += math.Exp(min(s.FromStart[i], most)) / bets
		late += math.Expm1(min(s.Late[i], most)) / bets
	}
	// Each of the two spends half of alpha.
	s.MaxLogE = max(s.MaxLogE, math.Log(start/2), math.Log(late/(2*s.Horizon)))
	return nil
}

// Finding tells whether the candidate is, or was, silent.
func (s *Silence) Finding() Finding {
	limit := logLimit(s.Alpha)
	return Finding{Found: s.MaxLogE >= limit, LogE: s.MaxLogE, LogLimit: limit, Text: s.text(s.MaxLogE >= limit)}
}

// ChanceOfNone is the probability that a healthy candidate with that share, in percent, gets none of the requests in a
// window in which the baseline got so many; it is for one window that was chosen beforehand.
func ChanceOfNone(share, baseline, overdispersion float64) float64 {
	return math.Exp(baseline * math.Log1p(-share/100) / max(overdispersion, 1))
}

// NeededToTell is how many requests the baseline has to get before a candidate that is silent from the start is found by
// a test with that alpha, share in percent, and part of the share (as for [NewSilence]).
func NeededToTell(alpha, share, least, overdispersion float64) float64 {
	return math.Ceil((logLimit(alpha) + math.Log(2*bets)) * max(overdispersion, 1) / wins(fractions[0], share/100*least))
}

// Private

const (
	bets = 3
	most = 600 // a logarithm beyond which nothing changes any more, and that no exponential overflows at
)

// fractions of its share that a silent candidate may get: nearly nothing, a twentieth, a quarter. Nothing at all is
// left to the first, so that one stray request does not end the bet for good.
var fractions = [bets]float64{0.001, 0.05, 0.25}

func (s *Silence) count(b Bucket, share, phi float64) {
	due := (b.Candidate + b.Baseline) * share / s.Least
	s.Candidate += b.Candidate
	s.Baseline += b.Baseline
	s.Expected += due
	if b.Candidate > 0 {
		s.Quiet = Quiet{}
		s.Gone = true
		return
	}
	s.Quiet.Baseline += b.Baseline
	s.Quiet.Expected += due
	s.Quiet.LogChance += b.Baseline * math.Log1p(-share) / phi
}

func (s *Silence) text(found bool) string {
	all := s.Candidate + s.Baseline
	if all == 0 {
		return "there were no requests at all, on either side"
	}
	due := percent(100 * s.Expected / all)
	got := fmt.Sprintf("the candidate got %s of %s, where %s (%s) were due", count(s.Candidate), requests(all), count(s.Expected), due)
	switch q := s.Quiet; {
	case found && q.Baseline > 0 && s.Gone:
		return fmt.Sprintf("the candidate gets no requests any more: none since the baseline got %s, of which %s were due to it; by chance that happens %s",
			requests(q.Baseline), count(q.Expected), chance(q.LogChance))
	case found && q.Baseline > 0:
		return fmt.Sprintf("the candidate is silent: it got none while the baseline got %s, and %s were due to it; by chance that happens %s",
			requests(q.Baseline), count(q.Expected), chance(q.LogChance))
	case found:
		return got + ", or was nearly silent for a time: far less than chance explains"
	case s.Candidate == 0:
		return got + "; that is too few yet to call it silent"
	}
	return got + "; it is not silent"
}

// chance writes a probability as people say it.
func chance(log float64) string {
	switch {
	case log < -9*math.Ln10:
		return "less than once in a billion times"
	case log > -math.Ln2:
		return "more often than not"
	}
	return "once in " + count(math.Exp(-log)) + " times"
}

// wins is what a bet on that part of the share wins, as a logarithm, by a request of the baseline.
func wins(part, share float64) float64 { return math.Log1p(-part*share) - math.Log1p(-share) }

func logOnePlusExp(x float64) float64 {
	if x > 0 {
		return min(x+math.Log1p(math.Exp(-x)), most)
	}
	return math.Log1p(math.Exp(x))
}
