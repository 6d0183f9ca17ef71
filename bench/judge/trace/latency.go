package trace

import (
	"math"
	"slices"
)

// Buckets of the latency histogram that tools see: log-spaced from 10 ms to 10 s. What is faster is in the first, what
// is slower in the last.
const (
	Buckets = 160
	fastest = 0.01
	decades = 3
	fine    = 16 // cells of a bucket in which latencies are drawn, so that a factor is exact to 0.3 %
	cells   = Buckets * fine
)

// Edge is the upper limit of a bucket, in seconds.
func Edge(bucket int) float64 {
	return fastest * math.Pow(10, decades*float64(bucket+1)/Buckets)
}

// Latency is a distribution of latencies: the probability of each cell.
type Latency [cells]float64

// Lognormal is the usual latency of a service; median in seconds.
func Lognormal(median, sigma float64) *Latency {
	var l Latency
	below := 0.0
	for i := range l {
		upTo := 1.0
		if i < cells-1 {
			upTo = normal((math.Log(fastest/median) + float64(i+1)*cell) / sigma)
		}
		l[i], below = upTo-below, upTo
	}
	return &l
}

// Observed is the distribution of measured latencies, in seconds.
func Observed(seconds []float64) *Latency {
	var l Latency
	for _, s := range seconds {
		l[clamp(int(math.Floor(math.Log(max(s, 1e-9)/fastest)/cell)))] += 1 / float64(len(seconds))
	}
	return &l
}

// Mixed has the part from the other distribution.
func (l *Latency) Mixed(other *Latency, part float64) *Latency {
	var m Latency
	for i := range m {
		m[i] = (1-part)*l[i] + part*other[i]
	}
	return &m
}

// Slower is all latencies times the factor.
func (l *Latency) Slower(factor float64) *Latency {
	var s Latency
	by := shift(factor)
	for i, p := range l {
		s[clamp(i+by)] += p
	}
	return &s
}

// Above is the probability of a bucket above the given one.
func (l *Latency) Above(bucket int) float64 {
	p := 0.0
	for _, q := range l[min(max((bucket+1)*fine, 0), cells):] {
		p += q
	}
	return p
}

// Quantile is the bucket in which it lies.
func (l *Latency) Quantile(q float64) int {
	sum := 0.0
	for i, p := range l {
		if sum += p; sum >= q {
			return i / fine
		}
	}
	return Buckets - 1
}

// Coarse is the probability of each bucket.
func (l *Latency) Coarse() [Buckets]float64 {
	var c [Buckets]float64
	for i, p := range l {
		c[i/fine] += p
	}
	return c
}

// Private

var cell = decades * math.Ln10 / cells // width of a cell, as a logarithm

func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

func clamp(i int) int { return min(max(i, 0), cells-1) }

func shift(factor float64) int {
	if factor == 1 {
		return 0
	}
	return int(math.Round(math.Log(factor) / cell))
}

// dice draws from a distribution in constant time (Walker's alias method).
type dice struct {
	stay  [cells]uint32
	other [cells]uint16
}

func newDice(l *Latency) *dice {
	d := &dice{}
	scaled := make([]float64, cells)
	var poor, rich []int
	for i, p := range l {
		scaled[i] = p * cells
		d.stay[i], d.other[i] = math.MaxUint32, uint16(i)
		if scaled[i] < 1 {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	slices.Reverse(poor)
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		d.stay[p], d.other[p] = uint32(scaled[p]*math.MaxUint32), uint16(r)
		if scaled[r] -= 1 - scaled[p]; scaled[r] < 1 {
			rich = rich[:len(rich)-1]
			poor = append(poor, r)
		}
	}
	return d
}

// throw needs 32 random bits: their product with the number of cells is the cell, and what is left over decides between
// the cell and its other.
func (d *dice) throw(u uint32) int {
	product := uint64(u) * cells
	i := product >> 32
	if uint32(product) <= d.stay[i] {
		return int(i)
	}
	return int(d.other[i])
}
