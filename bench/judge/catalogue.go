package main

import (
	"slices"

	"github.com/deployguardian/adg/bench/judge/trace"
)

// setup is a world, the faults that are tried in it, and how many healthy traces of it there are for one of the usual
// world: as many where it shows what a nuisance does to the promise, fewer where it is a variation.
type setup struct {
	world  trace.World
	faults []trace.Fault
	part   float64
	tuned  bool // whether rules are compared at equal false-rollback rates, too
	beyond bool // ADG promises nothing here: the world shows why
}

const (
	whole     = 1.0
	half      = 0.5
	variation = 0.2
	glimpse   = 0.1
)

var healthy = trace.Fault{Name: "A/A"}

// faults are all there are, in the order of the tables.
func faults() []trace.Fault {
	return []trace.Fault{
		{Name: "errors ×1.5", Errors: 1.5},
		{Name: "errors ×2", Errors: 2},
		{Name: "errors ×5", Errors: 5},
		{Name: "errors ×20", Errors: 20},
		{Name: "every request fails", Failing: true},
		{Name: "latency +10 %", Slower: 1.1},
		{Name: "latency +25 %", Slower: 1.25},
		{Name: "latency ×2", Slower: 2},
		{Name: "tail: 5 % of requests ×3", Tail: 0.05, TailSlower: 3},
		{Name: "p99 only: 1.5 % of requests ×5", Tail: 0.015, TailSlower: 5},
		{Name: "slow leak: latency +1 % a minute", Leak: 0.01},
		{Name: "silent canary", Silent: true},
		{Name: "crash loop", Crashing: true},
		{Name: "twice its share of the requests", Misrouted: 2},
	}
}

// reference are the faults of the table that the emulations have to reproduce.
var reference = []string{
	"errors ×1.5", "errors ×2", "errors ×5", "errors ×20", "latency +10 %", "latency +25 %", "latency ×2", "tail: 5 % of requests ×3",
}

func named(names ...string) []trace.Fault {
	return slices.DeleteFunc(faults(), func(f trace.Fault) bool { return !slices.Contains(names, f.Name) })
}

// setups are all worlds.
func setups() []setup {
	few := named("errors ×2", "errors ×5", "latency +10 %", "latency +25 %", "tail: 5 % of requests ×3")
	fewer := named("errors ×2", "errors ×5", "latency +25 %")
	list := []setup{{world: trace.Usual(), faults: faults(), part: whole, tuned: true}}
	add := func(name string, part float64, faults []trace.Fault, change func(w *trace.World)) {
		w := trace.Usual()
		w.Name = name
		change(&w)
		list = append(list, setup{world: w, faults: faults, part: part, tuned: true})
	}
	add("20 requests/s", variation, few, func(w *trace.World) { w.RPS = 20 })
	add("2,000 requests/s", glimpse, few, func(w *trace.World) { w.RPS = 2000 })
	add("canary 1 %", variation, few, func(w *trace.World) { w.Share = 0.01 })
	add("canary 5 %", variation, few, func(w *trace.World) { w.Share = 0.05 })
	add("canary 50 %", variation, few, func(w *trace.World) { w.Share, w.Canaries, w.Controls = 0.5, 5, 5 })
	add("ramp 1-5-25-50 %", whole, few, func(w *trace.World) { w.Share, w.Ramp = 0.01, []float64{0.01, 0.05, 0.25, 0.5} })
	add("0.1 % errors", variation, few, func(w *trace.World) { w.Error = 0.001 })
	add("2 % errors", variation, few, func(w *trace.World) { w.Error = 0.02 })
	add("day and night, shared bursts", whole, fewer, func(w *trace.World) { w.Diurnal, w.Bursts = true, true })
	add("warm-up of 60 s, left out", whole, fewer, func(w *trace.World) { w.WarmUp, w.SkipWarmUp = true, 60 })
	add("2 % of scrapes missing", whole, fewer, func(w *trace.World) { w.Missing = 0.02 })
	add("counters reset 3 times", whole, fewer, func(w *trace.World) { w.Resets = 3 })
	add("metrics 15 s late", whole, fewer, func(w *trace.World) { w.Delay = 15 })
	add("a scrape every 15 s", whole, fewer, func(w *trace.World) { w.Scrape = 15 })
	add("replica noise CV 1 held 10 s", variation, fewer, func(w *trace.World) { w.CV, w.Hold = 1, 10 })
	list = append(list, late()...)
	return append(list, nuisances()...)
}

// Private

// late are faults that begin after ten minutes, in an hour.
func late() []setup {
	w := trace.Usual()
	w.Name, w.Horizon = "an hour, late faults", 3600
	faults := named("errors ×2", "errors ×5", "latency +25 %")
	for i := range faults {
		faults[i].From = 600
		faults[i].Name += " after 10 min"
	}
	return []setup{{world: w, faults: faults, part: variation, tuned: true}}
}

// nuisances are healthy releases only, for an hour: a rule that they deceive rolls back what is good.
func nuisances() []setup {
	var list []setup
	add := func(name string, part float64, change func(w *trace.World)) {
		w := trace.Usual()
		w.Name, w.Horizon = name, 3600
		change(&w)
		list = append(list, setup{world: w, part: part})
	}
	add("replica noise CV 0.5 held 10 s, 1 h", variation, func(w *trace.World) { w.CV, w.Hold = 0.5, 10 })
	add("replica noise CV 0.5 held 60 s, 1 h", variation, func(w *trace.World) { w.CV, w.Hold = 0.5, 60 })
	add("replica noise CV 0.5 held 300 s, 1 h", variation, func(w *trace.World) { w.CV, w.Hold = 0.5, 300 })
	add("replica noise CV 1 held 10 s, 1 h", whole, func(w *trace.World) { w.CV, w.Hold = 1, 10 })
	add("replica noise CV 1 held 60 s, 1 h", half, func(w *trace.World) { w.CV, w.Hold = 1, 60 })
	add("replica noise CV 1 held 300 s, 1 h", half, func(w *trace.World) { w.CV, w.Hold = 1, 300 })
	add("replicas differ, CV 0.3, 1 h", variation, func(w *trace.World) { w.FixedCV = 0.3 })
	add("replicas differ, CV 0.5, 1 h", whole, func(w *trace.World) { w.FixedCV = 0.5 })
	add("latency noise CV 0.1 held 60 s, 1 h", variation, func(w *trace.World) { w.LatencyCV, w.Hold = 0.1, 60 })
	add("1 baseline replica, noise CV 0.5, 1 h", glimpse, func(w *trace.World) { w.Controls, w.CV, w.Hold = 1, 0.5, 60 })
	add("2 baseline replicas, noise CV 0.5, 1 h", glimpse, func(w *trace.World) { w.Controls, w.CV, w.Hold = 2, 0.5, 60 })
	add("3 baseline replicas, noise CV 0.5, 1 h", variation, func(w *trace.World) { w.Controls, w.CV, w.Hold = 3, 0.5, 60 })
	add("warm-up of 60 s, not left out", glimpse, func(w *trace.World) { w.WarmUp = true })
	add("24 h at 20 requests/s", 0.02, func(w *trace.World) { w.RPS, w.Horizon = 20, 24*3600 })
	for i := range list {
		w := &list[i].world
		list[i].beyond = w.Controls < 3 || w.WarmUp
	}
	return list
}
