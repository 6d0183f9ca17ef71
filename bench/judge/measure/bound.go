package measure

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/trace"
)

// Bound is the mean time, in seconds, that any rule needs at least whose false rollbacks are alpha at most and that
// always detects (Wald 1945): ln(1/alpha) over the information that comes in a second.
type Bound struct {
	Known      float64 `json:"known"`      // by somebody who knows the baseline's rates beforehand; +Inf: it shows nowhere
	Concurrent float64 `json:"concurrent"` // who has to learn the error rate from the baseline beside it; +Inf for latency
}

// LowerBound is that of a fault from its onset on.
func LowerBound(w *trace.World, f *trace.Fault, alpha float64) Bound {
	canary := w.RPS * w.Share
	limit := -math.Log(alpha)
	p0, p1 := w.Error, f.Rate(w.Error)
	known := divergence(p1, p0) + latencyDivergence(w.Latency.Coarse(), f.Distribution(w.Latency).Coarse())
	b := Bound{Known: limit / (canary * known), Concurrent: math.Inf(1)}
	if p1 != p0 {
		r := p1 / p0
		theta := w.Share * r / (w.Share*r + 1 - w.Share)
		events := w.RPS * (w.Share*p1 + (1-w.Share)*p0)
		b.Concurrent = limit / (events * divergence(theta, w.Share))
	}
	return b
}

// Private

// divergence of one coin from another (Kullback and Leibler).
func divergence(p, q float64) float64 {
	return part(p, q) + part(1-p, 1-q)
}

func latencyDivergence(base, canary [trace.Buckets]float64) float64 {
	sum := 0.0
	for i := range base {
		sum += part(canary[i], math.Max(base[i], 1e-12))
	}
	return math.Max(sum, 0)
}

func part(p, q float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log(p/q)
}
