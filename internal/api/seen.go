package api

import (
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

const (
	lookBack   = 24 * time.Hour // for the assessment that says how likely success is, where there is none among the newest
	mostDrawn  = 100            // rows of one list that come with a line to draw
	drawnAgain = 10             // rows of a watch whose line begins anew with one reading, because another check matters most now
	drawnFrom  = 256            // assessments that a line is drawn from, at most
)

// fill adds to a deployment what its history says.
func (a *API) fill(ctx context.Context, d adg.Deployment, message *adgv1.Deployment) error {
	var err error
	if message.Status.Success, err = a.success(ctx, d); err != nil || d.Status.Rollbacks == 0 {
		return err
	}
	effects, err := a.o.Store.Effects(ctx, d.ID)
	message.Status.RollbackSteps = wire.RollbackSteps(d, effects)
	return err
}

// success is the probability of success by what is known now: by the last assessment of the release, else as it was
// predicted. Nobody predicted: nil.
func (a *API) success(ctx context.Context, d adg.Deployment) (*float64, error) {
	if d.Spec.Prediction == nil {
		return nil, nil //nolint:nilnil // nothing is known, and that is no error
	}
	until := d.Status.Ticked
	if d.Status.Rollbacks > 0 && !d.Status.Condemned.IsZero() {
		until = d.Status.Condemned // since then another release is measured
	}
	predicted := d.Spec.Prediction.Success
	if until.IsZero() {
		return &predicted, nil
	}
	// A day is thousands of ticks, and this is asked at each look at a deployment: mostly the newest few have it.
	for _, back := range []time.Duration{4 * longest(d, ""), lookBack} {
		// The first and the last of that time.
		ends, err := a.o.Store.Assessments(ctx, d.ID, adg.MeasurementFilter{From: until.Add(-back), To: until, Limit: 2})
		if err != nil {
			return &predicted, err
		}
		if n := len(ends); n > 0 {
			if ends[n-1].Success == nil {
				break
			}
			return ends[n-1].Success, nil
		}
	}
	return &predicted, nil
}

// longest is the time between two assessments at most, of one check or, without a name, of any.
func longest(d adg.Deployment, check string) time.Duration {
	interval := d.Spec.Policy.Interval
	for _, c := range d.Spec.Policy.Checks {
		if check == "" || c.Name == check {
			interval = max(interval, c.Interval)
		}
	}
	for _, p := range d.Spec.Policy.Verify {
		interval = max(interval, p.Interval)
	}
	return interval
}

// row is a deployment as a row of a list. Of the first rows the headline comes with a line to draw.
func (a *API) row(ctx context.Context, d adg.Deployment, team func(service string) string, before int) (*adgv1.DeploymentSummary, error) {
	made := wire.Summary(d)
	made.Team = team(made.GetService())
	if made.GetHeadline() == nil || before >= mostDrawn {
		return made, nil
	}
	var err error
	made.Headline, err = a.headline(ctx, d, made.GetHeadline().GetJudgement().GetCheck())
	return made, err
}

// headline is the check that matters most, with a line to draw.
func (a *API) headline(ctx context.Context, d adg.Deployment, check string) (*adgv1.Headline, error) {
	assessments, err := a.o.Store.Assessments(ctx, d.ID, adg.MeasurementFilter{From: d.Status.Ticked.Add(-40 * longest(d, check)), Limit: drawnFrom})
	return wire.Headline(d, assessments), err
}

// drawn are the rows of a watch. A line goes on from the row before; where there is none, the worst ones have theirs from
// the store.
func (a *API) drawn(ctx context.Context, found []adg.Deployment, was map[string]wire.Row) ([]wire.Row, error) {
	rows, anew := make([]wire.Row, len(found)), []int{}
	for i, d := range found {
		rows[i] = a.ofTeam(d)
		if before, known := was[d.ID]; rows[i].Summary.GetHeadline() != nil && (!known || !rows[i].GoOn(before)) {
			anew = append(anew, i)
		}
	}
	most := drawnAgain
	if len(was) == 0 {
		most = mostDrawn
	}
	slices.SortStableFunc(anew, func(i, j int) int { return worse(found[i], found[j]) })
	for _, i := range anew[:min(len(anew), most)] {
		summary := rows[i].Summary
		headline, err := a.headline(ctx, found[i], summary.GetHeadline().GetJudgement().GetCheck())
		if err != nil {
			return nil, err
		}
		summary.Headline = headline
	}
	return rows, nil
}
