package forecast

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict"
)

// Training says what a model is made of.
type Training struct {
	Repository *change.Repository // measures the changes of deployments whose commits are known; nil: they are not measured
	Seed       uint64
	Progress   func(done, all int)
}

// Train learns from a history as it came to be: each deployment is predicted before its outcome is known, and outcomes
// are learned when they were. The model's card tells how good those predictions were.
func Train(ctx context.Context, h learn.History, o Training) (*predict.Model, error) {
	rows := slices.Clone(h.Deployments)
	if len(rows) == 0 {
		return nil, adg.Errorf(adg.NotFound, "the history is empty: there is nothing to learn from")
	}
	if err := o.measured(ctx, rows); err != nil {
		return nil, err
	}
	names := map[string]float64{}
	for _, d := range rows {
		maps.Copy(names, d.Features)
	}
	c := course{history: learn.History{Rules: h.Rules.WithDefaults()}, names: sorted(names), known: make([]known, 0, len(rows))}
	c.learner = predict.NewLearner(c.names, predict.Settings{Seed: o.Seed, Prior: predict.Shipped()})
	for i, d := range rows {
		if err := ctx.Err(); err != nil {
			return nil, adg.Errorf(adg.Unavailable, "training: %w", err)
		}
		if o.Progress != nil {
			o.Progress(i, len(rows))
		}
		c.learn(d.At)
		c.add(d)
	}
	c.learn(forever)
	c.learner.Refit()
	m := c.learner.Model()
	m.Card.Counted = h.Counted()
	return m, nil
}

// Private

// forever is after all outcomes.
var forever = time.Unix(math.MaxInt32*100, 0)

// course is a history that is lived through.
type course struct {
	history  learn.History // its rules
	names    []string
	learner  *predict.Learner
	known    []known // outcomes that are not learned yet
	fittedAt int     // outcomes at the last training
}

// known is an outcome, and when it was.
type known struct {
	id     int
	at     time.Time
	failed bool
}

// growth is how much more must be known before a model is trained again on the way.
const growth = 0.1

// learn tells the outcomes that were known by then, in the order in which they were.
func (c *course) learn(now time.Time) {
	slices.SortStableFunc(c.known, func(a, b known) int { return a.at.Compare(b.at) })
	n := 0
	for ; n < len(c.known) && !c.known[n].at.After(now); n++ {
		c.learner.Learn(c.known[n].id, c.known[n].failed)
	}
	c.known = slices.Delete(c.known, 0, n)
	if grown := c.learner.Outcomes() - c.fittedAt; grown >= 10 && float64(grown) >= growth*float64(c.learner.Outcomes()) {
		c.learner.Refit()
		c.fittedAt = c.learner.Outcomes()
	}
}

func (c *course) add(d learn.Deployment) {
	values := make([]float64, len(c.names))
	for i, name := range c.names {
		v, there := d.Features[name]
		if !there {
			v = math.NaN()
		}
		values[i] = v
	}
	id, _ := c.learner.Add(values, d.Service)
	failed, labelled := c.history.Label(d)
	if !labelled {
		return
	}
	at := d.At.Add(max(c.history.Rules.Matures, 0))
	if failed && !d.FailedAt.IsZero() {
		at = d.FailedAt
	}
	c.known = append(c.known, known{id, at, failed})
}

// measured adds what each deployment changed, where its commits are known and the repository has them, and the moment.
func (o Training) measured(ctx context.Context, rows []learn.Deployment) error {
	var index change.Index
	for i := range rows {
		d := &rows[i]
		features := Moment(d.At)
		if o.Repository != nil && d.FromCommit != "" && d.ToCommit != "" {
			if o.Progress != nil {
				o.Progress(i, 2*len(rows))
			}
			c, err := o.Repository.Measure(ctx, &index, d.FromCommit, d.ToCommit)
			switch {
			case err == nil:
				maps.Copy(features, c.Measures)
			case adg.CodeOf(err) != adg.NotFound: // a commit that is gone has no measures
				return err
			}
		}
		maps.Copy(features, d.Features)
		d.Features = features
	}
	return nil
}
