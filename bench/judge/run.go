package main

import (
	"context"
	"hash/fnv"
	"math"
	"sync"
	"sync/atomic"

	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
)

// setting is a rule with values of its knobs.
type setting struct {
	rule  *rules.Rule
	knobs []float64
	tuned bool
}

// sample is what one setting made of one trace.
type sample struct {
	skipped  bool
	rollback int // seconds from the canary's start, or rules.Never
	promote  int
	bad      float64 // canary requests that failed until then
	excess   float64 // bad or slow ones beyond what the baseline's rates would have made
}

// stream of seeds: what one part of the benchmark saw, no other does.
type stream uint64

const (
	tuning stream = iota + 1
	healthyTraces
	faultyTraces
	csvTraces
)

// each makes n traces and calls do with each of them and its number, on several cores at once. What do is lent is good
// until it returns.
func (b *bench) each(ctx context.Context, w *trace.World, f *trace.Fault, s stream, n int, do func(i int, t *trace.Trace, v *view.View)) error {
	var next atomic.Int64
	var group sync.WaitGroup
	for range b.workers {
		group.Go(func() {
			g, m := trace.NewGenerator(w, f), &view.Maker{}
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				t := g.Make(b.seedOf(w, f, s, i))
				do(i, t, m.Make(t))
				b.progress.step(cost(w))
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// play lets all settings judge n traces.
func (b *bench) play(ctx context.Context, w *trace.World, f *trace.Fault, s stream, n int, settings []setting) ([][]sample, error) {
	all := make([][]sample, n)
	err := b.each(ctx, w, f, s, n, func(i int, t *trace.Trace, v *view.View) {
		served := serve(t)
		all[i] = judge(settings, v, served)
	})
	return all, err
}

// Private

func (b *bench) seedOf(w *trace.World, f *trace.Fault, s stream, i int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(w.Name + "\x00" + f.Name)) // a hash refuses nothing
	return trace.NewRandom(b.seed, h.Sum64(), uint64(s), uint64(i)).Uint64()
}

// cost of a trace, in about a million requests.
func cost(w *trace.World) float64 {
	return float64(w.Lead+w.Horizon) * (w.RPS + 500) / 1e6
}

// judge lets all settings decide; those of the same rule together.
func judge(settings []setting, v *view.View, served *served) []sample {
	samples := make([]sample, len(settings))
	for i, s := range settings {
		if s.tuned {
			continue
		}
		knobs, at := [][]float64{s.knobs}, []int{i}
		for j := i + 1; j < len(settings); j++ {
			if settings[j].rule == s.rule {
				knobs, at = append(knobs, settings[j].knobs), append(at, j)
			}
		}
		if s.rule.Only != nil && !s.rule.Only(v) {
			for _, j := range at {
				samples[j].skipped = true
			}
			continue
		}
		for k, o := range s.rule.Decide(v, knobs...) {
			samples[at[k]] = sampleOf(o, v, served)
		}
	}
	return samples
}

func sampleOf(o rules.Outcome, v *view.View, served *served) sample {
	late := v.Skip + v.World.Delay
	if o.Rollback != rules.Never {
		if o.Rollback += late; o.Rollback > v.World.Horizon {
			o.Rollback = rules.Never // the answer comes after the canary's time
		}
	}
	if o.Promote != rules.Never {
		o.Promote += late
	}
	until := v.World.Horizon
	if o.Rollback != rules.Never {
		until = o.Rollback
	}
	return sample{rollback: o.Rollback, promote: o.Promote, bad: served.bad[until], excess: served.excess[until]}
}

// served is what users got from the canary, summed up to each second after its start.
type served struct{ bad, excess []float64 }

func serve(t *trace.Trace) *served {
	slow := t.World.Latency.Quantile(0.95)
	expected := t.World.Latency.Above(slow)
	n := t.Seconds - t.Start()
	s := &served{make([]float64, n+1), make([]float64, n+1)}
	for i := range n {
		bad, excess := 0.0, 0.0
		for replica := range t.World.Canaries {
			requests, errors, slots := t.At(t.Start()+i, replica)
			bad += float64(errors)
			excess += float64(errors) - t.Base[t.Start()+i]*float64(requests) - expected*float64(requests)
			for _, slot := range slots {
				if int(slot) > slow {
					excess++
				}
			}
		}
		s.bad[i+1], s.excess[i+1] = s.bad[i]+bad, s.excess[i]+excess
	}
	return s
}

// times are those to detection, from the onset on, of the traces that were not rolled back before: +Inf where there was
// none.
func times(samples []sample, onset int) (list []float64, early int) {
	for _, s := range samples {
		switch {
		case s.rollback == rules.Never:
			list = append(list, math.Inf(1))
		case s.rollback <= onset && onset > 0:
			early++
		default:
			list = append(list, float64(s.rollback-onset))
		}
	}
	return list, early
}
