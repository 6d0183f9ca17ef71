package haproxy

import "math"

// HAProxy takes weights from 0 to 256. The largest one stays near the top, so that the weights of one step can be
// compared with those of the next: while they are set one after the other no share overshoots.
const (
	maxWeight = 256
	minScale  = 128
)

// weigh turns shares of slots into the weight of each server in the slot, so that the servers of a slot together get
// its share: the best fit that whole weights allow. A share above zero never becomes a weight of zero. counts are
// the servers per slot, each at least 1.
func weigh(shares []float64, counts []int) []int {
	largest := 0.0
	for i, share := range shares {
		largest = max(largest, share/float64(counts[i]))
	}
	weights := make([]int, len(shares))
	if largest == 0 {
		return weights
	}
	best := math.Inf(1)
	try := make([]int, len(shares))
	for scale := maxWeight; scale >= minScale; scale-- {
		total := 0
		for i, share := range shares {
			try[i] = int(math.Round(share / float64(counts[i]) / largest * float64(scale)))
			if share > 0 {
				try[i] = max(try[i], 1)
			}
			total += try[i] * counts[i]
		}
		worst := 0.0
		for i, share := range shares {
			worst = max(worst, math.Abs(100*float64(try[i]*counts[i])/float64(total)-share))
		}
		if worst < best-1e-9 {
			best = worst
			copy(weights, try)
		}
	}
	return weights
}
