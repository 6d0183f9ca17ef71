// Package models keeps trained models in the store: each under the digest of its bytes, the newest in use unless one is
// pinned.
package models

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
)

// Shelf is where models are kept. It is safe for concurrent use, of several processes, too; the last one that pins wins.
type Shelf struct{ documents adg.Documents }

// In is the shelf in a store.
func In(documents adg.Documents) Shelf { return Shelf{documents} }

// Item is one model that is kept.
type Item struct {
	ID     string       `json:"id"`
	At     time.Time    `json:"at"` // when it was put there, by the store's clock
	Pinned bool         `json:"pinned"`
	InUse  bool         `json:"in_use"`
	Bytes  int64        `json:"bytes"`
	Card   predict.Card `json:"card"`
	Note
}

// Note is what is written down with a model.
type Note struct {
	Author  string           `json:"author,omitempty"` // who trained it
	Reason  string           `json:"reason,omitempty"`
	Learned []predict.Effect `json:"learned,omitempty"`
	Aside   bool             `json:"aside,omitempty"` // it was worse than the one in use when it was trained: it is used only where it is pinned
}

// Put keeps a model, and the audit entries with it; the same model again changes nothing but its age. One that is larger
// than adg.MaxDocument is Invalid.
func (s Shelf) Put(ctx context.Context, m *predict.Model, entries ...adg.AuditEntry) (Item, error) {
	return s.PutNoted(ctx, m, Note{}, entries...)
}

// PutNoted keeps a model as Put does, with a note.
func (s Shelf) PutNoted(ctx context.Context, m *predict.Model, note Note, entries ...adg.AuditEntry) (Item, error) {
	text, err := predict.Encode(m)
	if err != nil {
		return Item{}, err
	}
	kept, err := json.Marshal(card{Bytes: int64(len(text)), Card: m.Card, Note: note})
	if err != nil {
		return Item{}, adg.Errorf(adg.Internal, "encode the card of a model: %w", err)
	}
	sum := sha256.Sum256(text)
	id := hex.EncodeToString(sum[:])[:idLength]
	_, err = s.documents.WriteDocuments(ctx, []adg.Write{
		{Document: adg.Document{Kind: modelKind, Key: id, Data: text}, If: adg.AnyVersion},
		{Document: adg.Document{Kind: cardKind, Key: id, Data: kept}, If: adg.AnyVersion},
	}, entries...)
	if err != nil {
		return Item{}, err
	}
	return s.Find(ctx, id)
}

// List is what is kept, the newest first. A card that is damaged is left out.
func (s Shelf) List(ctx context.Context) ([]Item, error) {
	pinned, err := s.pinned(ctx)
	if err != nil {
		return nil, err
	}
	var all []Item
	for d, err := range adg.AllDocuments(ctx, s.documents, adg.DocumentFilter{Kind: cardKind, Limit: pageSize}) {
		if err != nil {
			return nil, err
		}
		var c card
		if json.Unmarshal(d.Data, &c) == nil {
			all = append(all, Item{ID: d.Key, At: d.Updated, Bytes: c.Bytes, Card: c.Card, Note: c.Note, Pinned: d.Key == pinned})
		}
	}
	slices.SortFunc(all, func(a, b Item) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	if at := used(all); at >= 0 {
		all[at].InUse = true
	}
	return all, nil
}

// Prune forgets all models but the newest ones, so many, and the one in use.
func (s Shelf) Prune(ctx context.Context, keep int) error {
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	for i, item := range all {
		if i < keep || item.InUse || item.Pinned {
			continue
		}
		_, err := s.documents.WriteDocuments(ctx, []adg.Write{
			{Document: adg.Document{Kind: cardKind, Key: item.ID}, If: adg.AnyVersion, Drop: true},
			{Document: adg.Document{Kind: modelKind, Key: item.ID}, If: adg.AnyVersion, Drop: true},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Find is the one whose id begins so; with no id the one in use. NotFound: there is none.
func (s Shelf) Find(ctx context.Context, id string) (Item, error) {
	all, err := s.List(ctx)
	if err != nil {
		return Item{}, err
	}
	var fits []Item
	for _, i := range all {
		if id == "" && i.InUse || id != "" && strings.HasPrefix(i.ID, id) {
			fits = append(fits, i)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) > 1:
		return Item{}, adg.Errorf(adg.Invalid, "%d models begin with %q: write more of the id", len(fits), id)
	case id == "":
		return Item{}, adg.Errorf(adg.NotFound, "no model was trained yet: adg predict train makes one")
	}
	return Item{}, adg.Errorf(adg.NotFound, "there is no model %q: adg predict model list shows them", id)
}

// Get is the model that Find finds. Invalid: it is damaged.
func (s Shelf) Get(ctx context.Context, id string) (*predict.Model, Item, error) {
	item, err := s.Find(ctx, id)
	if err != nil {
		return nil, Item{}, err
	}
	d, err := s.documents.Document(ctx, modelKind, item.ID)
	if err != nil {
		return nil, Item{}, err
	}
	m, err := predict.Decode(d.Data)
	return m, item, err
}

// Pin keeps one model in use, whichever are trained after it; no id lets the newest be used again. The audit entries go
// on record with it.
func (s Shelf) Pin(ctx context.Context, id string, entries ...adg.AuditEntry) (Item, error) {
	w := adg.Write{Document: adg.Document{Kind: pinKind, Key: pinKey}, If: adg.AnyVersion, Drop: id == ""}
	if id != "" {
		item, err := s.Find(ctx, id)
		if err != nil {
			return Item{}, err
		}
		id, w.Document.Data = item.ID, []byte(item.ID)
	}
	if _, err := s.documents.WriteDocuments(ctx, []adg.Write{w}, entries...); err != nil {
		return Item{}, err
	}
	return s.Find(ctx, id)
}

// Private

// The card is a document of its own, so that a list reads no model.
const (
	modelKind = "model"
	cardKind  = "model-card"
	pinKind   = "model-pin"
	pinKey    = "pinned"
	idLength  = 12
	pageSize  = 1000
)

type card struct {
	Bytes int64        `json:"bytes"` // of the model
	Card  predict.Card `json:"card"`
	Note
}

// used is which of the models, the newest first, is in use: the one that is pinned, else the newest that is not aside. -1:
// none is.
func used(all []Item) int {
	if at := slices.IndexFunc(all, func(i Item) bool { return i.Pinned }); at >= 0 {
		return at
	}
	return slices.IndexFunc(all, func(i Item) bool { return !i.Aside })
}

// pinned is the id of the model that is pinned; empty: none is.
func (s Shelf) pinned(ctx context.Context) (string, error) {
	d, err := s.documents.Document(ctx, pinKind, pinKey)
	if adg.CodeOf(err) == adg.NotFound {
		return "", nil
	}
	return string(d.Data), err
}
