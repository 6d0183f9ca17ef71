package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict/models"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// predict answers `adg predict`.
func (a *App) predict(ctx context.Context, o cli.PredictOptions) (p cli.Predicted, err error) {
	now := time.Now() //nolint:forbidigo // the moment is a feature
	features := forecast.Moment(now)
	open := writing // what is read of a repository's history is kept
	if o.Repository == "" {
		open = func(ctx context.Context, dir string) (adg.Documents, func() error, error) { return reading(ctx, dir) }
	}
	documents, end, err := open(ctx, o.DataDir)
	if err != nil {
		return p, err
	}
	defer both(&err, end)
	c, err := changeOf(ctx, o, documents)
	if err != nil {
		return p, err
	}
	if c != nil {
		maps.Copy(features, c.Measures)
		p.Notes = c.Notes
	}
	maps.Copy(features, o.Features)
	var notes []string
	p.Prediction, notes, err = foretell(ctx, models.In(documents), o.Model, o.Service, features, now)
	p.Notes = append(p.Notes, notes...)
	return p, err
}

// train answers `adg predict train`.
func (a *App) train(ctx context.Context, o cli.TrainOptions) (trained models.Item, err error) {
	var histories []learn.History
	for _, name := range o.Histories {
		f, err := os.Open(name)
		if err != nil {
			return models.Item{}, err
		}
		h, err := learn.ReadCSV(f, learn.CSV{})
		if err := errors.Join(err, f.Close()); err != nil {
			return models.Item{}, fmt.Errorf("%s: %w", name, err)
		}
		histories = append(histories, h)
	}
	if o.Records {
		h, err := a.ownHistory(ctx, o.DataDir)
		if err != nil {
			return models.Item{}, err
		}
		histories = append(histories, h)
	}
	training := forecast.Training{Seed: o.Seed, Progress: o.Progress}
	if o.Repository != "" {
		r, err := change.Open(ctx, o.Repository, change.Options{})
		if err != nil {
			return models.Item{}, err
		}
		training.Repository = r
	}
	documents, end, err := writing(ctx, o.DataDir)
	if err != nil {
		return models.Item{}, err
	}
	defer both(&err, end)
	m, err := forecast.Train(ctx, learn.Join(histories...), training)
	if err != nil {
		return models.Item{}, err
	}
	return models.In(documents).Put(ctx, m)
}

// models answers `adg predict model list`.
func (a *App) models(ctx context.Context, dataDir string) (all []models.Item, err error) {
	documents, end, err := reading(ctx, dataDir)
	if err != nil {
		return nil, err
	}
	defer both(&err, end)
	return models.In(documents).List(ctx)
}

// model answers `adg predict model show`.
func (a *App) model(ctx context.Context, dataDir, id string) (item models.Item, err error) {
	documents, end, err := reading(ctx, dataDir)
	if err != nil {
		return item, err
	}
	defer both(&err, end)
	return models.In(documents).Find(ctx, id)
}

// pin answers `adg predict model pin`.
func (a *App) pin(ctx context.Context, dataDir, id string) (item models.Item, err error) {
	documents, end, err := writing(ctx, dataDir)
	if err != nil {
		return item, err
	}
	defer both(&err, end)
	return models.In(documents).Pin(ctx, id)
}

// records are all deployments of a data directory, and what people corrected of them.
func (a *App) records(ctx context.Context, dataDir string) (all []adg.Deployment, corrections []learn.Correction, err error) {
	store, err := sqlite.OpenReadOnly(ctx, dataDir)
	if err != nil {
		return nil, nil, err
	}
	defer both(&err, store.Close)
	err = everyDeployment(ctx, store, adg.DeploymentFilter{}, func(d adg.Deployment) error {
		d.Status.Checks = nil // they are large, and tell nothing of the outcome
		all = append(all, d)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	corrections, err = learn.Corrections(ctx, store)
	return all, corrections, err
}

// correct puts a correction on record. Its deployment may be named by the beginning of its id.
func (a *App) correct(ctx context.Context, dataDir string, c learn.Correction) (id string, err error) {
	store, err := sqlite.OpenReadOnly(ctx, dataDir)
	if err != nil {
		return "", err
	}
	defer both(&err, store.Close)
	if c.Deployment, err = called(ctx, store, c.Deployment); err != nil {
		return "", err
	}
	d, err := store.Deployment(ctx, c.Deployment)
	if err != nil {
		return "", err
	}
	documents, end, err := writing(ctx, dataDir)
	if err != nil {
		return "", err
	}
	defer both(&err, end)
	return d.ID, learn.Correct(ctx, documents, c, adg.AuditEntry{Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment})
}

// Private

// ownHistory are the deployments of a data directory, each labelled by the policy that it ran under.
func (a *App) ownHistory(ctx context.Context, dataDir string) (learn.History, error) {
	all, corrections, err := a.records(ctx, dataDir)
	if err != nil {
		return learn.History{}, err
	}
	return learn.ReadRecords(all, corrections, learn.Options{Now: time.Now()}) //nolint:forbidigo // until then they were watched
}

// foretell asks the model that is named, or in use; without one, what public data teach. It notes which features nobody
// knows.
func foretell(ctx context.Context, shelf models.Shelf, id, service string, features map[string]float64, now time.Time) (adg.Prediction, []string, error) {
	m, item, err := shelf.Get(ctx, id)
	switch {
	case err == nil:
	case id == "" && adg.CodeOf(err) == adg.NotFound:
		m, item.ID = forecast.Untaught(features), "public data"
	default:
		return adg.Prediction{}, nil, err
	}
	var notes []string
	for _, name := range forecast.Unknown(features) {
		if !slices.Contains(item.Card.Features, name) {
			notes = append(notes, fmt.Sprintf("%s is not a known feature, learned all the same", name))
		}
	}
	return forecast.Predict(m, item.ID, service, features, now), notes, nil
}
