package ranks

import "math"

// Private

const (
	// closeEnough is how closely a root is found, as a share of the range of the differences.
	closeEnough = 1e-9
	// mostSteps bounds the search; halving alone needs about 30.
	mostSteps = 1000
)

// root is the shift at which x, less it, is as often above y as below. Often a whole stretch of shifts is; which of
// them is taken decides about classes near their limit, so it is the one that the method of Brent (1973) comes upon from
// the two ends, as in R and in Kayenta.
func (p pair) root() float64 {
	a, b := p.x[0]-p.y[len(p.y)-1], p.x[len(p.x)-1]-p.y[0]
	if a == b || !finite(b-a) {
		return a
	}
	fa, fb := p.score(a), p.score(b)
	c, fc := a, fa
	tolerance := closeEnough * (b - a)
	for range mostSteps {
		before := b - a
		if math.Abs(fc) < math.Abs(fb) {
			a, b, c = b, c, b
			fa, fb, fc = fb, fc, fb
		}
		least := 2*epsilon*math.Abs(b) + tolerance/2
		half := (c - b) / 2
		if math.Abs(half) <= least || fb == 0 {
			return b
		}
		step := half
		if math.Abs(before) >= least && math.Abs(fa) > math.Abs(fb) {
			step = interpolate(a, b, c, fa, fb, fc, before, half, least)
		}
		if math.Abs(step) < least {
			step = math.Copysign(least, step)
		}
		a, fa = b, fb
		b += step
		fb = p.score(b)
		if (fb > 0 && fc > 0) || (fb < 0 && fc < 0) {
			c, fc = a, fa
		}
	}
	return b
}

const epsilon = 0x1p-52

// interpolate is the step to where a line (with two points) or a parabola (with three) through the points crosses zero,
// or half of the bracket where that is not better.
func interpolate(a, b, c, fa, fb, fc, before, half, least float64) float64 {
	var up, down float64
	width := c - b
	if a == c {
		t := fb / fa
		up, down = width*t, 1-t
	} else {
		q, t1, t2 := fa/fc, fb/fc, fb/fa
		up = t2 * (width*q*(q-t1) - (b-a)*(t1-1))
		down = (q - 1) * (t1 - 1) * (t2 - 1)
	}
	if up > 0 {
		down = -down
	} else {
		up = -up
	}
	if up < 0.75*width*down-math.Abs(least*down)/2 && up < math.Abs(before*down/2) {
		return up / down
	}
	return half
}

// score is the Mann-Whitney statistic of x, less mu, against y, standardised and corrected for ties and continuity. Where
// all samples are tied nothing can be told, which is 0.
func (p pair) score(mu float64) float64 {
	var excess float64
	tied := p.merge(mu, &excess)
	spread := p.deviation(tied)
	if excess == 0 || spread == 0 {
		return 0
	}
	return (excess - math.Copysign(0.5, excess)) / spread
}
