// Package models keeps trained models in a folder: each under the digest of its bytes, the newest in use unless one is
// pinned.
package models

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
)

// Folder is where models are kept. Several processes may use it; the last one that pins wins.
type Folder string

// Item is one model that is kept.
type Item struct {
	ID     string       `json:"id"`
	At     time.Time    `json:"at"` // when it was put there
	Pinned bool         `json:"pinned"`
	InUse  bool         `json:"in_use"`
	Bytes  int64        `json:"bytes"`
	Card   predict.Card `json:"card"`
}

// Put keeps a model; the same one again changes nothing but its age.
func (f Folder) Put(m *predict.Model) (Item, error) {
	text, err := predict.Encode(m)
	if err != nil {
		return Item{}, err
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return Item{}, err
	}
	sum := sha256.Sum256(text)
	id := hex.EncodeToString(sum[:])[:idLength]
	if err := f.write(id+extension, text); err != nil {
		return Item{}, err
	}
	return f.find(id)
}

// List is what is kept, the newest first. A file that is damaged is left out.
func (f Folder) List() ([]Item, error) {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pinned := f.pinned()
	var all []Item
	for _, e := range entries {
		id, isModel := strings.CutSuffix(e.Name(), extension)
		if !isModel || len(id) != idLength {
			continue
		}
		m, err := f.read(id)
		info, gone := e.Info()
		if err != nil || gone != nil {
			continue
		}
		all = append(all, Item{ID: id, At: info.ModTime(), Bytes: info.Size(), Card: m.Card, Pinned: id == pinned})
	}
	slices.SortFunc(all, func(a, b Item) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	if len(all) > 0 {
		all[max(0, slices.IndexFunc(all, func(i Item) bool { return i.Pinned }))].InUse = true
	}
	return all, nil
}

// Get is the model whose id begins so; with no id the one in use. NotFound: there is none.
func (f Folder) Get(id string) (*predict.Model, Item, error) {
	item, err := f.find(id)
	if err != nil {
		return nil, Item{}, err
	}
	m, err := f.read(item.ID)
	return m, item, err
}

// Pin keeps one model in use, whichever are trained after it; no id lets the newest be used again.
func (f Folder) Pin(id string) (Item, error) {
	if id == "" {
		if err := os.Remove(filepath.Join(string(f), pinFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Item{}, err
		}
		return f.find("")
	}
	item, err := f.find(id)
	if err != nil {
		return Item{}, err
	}
	if err := f.write(pinFile, []byte(item.ID+"\n")); err != nil {
		return Item{}, err
	}
	return f.find(item.ID)
}

// Private

const (
	extension = ".model"
	pinFile   = "pinned"
	idLength  = 12
)

func (f Folder) find(id string) (Item, error) {
	all, err := f.List()
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

func (f Folder) read(id string) (*predict.Model, error) {
	text, err := os.ReadFile(filepath.Join(string(f), id+extension))
	if err != nil {
		return nil, err
	}
	return predict.Decode(text)
}

func (f Folder) pinned() string {
	text, err := os.ReadFile(filepath.Join(string(f), pinFile))
	if err != nil {
		return "" // nothing is
	}
	return strings.TrimSpace(string(text))
}

// write replaces a file as a whole.
func (f Folder) write(name string, text []byte) error {
	temporary, err := os.CreateTemp(string(f), name+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(string(f), name))
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}
