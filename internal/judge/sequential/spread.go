package sequential

import "math"

// Calibration is how much the baseline's replicas differ from each other: from one stretch of time to the next
// (over-dispersion), and for good. It is bounded, and can be frozen before a deployment and given to [Design.Start].
type Calibration struct {
	Seconds float64             `json:"seconds,omitempty"` // that were seen
	Blocks  [len(lengths)]block `json:"blocks"`
	Total   []Counts            `json:"total,omitempty"`   // of each replica, at most maxGroups
	Phi     float64             `json:"phi,omitempty"`     // over-dispersion so far; 1: as independent requests have
	Between float64             `json:"between,omitempty"` // standard deviation of the logarithm of the replicas' rates, beyond chance
	Lasting float64             `json:"lasting,omitempty"` // how far, as a logarithm, a replica may be off for good
	Seen    float64             `json:"seen,omitempty"`    // bad requests of a replica that all this was worked out from
	Live    float64             `json:"live,omitempty"`    // replicas of the latest stretch
}

// block gathers what the replicas do in stretches of one length.
type block struct {
	Seconds float64  `json:"seconds,omitempty"` // of the stretch that is open
	Open    []Counts `json:"open,omitempty"`
	Chi2    float64  `json:"chi2,omitempty"` // Pearson's, summed over the stretches that are closed
	Freedom float64  `json:"freedom,omitempty"`
}

// lengths are the stretches, in seconds, over which noise may last.
var lengths = [...]float64{10, 60, 300}

const (
	maxGroups = 64
	// fewest replicas of the baseline from which anything can be said about their differences.
	fewest = 3
	// significant is how many standard deviations above 1 the measured dispersion has to be before it slows the test,
	// and heavier is added to one that is: noise has heavier tails than the tempered likelihood.
	significant, heavier = 2, 0.8
	// lasting is the same for what replicas differ by for good, where a miss costs more: it is not diluted by time.
	lasting = 1.2
	// wildest is how far, as a logarithm, a replica may be off before anything was seen of the replicas, and enough the
	// number of bad requests of each that takes most of it away. Both were found by simulation: the smallest caution
	// that keeps the promise under noise of a coefficient of variation of 1 from the first second on.
	wildest, enough = 1.6, 4
)

// Private

// add takes in what each replica did in one bucket. Past maxGroups replicas, the rest count as one.
func (c *Calibration) add(groups []Counts, seconds float64) {
	if len(groups) < fewest {
		return
	}
	c.Seconds += seconds
	c.Total = book(c.Total, groups)
	closed := false
	for i := range c.Blocks {
		b := &c.Blocks[i]
		b.Open = book(b.Open, groups)
		if b.Seconds += seconds; b.Seconds < lengths[i] {
			continue
		}
		chi2, freedom, _ := pearson(b.Open)
		b.Chi2 += chi2
		b.Freedom += freedom
		if i == 0 && freedom > 0 {
			c.Live = freedom + 1
		}
		b.Seconds, closed = 0, true
		clear(b.Open)
	}
	if closed {
		c.settle()
	}
}

// settle works out what the next buckets are weighed with.
func (c *Calibration) settle() {
	c.Phi = 1
	for _, b := range c.Blocks {
		if b.Freedom < 4 {
			continue
		}
		if phi, deviation := b.Chi2/b.Freedom, math.Sqrt(2/b.Freedom); phi > 1+significant*deviation {
			c.Phi = max(c.Phi, phi*(1+1/math.Sqrt(b.Freedom))+heavier*(1-1/phi))
		}
	}
	c.Between, c.Lasting = 0, 0
	chi2, freedom, mean := pearson(c.Total)
	if freedom < fewest-1 || mean == 0 {
		return
	}
	c.Seen = mean
	// Noise makes sums differ as well. Before a longest stretch is over, it is not told from a difference for good.
	chance := 1.0
	if c.Blocks[len(c.Blocks)-1].Freedom > 0 {
		chance = c.Phi
	}
	excess := chi2/freedom - chance
	if freedom < 7 {
		excess = chi2 / freedom // too few replicas to tell chance from difference: all of it may be difference
	} else if excess < lasting*math.Sqrt(2/freedom) {
		return
	}
	c.Between = math.Sqrt(math.Log1p(max(excess, 0) / mean))
	c.Lasting = student(freedom) * c.Between
}

// caution is what a bucket is weighed with: the over-dispersion that tempers the evidence, and the factor by which the
// canary may be off for good without being worse. As long as the replicas have shown little, they may differ as much
// as noise of a coefficient of variation of 1 makes them: that is what unseen stands for, and it fades with the bad
// requests that each of them was seen to have.
//
// A canary's replica that gets more requests than one of the baseline's is as noisy, but it is noisy with more requests
// at once: share is the canary's part of all of them.
func (c *Calibration) caution(d Design, share float64) (phi, factor float64) {
	groups := float64(len(c.Total))
	if groups < fewest {
		return 1, 1
	}
	q := c.Seen / enough
	q *= q
	unseen := wildest / (1 + q*q)
	live := c.Live
	if live == 0 {
		live = groups
	}
	size := max(1, share*(live/float64(d.Canaries)+1))
	return 1 + size*max(c.Phi-1, 0), math.Exp(min(max(c.Lasting, unseen), 7) * math.Sqrt(1/float64(d.Canaries)+1/groups))
}

func book(sums, groups []Counts) []Counts {
	for len(sums) < min(len(groups), maxGroups) {
		sums = append(sums, Counts{})
	}
	for i, g := range groups {
		i = min(i, maxGroups-1)
		sums[i].Bad += g.Bad
		sums[i].All += g.All
	}
	return sums
}

// pearson is the chi-square of the replicas against their common rate, its degrees of freedom, and the mean number
// of bad requests of a replica. Without bad requests, or with nothing else, there is nothing to tell.
func pearson(groups []Counts) (chi2, freedom, mean float64) {
	var sum Counts
	n := 0.0
	for _, g := range groups {
		if g.All > 0 {
			sum.Bad, sum.All, n = sum.Bad+g.Bad, sum.All+g.All, n+1
		}
	}
	if sum.Bad == 0 || sum.Bad == sum.All || n < 2 {
		return 0, 0, 0
	}
	p := sum.Bad / sum.All
	for _, g := range groups {
		if g.All > 0 {
			off := g.Bad - p*g.All
			chi2 += off * off / (p * (1 - p) * g.All)
		}
	}
	return chi2, n - 1, sum.Bad / n
}

// student is the 99.5 % quantile of Student's t: a table where it is far from the normal's, else its expansion.
func student(freedom float64) float64 {
	table := [...]float64{63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250}
	if i := int(freedom) - 1; i < len(table) {
		return table[max(i, 0)]
	}
	const z = 2.5758
	return z + (z*z*z+z)/(4*freedom)
}
