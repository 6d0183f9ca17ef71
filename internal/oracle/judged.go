package oracle

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
)

// Judged is a deployment with what was expected of it and how it came out.
type Judged struct {
	Deployment    string
	Service       string
	Environment   string
	Version       string
	At            time.Time       // when it was asked for
	Prediction    *adg.Prediction // nil: nothing was expected
	Known, Failed bool            // the outcome, as it is learned
	KnownAt       time.Time       // when it was known
	Why           string          // what the outcome was seen by
	CorrectedBy   string          // empty: nobody did
	Corrections   int
}

// Surprise is the log-loss of the prediction in nats; nil where there is none, or no outcome.
func (j Judged) Surprise() *float64 {
	if j.Prediction == nil || !j.Known {
		return nil
	}
	seen := j.Prediction.Success
	if j.Failed {
		seen = 1 - seen
	}
	loss := -math.Log(max(seen, 1e-15))
	return &loss
}

// Outcomes are those of what is remembered, the newest 5,000 deployments, the oldest first.
func (o *Oracle) Outcomes(ctx context.Context) ([]Judged, error) {
	all, err := o.past.read(ctx, o.o)
	if err != nil {
		return nil, err
	}
	judged, _, err := o.judge(ctx, all)
	return judged, err
}

// Outcome is that of one deployment, however long ago it was.
func (o *Oracle) Outcome(ctx context.Context, d adg.Deployment) (Judged, error) {
	all, err := o.past.read(ctx, o.o)
	if err != nil {
		return Judged{}, err
	}
	if !slices.ContainsFunc(all, func(one adg.Deployment) bool { return one.ID == d.ID }) {
		all = []adg.Deployment{slim(d)}
	}
	judged, _, err := o.judge(ctx, all)
	at := slices.IndexFunc(judged, func(j Judged) bool { return j.Deployment == d.ID })
	if err != nil || at < 0 {
		return Judged{}, err
	}
	return judged[at], nil
}

// Correct puts on record how a deployment really came out, if there are so many corrections of it by now; below zero, any
// number.
func (o *Oracle) Correct(ctx context.Context, c learn.Correction, after int, origin adg.AuditEntry) error {
	now, err := o.o.Store.Now(ctx)
	if err != nil {
		return err
	}
	c.At = now
	return learn.CorrectAfter(ctx, o.o.Store, c, after, origin)
}

// Private

// judge reads outcomes, the oldest first, and the history that they make.
func (o *Oracle) judge(ctx context.Context, all []adg.Deployment) ([]Judged, learn.History, error) {
	now, err := o.o.Store.Now(ctx)
	if err != nil {
		return nil, learn.History{}, err
	}
	corrections, err := learn.Corrections(ctx, o.o.Store)
	if err != nil {
		return nil, learn.History{}, err
	}
	// The history comes in this order.
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b adg.Deployment) int { return a.Spec.Created.Compare(b.Spec.Created) })
	h, err := learn.ReadRecords(all, corrections, learn.Options{Now: now})
	if err != nil {
		return nil, h, err
	}
	last := map[string]learn.Correction{}
	count := map[string]int{}
	for _, c := range corrections {
		last[c.Deployment] = c
		count[c.Deployment]++
	}
	judged := make([]Judged, len(all))
	for i, d := range all {
		one, policy := h.Deployments[i], d.Spec.Policy
		j := Judged{
			Deployment: d.ID, Service: policy.Service, Environment: policy.Environment, Version: d.Spec.Release.Version, At: d.Spec.Created,
			Prediction: d.Spec.Prediction, Why: one.Why, Corrections: count[d.ID], CorrectedBy: last[d.ID].Actor,
		}
		if j.Failed, j.Known = h.Label(one); j.Known {
			j.KnownAt = knownAt(d, one, last)
		}
		judged[i] = j
	}
	return judged, h, nil
}

// knownAt is when an outcome was known.
func knownAt(d adg.Deployment, one learn.Deployment, last map[string]learn.Correction) time.Time {
	if c, corrected := last[d.ID]; corrected {
		return c.At
	}
	if !one.FailedAt.IsZero() {
		return one.FailedAt
	}
	at := d.Spec.Created.Add(max(learn.RulesOf(d.Spec.Policy.Risk.Labels).Matures, 0))
	if d.Status.Since.After(at) {
		return d.Status.Since
	}
	return at
}
