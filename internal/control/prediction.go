package control

import (
	"context"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/predict/models"
)

// PredictionFilter selects predictions; zero fields select all.
type PredictionFilter struct {
	Services     []string
	Environments []string
	Model        string
	From, To     time.Time // when the deployment was asked for
}

// Predict predicts a deployment that is not started. Where a policy is in force for it, it is predicted as that would have
// it made. No model is the one in use.
func (c *Control) Predict(ctx context.Context, who identity.Caller, s Start, model string) (adg.Prediction, error) {
	scope := adg.Scope{Service: s.Release.Service, Environment: s.Environment}
	if err := c.allowed(ctx, who, identity.PredictionRead, scope, adg.AuditEntry{Action: "prediction.predict", Resource: "prediction"}); err != nil {
		return adg.Prediction{}, err
	}
	seer, err := c.oracle()
	if err != nil {
		return adg.Prediction{}, err
	}
	spec, err := c.spec(ctx, who, s)
	if code := adg.CodeOf(err); err != nil && (code == adg.NotFound || code == adg.Invalid) {
		// No policy, or none that can be used: the rest is known all the same.
		spec = adg.Spec{Release: s.Release, Actor: who.Person, Policy: adg.Policy{Service: scope.Service, Environment: scope.Environment}}
	} else if err != nil {
		return adg.Prediction{}, err
	}
	return seer.Predict(ctx, spec, told(who, s), model)
}

// Predictions are those that the caller may see, of the newest 5,000 deployments, the oldest first, each with its outcome.
func (c *Control) Predictions(ctx context.Context, who identity.Caller, f PredictionFilter) ([]oracle.Judged, error) {
	seer, err := c.oracle()
	if err != nil {
		return nil, err
	}
	all, err := seer.Outcomes(ctx)
	return slices.DeleteFunc(all, func(j oracle.Judged) bool {
		return j.Prediction == nil || may(who, identity.PredictionRead, adg.Scope{Service: j.Service, Environment: j.Environment}) != nil || !f.holds(j)
	}), err
}

// CorrectOutcome puts on record how a deployment really came out: failed, good, or where known is false that nothing shall
// be learned from it. after is how many corrections the caller has seen, and another number is a Conflict; below zero it may
// be any.
func (c *Control) CorrectOutcome(ctx context.Context, who identity.Caller, id string, known, failed bool, after int) (oracle.Judged, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return oracle.Judged{}, err
	}
	if err := c.allowed(ctx, who, identity.LearnWrite, scopeOf(d), adg.AuditEntry{Action: "outcome.correct", Resource: "deployment/" + d.ID}); err != nil {
		return oracle.Judged{}, err
	}
	seer, err := c.oracle()
	if err != nil {
		return oracle.Judged{}, err
	}
	correction := learn.Correction{Deployment: d.ID, Actor: who.Name(), Reason: who.Reason, Outcome: learn.Unknown}
	switch {
	case known && failed:
		correction.Outcome = failureOf(d.Spec.Policy)
	case known:
		correction.Outcome = learn.Success
	}
	origin := adg.AuditEntry{From: who.From, Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment}
	if err := seer.Correct(ctx, correction, after, origin); err != nil {
		return oracle.Judged{}, err
	}
	return seer.Outcome(ctx, d)
}

// TrainModel trains a model; progress is told how far it has come.
func (c *Control) TrainModel(ctx context.Context, who identity.Caller, seed uint64, progress func(done, all int)) (models.Item, error) {
	entry := adg.AuditEntry{Action: "model.train", Resource: "model"}
	if err := c.allowed(ctx, who, identity.LearnWrite, adg.Scope{}, entry); err != nil {
		return models.Item{}, err
	}
	seer, err := c.oracle()
	if err != nil {
		return models.Item{}, err
	}
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	return seer.Train(ctx, oracle.Training{Author: who.Name(), Reason: who.Reason, Seed: seed, Entry: entry, Progress: progress})
}

// Models are all that are kept, the newest first. They are made of what everybody did: who sees a part only, sees none.
func (c *Control) Models(ctx context.Context, who identity.Caller) ([]models.Item, error) {
	if err := c.allowed(ctx, who, identity.PredictionRead, adg.Scope{}, adg.AuditEntry{Action: "model.list", Resource: "model"}); err != nil {
		return nil, err
	}
	seer, err := c.oracle()
	if err != nil {
		return nil, err
	}
	return seer.Models(ctx)
}

