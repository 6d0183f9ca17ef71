package git

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// conflict is why a release cannot be taken out of the branch as it is now.
type conflict struct{ text string }

func (c conflict) Error() string { return c.text }

// plan is what a commit is to change.
type plan struct {
	files   map[string]entry
	reverts []change
}

// write plans to change the version, and nothing else.
func (s *session) write(ctx context.Context, now state, version string) (plan, error) {
	if now.version == version {
		return plan{}, nil
	}
	text, err := s.place.write(now.text, version)
	if err != nil {
		return plan{}, err
	}
	object, err := s.store(ctx, text)
	return plan{files: map[string]entry{s.place.file: {now.file.mode, object}}}, err
}

// revert plans to undo the commits that led from a version to what the branch says now, in the paths of the service. What
// others have committed since stays; where that is in the way, the error is a conflict.
func (s *session) revert(ctx context.Context, now state, version string) (plan, error) {
	if now.version == version {
		return plan{}, nil
	}
	changes, found, err := s.brought(ctx, now.head, version)
	if err != nil {
		return plan{}, err
	}
	if !found {
		return plan{}, conflict{fmt.Sprintf("the last %d commits of %s never had version %s in %s", s.o.History, s.o.Branch, version, s.place.file)}
	}
	p := plan{files: map[string]entry{}, reverts: changes}
	var torn []string
	for _, c := range changes {
		files, err := s.undo(ctx, c, now.head, p.files)
		if err != nil {
			return plan{}, err
		}
		torn = append(torn, files...)
	}
	if len(torn) > 0 {
		return plan{}, conflict{fmt.Sprintf("%s cannot be reverted: later commits changed the same lines of %s", commits(changes), someOf(torn))}
	}
	file, changed := p.files[s.place.file]
	if changed && file.object != "" {
		if left, err := s.versionIn(ctx, file); err == nil && left == version {
			return p, nil
		}
	}
	return plan{}, conflict{fmt.Sprintf("reverting %s would not lead to version %s in %s", commits(changes), version, s.place.file)}
}

// undo takes one commit out of what the branch holds, and gives the files where that cannot be done.
func (s *session) undo(ctx context.Context, c change, head string, files map[string]entry) (torn []string, err error) {
	brought, err := s.diff(ctx, c.parent, c.commit)
	if err != nil {
		return nil, err
	}
	since, err := s.diff(ctx, c.commit, head)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(brought)) {
		base, theirs := brought[name].new, brought[name].old
		ours := base
		if changed, found := since[name]; found {
			ours = changed.new
		}
		if planned, found := files[name]; found {
			ours = planned
		}
		merged, clean, err := s.merge(ctx, base, ours, theirs)
		if err != nil {
			return nil, err
		}
		if !clean {
			torn = append(torn, name)
		}
		files[name] = merged
	}
	return torn, nil
}

// merge carries the step from base to theirs over to ours.
func (s *session) merge(ctx context.Context, base, ours, theirs entry) (merged entry, clean bool, err error) {
	switch {
	case ours == base, ours == theirs:
		return theirs, true, nil
	case !base.plain() || !ours.plain() || !theirs.plain():
		return ours, false, nil
	}
	merged.mode = theirs.mode
	if theirs.mode == base.mode {
		merged.mode = ours.mode
	}
	names := []string{"ours", "base", "theirs"}
	for i, e := range []entry{ours, base, theirs} {
		text, err := s.blob(ctx, e)
		if err != nil {
			return entry{}, false, err
		}
		names[i] = filepath.Join(s.scratch, names[i])
		if err := os.WriteFile(names[i], text, 0o600); err != nil {
			return entry{}, false, adg.Errorf(adg.Unavailable, "merge: %w", err)
		}
	}
	result, err := s.run(ctx, nil, append([]string{"merge-file", "-p", "-q"}, names...)...)
	if err != nil {
		return entry{}, false, err
	}
	if result.Exit != 0 || result.Truncated {
		return ours, false, nil
	}
	merged.object, err = s.store(ctx, result.Stdout)
	return merged, true, err
}

// difference is how a file differs between two commits.
type difference struct{ old, new entry }

// diff compares two commits in the paths of the service.
func (s *session) diff(ctx context.Context, from, to string) (map[string]difference, error) {
	args := []string{"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", "--end-of-options", from, to}
	if !slices.Contains(s.o.Paths, ".") {
		args = append(append(args, "--"), s.o.Paths...)
	}
	said, err := s.must(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return parseDiff(string(said))
}

func parseDiff(text string) (map[string]difference, error) {
	found := map[string]difference{}
	fields := strings.Split(text, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		f := strings.Fields(strings.TrimPrefix(fields[i], ":"))
		if len(f) != 5 {
			return nil, adg.Errorf(adg.Internal, "git diff-tree says what is not understood")
		}
		found[fields[i+1]] = difference{old: side(f[0], f[2]), new: side(f[1], f[3])}
	}
	return found, nil
}

// side is one side of a difference; what is not there is the zero entry.
func side(mode, object string) entry {
	if strings.Trim(mode, "0") == "" {
		return entry{}
	}
	return entry{mode, object}
}

// store puts a file's text into the clone.
func (s *session) store(ctx context.Context, text []byte) (string, error) {
	said, err := s.must(ctx, text, "hash-object", "-w", "--no-filters", "--stdin")
	return strings.TrimSpace(string(said)), err
}

func commits(changes []change) string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = short(c.commit)
	}
	return "commit " + someOf(names)
}

// someOf names a few of many, fit for a text.
func someOf(names []string) string {
	const enough = 5
	slices.Sort(names)
	names = slices.Compact(names)
	text := adg.Printable(strings.Join(names[:min(len(names), enough)], ", "))
	if more := len(names) - enough; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func short(commit string) string { return commit[:min(len(commit), 10)] }
