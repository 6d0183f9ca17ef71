package change

import (
	"context"
	"runtime"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

// Private

// detail is how much of each commit is read.
type detail uint8

const (
	metaOnly   detail = iota
	namesOnly         // and which files it changed; needs no content, so exact renames only
	everything        // and how many lines; renames and copies found by content
)

const (
	chunkCommits = 1000
	maxReaders   = 4
)

// stream hands over commits in order. Chunks of them are read by a few processes at a time, so that memory is bounded
// by the chunks and every run of git by its own limits.
func (r *Repository) stream(ctx context.Context, ids []string, each func(commit)) error {
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		commits []commit
		err     error
	}
	var pending []chan answer
	defer func() {
		cancel()
		for _, p := range pending { // nothing is left running
			<-p
		}
	}()
	done, total := 0, len(ids)
	for len(ids) > 0 || len(pending) > 0 {
		for len(ids) > 0 && len(pending) < min(maxReaders, runtime.NumCPU()) {
			chunk := ids[:min(len(ids), chunkCommits)]
			ids = ids[len(chunk):]
			p := make(chan answer, 1)
			go func() {
				commits, err := r.readBest(ctx, chunk)
				p <- answer{commits, err}
			}()
			pending = append(pending, p)
		}
		a := <-pending[0]
		pending = pending[1:]
		if a.err != nil {
			return a.err
		}
		for _, c := range a.commits {
			each(c)
		}
		if done += len(a.commits); r.options.Progress != nil {
			r.options.Progress(done, total)
		}
	}
	return nil
}

// readBest reads as much of each commit as the clone holds. Where git fails or says too much the commits are read in
// halves, down to the one that it is about, and that one with less detail.
func (r *Repository) readBest(ctx context.Context, ids []string) ([]commit, error) {
	level := everything
	if r.partial { // every line count would need content that was left behind
		level = namesOnly
	}
	commits, err := r.read(ctx, ids, level)
	for err != nil && context.Cause(ctx) == nil && len(ids) == 1 && level > metaOnly {
		level--
		commits, err = r.read(ctx, ids, level)
	}
	if err == nil || len(ids) == 1 || context.Cause(ctx) != nil {
		return lose(commits, level), err
	}
	half := len(ids) / 2
	first, err := r.readBest(ctx, ids[:half])
	if err != nil {
		return nil, err
	}
	second, err := r.readBest(ctx, ids[half:])
	return slices.Concat(first, second), err
}

func lose(commits []commit, level detail) []commit {
	for i := range commits {
		switch level {
		case everything:
		case namesOnly:
			commits[i].lost = max(commits[i].lost, numbers)
		case metaOnly:
			commits[i].lost = paths
		}
	}
	return commits
}

// read asks git once.
func (r *Repository) read(ctx context.Context, ids []string, level detail) ([]commit, error) {
	args := []string{"log", "--no-walk=unsorted", "--stdin", "-z", "--no-color", "--no-show-signature", "--no-ext-diff", "--no-textconv", logFormat}
	if r.options.FirstParent {
		args = append(args, "--diff-merges=first-parent")
	}
	switch level {
	case metaOnly:
		args = append(args, "--no-patch")
	case namesOnly:
		args = append(args, "--raw", "--no-abbrev", "-M100%")
	case everything:
		args = append(args, "--raw", "--numstat", "--no-abbrev", "-M", "-C", "-l400")
	}
	out, err := r.git.Must(ctx, lines(ids), args...)
	if err != nil {
		return nil, err
	}
	commits, err := parseLog(r.options.Key, out)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "read git log: %w", err)
	}
	if len(commits) != len(ids) {
		return nil, adg.Errorf(adg.Internal, "read git log: it told of %d commits, not of %d", len(commits), len(ids))
	}
	return commits, nil
}

// difference is what changed between two trees, as exactly as the clone allows.
func (r *Repository) difference(ctx context.Context, from, to string) ([]fileChange, error) {
	for _, args := range [][]string{{"--raw", "--numstat", "-M", "-C", "-l1000"}, {"--raw", "-M100%"}} {
		args = append([]string{"diff-tree", "-r", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv"}, args...)
		told, err := r.git.Run(ctx, nil, append(args, "--end-of-options", from, to)...)
		if err != nil {
			return nil, err
		}
		if told.Exit != 0 || told.Truncated {
			continue
		}
		files, err := parseFiles(&gitread.Tokens{Rest: told.Stdout})
		if err != nil {
			return nil, adg.Errorf(adg.Internal, "read git diff-tree: %w", err)
		}
		return files, nil
	}
	return nil, adg.Errorf(adg.Unavailable, "git cannot compare the two releases: trees are missing in this clone, or the difference is larger than %d MiB", gitMaxOutput>>20)
}
