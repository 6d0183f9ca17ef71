package sequential_test

import (
	"math"
	"math/rand/v2"

	"github.com/deployguardian/adg/internal/judge/sequential"
)

// scene is a canary beside its baseline, as the traces of the tests are drawn.
type scene struct {
	rate     float64 // requests per second, in all
	bad      float64 // the baseline's share of bad ones
	share    float64 // of the canary; it is one replica, and the baseline's are as large as it is by default
	replicas int     // of the baseline
	ratio    float64 // of the canary's bad rate; zero: 1
	late     int     // seconds until it turns bad
	noise    float64 // coefficient of variation of each replica's rate, drawn anew every hold seconds
	hold     int
	fixed    float64 // the same, drawn once
	bursts   bool    // ten times as many bad requests on both sides, 20 s long, every five minutes or so
	drift    bool    // load and rate go up and down
	ramp     bool    // the share climbs
	bucket   int     // seconds; zero: 1
	lead     int     // seconds of the baseline alone
	seconds  int     // beside the canary
	blind    bool    // the replicas are not told apart
}

// trace draws the buckets of a scene.
func (c scene) trace(seed uint64) []sequential.Bucket {
	r := rand.New(rand.NewPCG(seed, 20261121))
	c.ratio, c.bucket = max(c.ratio, 0), max(c.bucket, 1)
	if c.ratio == 0 {
		c.ratio = 1
	}
	forGood, now := draw(r, c.replicas+1, c.fixed), draw(r, c.replicas+1, c.noise)
	var all []sequential.Bucket
	b := c.empty()
	burst := 0
	for t := range c.lead + c.seconds {
		if c.hold > 0 && t%c.hold == 0 {
			now = draw(r, c.replicas+1, c.noise)
		}
		load, bad, share := c.rate, c.bad, c.share
		if c.drift {
			load *= 1 + math.Sin(float64(t)/600)/2
			bad *= 1 + math.Sin(float64(t)/140)/2
		}
		if burst--; c.bursts && burst < 0 && r.Float64() < 1.0/300 {
			burst = 20
		}
		if burst > 0 {
			bad *= 10
		}
		if c.ramp {
			share = []float64{0.01, 0.05, 0.25, 0.5}[min(3, max(0, t-c.lead)*4/max(1, c.seconds))]
		}
		ratio := c.ratio
		if t < c.lead {
			share = 0
		}
		if t < c.lead+c.late {
			ratio = 1
		}
		c.add(r, &b.Canary, load*share, bad*ratio*forGood[0]*now[0])
		for i := range c.replicas {
			var g sequential.Counts
			c.add(r, &g, load*(1-share)/float64(c.replicas), bad*forGood[i+1]*now[i+1])
			b.Control.Bad, b.Control.All = b.Control.Bad+g.Bad, b.Control.All+g.All
			if !c.blind {
				b.Groups[i].Bad, b.Groups[i].All = b.Groups[i].Bad+g.Bad, b.Groups[i].All+g.All
			}
		}
		if (t+1)%c.bucket == 0 {
			all = append(all, b)
			b = c.empty()
		}
	}
	return all
}

func (c scene) empty() sequential.Bucket {
	if c.blind {
		return sequential.Bucket{}
	}
	return sequential.Bucket{Groups: make([]sequential.Counts, c.replicas)}
}

func (c scene) add(r *rand.Rand, n *sequential.Counts, requests, bad float64) {
	all := poisson(r, requests)
	n.All += all
	n.Bad += binomial(r, all, min(bad, 1))
}

// draw is one factor per replica, of mean 1, from a gamma distribution.
func draw(r *rand.Rand, n int, cv float64) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = 1
		if cv > 0 {
			all[i] = gamma(r, 1/(cv*cv)) * cv * cv
		}
	}
	return all
}

// gamma draws by Marsaglia and Tsang's method.
func gamma(r *rand.Rand, k float64) float64 {
	if k < 1 {
		return gamma(r, k+1) * math.Pow(r.Float64(), 1/k)
	}
	d := k - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := (1 + c*x) * (1 + c*x) * (1 + c*x)
		if v > 0 && math.Log(r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

func poisson(r *rand.Rand, mean float64) float64 {
	n := 0.0
	for ; mean > 20; mean -= 20 {
		n += poisson(r, 20)
	}
	for p, limit := r.Float64(), math.Exp(-mean); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}

// binomial goes from one bad request to the next, which are far apart.
func binomial(r *rand.Rand, n, p float64) float64 {
	if p <= 0 || n <= 0 {
		return 0
	}
	if p > 0.5 {
		return n - binomial(r, n, 1-p)
	}
	k, at, skip := 0.0, 0.0, math.Log1p(-p)
	for {
		at += math.Floor(math.Log(1-r.Float64())/skip) + 1
		if at > n {
			return k
		}
		k++
	}
}
