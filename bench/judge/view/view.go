// Package view makes of a trace what each tool would see of it: a few counts per second and replica, ratios and
// quantiles per minute, and so on. All rules read the same trace through it, and none sees more than it would.
package view

import (
	"github.com/deployguardian/adg/bench/judge/trace"
)

// The two arms.
const (
	Canary = iota
	Baseline
	arms
)

// Count is bad requests among all.
type Count struct{ All, Bad float64 }

// Ratio is the part that is bad; NaN without requests.
func (c Count) Ratio() float64 { return c.Bad / c.All }

// Window is what a query over a stretch of time answers. Without requests the quantiles are NaN. Latencies are in seconds.
type Window struct {
	Count
	P95, P99 float64
}

// Checks of the per-second counts: errors, and requests slower than a quantile of the baseline before the rollout.
const Checks = 6

// Quantiles of the baseline that the checks after the first are about.
var Quantiles = [Checks - 1]float64{0.5, 0.75, 0.9, 0.95, 0.99}

// View is a trace as tools see it. Times are in seconds since the canary's start, or since the end of the warm-up that
// is left out.
type View struct {
	World   *trace.World
	Fault   *trace.Fault
	Skip    int // seconds after the start that are left out
	Horizon int // what is left of it
	// Limits that an operator gave the tools that have no baseline.
	ErrorLimit, LatencyLimit float64

	Tens    [arms][]Count
	Minutes [arms][]Window
	Fives   [arms][]Window
	Nodes   [][]Window // minutes of each replica, the canary's first

	Fine *Fine // nil where it was dropped to save memory
}

// Fine is counted per second and replica, from the beginning of the trace.
type Fine struct {
	Lead       int // seconds before the canary's start
	Seconds    int
	Replicas   int
	Canaries   int
	Thresholds [Checks - 1]int // buckets; slower is above them
	All        []uint16        // by second and replica
	Bad        []uint16        // by second, replica and check
}

// Of is what a replica did in a second: all requests, and the bad ones of a check.
func (f *Fine) Of(replica, second, check int) (all, bad float64) {
	at := second*f.Replicas + replica
	return float64(f.All[at]), float64(f.Bad[at*Checks+check])
}

// Sum is what an arm did in a second.
func (f *Fine) Sum(arm, second, check int) (all, bad float64) {
	from, to := 0, f.Canaries
	if arm == Baseline {
		from, to = f.Canaries, f.Replicas
	}
	for r := from; r < to; r++ {
		a, b := f.Of(r, second, check)
		all += a
		bad += b
	}
	return all, bad
}

// Light is the view without the counts per second.
func (v *View) Light() *View {
	light := *v
	light.Fine = nil
	return &light
}

// Maker makes views; it keeps some memory for the next one.
type Maker struct {
	histograms []uint32 // by replica, minute and bucket
}

// Make gives the view of a trace. The error limit is twice the base error rate.
func (m *Maker) Make(t *trace.Trace) *View {
	w := t.World
	v := &View{
		World: w, Fault: t.Fault, Skip: w.SkipWarmUp, Horizon: w.Horizon - w.SkipWarmUp, ErrorLimit: 2 * w.Error,
		LatencyLimit: w.LatencyLimit,
	}
	f := &Fine{Lead: t.Start(), Seconds: t.Seconds, Replicas: t.Replicas, Canaries: w.Canaries}
	f.Thresholds = thresholds(t)
	f.All = make([]uint16, t.Seconds*t.Replicas)
	f.Bad = make([]uint16, t.Seconds*t.Replicas*Checks)
	v.Fine = f
	m.read(t, v)
	return v
}

// Private

// thresholds are the quantiles of the baseline before the rollout; of the world, where there was no time before.
func thresholds(t *trace.Trace) [Checks - 1]int {
	var histogram [trace.Buckets]uint32
	total := 0
	for second := range t.Start() {
		for replica := range t.Replicas {
			_, _, slots := t.At(second, replica)
			total += len(slots)
			for _, s := range slots {
				histogram[s]++
			}
		}
	}
	var found [Checks - 1]int
	for i, q := range Quantiles {
		if total == 0 {
			found[i] = t.World.Latency.Quantile(q)
			continue
		}
		sum := 0.0
		for b, n := range histogram {
			if sum += float64(n); sum >= q*float64(total) {
				found[i] = b
				break
			}
		}
	}
	return found
}