// Model is one of them; no id is the one in use.
func (c *Control) Model(ctx context.Context, who identity.Caller, id string) (models.Item, error) {
	all, err := c.Models(ctx, who)
	if err != nil {
		return models.Item{}, err
	}
	return modelOf(all, id)
}

// PinModel makes all predictions come from one model; UnpinModel lets the newest good one take over again. check looks at
// the model before, and may refuse.
func (c *Control) PinModel(ctx context.Context, who identity.Caller, id string, check func(models.Item) error) (models.Item, error) {
	return c.pin(ctx, who, "model.pin", id, func(before models.Item) (string, error) { return before.ID, check(before) })
}

// UnpinModel lets the newest good model take over from the pinned one.
func (c *Control) UnpinModel(ctx context.Context, who identity.Caller, id string, check func(models.Item) error) (models.Item, error) {
	return c.pin(ctx, who, "model.unpin", id, func(before models.Item) (string, error) {
		if err := check(before); err != nil {
			return "", err
		}
		if !before.Pinned {
			return "", adg.Errorf(adg.Conflict, "the model %s is not pinned", before.ID)
		}
		return "", nil
	})
}

// Private

func (c *Control) pin(ctx context.Context, who identity.Caller, action, id string, wanted func(before models.Item) (string, error)) (models.Item, error) {
	entry := adg.AuditEntry{Action: action, Resource: "model/" + id}
	if err := c.allowed(ctx, who, identity.LearnWrite, adg.Scope{}, entry); err != nil {
		return models.Item{}, err
	}
	seer, err := c.oracle()
	if err != nil {
		return models.Item{}, err
	}
	all, err := seer.Models(ctx)
	if err != nil {
		return models.Item{}, err
	}
	before, err := modelOf(all, id)
	if err != nil {
		return models.Item{}, err
	}
	pinned, err := wanted(before)
	if err != nil {
		return models.Item{}, err
	}
	entry = c.entry(who, entry)
	entry.Resource, entry.Outcome = "model/"+before.ID, adg.AuditDone
	if _, err := seer.Pin(ctx, pinned, entry); err != nil {
		return models.Item{}, err
	}
	if all, err = seer.Models(ctx); err != nil {
		return models.Item{}, err
	}
	return modelOf(all, before.ID)
}

func modelOf(all []models.Item, id string) (models.Item, error) {
	for _, m := range all {
		if m.ID == id || id == "" && m.InUse {
			return m, nil
		}
	}
	if id == "" {
		return models.Item{}, adg.Errorf(adg.NotFound, "no model was trained yet: deployments are not predicted, unless their policy or whoever starts them wants it, and then from public data")
	}
	return models.Item{}, adg.Errorf(adg.NotFound, "there is no model %q", adg.Printable(id))
}

// oracle is who predicts.
func (c *Control) oracle() (*oracle.Oracle, error) {
	if c.o.Predictor == nil {
		return nil, adg.Errorf(adg.Unavailable, "this server predicts nothing")
	}
	return c.o.Predictor, nil
}

// expected is what is expected of a deployment that begins; nil: nothing.
func (c *Control) expected(ctx context.Context, who identity.Caller, spec adg.Spec, s Start) (*adg.Prediction, error) {
	if c.o.Predictor == nil {
		return nil, nil //nolint:nilnil // nobody expects anything
	}
	return c.o.Predictor.Expect(ctx, spec, told(who, s))
}

func told(who identity.Caller, s Start) oracle.Told {
	return oracle.Told{Features: s.Features, Paths: s.Paths, Authors: s.Authors, Automatic: who.Kind == identity.KindToken && !who.Login}
}

func (f PredictionFilter) holds(j oracle.Judged) bool {
	return (len(f.Services) == 0 || slices.Contains(f.Services, j.Service)) && (len(f.Environments) == 0 || slices.Contains(f.Environments, j.Environment)) &&
		(f.Model == "" || f.Model == j.Prediction.Model) && !j.At.Before(f.From) && (f.To.IsZero() || j.At.Before(f.To))
}

// failureOf is a failure that counts as one under the policy.
func failureOf(p adg.Policy) learn.Outcome {
	counted := learn.RulesOf(p.Risk.Labels).Count
	if slices.Contains(counted, learn.Incident) {
		return learn.Incident
	}
	return counted[0]
}
