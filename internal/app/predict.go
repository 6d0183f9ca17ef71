package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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
	p.Prediction, err = foretell(modelsIn(o.DataDir), o.Model, o.Service, features, now)
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

// remembered is how many deployments of an environment a prediction looks back at.
const remembered = 1000

func correctionsIn(dataDir string) string { return filepath.Join(dataDir, "corrections.jsonl") }

// changeOf measures the change, or reads what a pipeline tells of it; nil: neither was named.
func changeOf(ctx context.Context, o cli.PredictOptions) (*change.Change, error) {
	switch {
	case o.Payload != "":
		text, err := os.ReadFile(o.Payload)
		if err != nil {
			return nil, err
		}
		c, err := change.FromPayload(text, nil)
		return &c, err
	case o.Repository != "":
		c, err := measure(ctx, o.Repository, filepath.Join(o.DataDir, "changes.index"), o.From, o.To, o.Progress)
		return &c, err
	}
	return nil, nil
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

// foretell asks the model that is named, or in use; without one, what public data teach.
func foretell(folder models.Folder, id, service string, features map[string]float64, now time.Time) (adg.Prediction, error) {
	m, item, err := folder.Get(id)
	switch {
	case err == nil:
	case id == "" && adg.CodeOf(err) == adg.NotFound:
		m, item.ID = forecast.Untaught(features), "public data"
	default:
		return adg.Prediction{}, err
	}
	return forecast.Predict(m, item.ID, service, features, now), nil
}

// expect predicts a deployment before it begins, where the policy or the person who runs it asks for that. What cannot
// be measured is said and left out.
func (s session) expect(ctx context.Context, store adg.Store, spec *adg.Spec) error {
	o := s.options
	if s.policy.Risk.IsZero() && o.Repository == "" && len(o.Features) == 0 {
		return nil
	}
	now, err := store.Now(ctx)
	if err != nil {
		return err
	}
	past, err := store.ListDeployments(ctx, adg.DeploymentFilter{Environment: s.policy.Environment, Limit: remembered})
	if err != nil {
		return err
	}
	features := forecast.Circumstances(past, s.policy.Service, now)
	dir := o.DataDir
	if o.Known != "" {
		dir = o.Known
	}
	if o.Repository != "" {
		from, to, err := s.ends(ctx, store, spec)
		if err != nil {
			return err
		}
		c, err := measure(ctx, o.Repository, filepath.Join(dir, "changes.index"), from, to, nil)
		if err != nil {
			s.view.Say("warning: the change is not measured: " + err.Error())
		}
		maps.Copy(features, c.Measures)
	}
	maps.Copy(features, o.Features)
	p, err := foretell(modelsIn(dir), "", s.policy.Service, features, now)
	if err != nil {
		return err
	}
	spec.Prediction = &p
	s.view.Say(fmt.Sprintf("success is expected with %.0f %% (%.0f to %.0f %%); usual is %.0f %%; %s", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base, p.Standing))
	return nil
}

// ends are what the repository calls the release that is live and the new one: their commits, or their versions.
func (s session) ends(ctx context.Context, store adg.Store, spec *adg.Spec) (from, to string, err error) {
	good := spec.LastGood
	if good == nil {
		record, err := store.LastGood(ctx, s.policy.Service, s.policy.Environment)
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return "", "", err
		}
		if err == nil {
			good = &record.Release
		}
	}
	name := func(r adg.Release) string {
		if r.Commit != "" {
			return r.Commit
		}
		return r.Version
	}
	if good != nil {
		from = name(*good)
	}
	return from, name(spec.Release), nil
}
