package load

import (
	"math"
	"time"
)

// Private

const (
	shortest = 100 * time.Microsecond
	growth   = 1.05 // of one bucket's bound to the next: quantiles are at most 5 % too high
	cells    = 256  // up to 25 s; the last one takes what is longer
)

// histogram counts latencies in buckets that grow with the latency.
type histogram [cells]int64

func (h *histogram) add(d time.Duration) {
	cell := 0
	if d > shortest {
		cell = int(math.Ceil(math.Log(float64(d)/float64(shortest)) / math.Log(growth)))
	}
	h[min(cell, cells-1)]++
}

// quantile is the upper bound of the bucket that it falls in; zero without latencies.
func (h *histogram) quantile(q float64) time.Duration {
	total := int64(0)
	for _, n := range h {
		total += n
	}
	rank := int64(math.Ceil(q * float64(total)))
	for cell, n := range h {
		if rank -= n; rank <= 0 && total > 0 {
			return time.Duration(float64(shortest) * math.Pow(growth, float64(cell)))
		}
	}
	return 0
}
