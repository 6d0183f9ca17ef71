package trace

import "math"

// World is the traffic of a service and what disturbs it, whether its release is good or bad. Times are in seconds,
// rates per second. The zero value of a field is none of it.
type World struct {
	Name    string
	RPS     float64
	Share   float64   // the canary's part of the requests, 0 to 1
	Ramp    []float64 // instead of Share: stages of equal length
	Error   float64   // base rate
	Latency *Latency
	// LatencyLimit is the p99, in seconds, that an operator gives to tools without a baseline.
	LatencyLimit float64
	Horizon      int // length after the canary's start
	Lead         int // length before it, with the baseline alone
	Canaries     int
	Controls     int

	Diurnal    bool    // load and error rate swing by half, within an hour
	Bursts     bool    // every 5 min, on average, ten times the errors for 20 s, everywhere
	WarmUp     bool    // the canary begins 1.5 times slower; that decays over 60 s
	CV         float64 // of the factor on a replica's error rate, which is drawn anew every Hold seconds
	Hold       int
	FixedCV    float64 // of a factor on a replica's error rate that stays
	LatencyCV  float64 // of a factor on a replica's latencies, drawn anew every Hold seconds
	Missing    float64 // probability that a scrape fails: what it would have brought comes with the next
	Resets     int     // how often each replica's counters are lost, at any time
	Delay      int     // until a sample can be read
	Scrape     int     // seconds between the scrapes of a replica, each replica at its own; 0: 1
	SkipWarmUp int     // seconds after the start that every rule leaves out
}

// Fault is what is wrong with a release. The zero value is a healthy one.
type Fault struct {
	Name       string
	Errors     float64 // times the base rate; 0: 1
	Failing    bool    // every request fails
	Slower     float64 // times the latency; 0: 1
	Tail       float64 // part of the requests that are TailSlower times slower
	TailSlower float64
	Leak       float64  // growth of the latency per minute, 0.01 is 1 %
	From       int      // seconds after the canary's start
	Silent     bool     // it gets no requests
	Crashing   bool     // it serves 10 s, dies, and comes back after 10, 20, 40 … 300 s
	Misrouted  float64  // times the share of the requests it should get; 0: 1
	Latency    *Latency // instead of the world's
}

// Healthy tells whether nothing is wrong.
func (f Fault) Healthy() bool {
	return f.Name == "" || f.Name == "A/A"
}

// Share of the requests that the canary should get at that second after its start.
func (w *World) share(second int) float64 {
	if len(w.Ramp) == 0 {
		return w.Share
	}
	return w.Ramp[min(second*len(w.Ramp)/w.Horizon, len(w.Ramp)-1)]
}

// ShareAt is the part of the requests that the canary is meant to get at that second after its start.
func (w *World) ShareAt(second int) float64 { return w.share(second) }

// Usual is the service that the reference table was made with.
func Usual() World {
	return World{
		Name: "usual", RPS: 200, Share: 0.1, Error: 0.005, Latency: Lognormal(0.1, 0.5), LatencyLimit: 0.5,
		Horizon: 1800, Lead: 600, Canaries: 1, Controls: 9,
	}
}

// Distribution is that of the canary's latencies while the fault is on, but for what changes with time.
func (f Fault) Distribution(base *Latency) *Latency {
	l := base
	if f.Latency != nil {
		l = f.Latency
	}
	if f.Slower > 0 {
		l = l.Slower(f.Slower)
	}
	if f.Tail > 0 {
		l = l.Mixed(l.Slower(f.TailSlower), f.Tail)
	}
	return l
}

// Rate is the error rate of a canary whose base rate is that.
func (f Fault) Rate(base float64) float64 {
	switch {
	case f.Failing:
		return 1
	case f.Errors > 0:
		return math.Min(1, base*f.Errors)
	}
	return base
}
