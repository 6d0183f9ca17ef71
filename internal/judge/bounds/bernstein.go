package bounds

import "math"

// Bernstein bounds the mean of values in a known range from four sums: the empirical Bernstein bound. Its interval
// narrows with the spread that the values really have. It is plain data and not safe for concurrent use.
type Bernstein struct {
	Scale    Scale   `json:"scale"`
	Past     Past    `json:"past"`
	Weights  float64 `json:"weights"`  // sum of the bets
	Weighted float64 `json:"weighted"` // sum of the values, each times its bet
	Penalty  float64 `json:"penalty"`  // what the spread of the values costs
}

// NewBernstein starts with no values; the range is as for [NewMean].
func NewBernstein(low, high float64) (Bernstein, error) {
	s, err := newScale(low, high)
	return Bernstein{Scale: s}, err
}

// Add counts a value; NaN is Invalid and changes nothing.
func (b *Bernstein) Add(value float64) error {
	x, err := b.Scale.add(value)
	if err != nil {
		return err
	}
	bet := min(b.Past.bet(), mostCapital)
	off := x - b.Past.mean()
	b.Weights += bet
	b.Weighted += bet * x
	b.Penalty += off * off * (-math.Log1p(-bet) - bet)
	b.Past.add(x)
	return nil
}

// N is how many values there were.
func (b *Bernstein) N() float64 { return b.Past.N }

// Estimate is the mean of the values (clipped), NaN where there is none.
func (b *Bernstein) Estimate() float64 { return b.Scale.value(b.Past.average()) }

// Interval holds the mean at all times at once, but for a probability of alpha. Its middle is a weighted mean, so
// that it need not be that of [Bernstein.Estimate].
func (b *Bernstein) Interval(alpha float64) Interval {
	margin := logLimit(alpha/2) + b.Penalty
	if b.Past.N == 0 || math.IsInf(margin, 1) {
		return Interval{b.Scale.Low, b.Scale.High}
	}
	low, high := (b.Weighted-margin)/b.Weights, (b.Weighted+margin)/b.Weights
	return Interval{b.Scale.value(max(low, 0)), b.Scale.value(min(high, 1))}
}
