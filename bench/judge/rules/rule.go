// Package rules holds the ways in which the field's tools, and ADG, decide whether a canary is rolled back. Each file
// says where its rule is from; those of vendors who publish none are guesses, and named so.
package rules

import (
	"math"

	"github.com/deployguardian/adg/bench/judge/view"
)

// Rule is one way to decide. It is safe for concurrent use.
type Rule struct {
	Name   string
	Source string // where the rule is from, and what was chosen where that is silent
	Knobs  []Knob
	// Run decides with a value for each knob; nil where there is Path.
	Run func(v *view.View, knobs []float64) Outcome
	// Path is how the evidence of a rule grows whose only knob is how much of it is enough. It may end where there is as
	// much as is asked for.
	Path func(v *view.View, enough float64) Path
	// Only tells on which faults the rule says anything; nil: on all.
	Only func(v *view.View) bool
}

// Path is the evidence of one trace.
type Path struct {
	Records []Record // each higher than the one before
	Promote int      // when it may have all of the requests if there was not enough before
}

// Record is a second after which there was more evidence than ever before.
type Record struct {
	Second   int
	Evidence float64
}

// Decide is what the rule makes of a view, with each of some settings of its knobs.
func (r *Rule) Decide(v *view.View, settings ...[]float64) []Outcome {
	outcomes := make([]Outcome, len(settings))
	if r.Path == nil {
		for i, knobs := range settings {
			outcomes[i] = r.Run(v, knobs)
		}
		return outcomes
	}
	enough := math.Inf(-1)
	for _, knobs := range settings {
		enough = max(enough, knobs[0])
	}
	path := r.Path(v, enough)
	for i, knobs := range settings {
		outcomes[i] = path.outcome(knobs[0])
	}
	return outcomes
}

// Peak is the most evidence of the path.
func (p Path) Peak() float64 {
	if len(p.Records) == 0 {
		return math.Inf(-1)
	}
	return p.Records[len(p.Records)-1].Evidence
}

// Knob is a number that its users may set. Higher means fewer rollbacks.
type Knob struct {
	Name      string
	Default   float64
	Low, High float64 // between which it is searched
}

// Off is the value of a knob that never rolls back.
var Off = math.Inf(1)

// Defaults are the values that the vendor, or the example in its documentation, has.
func (r *Rule) Defaults() []float64 {
	d := make([]float64, len(r.Knobs))
	for i, k := range r.Knobs {
		d[i] = k.Default
	}
	return d
}

// Outcome is what became of a canary: seconds from the start of the view, or Never.
type Outcome struct {
	Rollback int
	Promote  int // when it may have all of the requests
}

// Never is a time that does not come.
const Never = -1

// All are the rules, in the order of the tables.
func All() []*Rule {
	return []*Rule{
		ADG(), plainErrors(), plainAll(), zTest(), argoDefault(), argoDocs(), flaggerDocs(), flaggerDefault(),
		cloudWatch(3, 3), cloudWatch(3, 5), kayentaGrowing(), kayentaOnce(), keptn(), harness(), datadog(), oracle(),
	}
}

// Private

func (p *Path) add(second int, evidence float64) {
	if evidence > p.Peak() {
		p.Records = append(p.Records, Record{second, evidence})
	}
}

func (p Path) outcome(limit float64) Outcome {
	o := Outcome{Never, p.Promote}
	for _, r := range p.Records {
		if r.Evidence >= limit {
			if o.Rollback = r.Second; o.Promote >= o.Rollback {
				o.Promote = Never
			}
			break
		}
	}
	return o
}

func rolledBack(second int) Outcome { return Outcome{Rollback: second, Promote: Never} }

func promoted(second int) Outcome { return Outcome{Rollback: Never, Promote: second} }

// limits are the knobs of tools with absolute limits: factors on the operator's.
func limits() []Knob {
	return []Knob{{"error limit, × the operator's", 1, 0.1, 30}, {"p99 limit, × the operator's", 1, 0.1, 30}}
}

// exceeds tells, for each of the two limits, whether a window is above it, and whether it has anything at all.
func exceeds(v *view.View, w view.Window, knobs []float64) (over [2]bool, some bool) {
	return [2]bool{w.Ratio() > knobs[0]*v.ErrorLimit, w.P99 > knobs[1]*v.LatencyLimit}, w.All > 0
}
