package models_test

import (
	"math"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/models"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func trained(outcomes int) *predict.Model {
	l := predict.NewLearner([]string{"nf"}, predict.Settings{})
	for i := range outcomes {
		id, _ := l.Add([]float64{float64(i % 7)}, "")
		l.Learn(id, i%5 == 0)
	}
	l.Refit()
	return l.Model()
}

// bench is a shelf in a real store, whose clock goes on by a minute with each model.
type bench struct {
	models.Shelf
	*testing.T
	store *sqlite.Beside
	now   time.Time
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, now: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)}
	store, err := sqlite.OpenBeside(t.Context(), t.TempDir(), sqlite.Options{Clock: func() time.Time { return b.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	b.store, b.Shelf = store, models.In(store)
	return b
}

func (b *bench) put(outcomes int) models.Item {
	b.Helper()
	b.now = b.now.Add(time.Minute)
	item, err := b.Put(b.Context(), trained(outcomes))
	if err != nil {
		b.Fatal(err)
	}
	return item
}

func (b *bench) uses(want models.Item) {
	b.Helper()
	m, item, err := b.Get(b.Context(), "")
	if err != nil || item.ID != want.ID || !item.InUse || m.Card.Outcomes != want.Card.Outcomes {
		b.Errorf("%s is used (%v), want %s", item.ID, err, want.ID)
	}
}

func TestNewestModelIsUsedUnlessOneIsPinned(t *testing.T) {
	b := newBench(t)
	if _, _, err := b.Get(t.Context(), ""); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("an empty shelf has a model: %v", err)
	}
	first, second := b.put(40), b.put(60)
	b.uses(second)
	if item, err := b.Pin(t.Context(), first.ID[:6]); err != nil || !item.Pinned || !item.InUse {
		t.Errorf("%+v: %v", item, err)
	}
	b.uses(first)
	third := b.put(80)
	b.uses(first)
	if item, err := b.Pin(t.Context(), ""); err != nil || item.ID != third.ID {
		t.Errorf("%+v: %v", item, err)
	}
	b.uses(third)
	b.uses(b.put(40)) // trained again, the oldest is the newest
}

func TestModelsAreFoundByTheBeginningOfTheirId(t *testing.T) {
	b := newBench(t)
	item := b.put(40)
	m, got, err := b.Get(t.Context(), item.ID[:5])
	if err != nil || got.ID != item.ID || math.IsNaN(m.Predict([]float64{3}, "").Failure) {
		t.Errorf("%+v: %v", got, err)
	}
	if again := b.put(40); again.ID != item.ID || !again.At.After(item.At) {
		t.Errorf("the same model came as %+v, and then as %+v", item, again)
	}
	for _, id := range []string{"zz", "../" + item.ID} {
		if _, _, err := b.Get(t.Context(), id); adg.CodeOf(err) != adg.NotFound {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := b.Pin(t.Context(), id); adg.CodeOf(err) != adg.NotFound {
			t.Errorf("pinning %q: %v", id, err)
		}
	}
}

func TestDamageHidesNoOtherModel(t *testing.T) {
	b := newBench(t)
	item, broken := b.put(40), b.put(60)
	for _, d := range []adg.Document{{Kind: "model-card", Key: "0123456789ab"}, {Kind: "model", Key: broken.ID}} {
		d.Data = []byte("nonsense")
		if _, err := b.store.WriteDocuments(t.Context(), []adg.Write{{Document: d, If: adg.AnyVersion}}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.List(t.Context())
	if err != nil || len(all) != 2 || all[1].ID != item.ID {
		t.Errorf("%+v: %v", all, err)
	}
	if _, _, err := b.Get(t.Context(), broken.ID); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("a damaged model: %v", err)
	}
	if _, _, err := b.Get(t.Context(), item.ID); err != nil {
		t.Error(err)
	}
}

func TestWhatIsDoneWithModelsIsOnRecord(t *testing.T) {
	b := newBench(t)
	item, err := b.Put(t.Context(), trained(40), adg.AuditEntry{Action: "model.put", Actor: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pin(t.Context(), item.ID, adg.AuditEntry{Action: "model.pin", Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pin(t.Context(), "zz", adg.AuditEntry{Action: "model.pin", Actor: "bob"}); err == nil {
		t.Error("what does not exist was pinned")
	}
	log, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "model."})
	if err != nil || len(log) != 2 || log[0].Action != "model.put" || log[1].Action != "model.pin" {
		t.Errorf("%+v: %v", log, err)
	}
}

func TestListReadsNoModel(t *testing.T) {
	b := newBench(t)
	item := b.put(40)
	drop := adg.Write{Document: adg.Document{Kind: "model", Key: item.ID}, If: adg.AnyVersion, Drop: true}
	if _, err := b.store.WriteDocuments(t.Context(), []adg.Write{drop}); err != nil {
		t.Fatal(err)
	}
	if all, err := b.List(t.Context()); err != nil || len(all) != 1 || all[0].Card.Outcomes != 40 || all[0].Bytes == 0 {
		t.Errorf("%+v: %v", all, err)
	}
}

func TestModelThatWasWorseIsUsedOnlyWhereItIsPinned(t *testing.T) {
	b := newBench(t)
	good := b.put(40)
	b.now = b.now.Add(time.Minute)
	worse, err := b.PutNoted(t.Context(), trained(60), models.Note{Author: "ann", Reason: "to see", Learned: []predict.Effect{{Feature: "nf"}}, Aside: true})
	if err != nil || worse.InUse || worse.Author != "ann" || worse.Reason != "to see" || len(worse.Learned) != 1 {
		t.Errorf("%+v: %v", worse, err)
	}
	b.uses(good)
	if _, err := b.Pin(t.Context(), worse.ID); err != nil {
		t.Error(err)
	}
	b.uses(worse)
}

func TestOldModelsAreForgottenExceptWhatIsInUse(t *testing.T) {
	b := newBench(t)
	pinned := b.put(40)
	if _, err := b.Pin(t.Context(), pinned.ID); err != nil {
		t.Fatal(err)
	}
	for n := 50; n < 100; n += 10 {
		b.put(n)
	}
	if err := b.Prune(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	all, err := b.List(t.Context())
	if err != nil || len(all) != 3 || all[0].Card.Outcomes != 90 || all[1].Card.Outcomes != 80 || all[2].ID != pinned.ID {
		t.Errorf("%+v: %v", all, err)
	}
	left, err := b.store.ListDocuments(t.Context(), adg.DocumentFilter{Kind: "model", Bare: true})
	if err != nil || len(left) != 3 {
		t.Errorf("%d models are kept without their cards: %v", len(left)-3, err)
	}
	b.uses(pinned)
}
