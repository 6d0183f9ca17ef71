package bounds

import (
	"math"

	"github.com/deployguardian/adg"
)

// Mean bounds the mean of values in a known range by betting against every candidate for it. It is the tightest of
// the bounds here and costs two logarithms per candidate and value (about 10 µs); [Bernstein] costs next to nothing and is
// wider. It is plain data, bounded in size (10 kB of JSON), and not safe for concurrent use.
//
// The ends of its intervals are candidates, rounded outwards; there are 255, closer together towards the ends of the
// range, where means can be told apart more finely.
type Mean struct {
	Scale Scale               `json:"scale"`
	Past  Past                `json:"past"`
	Above [candidates]float64 `json:"above"` // logarithm of the capital won by betting that the mean is above a candidate
	Below [candidates]float64 `json:"below"` // and below it
}

// NewMean starts with no values. Values outside low to high are counted as the nearer end, so that the mean is that
// of the values so clipped; Scale.Clipped says how many there were. A range that is none is Invalid.
func NewMean(low, high float64) (Mean, error) {
	s, err := newScale(low, high)
	return Mean{Scale: s}, err
}

// Add counts a value; NaN is Invalid and changes nothing.
func (m *Mean) Add(value float64) error {
	x, err := m.Scale.add(value)
	if err != nil {
		return err
	}
	bet := m.Past.bet()
	for i, c := range grid {
		m.Above[i] += math.Log1p(min(bet, mostCapital/c) * (x - c))
		m.Below[i] += math.Log1p(min(bet, mostCapital/(1-c)) * (c - x))
	}
	m.Past.add(x)
	return nil
}

// N is how many values there were.
func (m *Mean) N() float64 { return m.Past.N }

// Estimate is the mean of the values (clipped), NaN where there is none.
func (m *Mean) Estimate() float64 { return m.Scale.value(m.Past.average()) }

// Interval holds the mean at all times at once, but for a probability of alpha.
func (m *Mean) Interval(alpha float64) Interval {
	return Interval{m.Lower(alpha / 2), m.Upper(alpha / 2)}
}

// Lower is the lower end alone: it spends all of alpha on one side.
func (m *Mean) Lower(alpha float64) float64 {
	limit, low := logLimit(alpha), 0.0
	for i, capital := range m.Above {
		if capital < limit {
			break
		}
		low = grid[i]
	}
	return m.Scale.value(low)
}

// Upper is the upper end alone: it spends all of alpha on one side.
func (m *Mean) Upper(alpha float64) float64 {
	limit, high := logLimit(alpha), 1.0
	for i := candidates - 1; i >= 0 && m.Below[i] >= limit; i-- {
		high = grid[i]
	}
	return m.Scale.value(high)
}

// Scale maps the values between Low and High to 0 to 1.
type Scale struct {
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Clipped float64 `json:"clipped,omitempty"` // values that were outside
}

// Past is what the next bet is made from, so that it never depends on the value that it is made on. Values are on
// the scale of 0 to 1.
type Past struct {
	N      float64 `json:"n"`
	Sum    float64 `json:"sum"`
	Spread float64 `json:"spread"` // sum of the squared distances from the mean foreseen at each value's own time
}

// Private

const (
	candidates  = 255
	mostCapital = 0.5  // part of the capital that one bet can lose at most
	tuning      = 0.01 // alpha that the bets are best for; they are right for every other
)

// grid is the candidates for the mean. The capital of a bet on "above" falls from one to the next, and that on
// "below" rises: so the rejected ones are at the ends, and what lies between two rejected ones is rejected, too.
var grid = func() (g [candidates]float64) {
	for i := range g {
		s := math.Sin(math.Pi / 2 * float64(i+1) / (candidates + 1))
		g[i] = s * s
	}
	return g
}()

func newScale(low, high float64) (Scale, error) {
	if !(high > low) || math.IsInf(high-low, 0) {
		return Scale{}, adg.Errorf(adg.Invalid, "values between %g and %g: the range of a mean has two finite ends, the lower one first", low, high)
	}
	return Scale{Low: low, High: high}, nil
}

func (s *Scale) add(value float64) (float64, error) {
	if math.IsNaN(value) {
		return 0, adg.Errorf(adg.Invalid, "NaN is no value that a mean can be made of")
	}
	if value < s.Low || value > s.High {
		s.Clipped++
	}
	return (min(max(value, s.Low), s.High) - s.Low) / (s.High - s.Low), nil
}

func (s Scale) value(x float64) float64 { return s.Low + x*(s.High-s.Low) }

// mean and variance start from one half and one quarter, as if there had been one such value.
func (p Past) mean() float64     { return (0.5 + p.Sum) / (p.N + 1) }
func (p Past) variance() float64 { return (0.25 + p.Spread) / (p.N + 1) }
func (p Past) average() float64  { return p.Sum / p.N }

// bet is how much to put on the next value: as much as would have been best for a normal approximation, spread over
// all the time to come.
func (p Past) bet() float64 {
	next := p.N + 1
	return math.Sqrt(2 * math.Log(2/tuning) / (p.variance() * next * math.Log1p(next)))
}

func (p *Past) add(x float64) {
	p.N++
	p.Sum += x
	d := x - p.mean()
	p.Spread += d * d
}
