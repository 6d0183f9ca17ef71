package change

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
	"github.com/deployguardian/adg/internal/change/kind"
)

// MaxListed bounds the commits, and the files, that a Listing names.
const MaxListed = 100

// Listing names what lies between two releases, for people. Its texts are untrusted.
type Listing struct {
	From, To   string   // ids of the commits
	Commits    []Commit // newest first, merges left out; at most MaxListed
	Files      []string // after renames; at most MaxListed
	Migrations []string // those files that change a database's schema, all of them
	Changed    int      // how many files there are
}

// Commit is one commit, without its text's body.
type Commit struct {
	ID      string
	At      time.Time
	Author  string // the name alone
	Subject string
}

// List names what lies between two releases, which are commits, tags or branches.
func (r *Repository) List(ctx context.Context, from, to string) (Listing, error) {
	old, err := r.resolve(ctx, from)
	if err != nil {
		return Listing{}, err
	}
	now, err := r.resolve(ctx, to)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{From: old.id, To: now.id}
	if l.Commits, err = r.named(ctx, old.id, now.id); err != nil {
		return Listing{}, err
	}
	files, err := r.difference(ctx, old.id, now.id)
	if err != nil {
		return Listing{}, err
	}
	l.Changed = len(files)
	for _, f := range files {
		if len(l.Files) < MaxListed {
			l.Files = append(l.Files, f.path)
		}
		if kind.Of(f.path) == kind.Migration {
			l.Migrations = append(l.Migrations, f.path)
		}
	}
	slices.Sort(l.Files)
	slices.Sort(l.Migrations)
	return l, nil
}

// Private

// named are the newest commits behind to and not behind from.
func (r *Repository) named(ctx context.Context, from, to string) ([]Commit, error) {
	out, err := r.git.Must(ctx, nil, "log", "-z", "--no-merges", "--no-patch", "--no-color", "--no-show-signature", "--no-mailmap",
		fmt.Sprintf("--max-count=%d", MaxListed), "--format=%H%x01%ct%x01%an%x01%s", "--end-of-options", to, "^"+from)
	if err != nil {
		return nil, err
	}
	var all []Commit
	for record := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if record == "" {
			continue
		}
		parts := strings.SplitN(record, recordMark, 4)
		if len(parts) != 4 {
			return nil, adg.Errorf(adg.Internal, "read git log: %w", gitread.ErrAnswer)
		}
		at, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return nil, adg.Errorf(adg.Internal, "read git log: %w", gitread.ErrAnswer)
		}
		all = append(all, Commit{ID: parts[0], At: time.Unix(at, 0), Author: parts[2], Subject: parts[3]})
	}
	return all, nil
}
