// Package oracle says on a server what to expect of deployments: it predicts them from what the server remembers, trains
// models on what became of earlier ones, and tells how good the predictions were. Who may ask is for others to check.
package oracle

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/models"
)

// Store is what an oracle needs of one.
type Store interface {
	adg.Clock
	adg.Documents
	Deployment(ctx context.Context, id string) (adg.Deployment, error)
	ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error)
	LastGood(ctx context.Context, service, environment string) (adg.ReleaseRecord, error)
}

// Options are what an oracle works with.
type Options struct {
	Store Store
	// Before is how the live release is doing; nil: that is not asked.
	Before func(ctx context.Context, spec adg.Spec, live adg.Release) (adg.Assessment, []adg.Baseline, error)
	Log    *slog.Logger
	Every  time.Duration // between two looks whether a model is to be trained; zero: 10 minutes
	Fresh  time.Duration // for how long what was read of deployments under way counts; zero: 2 s
}

// Oracle predicts. All methods are safe for concurrent use.
type Oracle struct {
	o     Options
	shelf models.Shelf
	past  past

	mu    sync.Mutex
	model *predict.Model // the one that was asked last
	id    string
}

// New makes an oracle. Its first answer reads what is remembered, the newest 5,000 deployments.
func New(o Options) *Oracle {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = 10 * time.Minute
	}
	if o.Fresh == 0 {
		o.Fresh = 2 * time.Second
	}
	return &Oracle{o: o, shelf: models.In(o.Store)}
}

// Told is what somebody says about a deployment.
type Told struct {
	Features  map[string]float64
	Paths     []string // of the files that it changes
	Authors   []string
	Automatic bool // a program begins it, not a person
}

// Validate refuses features that nothing could be learned from.
func (t Told) Validate() error {
	for name, value := range t.Features {
		if err := learn.ValidFeature(name); err != nil {
			return err
		}
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return adg.Errorf(adg.Invalid, "the feature %s is not a number", name)
		}
	}
	return nil
}

// Expect predicts a deployment before it begins, where a model was trained, or where the policy or the caller wants it.
// Else it is nil, and so it is where a prediction cannot be made: that is in the log, and keeps no deployment from
// beginning. Features that nobody may tell are Invalid.
func (o *Oracle) Expect(ctx context.Context, spec adg.Spec, t Told) (*adg.Prediction, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	asked := spec.Policy.Risk.Asks() || len(t.Features) > 0
	if _, err := o.shelf.Find(ctx, ""); !asked && adg.CodeOf(err) == adg.NotFound {
		return nil, nil //nolint:nilnil // nothing is expected
	}
	p, err := o.Predict(ctx, spec, t, "")
	switch {
	case err == nil:
		return &p, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	o.o.Log.WarnContext(ctx, "a deployment is not predicted", "service", spec.Policy.Service, "environment", spec.Policy.Environment, "error", err)
	return nil, nil //nolint:nilnil // see above
}

// Predict asks one model about a deployment; no id is the model in use, or where there is none what public data teach:
// the prediction's Standing says which.
func (o *Oracle) Predict(ctx context.Context, spec adg.Spec, t Told, model string) (adg.Prediction, error) {
	if err := t.Validate(); err != nil {
		return adg.Prediction{}, err
	}
	now, err := o.o.Store.Now(ctx)
	if err != nil {
		return adg.Prediction{}, err
	}
	past, err := o.remembered(ctx, spec.Policy.Environment)
	if err != nil {
		return adg.Prediction{}, err
	}
	start := forecast.Start{
		Spec: spec, Automatic: t.Automatic, Told: t.Features,
		Paths: forecast.Marks(t.Paths, adg.MaxPaths), Authors: forecast.Marks(t.Authors, adg.MaxAuthors),
	}
	if err := o.health(ctx, &start); err != nil {
		return adg.Prediction{}, err
	}
	features, err := forecast.Circumstances(past, start, now)
	if err != nil {
		return adg.Prediction{}, err
	}
	m, id, err := o.modelOf(ctx, model, features)
	if err != nil {
		return adg.Prediction{}, err
	}
	p := forecast.Predict(m, id, spec.Policy.Service, features, now)
	p.Paths, p.Authors = start.Paths, start.Authors
	return p, nil
}

// Private

const (
	publicData = "public data" // stands for a model's id where there is none
	remembered = 1000          // deployments of an environment that a prediction looks back at
	beforeTime = 5 * time.Second
)

// remembered is what a prediction looks back at.
func (o *Oracle) remembered(ctx context.Context, environment string) (p forecast.Past, err error) {
	all, err := o.past.read(ctx, o.o)
	if err != nil {
		return p, err
	}
	for _, d := range all {
		if d.Spec.Policy.Environment == environment && len(p.Deployments) < remembered {
			p.Deployments = append(p.Deployments, d)
		}
	}
	p.Corrections, err = learn.Corrections(ctx, o.o.Store)
	return p, err
}

// health adds how the live release is doing, as far as that is found out in time.
func (o *Oracle) health(ctx context.Context, start *forecast.Start) error {
	spec := start.Spec
	if o.o.Before == nil || len(spec.Policy.Checks) == 0 {
		return nil
	}
	live := spec.LastGood
	if live == nil {
		record, err := o.o.Store.LastGood(ctx, spec.Policy.Service, spec.Policy.Environment)
		if adg.CodeOf(err) == adg.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		live = &record.Release
	}
	limited, cancel := context.WithTimeoutCause(ctx, beforeTime, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(beforeTime)))
	defer cancel()
	found, baselines, err := o.o.Before(limited, spec, *live)
	switch {
	case err == nil:
		start.Health, start.Baselines = &found, baselines
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		o.o.Log.WarnContext(ctx, "the health of the live release is not known for the prediction", "service", spec.Policy.Service, "environment", spec.Policy.Environment, "error", err)
	}
	return nil
}

func (o *Oracle) modelOf(ctx context.Context, id string, features map[string]float64) (*predict.Model, string, error) {
	item, err := o.shelf.Find(ctx, id)
	if id == "" && adg.CodeOf(err) == adg.NotFound {
		return forecast.Untaught(features), publicData, nil
	}
	if err != nil {
		return nil, "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id == item.ID {
		return o.model, o.id, nil
	}
	m, _, err := o.shelf.Get(ctx, item.ID)
	if err != nil {
		return nil, "", err
	}
	o.model, o.id = m, item.ID
	return m, o.id, nil
}
