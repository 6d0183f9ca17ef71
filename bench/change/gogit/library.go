package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/diff"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Private

// similar is the likeness, in percent, from which a file is the other one renamed: what git -M takes.
const similar = 50

// libraryHistory counts with go-git, given what makes it fast: open files are kept, and nobody else writes.
func libraryHistory(ctx context.Context, dir string, commits, mebibytes int) (_ history, err error) {
	storage := filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(cache.FileSize(mebibytes)*cache.MiByte),
		filesystem.Options{ExclusiveAccess: true, KeepDescriptors: true})
	defer func() { err = errors.Join(err, storage.Close()) }()
	repository, err := gogit.Open(storage, nil)
	if err != nil {
		return nil, err
	}
	iter, err := repository.Log(&gogit.LogOptions{Order: gogit.LogOrderCommitterTime})
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	all := history{}
	for len(all) < commits {
		c, err := iter.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if c.NumParents() > 1 {
			continue
		}
		if all[c.Hash.String()], err = changeOf(ctx, c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// changeOf counts a commit's files, renames and lines, against its parent or, where there is none, against nothing.
func changeOf(ctx context.Context, c *object.Commit) (change, error) {
	after, err := c.Tree()
	if err != nil {
		return change{}, err
	}
	before := &object.Tree{}
	if c.NumParents() > 0 {
		parent, err := c.Parent(0)
		if err != nil {
			return change{}, err
		}
		if before, err = parent.Tree(); err != nil {
			return change{}, err
		}
	}
	found, err := object.DiffTreeWithOptions(ctx, before, after, &object.DiffTreeOptions{DetectRenames: true, RenameScore: similar})
	if err != nil {
		return change{}, err
	}
	// Commit.Stats leaves out files without lines, and takes 60 % as like enough: hence by hand.
	patch, err := found.PatchContext(ctx)
	if err != nil {
		return change{}, err
	}
	sum := change{files: len(found)}
	for _, file := range found {
		if file.From.Name != "" && file.To.Name != "" && file.From.Name != file.To.Name {
			sum.renames++
		}
	}
	for _, file := range patch.FilePatches() {
		for _, chunk := range file.Chunks() {
			switch chunk.Type() {
			case diff.Add:
				sum.added += lineCount(chunk.Content())
			case diff.Delete:
				sum.deleted += lineCount(chunk.Content())
			case diff.Equal:
			}
		}
	}
	return sum, nil
}

// lineCount counts a last line without its end, too.
func lineCount(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}
