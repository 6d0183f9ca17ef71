package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict/models"
)

// Private

// remembered is how many deployments of an environment a prediction looks back at.
const remembered = 1000

// beforeTime bounds how long the health of the live release is asked for before a prediction goes without it.
const beforeTime = 30 * time.Second

// expect predicts a deployment before it begins, where the policy or the person who runs it asks for that, or where a
// model was trained. What cannot be measured is said and left out.
func (s session) expect(ctx context.Context, store adg.Store, g *guard.Guard, spec *adg.Spec) (err error) {
	o := s.options
	known := memory(store)
	if o.Known != "" { // a dry run remembers what happened in earnest
		var end func() error
		if known, end, err = reading(ctx, o.Known); err != nil {
			return err
		}
		defer both(&err, end)
	}
	shelf := models.In(known)
	asked := s.policy.Risk.Asks() || o.Repository != "" || o.Payload != "" || len(o.Features) > 0
	if _, err := shelf.Find(ctx, ""); !asked && adg.CodeOf(err) == adg.NotFound {
		return nil
	}
	now, err := store.Now(ctx)
	if err != nil {
		return err
	}
	past, err := s.past(ctx, known)
	if err != nil {
		return err
	}
	start, err := s.start(ctx, store, g, *spec, indexes{from: known, to: store})
	if err != nil {
		return err
	}
	features, err := forecast.Circumstances(past, start, now)
	if err != nil {
		return err
	}
	p, notes, err := foretell(ctx, shelf, "", s.policy.Service, features, now)
	if err != nil {
		return err
	}
	p.Paths, p.Authors = start.Paths, start.Authors
	spec.Prediction = &p
	for _, note := range notes {
		s.view.Say("note: " + note)
	}
	s.view.Say(fmt.Sprintf("success is expected with %.0f %% (%.0f to %.0f %%); usual is %.0f %%; %s", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base, p.Standing))
	return nil
}

// past is what is remembered of the environment.
func (s session) past(ctx context.Context, known memory) (past forecast.Past, err error) {
	past.Deployments, err = known.ListDeployments(ctx, adg.DeploymentFilter{Environment: s.policy.Environment, Limit: remembered})
	if err != nil {
		return past, err
	}
	past.Corrections, err = learn.Corrections(ctx, known)
	return past, err
}

// start is what is known of the deployment that is about to begin.
func (s session) start(ctx context.Context, store adg.Store, g *guard.Guard, spec adg.Spec, kept indexes) (forecast.Start, error) {
	live, err := s.live(ctx, store, spec)
	if err != nil {
		return forecast.Start{}, err
	}
	c, err := s.change(ctx, live, spec.Release, kept)
	if err != nil {
		return forecast.Start{}, err
	}
	start := forecast.Start{
		Spec: spec, Automatic: s.options.Automatic, Told: map[string]float64{},
		Paths: forecast.Marks(c.Paths, adg.MaxPaths), Authors: forecast.Marks(c.Authors, adg.MaxAuthors),
	}
	maps.Copy(start.Told, c.Measures)
	maps.Copy(start.Told, s.options.Features)
	if live == nil {
		return start, nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, beforeTime, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(beforeTime)))
	defer cancel()
	found, baselines, err := g.Before(limited, spec, *live)
	switch {
	case err == nil:
		start.Health, start.Baselines = &found, baselines
	case ctx.Err() != nil:
		return start, context.Cause(ctx)
	default:
		s.view.Say("warning: the health of the live release is not known for the prediction: " + err.Error())
	}
	return start, nil
}

// live is the release that a deployment replaces, as far as that is on record; nil: it is not.
func (s session) live(ctx context.Context, store adg.Store, spec adg.Spec) (*adg.Release, error) {
	if spec.LastGood != nil {
		return spec.LastGood, nil
	}
	record, err := store.LastGood(ctx, s.policy.Service, s.policy.Environment)
	if adg.CodeOf(err) == adg.NotFound {
		return nil, nil
	}
	return &record.Release, err
}

// change is what lies between the live release and the new one, by their commits, or else their versions as tags; it is
// empty where neither a repository nor a payload tells.
func (s session) change(ctx context.Context, live *adg.Release, next adg.Release, kept indexes) (change.Change, error) {
	o := s.options
	switch {
	case o.Payload != "":
		return told(o.Payload)
	case o.Repository == "":
		return change.Change{}, nil
	}
	from := ""
	if live != nil {
		from = cmp.Or(live.Commit, live.Version)
	}
	c, err := measure(ctx, o.Repository, kept, from, cmp.Or(next.Commit, next.Version), nil)
	if err != nil {
		s.view.Say("warning: the change is not measured: " + err.Error())
	}
	return c, nil
}
