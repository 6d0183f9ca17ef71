package judge

import "math"

// chance is the probability of that many events or more where expected are to be expected (Poisson), to a thousandth
// or so, by the cube roots of Wilson and Hilferty.
func chance(events, expected float64) float64 {
	switch {
	case events <= 0:
		return 1
	case expected <= 0:
		return 0
	}
	z := 3 * math.Sqrt(events) * (math.Cbrt(expected/events) - 1 + 1/(9*events))
	return math.Erfc(-z/math.Sqrt2) / 2
}

// atLeast is the other end: the smallest number that was to be expected.
func atLeast(events, alpha float64) float64 {
	if events <= 0 {
		return 0
	}
	root := 1 - 1/(9*events) - quantileOfNormal(alpha)/(3*math.Sqrt(events))
	return events * max(root, 0) * max(root, 0) * max(root, 0)
}

// atMost is the largest number that was to be expected where that many events happened: the upper end of a one-sided
// interval that misses with the probability alpha.
func atMost(events, alpha float64) float64 {
	k := events + 1
	root := 1 - 1/(9*k) + quantileOfNormal(alpha)/(3*math.Sqrt(k))
	return k * root * root * root
}

// quantileOfNormal is what a normal variable exceeds with the probability alpha.
func quantileOfNormal(alpha float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*alpha) }
