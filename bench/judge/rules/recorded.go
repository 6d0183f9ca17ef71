package rules

import (
	"math"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/bench/judge/records"
	"github.com/deployguardian/adg/bench/judge/trace"
	"github.com/deployguardian/adg/bench/judge/view"
	"github.com/deployguardian/adg/internal/judge/ranks"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// Recorded is a rule for recordings, which have steps instead of seconds: it is asked after each step.
type Recorded struct {
	Name    string
	Counted bool // it needs to know how many requests there were
	// Find gives the step, from 0, after which the episode is called bad.
	Find func(records.Episode) (step int, found bool)
}

// OnRecordings are the rules that can be applied to recordings: those of the field that look at minutes, taking each
// step as one of them, and ADG's.
func OnRecordings() []Recorded {
	list := []Recorded{{Name: "ADG (sequential on errors)", Counted: true, Find: sequentialErrors}}
	for _, r := range []*Rule{argoDefault(), flaggerDefault(), cloudWatch(3, 3), cloudWatch(3, 5)} {
		list = append(list, Recorded{Name: r.Name, Find: func(e records.Episode) (int, bool) {
			second := r.Decide(episodeView(e), r.Defaults())[0].Rollback
			return second/60 - 1, second != Never
		}})
	}
	return append(list, Recorded{Name: "ADG (mann-whitney, after each step)", Find: mannWhitney})
}

// Private

// episodeView shows the steps of an episode as minutes.
func episodeView(e records.Episode) *view.View {
	w := trace.World{Name: e.Name, Canaries: 1}
	v := &view.View{World: &w, Horizon: 60 * len(e.After)}
	for _, p := range e.After {
		v.Minutes[view.Canary] = append(v.Minutes[view.Canary], p.Window)
	}
	var errors, p99 []float64
	for _, p := range e.Before {
		errors, p99 = append(errors, p.Ratio()), append(p99, p.P99)
	}
	v.ErrorLimit, v.LatencyLimit = max(2*mean(errors), 0.01), 1.5*middle(p99)
	return v
}

// middle is the median of those that are numbers.
func middle(values []float64) float64 {
	values = slices.DeleteFunc(values, math.IsNaN)
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// mannWhitney is ADG's test where there are no counts: after each step, all steps so far against those before. It is
// no sequential test: asking after each step costs more false alarms than its confidence says.
func mannWhitney(e records.Episode) (int, bool) {
	of := []func(records.Point) float64{
		func(p records.Point) float64 { return p.Ratio() }, func(p records.Point) float64 { return p.P95 }, func(p records.Point) float64 { return p.P99 },
	}
	for n := range e.After {
		for _, value := range of {
			test := adg.RankTest{Direction: adg.Increase}
			if ranks.Compare(test, values(e.After[:n+1], value), values(e.Before, value)).Class == ranks.High {
				return n, true
			}
		}
	}
	return 0, false
}

func values(points []records.Point, of func(records.Point) float64) []float64 {
	var list []float64
	for _, p := range points {
		if v := of(p); !math.IsNaN(v) {
			list = append(list, v)
		}
	}
	return list
}

// sequentialErrors is ADG's test without a baseline beside the canary: each step against a part of all that was before.
// As nobody knows how much replicas differ, the steps before are taken for replicas.
func sequentialErrors(e records.Episode) (int, bool) {
	var control sequential.Counts
	var before []sequential.Counts
	for _, p := range e.Before {
		control.All, control.Bad = control.All+p.All, control.Bad+p.Bad
		before = append(before, sequential.Counts{All: p.All, Bad: p.Bad})
	}
	d := sequential.Design{Seconds: 300}
	var s sequential.State
	d.Next(&s, &sequential.Bucket{Control: control, Groups: before})
	steps := float64(len(e.After))
	for i, p := range e.After {
		part := sequential.Counts{All: control.All / steps, Bad: control.Bad / steps}
		d.Next(&s, &sequential.Bucket{Canary: sequential.Counts{All: p.All, Bad: p.Bad}, Control: part})
		if d.Read(&s).Outcome == sequential.Worse {
			return i, true
		}
	}
	return 0, false
}
