package main

import (
	"context"
	"slices"

	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
)

// experience is what rules are tuned on: healthy traces that are used for nothing else.
type experience struct {
	rules []*rules.Rule
	views []*view.View
	peaks [][]float64 // by rule; of those with evidence
}

// gather adds n traces of a world.
func (b *bench) gather(ctx context.Context, e *experience, w *trace.World, n int) error {
	views := make([]*view.View, n)
	peaks := make([][]float64, len(e.rules))
	for i := range peaks {
		peaks[i] = make([]float64, n)
	}
	err := b.each(ctx, w, &healthy, tuning, n, func(i int, _ *trace.Trace, v *view.View) {
		for j, r := range e.rules {
			if r.Path != nil && r.Only == nil {
				peaks[j][i] = r.Path(v, rules.Off).Peak()
			}
		}
		views[i] = v.Light()
	})
	e.views = append(e.views, views...)
	if e.peaks == nil {
		e.peaks = make([][]float64, len(e.rules))
	}
	for j := range peaks {
		e.peaks[j] = append(e.peaks[j], peaks[j]...)
	}
	return err
}

// tune finds, for each rule, the values of its knobs at which it rolls back the wanted part of the traces. Of two knobs each gets
// half of that, with the other one off; then both are turned by the same factor until they do so together.
func (e *experience) tune(part float64) []setting {
	tuned := make([]setting, len(e.rules))
	for j, r := range e.rules {
		tuned[j] = setting{rule: r, tuned: true}
		switch {
		case r.Only != nil:
			tuned[j].knobs = r.Defaults()
		case r.Path != nil:
			tuned[j].knobs = []float64{exceeded(e.peaks[j], part)}
		default:
			tuned[j].knobs = search(r, e.views, part)
		}
	}
	return tuned
}

// Private

// exceeded is the number that at most the part of the peaks reaches.
func exceeded(peaks []float64, part float64) float64 {
	slices.Sort(peaks)
	i := len(peaks) - 1 - int(part*float64(len(peaks)))
	if i+1 < len(peaks) {
		return (peaks[i] + peaks[i+1]) / 2
	}
	return peaks[i] * 1.0001
}

// search finds the values of the knobs of one rule.
func search(r *rules.Rule, views []*view.View, part float64) []float64 {
	knobs := make([]float64, len(r.Knobs))
	allowed := int(part * float64(len(views)) / float64(len(knobs)))
	for k := range knobs {
		try := make([]float64, len(knobs))
		for i := range try {
			try[i] = rules.Off
		}
		knobs[k] = halve(r.Knobs[k].Low, r.Knobs[k].High, func(value float64) bool {
			try[k] = value
			return rollsBack(r, views, try) <= allowed
		})
	}
	if len(knobs) == 1 {
		return knobs
	}
	turned := make([]float64, len(knobs))
	turn := func(factor float64) {
		for k := range knobs {
			turned[k] = factor * knobs[k]
		}
	}
	turn(halve(0.5, 4, func(factor float64) bool {
		turn(factor)
		return rollsBack(r, views, turned) <= int(part*float64(len(views)))
	}))
	return turned
}

// halve gives the least number between two that is good, where all above it are.
func halve(low, high float64, good func(float64) bool) float64 {
	for range 24 {
		if middle := (low + high) / 2; good(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

func rollsBack(r *rules.Rule, views []*view.View, knobs []float64) int {
	n := 0
	for _, v := range views {
		if r.Run(v, knobs).Rollback != rules.Never {
			n++
		}
	}
	return n
}
