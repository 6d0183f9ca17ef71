package trace

import (
	"math"
	"slices"
)

// Trace is what happened, and when it could be read. Replicas are numbered, the canary's first; seconds are counted
// from the beginning, the canary's start is at Lead.
type Trace struct {
	World    *World
	Fault    *Fault
	Seed     uint64
	Seconds  int
	Replicas int
	Requests []uint32 // by second and replica: [second*Replicas+replica]
	Errors   []uint32
	Slots    []uint8 // latency bucket of every request, in the same order
	// Seen is the second in which a scrape brought what happened in a second, by second and replica; -1: never.
	Seen []int32
	// Base is the error rate that everything had in common, by second.
	Base  []float64
	first []uint32 // the first slot, by second and replica
}

// Canary tells whether the replica is the new version's.
func (t *Trace) Canary(replica int) bool { return replica < t.World.Canaries }

// Start is the second in which the canary begins.
func (t *Trace) Start() int { return t.World.Lead }

// Generator makes traces of one scenario. It keeps its memory for the next one, and is not safe for concurrent use.
type Generator struct {
	world   *World
	fault   *Fault
	healthy *dice
	faulty  *dice
	trace   Trace
	noise   []noise
}

// NewGenerator prepares for a world and a fault.
func NewGenerator(w *World, f *Fault) *Generator {
	g := &Generator{world: w, fault: f, healthy: newDice(w.Latency)}
	g.faulty = newDice(f.Distribution(w.Latency))
	n := w.Lead + w.Horizon
	replicas := w.Canaries + w.Controls
	g.trace = Trace{
		World: w, Fault: f, Seconds: n, Replicas: replicas, Requests: make([]uint32, n*replicas),
		Errors: make([]uint32, n*replicas), Seen: make([]int32, n*replicas), Base: make([]float64, n), first: make([]uint32, n*replicas),
	}
	g.noise = make([]noise, replicas)
	return g
}

// Make gives the trace of a seed; it is good until the next call.
func (g *Generator) Make(seed uint64) *Trace {
	r := NewRandom(seed)
	t := &g.trace
	t.Seed, t.Slots = seed, t.Slots[:0]
	for i := range g.noise {
		g.noise[i] = noise{fixed: r.Gamma(g.world.FixedCV), error: 1, latency: 1}
	}
	bursts := g.bursts(NewRandom(seed, 1))
	for second := range t.Seconds {
		load, base := g.tide(second)
		if bursts[second] {
			base *= 10
		}
		t.Base[second] = math.Min(base, 1)
		for i := range t.Replicas {
			g.second(r, second, i, load, base)
		}
	}
	g.scrape(NewRandom(seed, 2))
	return t
}

// Private

// noise is how one replica differs from the others.
type noise struct{ fixed, error, latency float64 }

// tide is the load and the base error rate of a second.
func (g *Generator) tide(second int) (load, base float64) {
	load, base = g.world.RPS, g.world.Error
	if g.world.Diurnal {
		swing := 1 + 0.5*math.Sin(2*math.Pi*float64(second)/3600)
		load *= swing
		base *= swing
	}
	return load, base
}

func (g *Generator) bursts(r *Random) []bool {
	on := make([]bool, g.trace.Seconds)
	if !g.world.Bursts {
		return on
	}
	for second := range on {
		if r.Float() < 1./300 {
			for i := second; i < min(second+20, len(on)); i++ {
				on[i] = true
			}
		}
	}
	return on
}

// second lets one replica serve for a second.
func (g *Generator) second(r *Random, second, replica int, load, base float64) {
	w, t := g.world, &g.trace
	n := &g.noise[replica]
	if w.Hold > 0 && second%w.Hold == 0 {
		n.error, n.latency = r.Gamma(w.CV), 1
		if w.LatencyCV > 0 {
			n.latency = r.Gamma(w.LatencyCV)
		}
	}
	since := second - w.Lead
	requests := r.Poisson(load * g.part(since, replica))
	errors, table, slower := base*n.fixed*n.error, g.healthy, n.latency
	if t.Canary(replica) {
		if w.WarmUp {
			slower *= 1 + 0.5*math.Max(0, 1-float64(since)/60)
		}
		if f := g.fault; since >= f.From {
			errors, table = f.Rate(errors), g.faulty
			slower *= 1 + f.Leak*float64(since-f.From)/60
			if f.Crashing && g.alive(since) && !g.alive(since+1) {
				errors = 1
			}
		}
	}
	at := second*t.Replicas + replica
	t.Requests[at] = uint32(requests)
	t.Errors[at] = uint32(r.Binomial(requests, math.Min(errors, 1)))
	t.first[at] = uint32(len(t.Slots))
	by, bits := shift(slower), uint64(0)
	t.Slots = slices.Grow(t.Slots, requests)[:len(t.Slots)+requests]
	slots := t.Slots[len(t.Slots)-requests:]
	for i := range slots {
		if i%2 == 0 {
			bits = r.Uint64()
		} else {
			bits >>= 32
		}
		slots[i] = uint8(clamp(table.throw(uint32(bits))+by) / fine)
	}
}

// part of all requests that a replica gets. What the canary does not take, the baseline does.
func (g *Generator) part(since, replica int) float64 {
	canary := 0.0
	if since >= 0 {
		canary = g.world.share(since)
		if f := g.fault; since >= f.From {
			if f.Misrouted > 0 {
				canary *= f.Misrouted
			}
			if f.Silent || f.Crashing && !g.alive(since) {
				canary = 0
			}
		}
	}
	if g.trace.Canary(replica) {
		return canary / float64(g.world.Canaries)
	}
	return (1 - canary) / float64(g.world.Controls)
}

// alive tells whether a crashing canary serves: 10 s at a time, with Kubernetes' pauses between.
func (g *Generator) alive(since int) bool {
	since -= g.fault.From
	for pause := 10; ; pause = min(2*pause, 300) {
		if since < 10 {
			return true
		}
		if since -= 10 + pause; since < 0 {
			return false
		}
	}
}

// scrape says when each replica's seconds are read.
func (g *Generator) scrape(r *Random) {
	w, t := g.world, &g.trace
	every := max(w.Scrape, 1)
	for replica := range t.Replicas {
		offset := r.Below(every)
		lost := make(map[int]bool, w.Resets)
		for range w.Resets {
			lost[r.Below(t.Seconds)] = true
		}
		next := int32(-1)
		for second := t.Seconds - 1; second >= 0; second-- {
			if second%every == offset && !(w.Missing > 0 && r.Float() < w.Missing) {
				next = int32(second)
			}
			if lost[second] {
				next = -1 // counters begin anew: what was counted since the last scrape is never read
			}
			t.Seen[second*t.Replicas+replica] = next
		}
	}
}
