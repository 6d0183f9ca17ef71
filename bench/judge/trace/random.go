package trace

import "math"

// Random is a source of random numbers: splitmix64 (Steele, Lea and Flood 2014), spelled out here so that a seed means
// the same traces under every version of Go. It is not safe for concurrent use.
type Random struct{ state uint64 }

// NewRandom gives the stream that belongs to the numbers: each gives another stream.
func NewRandom(seeds ...uint64) *Random {
	r := &Random{}
	for _, s := range seeds {
		r.state = r.Uint64() ^ s
	}
	return r
}

// Uint64 is any number.
func (r *Random) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Float is between 0 and 1, without 1.
func (r *Random) Float() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Below is a number from 0 to n-1.
func (r *Random) Below(n int) int { return int(r.Float() * float64(n)) }

// Normal has mean 0 and variance 1.
func (r *Random) Normal() float64 {
	return math.Sqrt(-2*math.Log(1-r.Float())) * math.Cos(2*math.Pi*r.Float())
}

// Poisson counts events of which mean are expected.
func (r *Random) Poisson(mean float64) int {
	if mean > 24 { // the search below would be long, and its first term vanish
		return r.Poisson(mean/2) + r.Poisson(mean/2)
	}
	if mean <= 0 {
		return 0
	}
	u, p, k := r.Float(), math.Exp(-mean), 0
	for u > p && k < len(inverse)-1 {
		u -= p
		k++
		p *= mean * inverse[k]
	}
	return k
}

// Binomial counts successes of n trials.
func (r *Random) Binomial(n int, p float64) int {
	switch {
	case n == 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case p > 0.5:
		return n - r.Binomial(n, 1-p)
	case float64(n)*p > 24:
		return r.Binomial(n/2, p) + r.Binomial(n-n/2, p)
	}
	u, k := r.Float(), 0
	if u <= 1-float64(n)*p {
		return 0 // (1-p)^n is no less (Bernoulli)
	}
	odds, q := p/(1-p), math.Exp(float64(n)*math.Log1p(-p))
	for u > q && k < n {
		u -= q
		k++
		q *= odds * float64(n-k+1) / float64(k)
	}
	return k
}

// Gamma has mean 1 and the coefficient of variation cv.
func (r *Random) Gamma(cv float64) float64 {
	if cv <= 0 {
		return 1
	}
	shape := 1 / (cv * cv)
	boost, k := 1.0, shape
	if k < 1 {
		boost = math.Pow(1-r.Float(), 1/k)
		k++
	}
	// Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
	d := k - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.Normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float()) < x*x/2+d-d*v+d*math.Log(v) {
			return boost * d * v / shape
		}
	}
}

// Private

// inverse of each number: a product is quicker than a quotient.
var inverse = func() (of [256]float64) {
	for i := range of {
		of[i] = 1 / float64(i)
	}
	return of
}()
