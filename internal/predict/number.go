package predict

import (
	"math"
	"slices"
)

// Private

// sureLogit bounds every expert's logit, so that one surprise never costs more than a small multiple of a row.
const sureLogit = 9

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }

// surprise is the log-loss of a logit, in nats.
func surprise(l float64, failed bool) float64 {
	if failed {
		l = -l
	}
	if l > 0 {
		return l + math.Log1p(math.Exp(-l))
	}
	return math.Log1p(math.Exp(l))
}

func bounded(l float64) float64 {
	if math.IsNaN(l) {
		return 0
	}
	return min(sureLogit, max(-sureLogit, l))
}

// smoothedRate is the share of failures with half an imagined row of each kind.
func smoothedRate(failed []bool) float64 {
	return (float64(count(failed)) + 0.5) / (float64(len(failed)) + 1)
}

func count(failed []bool) int {
	n := 0
	for _, f := range failed {
		if f {
			n++
		}
	}
	return n
}

// median sorts the values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
