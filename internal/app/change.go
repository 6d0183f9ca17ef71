package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/learn"
)

// Private

// changeOf measures the change, or reads what a pipeline tells of it; nil: neither was named.
func changeOf(ctx context.Context, o cli.PredictOptions, documents adg.Documents) (*change.Change, error) {
	switch {
	case o.Payload != "":
		c, err := told(o.Payload)
		return &c, err
	case o.Repository != "":
		c, err := measure(ctx, o.Repository, indexes{documents, documents}, o.From, o.To, o.Progress)
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
func measure(ctx context.Context, dir string, kept indexes, from, to string, progress func(done, all int)) (change.Change, error) {
	r, err := change.Open(ctx, dir, change.Options{Progress: progress})
	if err != nil {
		return change.Change{}, err
	}
	name, err := r.Name(ctx)
	if err != nil {
		return change.Change{}, err
	}
	index, err := kept.read(ctx, name)
	if err != nil {
		return change.Change{}, err
	}
	head := index.Head()
	c, err := r.Measure(ctx, &index, from, to)
	if err != nil || index.Head() == head {
		return c, err
	}
	note, err := kept.keep(ctx, name, &index)
	if note != "" {
		c.Notes = append(c.Notes, note)
	}
	return c, err
}

// indexes are the histories that were read, one per repository, under its name. A dry run reads them where they are kept
// in earnest, and keeps its own.
type indexes struct{ from, to adg.Documents }

const (
	indexKind   = "change-index"
	mostIndexes = 100 // the one that was not written for longest goes first
)

// read is the index of a repository; an empty one where none is kept, or it is of another version.
func (i indexes) read(ctx context.Context, name string) (index change.Index, err error) {
	d, err := i.from.Document(ctx, indexKind, name)
	switch {
	case adg.CodeOf(err) == adg.NotFound:
		return index, nil
	case err != nil:
		return index, err
	case index.UnmarshalBinary(d.Data) != nil:
		return change.Index{}, nil // it is read anew
	}
	return index, nil
}

// keep keeps an index, or says why not.
func (i indexes) keep(ctx context.Context, name string, index *change.Index) (note string, err error) {
	text, err := index.MarshalBinary()
	if err != nil {
		return "", err
	}
	if len(text) > adg.MaxDocument {
		return fmt.Sprintf("what was read of the history is too large to be kept (%d MiB): it is read anew each time", len(text)>>20), nil
	}
	all, err := i.to.ListDocuments(ctx, adg.DocumentFilter{Kind: indexKind, Limit: 1000, Bare: true})
	if err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(d adg.Document) bool { return d.Key == name })
	slices.SortFunc(all, func(a, b adg.Document) int { return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.Key, b.Key)) })
	writes := []adg.Write{{Document: adg.Document{Kind: indexKind, Key: name, Data: text}, If: adg.AnyVersion}}
	for _, d := range all[:max(0, len(all)+1-mostIndexes)] {
		writes = append(writes, adg.Write{Document: d, If: adg.AnyVersion, Drop: true})
	}
	_, err = i.to.WriteDocuments(ctx, writes)
	return "", err
}
