package models_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/models"
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

// put keeps a model as if so many minutes after the first.
func put(t *testing.T, f models.Folder, outcomes int, minutes int) models.Item {
	t.Helper()
	item, err := f.Put(trained(outcomes))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 5, 10, minutes, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(string(f), item.ID+".model"), at, at); err != nil {
		t.Fatal(err)
	}
	return item
}

func TestNewestModelIsUsedUnlessOneIsPinned(t *testing.T) {
	f := models.Folder(filepath.Join(t.TempDir(), "models"))
	if _, _, err := f.Get(""); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("an empty folder has a model: %v", err)
	}
	first, second := put(t, f, 40, 0), put(t, f, 60, 1)
	use := func(want models.Item) {
		t.Helper()
		m, item, err := f.Get("")
		if err != nil || item.ID != want.ID || m.Card.Outcomes != want.Card.Outcomes {
			t.Errorf("%s is used (%v), want %s", item.ID, err, want.ID)
		}
	}
	use(second)
	if item, err := f.Pin(first.ID[:6]); err != nil || !item.Pinned || !item.InUse {
		t.Errorf("%+v: %v", item, err)
	}
	use(first)
	put(t, f, 80, 2)
	use(first)
	if _, err := f.Pin(""); err != nil {
		t.Fatal(err)
	}
	if _, item, _ := f.Get(""); item.Card.Outcomes != 80 {
		t.Errorf("with none pinned, the one of %d outcomes is used", item.Card.Outcomes)
	}
}

func TestModelsAreFoundByTheBeginningOfTheirId(t *testing.T) {
	f := models.Folder(t.TempDir())
	item := put(t, f, 40, 0)
	m, got, err := f.Get(item.ID[:5])
	if err != nil || got.ID != item.ID || math.IsNaN(m.Predict([]float64{3}, "").Failure) {
		t.Errorf("%+v: %v", got, err)
	}
	if again := put(t, f, 40, 3); again.ID != item.ID {
		t.Error("the same model has two ids")
	}
	for _, id := range []string{"zz", "../" + item.ID} {
		if _, _, err := f.Get(id); adg.CodeOf(err) != adg.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestDamagedFileHidesNoOtherModel(t *testing.T) {
	f := models.Folder(t.TempDir())
	item := put(t, f, 40, 0)
	if err := os.WriteFile(filepath.Join(string(f), "0123456789ab.model"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := f.List()
	if err != nil || len(all) != 1 || all[0].ID != item.ID || !all[0].InUse {
		t.Errorf("%+v: %v", all, err)
	}
}
