package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/predict/models"
)

// Training says how a model is made.
type Training struct {
	Author   string // who wants it
	Reason   string
	Seed     uint64
	Entry    adg.AuditEntry      // goes on record with the model
	Progress func(done, all int) // nil: nobody wants to know
}

// Models are what is kept, the newest first.
func (o *Oracle) Models(ctx context.Context) ([]models.Item, error) { return o.shelf.List(ctx) }

// Pin keeps one model in use; no id lets the newest good one be used again.
func (o *Oracle) Pin(ctx context.Context, id string, entries ...adg.AuditEntry) (models.Item, error) {
	return o.shelf.Pin(ctx, id, entries...)
}

// Train trains a model on the outcomes that are known of the newest 5,000 deployments, and keeps it with the nineteen
// before it. A model that is not better than the base rate does not follow one that is. One training runs at a time, on
// all replicas together, for nine minutes at most: another meanwhile is a Conflict. No outcome at all is NotFound.
func (o *Oracle) Train(ctx context.Context, t Training) (models.Item, error) {
	release, err := o.claim(ctx, t.Author)
	if err != nil {
		return models.Item{}, err
	}
	defer release()
	return o.train(ctx, t)
}

// Run trains a model whenever enough more is known than the last time, until the context ends.
func (o *Oracle) Run(ctx context.Context) {
	every := time.NewTicker(o.o.Every)
	defer every.Stop()
	for {
		if err := o.catchUp(ctx); err != nil && ctx.Err() == nil {
			o.o.Log.Warn("no model was trained, it will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// Private

const (
	trainingTime = 9 * time.Minute
	leaseTime    = trainingTime + time.Minute
	keptModels   = 20
)

const (
	kindTraining = "training"
	leaseKey     = "lease" // who is training now
	lastKey      = "last"  // what was known at the last training
)

// automatic is who trains by schedule.
const automatic = "adg"

// The first model is made of so many outcomes, and the next ones when so many more are known, at least, and that share.
const (
	firstOutcomes = 20
	moreOutcomes  = 10
	moreShare     = 0.1
)

// train trains, while nobody else does.
func (o *Oracle) train(ctx context.Context, t Training) (item models.Item, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, trainingTime, adg.Errorf(adg.Unavailable, "training took longer than %s", adg.Short(trainingTime)))
	defer cancel()
	begun, err := o.o.Store.Now(ctx) // what is known from here on is news
	if err != nil {
		return item, err
	}
	all, err := o.past.read(ctx, o.o)
	if err != nil {
		return item, err
	}
	judged, h, err := o.judge(ctx, all)
	if err != nil {
		return item, err
	}
	known := 0
	for _, j := range judged {
		if j.Known {
			known++
		}
	}
	if known == 0 {
		return item, adg.Errorf(adg.NotFound, "no outcome is known yet, so there is nothing to learn: a success is known after a week, unless the policy says otherwise (risk: labels: matures)")
	}
	m, err := forecast.Train(ctx, h, forecast.Training{Seed: t.Seed, Progress: t.Progress})
	if err != nil {
		return item, err
	}
	note := models.Note{Author: t.Author, Reason: t.Reason, Learned: forecast.Effects(m, h)}
	before, err := o.shelf.Find(ctx, "")
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return item, err
	}
	note.Aside = err == nil && before.Card.Better && !m.Card.Better
	if item, err = o.shelf.PutNoted(ctx, m, note, t.Entry); err != nil {
		return item, err
	}
	if err := o.noteTraining(ctx, last{At: begun, Outcomes: known}); err != nil {
		return item, err
	}
	return item, o.shelf.Prune(ctx, keptModels)
}

// last is what was known at a training.
type last struct {
	At       time.Time `json:"at"`
	Outcomes int       `json:"outcomes"`
}

// claim takes the only right to train. It ends by itself, if its owner does not come to that.
func (o *Oracle) claim(ctx context.Context, author string) (release func(), err error) {
	now, err := o.o.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(map[string]any{"author": author, "at": now})
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "write a lease: %w", err)
	}
	lease := adg.Document{Kind: kindTraining, Key: leaseKey, Data: data, Expires: now.Add(leaseTime)}
	stored, err := o.o.Store.WriteDocuments(ctx, []adg.Write{{Document: lease}})
	if adg.CodeOf(err) == adg.Conflict {
		return nil, adg.Errorf(adg.Conflict, "a model is being trained already: look for it in a minute")
	}
	if err != nil {
		return nil, err
	}
	return func() {
		drop := adg.Write{Document: lease, If: stored[0].Version, Drop: true}
		if _, err := o.o.Store.WriteDocuments(context.WithoutCancel(ctx), []adg.Write{drop}); err != nil {
			o.o.Log.Warn("the right to train is given back when it expires", "error", err)
		}
	}, nil
}

// catchUp trains if it is time to, and no other replica does or just did.
func (o *Oracle) catchUp(ctx context.Context) error {
	if due, _, err := o.due(ctx); err != nil || !due {
		return err
	}
	release, err := o.claim(ctx, automatic)
	if adg.CodeOf(err) == adg.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	due, reason, err := o.due(ctx)
	if err != nil || !due {
		return err
	}
	item, err := o.train(ctx, Training{
		Author: automatic, Reason: reason, Seed: 1,
		Entry: adg.AuditEntry{Actor: automatic, Action: "model.train", Resource: "model", Outcome: adg.AuditDone, Reason: reason},
	})
	if err == nil {
		o.o.Log.Info("a model was trained", "model", item.ID, "outcomes", item.Card.Outcomes, "in_use", item.InUse, "standing", item.Card.Standing())
	}
	return err
}

// due tells whether enough more is known than at the last training.
func (o *Oracle) due(ctx context.Context) (bool, string, error) {
	before, err := o.lastTraining(ctx)
	if err != nil {
		return false, "", err
	}
	judged, err := o.Outcomes(ctx)
	if err != nil {
		return false, "", err
	}
	more := 0
	for _, j := range judged {
		if j.Known && j.KnownAt.After(before.At) {
			more++
		}
	}
	enough := firstOutcomes
	if !before.At.IsZero() {
		enough = max(moreOutcomes, int(moreShare*float64(before.Outcomes)))
	}
	return more >= enough, fmt.Sprintf("%d more outcomes are known", more), nil
}

func (o *Oracle) lastTraining(ctx context.Context) (before last, err error) {
	d, err := o.o.Store.Document(ctx, kindTraining, lastKey)
	if adg.CodeOf(err) == adg.NotFound {
		return before, nil
	}
	if err != nil {
		return before, err
	}
	if err := json.Unmarshal(d.Data, &before); err != nil {
		return before, adg.Errorf(adg.Internal, "what was known at the last training cannot be read: %w", err)
	}
	return before, nil
}

func (o *Oracle) noteTraining(ctx context.Context, l last) error {
	data, err := json.Marshal(l)
	if err != nil {
		return adg.Errorf(adg.Internal, "write down a training: %w", err)
	}
	_, err = o.o.Store.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: kindTraining, Key: lastKey, Data: data}, If: adg.AnyVersion}})
	return err
}
