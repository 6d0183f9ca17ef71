// Package evaluate scores the model on a table of the past as it would have done in real life: each row is predicted
// before its outcome is known, and outcomes are learned when they become known.
package evaluate

import (
	"context"
	"math"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
)

// Options say how a table is evaluated.
type Options struct {
	Delay     float64 // seconds from a row to its outcome
	Refit     float64 // seconds between two trainings; 0: none any more once scoring has begun
	ScoreLast float64 // share of the rows, the last ones, that are scored
	Once      bool    // learn nothing any more once scoring has begun: no weight, no rate, no calibration
	Rows      int     // how many rows are remembered to train on; 0 means 60,000
	Seed      uint64
	Prior     *predict.Prior
	Progress  func(done, all int)
}

// Validate reports what cannot be meant.
func (o Options) Validate() error {
	switch {
	case !(o.Delay >= 0) || math.IsInf(o.Delay, 1), !(o.Refit >= 0) || math.IsInf(o.Refit, 1):
		return adg.Errorf(adg.Invalid, "the delay and the time between two trainings are not negative")
	case !(o.ScoreLast > 0 && o.ScoreLast <= 1):
		return adg.Errorf(adg.Invalid, "the share of the rows that is scored is above 0 and at most 1, not %g", o.ScoreLast)
	case o.Rows < 0:
		return adg.Errorf(adg.Invalid, "%d rows cannot be remembered", o.Rows)
	}
	return nil
}

// Result is what came out.
type Result struct {
	Rows      int                      `json:"rows"`
	Scored    int                      `json:"scored"` // rows that the scores are about
	Failed    int                      `json:"failed"` // of them
	Features  int                      `json:"features"`
	Chosen    predict.Score            `json:"chosen"`  // of the answer itself
	Experts   map[string]predict.Score `json:"experts"` // of each expert alone
	Weights   map[string]float64       `json:"weights"` // of the experts at the end
	Standing  string                   `json:"standing"`
	Notes     []string                 `json:"notes"`
	Answers   []float64                `json:"-"` // predicted probabilities of failure of the scored rows, in time order
	BaseRates []float64                `json:"-"` // what the running base rate said of the same
	ByExpert  [][]float64              `json:"-"` // what each expert said, in the order of predict.ExpertNames
	Outcomes  []bool                   `json:"-"` // and what became of them: failed or not
}

// Run evaluates a table. A cancelled context ends it with an error.
func Run(ctx context.Context, t *Table, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := newCourse(t, o)
	for i := range t.Values {
		if i%64 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, adg.Errorf(adg.Unavailable, "evaluate: %w", err)
			}
			if o.Progress != nil {
				o.Progress(i, len(t.Values))
			}
		}
		c.learn(i)
		c.refit(i)
		c.predict(i)
	}
	return c.result(), nil
}

// Private

// growth is how much more must be known before the experts are trained again, whatever the calendar says.
const growth = 0.10

// course goes through a table.
type course struct {
	*Table
	Options
	learner *predict.Learner
	from    int   // first row that is scored
	ids     []int // of the rows, by the learner
	due     int   // the first row whose outcome is not told yet

	fitAt       float64
	fitOutcomes int

	values        []float64
	experts       [][]float64
	chosen, base  []float64
	failed        []bool
	failedOutcome int
}

func newCourse(t *Table, o Options) *course {
	n := len(t.Values)
	if t.Ordinal {
		o.Delay = 0
	}
	return &course{
		Table: t, Options: o, learner: predict.NewLearner(t.Names, predict.Settings{Seed: o.Seed, Prior: o.Prior, Rows: o.Rows}),
		from: n - int(math.Round(o.ScoreLast*float64(n))), ids: make([]int, n), fitAt: math.Inf(-1),
		values: make([]float64, len(t.Names)), experts: make([][]float64, len(predict.ExpertNames())),
	}
}

// learn tells the outcomes that are known by the time of a row.
func (c *course) learn(i int) {
	if c.Once && i > c.from {
		return
	}
	for c.due < i && (c.Delay == 0 || c.Times[c.due]+c.Delay < c.Times[i]) {
		if label := c.Labels[c.due]; label != Unlabelled {
			c.learner.Learn(c.ids[c.due], label == Failed)
		}
		c.due++
	}
}

// refit trains anew before a row: by the calendar, and where much more is known than at the last time.
func (c *course) refit(i int) {
	grown := c.learner.Outcomes() - c.fitOutcomes
	if grown == 0 || c.Refit == 0 && i > c.from {
		return
	}
	byCalendar := c.Refit > 0 && !c.Ordinal && c.Times[i]-c.fitAt >= c.Refit
	if i == c.from || byCalendar || grown >= 10 && float64(grown) >= growth*float64(c.learner.Outcomes()) {
		c.learner.Refit()
		c.fitAt, c.fitOutcomes = c.Times[i], c.learner.Outcomes()
	}
}

func (c *course) predict(i int) {
	for j, v := range c.Values[i] {
		c.values[j] = float64(v)
	}
	id, p := c.learner.Add(c.values, c.Groups[i])
	c.ids[i] = id
	if i < c.from || c.Labels[i] == Unlabelled {
		return
	}
	c.chosen, c.base = append(c.chosen, p.Failure), append(c.base, p.Experts[0])
	for k, q := range p.Experts {
		c.experts[k] = append(c.experts[k], q)
	}
	c.failed = append(c.failed, c.Labels[i] == Failed)
	if c.Labels[i] == Failed {
		c.failedOutcome++
	}
}

func (c *course) result() *Result {
	m := c.learner.Model()
	r := &Result{
		Rows: len(c.Values), Scored: len(c.chosen), Failed: c.failedOutcome, Features: len(c.Names), Notes: c.Notes,
		Chosen: predict.Grade(c.chosen, c.base, c.failed), Experts: map[string]predict.Score{}, Weights: map[string]float64{},
		Standing: m.Card.Standing(), Answers: c.chosen, BaseRates: c.base, ByExpert: c.experts, Outcomes: c.failed,
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	for k, name := range predict.ExpertNames() {
		r.Experts[name] = predict.Grade(c.experts[k], c.base, c.failed)
		r.Weights[name] = m.Experts[k].Weight
	}
	return r
}
