package ranks

import "math"

// Private

const (
	// small is the number of samples on a side below which the exact distribution is used where there are no ties.
	small = 8
	// mostPairs bounds the exact distribution: with more pairs than that the normal one differs from it by nothing that
	// could be seen.
	mostPairs = 100_000
)

// pair is the sorted samples of both sides, x the candidate's and y the baseline's; none is empty.
type pair struct{ x, y []float64 }

func (p pair) pairs() float64 { return float64(len(p.x)) * float64(len(p.y)) }

// reaches tells whether two sides of these sizes that do not overlap at all are rarer than alpha, both tails together.
func (p pair) reaches(alpha float64) bool {
	few, many := min(len(p.x), len(p.y)), max(len(p.x), len(p.y))
	chance := 1.0
	for i := 1; i <= few && chance > alpha/4; i++ {
		chance *= float64(i) / float64(many+i)
	}
	return chance <= alpha/2*(1+1e-12)
}

// shift is the interval of x's shift against y with the confidence 1-alpha, and its estimate.
func (p pair) shift(alpha float64) (how Method, lower, upper, estimate float64) {
	if min(len(p.x), len(p.y)) < small && p.pairs() <= mostPairs && !p.tied() {
		lower, upper = p.between(rankExact(len(p.x), len(p.y), alpha))
		return Exact, lower, upper, p.median()
	}
	lower, upper = p.between(p.rankNormal(alpha))
	return Normal, lower, upper, p.root()
}

// between is the k-th smallest and the k-th largest difference.
func (p pair) between(k int) (lower, upper float64) {
	all := len(p.x) * len(p.y)
	k = max(1, min(k, (all+1)/2))
	return p.difference(k), p.difference(all + 1 - k)
}

// rankExact is the rank of the difference that the interval begins with: the smallest u with P(U <= u) >= alpha/2,
// for the Mann-Whitney statistic U of samples without ties.
//
// The number of ways to come to U = u is the coefficient of q^u in the Gaussian binomial: the product over i of
// (1-q^(m+i))/(1-q^i). Only the lower half is needed: alpha/2 is below one half.
func rankExact(n, m int, alpha float64) int {
	few, many := min(n, m), max(n, m)
	ways := make([]float64, n*m/2+1)
	ways[0] = 1
	total := 1.0
	for i := 1; i <= few; i++ {
		for u := len(ways) - 1; u >= many+i; u-- {
			ways[u] -= ways[u-many-i]
		}
		for u := i; u < len(ways); u++ {
			ways[u] += ways[u-i]
		}
		total *= float64(many+i) / float64(i)
	}
	below := 0.0
	for u, w := range ways {
		below += w
		if below >= total*alpha/2*(1-1e-12) { // what is equal to the limit but for rounding has reached it
			return u
		}
	}
	return len(ways)
}

// rankNormal is the same by the normal approximation, with corrections for continuity and for the ties within each side.
func (p pair) rankNormal(alpha float64) int {
	spread := p.deviation(ties(p.x) + ties(p.y))
	beyond := p.pairs()/2 + math.Sqrt2*math.Erfinv(1-alpha)*spread + 0.5
	return int(math.Ceil(p.pairs()+1-beyond)) - 1
}

// deviation is the standard deviation of the Mann-Whitney statistic; tied is the sum of t³-t over groups of t ties.
func (p pair) deviation(tied float64) float64 {
	all := float64(len(p.x) + len(p.y))
	return math.Sqrt(max(0, p.pairs()/12*(all+1-tied/(all*(all-1)))))
}

func ties(sorted []float64) float64 {
	sum := 0.0
	for i := 0; i < len(sorted); {
		from := i
		for i < len(sorted) && sorted[i] == sorted[from] {
			i++
		}
		t := float64(i - from)
		sum += t*t*t - t
	}
	return sum
}

// tied tells whether two samples are equal, of the same side or of both.
func (p pair) tied() bool { return p.merge(0, nil) > 0 }

// excess is by how much more often x, less mu, is larger than y than half of the pairs; a tie is half.
func (p pair) excess(mu float64) float64 {
	var excess float64
	p.merge(mu, &excess)
	return excess
}

// merge goes through x, less mu, and y in their common order; it gives the sum of t³-t over groups of t ties and, where
// that is asked for, the excess.
func (p pair) merge(mu float64, excess *float64) (tied float64) {
	larger := 0.0
	for i, j := 0, 0; i < len(p.x) || j < len(p.y); {
		value := math.Inf(1)
		if i < len(p.x) {
			value = p.x[i] - mu
		}
		if j < len(p.y) {
			value = min(value, p.y[j])
		}
		fromX, fromY := i, j
		for i < len(p.x) && p.x[i]-mu <= value {
			i++
		}
		for j < len(p.y) && p.y[j] <= value {
			j++
		}
		larger += float64(i-fromX) * (float64(fromY) + float64(j-fromY)/2)
		t := float64(i - fromX + j - fromY)
		tied += t*t*t - t
	}
	if excess != nil {
		*excess = larger - p.pairs()/2
	}
	return tied
}

// difference is the k-th smallest of the pairwise differences, 1 the first: the smallest number that k of them do not
// exceed, found by halving the bits of a float, of which there are 64 whatever the numbers are.
func (p pair) difference(k int) float64 {
	lower, upper := ordinal(p.x[0]-p.y[len(p.y)-1]), ordinal(p.x[len(p.x)-1]-p.y[0])
	for lower < upper {
		middle := lower + int64(uint64(upper-lower)/2)
		if p.upTo(fromOrdinal(middle), k) {
			upper = middle
		} else {
			lower = middle + 1
		}
	}
	return fromOrdinal(lower) + 0 // never -0
}

// upTo tells whether at least k differences are mu or less.
func (p pair) upTo(mu float64, k int) bool {
	count, j := 0, 0
	for _, x := range p.x {
		for j < len(p.y) && x-p.y[j] > mu {
			j++
		}
		count += len(p.y) - j
	}
	return count >= k
}

// median is the median of the pairwise differences (Hodges and Lehmann).
func (p pair) median() float64 {
	all := len(p.x) * len(p.y)
	lower, upper := p.difference((all+1)/2), p.difference(all/2+1)
	return lower + (upper-lower)/2
}

// ordinal numbers the floats in their order; zero and -zero are one apart.
func ordinal(v float64) int64 {
	bits := int64(math.Float64bits(v))
	if bits < 0 {
		return math.MinInt64 - bits - 1
	}
	return bits
}

func fromOrdinal(o int64) float64 {
	if o < 0 {
		o = math.MinInt64 - o - 1
	}
	return math.Float64frombits(uint64(o))
}
