package bounds

import (
	"math"

	"github.com/deployguardian/adg"
)

// Difference compares the means of two arms from pairs of values that were taken at the same time, such as the means
// of one bucket: how sure it is that the canary's is larger by more than a tolerance, and by how much the two differ.
// It is plain data of a few numbers, and not safe for concurrent use.
type Difference struct {
	Tolerance float64   `json:"tolerance"` // in units of the values
	LogE      float64   `json:"log_e"`     // evidence that the canary's mean is larger by more than the tolerance, now
	MaxLogE   float64   `json:"max_log_e"` // and at its highest: decisive from ln(1/alpha) on
	Gap       Bernstein `json:"gap"`       // of the canary's value less the baseline's
	Low       float64   `json:"low"`
	High      float64   `json:"high"`
}

// NewDifference starts with no pairs. Both values of a pair are clipped to low to high. A range that is none, or a
// tolerance that is not between 0 and its width, is Invalid.
func NewDifference(low, high, tolerance float64) (Difference, error) {
	gap, err := NewBernstein(low-high, high-low)
	if err != nil {
		return Difference{}, err
	}
	if !(tolerance >= 0 && tolerance < high-low) {
		return Difference{}, adg.Errorf(adg.Invalid, "a tolerance of %g: it has to be between 0 and %g, by which two values can differ", tolerance, high-low)
	}
	return Difference{Tolerance: tolerance, Gap: gap, Low: low, High: high}, nil
}

// Add counts a pair; NaN is Invalid and changes nothing.
func (d *Difference) Add(baseline, canary float64) error {
	if math.IsNaN(baseline) || math.IsNaN(canary) {
		return adg.Errorf(adg.Invalid, "NaN is no value that a mean can be made of")
	}
	b, c := min(max(baseline, d.Low), d.High), min(max(canary, d.Low), d.High)
	if b != baseline || c != canary {
		d.Gap.Scale.Clipped++
	}
	past := d.Gap.Past
	if err := d.Gap.Add(c - b); err != nil {
		return err
	}
	x, null := d.half(c-b), d.half(d.Tolerance)
	lead := past.mean() - null
	bet := min(max(lead/(past.variance()+lead*lead), 0), mostCapital/null)
	d.LogE += math.Log1p(bet * (x - null))
	d.MaxLogE = max(d.MaxLogE, d.LogE)
	return nil
}

// Larger tells whether the canary's mean is larger by more than the tolerance; once true it stays so. If it is not,
// the answer is true at any time, ever, with probability alpha at most.
func (d *Difference) Larger(alpha float64) bool { return d.MaxLogE >= logLimit(alpha) }

// Interval holds the canary's mean less the baseline's at all times at once, but for a probability of alpha.
func (d *Difference) Interval(alpha float64) Interval { return d.Gap.Interval(alpha) }

// Private

// half maps a difference to 0 to 1, with no difference in the middle.
func (d *Difference) half(gap float64) float64 {
	width := d.High - d.Low
	return (gap + width) / (2 * width)
}
