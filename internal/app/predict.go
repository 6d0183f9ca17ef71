package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
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
func (a *App) predict(ctx context.Context, o cli.PredictOptions) (cli.Predicted, error) {
	now := time.Now() //nolint:forbidigo // the moment is a feature
	features := forecast.Moment(now)
	var p cli.Predicted
	c, err := changeOf(ctx, o)
	if err != nil {
		return p, err
	}
	if c != nil {
		maps.Copy(features, c.Measures)
		p.Notes = c.Notes
	}
	maps.Copy(features, o.Features)
	var notes []string
	p.Prediction, notes, err = foretell(modelsIn(o.DataDir), o.Model, o.Service, features, now)
	p.Notes = append(p.Notes, notes...)
	return p, err
}

// train answers `adg predict train`.
func (a *App) train(ctx context.Context, o cli.TrainOptions) (models.Item, error) {
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
	m, err := forecast.Train(ctx, learn.Join(histories...), training)
	if err != nil {
		return models.Item{}, err
	}
	return modelsIn(o.DataDir).Put(m)
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
	corrections, err = learn.Corrections(correctionsIn(dataDir))
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
	return c.Deployment, learn.Correct(correctionsIn(dataDir), c)
}

// Private

func modelsIn(dataDir string) models.Folder { return models.Folder(filepath.Join(dataDir, "models")) }

// ownHistory are the deployments of a data directory, each labelled by the policy that it ran under.
func (a *App) ownHistory(ctx context.Context, dataDir string) (learn.History, error) {
	all, corrections, err := a.records(ctx, dataDir)
	if err != nil {
		return learn.History{}, err
	}
	return learn.ReadRecords(all, corrections, learn.Options{Now: time.Now()}) //nolint:forbidigo // until then they were watched
}

func correctionsIn(dataDir string) string { return filepath.Join(dataDir, "corrections.jsonl") }

// changeOf measures the change, or reads what a pipeline tells of it; nil: neither was named.
func changeOf(ctx context.Context, o cli.PredictOptions) (*change.Change, error) {
	switch {
	case o.Payload != "":
		c, err := told(o.Payload)
		return &c, err
	case o.Repository != "":
		c, err := measure(ctx, o.Repository, filepath.Join(o.DataDir, "changes.index"), o.From, o.To, o.Progress)
		return &c, err
	}
	return nil, nil
}

// told is the change that a pipeline describes in a file.
func told(path string) (change.Change, error) {
	f, err := os.Open(path)
	if err != nil {
		return change.Change{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, change.MaxPayloadBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return change.Change{}, fmt.Errorf("reading %s: %w", path, err)
	}
	c, err := change.FromPayload(text, nil)
	for name := range c.Measures {
		err = errors.Join(err, learn.ValidFeature(name))
	}
	if err != nil {
		return change.Change{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// measure measures a change, with the history that was read before where it is kept.
func measure(ctx context.Context, dir, kept, from, to string, progress func(done, all int)) (change.Change, error) {
	r, err := change.Open(ctx, dir, change.Options{Progress: progress})
	if err != nil {
		return change.Change{}, err
	}
	var index change.Index
	if text, err := os.ReadFile(kept); err == nil && index.UnmarshalBinary(text) != nil {
		index = change.Index{} // it is read anew
	}
	head := index.Head()
	c, err := r.Measure(ctx, &index, from, to)
	if err != nil || index.Head() == head {
		return c, err
	}
	text, err := index.MarshalBinary()
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return c, err
	}
	return c, os.WriteFile(kept, text, 0o600)
}

// foretell asks the model that is named, or in use; without one, what public data teach. It notes which features nobody
// knows.
func foretell(folder models.Folder, id, service string, features map[string]float64, now time.Time) (adg.Prediction, []string, error) {
	m, item, err := folder.Get(id)
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
