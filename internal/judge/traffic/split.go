package traffic

import (
	"fmt"
	"math"

	"github.com/deployguardian/adg"
)

// Split finds a candidate that gets another share of the requests than it should, more or less (sample-ratio mismatch).
// When the share that it should get changes, the evidence of the time before is kept and the estimate starts anew; a
// share that changes with every bucket, as an observed one does, never gathers any. It is plain data of a few numbers,
// and not safe for concurrent use.
type Split struct {
	Tolerance float64 `json:"tolerance"`
	Share     float64 `json:"share"`     // that the candidate should get now, in percent
	Candidate float64 `json:"candidate"` // requests since the share is that
	Baseline  float64 `json:"baseline"`
	// Blocks are the requests that count as independent: over-dispersion makes them fewer.
	CandidateBlocks float64 `json:"candidate_blocks"`
	BaselineBlocks  float64 `json:"baseline_blocks"`
	Before          float64 `json:"before"` // evidence from before the share changed
	MaxLogE         float64 `json:"max_log_e"`
}

// NewSplit starts a test. Tolerance is how far off the odds of the share may be, as a factor less 1: at 0.2 a share of
// 10 % may be 8.5 to 11.8 %; at 0 the slightest difference is found in the end, so that balancers which split roughly
// need some. What is out of range is Invalid.
func NewSplit(tolerance float64) (Split, error) {
	if !(tolerance >= 0) || math.IsInf(tolerance, 1) {
		return Split{}, adg.Errorf(adg.Invalid, "a tolerance of %g: it is 0 or more", tolerance)
	}
	return Split{Tolerance: tolerance}, nil
}

// Add counts a bucket. One that is out of range is Invalid and changes nothing.
func (s *Split) Add(b Bucket) error {
	_, phi, some, err := b.check()
	if err != nil || !some {
		return err
	}
	if b.Share != s.Share {
		*s = Split{Tolerance: s.Tolerance, Share: b.Share, Before: s.LogE(), MaxLogE: s.MaxLogE}
	}
	s.Candidate += b.Candidate
	s.Baseline += b.Baseline
	s.CandidateBlocks += b.Candidate / phi
	s.BaselineBlocks += b.Baseline / phi
	s.MaxLogE = max(s.MaxLogE, s.LogE())
	return nil
}

// LogE is the evidence now, as a natural logarithm, that the share is another.
func (s *Split) LogE() float64 {
	if s.Share == 0 {
		return 0
	}
	odds := math.Log(s.Share) - math.Log(100-s.Share)
	room := math.Log1p(s.Tolerance)
	nearest := min(max(s.seen(), expit(odds-room)), expit(odds+room))
	return s.Before + s.mixed() - s.likelihood(nearest)
}

// Estimate is the share that the candidate gets, in percent, since it should get what it should now; over-dispersed
// buckets count for less. It is NaN without requests.
func (s *Split) Estimate() float64 { return 100 * s.seen() }

// Interval holds that share, in percent, at all times at once, but for a probability of alpha.
func (s *Split) Interval(alpha float64) (low, high float64) {
	limit := logLimit(alpha)
	if s.Candidate+s.Baseline == 0 || limit == math.MaxFloat64 {
		return 0, 100
	}
	// A flat prior, and not the one around the share that should be: it is not better there, and far better elsewhere.
	least := logBeta(1+s.CandidateBlocks, 1+s.BaselineBlocks) - limit
	end := func(out float64) float64 {
		in := s.seen()
		for range 60 {
			if middle := (in + out) / 2; s.likelihood(middle) < least {
				out = middle
			} else {
				in = middle
			}
		}
		return out
	}
	return 100 * end(0), 100 * end(1)
}

// Finding tells whether the share is, or was, another. If it is not, that is said at any time, ever, with probability
// alpha at most.
func (s *Split) Finding(alpha float64) Finding {
	limit := logLimit(alpha)
	found := s.MaxLogE >= limit
	return Finding{Found: found, LogE: s.MaxLogE, LogLimit: limit, Text: s.text(alpha, found)}
}

// Private

// strength of the prior of the mixture, in requests: it is spread about as far around the share as the shares that so
// many requests have.
const strength = 100

// mixed is the likelihood of the requests, as a logarithm, averaged over the shares of a beta prior.
func (s *Split) mixed() float64 {
	a, b := strength*s.Share/100, strength*(1-s.Share/100)
	return logBeta(a+s.CandidateBlocks, b+s.BaselineBlocks) - logBeta(a, b)
}

func (s *Split) seen() float64 { return s.CandidateBlocks / (s.CandidateBlocks + s.BaselineBlocks) }

func (s *Split) likelihood(share float64) float64 {
	return times(s.CandidateBlocks, math.Log(share)) + times(s.BaselineBlocks, math.Log1p(-share))
}

func (s *Split) text(alpha float64, found bool) string {
	all := s.Candidate + s.Baseline
	if all == 0 {
		return "there were no requests to tell the candidate's share by"
	}
	low, high := s.Interval(alpha)
	text := fmt.Sprintf("the candidate gets %s of the requests (%s to %s, of %s), where %s are configured",
		percent(s.Estimate()), percent(low), percent(high), requests(all), percent(s.Share))
	switch {
	case found && s.LogE() < logLimit(alpha):
		return text + "; for a time it was clearly another share"
	case found:
		return text + ": the traffic is not split as it should be"
	}
	return text + "; no difference is shown"
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	both, _ := math.Lgamma(a + b)
	return la + lb - both
}

func expit(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// times is a product in which nothing times an infinity is nothing.
func times(n, log float64) float64 {
	if n == 0 {
		return 0
	}
	return n * log
}
