package rules

import (
	"math"
	"slices"

	"github.com/deployguardian/adg/bench/judge/view"
	"github.com/deployguardian/adg/internal/judge/sequential"
	"github.com/deployguardian/adg/internal/judge/traffic"
)

// ADG is ADG's own judgement of a canary with a baseline beside it: errors, and requests slower than each of five quantiles of the baseline
// before the rollout, all with the baseline's replicas, as weighted mean of their evidence; beside it, and for a small
// part of alpha, whether the canary gets requests at all, and as many as it should. It is the same code that decides in
// production. A bucket is a second, or four scrapes where those are slower.
func ADG() *Rule {
	return &Rule{
		Name: "ADG", Source: "internal/judge/sequential and internal/judge/traffic at their defaults, alpha 1 %",
		Knobs: []Knob{{"ln(1/alpha)", math.Log(100), 0, 50}},
		Path:  watch,
	}
}

// Private

// Parts of alpha.
const (
	forSilence = 0.05
	forSplit   = 0.05
	forChecks  = 1 - forSilence - forSplit
)

// watcher is one deployment.
type watcher struct {
	view    *view.View
	design  sequential.Design
	tests   [view.Checks]sequential.State
	silence traffic.Silence
	split   traffic.Split
	moves   traffic.Dispersion // how many requests go one way together
	groups  []sequential.Counts
	all     []float64
	length  int // seconds of a bucket
}

func newWatcher(v *view.View) *watcher {
	controls := v.Fine.Replicas - v.Fine.Canaries
	w := &watcher{view: v, length: max(1, 4*v.World.Scrape), groups: make([]sequential.Counts, controls), all: make([]float64, controls)}
	w.design = sequential.Design{Seconds: float64(w.length), Canaries: v.Fine.Canaries}
	w.silence, _ = traffic.NewSilence(0.01, 24*3600/float64(w.length), 0.5) // constants within range
	w.split, _ = traffic.NewSplit(0.2)
	return w
}

// watch looks at the buckets until there is enough evidence, or to the end.
func watch(v *view.View, enough float64) Path {
	f, w := v.Fine, newWatcher(v)
	for from := 0; from+w.length <= f.Lead; from += w.length {
		w.bucket(from, false)
	}
	path := Path{Promote: Never}
	start := f.Lead + v.Skip
	for from := start; from+w.length <= f.Seconds && path.Peak() < enough; from += w.length {
		w.bucket(from, true)
		if w.mayExceed(path.Peak()) {
			path.add(from+w.length-start, w.evidence())
		}
		if path.Promote == Never && w.notWorse() {
			path.Promote = from + w.length - start
		}
	}
	return path
}

// bucket takes in some seconds from one on. Before the canary's start only the baseline's replicas say something.
func (w *watcher) bucket(from int, started bool) {
	f := w.view.Fine
	b := sequential.Bucket{Groups: w.groups}
	for check := range view.Checks {
		b.Canary, b.Control = sequential.Counts{}, sequential.Counts{}
		clear(w.groups)
		for r := range f.Replicas {
			var c sequential.Counts
			for second := from; second < from+w.length; second++ {
				all, bad := f.Of(r, second, check)
				c.All, c.Bad = c.All+all, c.Bad+bad
			}
			c.Bad = min(c.Bad, c.All)
			if r < f.Canaries {
				b.Canary.All, b.Canary.Bad = b.Canary.All+c.All, b.Canary.Bad+c.Bad
				continue
			}
			w.groups[r-f.Canaries] = c
			b.Control.All, b.Control.Bad = b.Control.All+c.All, b.Control.Bad+c.Bad
		}
		if !started {
			b.Canary = sequential.Counts{}
		}
		w.design.Next(&w.tests[check], &b)
	}
	w.requests(b, from, started)
}

// requests tests the traffic itself.
func (w *watcher) requests(b sequential.Bucket, from int, started bool) {
	if started {
		t := traffic.Bucket{
			Candidate: b.Canary.All, Baseline: b.Control.All, Overdispersion: w.moves.Factor(),
			Share: 100 * w.view.World.ShareAt(from-w.view.Fine.Lead),
		}
		_ = w.silence.Add(t) // counts and shares are what they should be by construction
		_ = w.split.Add(t)
	}
	for i, g := range w.groups {
		w.all[i] = g.All
	}
	_ = w.moves.Add(w.all)
}

// evidence is one number against one limit: the strongest of the three tests, each with its part of alpha.
func (w *watcher) evidence() float64 {
	checks := 0.0
	for i := range w.tests {
		checks += checkWeights[i] * math.Exp(w.design.LogE(&w.tests[i]))
	}
	return max(math.Log(checks*forChecks), w.silence.MaxLogE+math.Log(forSilence), w.split.MaxLogE+math.Log(forSplit))
}

// mayExceed tells, for less work, whether the evidence can be more than that at all: no sum is more than its largest
// term times their number.
func (w *watcher) mayExceed(limit float64) bool {
	if max(w.silence.MaxLogE+math.Log(forSilence), w.split.MaxLogE+math.Log(forSplit)) > limit {
		return true
	}
	most := 0.0
	for i := range w.tests {
		ladder := w.tests[i].Ladder[:]
		most += checkWeights[i] * float64(len(ladder)) * math.Exp(slices.Max(ladder))
	}
	return most*forChecks > math.Exp(limit)
}

// notWorse tells whether every check is shown to be.
func (w *watcher) notWorse() bool {
	for i := range w.tests {
		if w.tests[i].NotWorse == 0 {
			return false
		}
	}
	return true
}
