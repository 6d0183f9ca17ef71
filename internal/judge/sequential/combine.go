package sequential

import (
	"cmp"
	"math"
	"slices"
)

// Combine is the logarithm of the weighted mean of e-values, which is an e-value whatever they depend on each other
// by. Weights need not add up to 1; without a positive one, or with what is no evidence (NaN), the share counts as 0.
func Combine(weights, logE []float64) float64 {
	sum, top := 0.0, math.Inf(-1)
	for i, w := range weights {
		if w > 0 && i < len(logE) {
			sum += w
			top = max(top, nothing(logE[i]))
		}
	}
	if sum == 0 || math.IsInf(top, 0) {
		return top
	}
	mean := 0.0
	for i, w := range weights {
		if w > 0 && i < len(logE) {
			mean += w / sum * math.Exp(nothing(logE[i])-top)
		}
	}
	return top + math.Log(mean)
}

// Guilty appends the indices of those e-values that speak for themselves, by the e-BH procedure (Wang and Ramdas, 2022): the k largest
// of m, for the largest k whose k-th is at least m/(k·alpha). Of those named, the expected share of innocent ones is at
// most alpha.
func Guilty(alpha float64, logE []float64, dst []int) []int {
	start := len(dst)
	for i := range logE {
		dst = append(dst, i)
	}
	order := dst[start:]
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(nothing(logE[b]), nothing(logE[a])) })
	named := 0
	for k, i := range order {
		if nothing(logE[i]) >= math.Log(float64(len(order))/(float64(k+1)*alpha)) {
			named = k + 1
		}
	}
	return dst[:start+named]
}

// Private

func nothing(logE float64) float64 {
	if math.IsNaN(logE) {
		return math.Inf(-1)
	}
	return logE
}
