package predict

import "math/bits"

// random is a PCG generator (XSH-RR on 64 bits of state): the same seed gives the same model on every machine.
type random struct{ state uint64 }

func newRandom(seed uint64) *random {
	r := &random{}
	r.next()
	r.state += seed
	r.next()
	return r
}

func (r *random) next() uint32 {
	old := r.state
	r.state = old*6364136223846793005 + 1442695040888963407
	return bits.RotateLeft32(uint32((old>>18^old)>>27), -int(old>>59))
}

// below is uniform in 0 … n-1.
func (r *random) below(n int) int { return int(uint64(r.next()) * uint64(n) >> 32) }

// chance is true with probability p.
func (r *random) chance(p float64) bool { return float64(r.next()) < p*(1<<32) }

// choose moves k of the values, chosen at random, to the front.
func (r *random) choose(values []int, k int) []int {
	k = min(k, len(values))
	for i := range k {
		j := i + r.below(len(values)-i)
		values[i], values[j] = values[j], values[i]
	}
	return values[:k]
}
