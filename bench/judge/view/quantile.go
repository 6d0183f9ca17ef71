package view

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/trace"
)

// Quantile of a histogram, interpolated within its bucket as Prometheus' histogram_quantile does; NaN when it is empty.
func Quantile(histogram []uint32, q float64) float64 {
	total := 0.0
	for _, n := range histogram {
		total += float64(n)
	}
	if total == 0 {
		return math.NaN()
	}
	rank, below := q*total, 0.0
	for b, n := range histogram {
		if in := float64(n); below+in >= rank && in > 0 {
			low := 0.0
			if b > 0 {
				low = trace.Edge(b - 1)
			}
			return low + (trace.Edge(b)-low)*(rank-below)/in
		}
		below += float64(histogram[b])
	}
	return trace.Edge(trace.Buckets - 1)
}