// read counts everything that a scrape brought, when it brought it.
func (m *Maker) read(t *trace.Trace, v *View) {
	minutes, tens := v.Horizon/60, v.Horizon/10
	m.histograms = zeroed(m.histograms, t.Replicas*minutes*trace.Buckets)
	nodes := make([]Window, t.Replicas*minutes)
	v.Nodes = make([][]Window, t.Replicas)
	for i := range v.Nodes {
		v.Nodes[i] = nodes[i*minutes : (i+1)*minutes]
	}
	for arm := range arms {
		v.Tens[arm] = make([]Count, tens)
	}
	classes := v.Fine.classes()
	from := t.Start() + v.Skip
	for at := range t.Requests {
		seen, replica := int(t.Seen[at]), at%t.Replicas
		if seen < 0 {
			continue
		}
		requests, errors, slots := t.At(at/t.Replicas, replica)
		v.Fine.add(seen*t.Replicas+replica, requests, errors, slots, &classes)
		since := seen - from
		if since < 0 || since >= tens*10 {
			continue
		}
		arm := Baseline
		if t.Canary(replica) {
			arm = Canary
		}
		v.Tens[arm][since/10].add(requests, errors)
		if minute := since / 60; minute < minutes {
			v.Nodes[replica][minute].add(requests, errors)
			h := m.histograms[(replica*minutes+minute)*trace.Buckets:][:trace.Buckets]
			for _, s := range slots {
				h[s]++
			}
		}
	}
	m.windows(t, v, minutes)
}

// classes is, for each bucket, how many of the thresholds are below it.
func (f *Fine) classes() [trace.Buckets]uint8 {
	var c [trace.Buckets]uint8
	for b := range c {
		for _, limit := range f.Thresholds {
			if b > limit {
				c[b]++
			}
		}
	}
	return c
}

func (f *Fine) add(at, requests, errors int, slots []uint8, classes *[trace.Buckets]uint8) {
	f.All[at] += uint16(requests)
	var in [Checks]uint16
	for _, s := range slots {
		in[classes[s]]++
	}
	bad := f.Bad[at*Checks : (at+1)*Checks]
	bad[0] += uint16(errors)
	above := uint16(0)
	for i := Checks - 1; i > 0; i-- {
		above += in[i]
		bad[i] += above
	}
}

func (c *Count) add(requests, errors int) {
	c.All += float64(requests)
	c.Bad += float64(errors)
}

// windows makes quantiles of the histograms.
func (m *Maker) windows(t *trace.Trace, v *View, minutes int) {
	of := func(replica, minute int) []uint32 {
		return m.histograms[(replica*minutes+minute)*trace.Buckets:][:trace.Buckets]
	}
	var one, five [arms][trace.Buckets]uint32
	for arm := range arms {
		v.Minutes[arm] = make([]Window, minutes)
		v.Fives[arm] = make([]Window, minutes/5)
	}
	for minute := range minutes {
		for arm := range arms {
			clear(one[arm][:])
			if minute%5 == 0 {
				clear(five[arm][:])
			}
		}
		for replica := range t.Replicas {
			arm := Baseline
			if t.Canary(replica) {
				arm = Canary
			}
			h := of(replica, minute)
			for b, n := range h {
				one[arm][b] += n
				five[arm][b] += n
			}
			node := &v.Nodes[replica][minute]
			node.quantiles(h)
			v.Minutes[arm][minute].All += node.All
			v.Minutes[arm][minute].Bad += node.Bad
		}
		for arm := range arms {
			w := &v.Minutes[arm][minute]
			w.quantiles(one[arm][:])
			if i := minute / 5; i < len(v.Fives[arm]) {
				f := &v.Fives[arm][i]
				f.All += w.All
				f.Bad += w.Bad
				f.quantiles(five[arm][:])
			}
		}
	}
}

func (w *Window) quantiles(histogram []uint32) {
	w.P95, w.P99 = Quantile(histogram, 0.95), Quantile(histogram, 0.99)
}

func zeroed(s []uint32, n int) []uint32 {
	if cap(s) < n {
		return make([]uint32, n)
	}
	s = s[:n]
	clear(s)
	return s
}
