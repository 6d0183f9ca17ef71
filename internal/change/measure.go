package change

import (
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/kind"
)

// An index stays lag commits of the main line behind what is live, or fewer where more than mostBehind lie in between,
// so that a live release which goes back a little (a rollback, a second environment) is still ahead of it. What is
// between is folded in again each time, in a copy.
const (
	lag        = 256
	mostBehind = 300
)

// Measure measures what lies between the release that is live and a new one, each named by a commit, a tag or a branch.
// History is as it stood at from, so nothing that the new release brings counts as known before. The index is brought
// forward as far as is safe and may be empty; where it is of no use (see Advance) the history is read anew and a note
// says so. NotFound: there is no such commit here. On an error the index is as it was, or further on the same way.
func (r *Repository) Measure(ctx context.Context, x *Index, from, to string) (Change, error) {
	live, err := r.resolve(ctx, from)
	if err != nil {
		return Change{}, adg.Errorf(adg.CodeOf(err), "the release that is live: %w", err)
	}
	next, err := r.resolve(ctx, to)
	if err != nil {
		return Change{}, adg.Errorf(adg.CodeOf(err), "the new release: %w", err)
	}
	e := evidence{live: live, next: next, roots: r.options.Roots, sheet: sheet{values: map[string]float64{}}}
	if e.files, err = r.difference(ctx, live.id, next.id); err != nil {
		return Change{}, err
	}
	e.files = r.inScope(e.files)
	if e.before, err = r.stateAt(ctx, x, live.id, &e.sheet); err != nil {
		return Change{}, err
	}
	if err := r.gather(ctx, &e); err != nil {
		return Change{}, err
	}
	e.measure()
	c := Change{From: live.id, To: next.id, Committed: instant(next.at), Oldest: e.oldest(), Paths: e.paths(), Authors: e.people()}
	return e.sheet.finish(c), nil
}

// Private

// stateAt is the history up to a commit, by way of an index that stays behind it.
func (r *Repository) stateAt(ctx context.Context, x *Index, id string, s *sheet) (*Index, error) {
	usable := false
	if r.fits(x) {
		var err error
		if usable, err = r.isAncestor(ctx, x.head, id); err != nil {
			return nil, err
		}
		if !usable {
			s.note("the live release does not follow the one that the history was read up to (it is older, or the history was rewritten): the whole history was read again")
		}
	}
	rest, err := r.checkpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	if rest != "" && usable {
		forward, err := r.isAncestor(ctx, x.head, rest)
		if err != nil {
			return nil, err
		}
		if !forward {
			rest = ""
		}
	}
	if rest != "" {
		if err := r.advance(ctx, x, rest); err != nil {
			return nil, err
		}
	}
	before := x.clone()
	return before, r.advance(ctx, before, id)
}

// checkpoint is the commit that an index should stay at; empty where the whole history is short.
func (r *Repository) checkpoint(ctx context.Context, id string) (string, error) {
	for skip := lag; skip > 0; skip /= 4 {
		told, err := r.git.Must(ctx, nil, "rev-list", "--first-parent", "--skip="+strconv.Itoa(skip), "--max-count=1", "--end-of-options", id)
		if err != nil {
			return "", err
		}
		rest := strings.TrimSpace(string(told))
		args := []string{"rev-list", "--count", "--max-count=" + strconv.Itoa(mostBehind+1), "--end-of-options", id}
		if rest != "" {
			args = append(args, "^"+rest)
		}
		if told, err = r.git.Must(ctx, nil, args...); err != nil {
			return "", err
		}
		if behind, err := strconv.Atoi(strings.TrimSpace(string(told))); err == nil && behind <= mostBehind {
			return rest, nil
		}
	}
	return id, nil
}

// gather reads everything else that the measures come from.
func (r *Repository) gather(ctx context.Context, e *evidence) error {
	if err := r.gatherCommits(ctx, e); err != nil {
		return err
	}
	if err := r.gatherTags(ctx, e); err != nil {
		return err
	}
	attributes, err := r.attributes(ctx, e)
	if err != nil {
		return err
	}
	e.kinds = make([]kind.Kind, len(e.files))
	for i, f := range e.files {
		e.kinds[i] = attributes.Of(f.path)
		if f.submodule {
			e.kinds[i] = kind.Submodule
		}
		if attributes.LFS(f.path) {
			e.files[i].binary, e.files[i].added, e.files[i].deleted = true, 0, 0
		}
	}
	return r.gatherContent(ctx, e)
}

// gatherCommits lists what is new, and counts what is live and will not be any more.
func (r *Repository) gatherCommits(ctx context.Context, e *evidence) error {
	ids, err := r.between(ctx, e.live.id, e.next.id)
	if err != nil {
		return err
	}
	undone, err := r.between(ctx, e.next.id, e.live.id)
	if err != nil {
		return err
	}
	if r.shallow && len(undone) > 0 {
		e.sheet.note("this clone is shallow and does not show how the two releases are related: fetch the whole history (git fetch --unshallow, or fetch-depth: 0)")
		e.unrelated = true
		return nil
	}
	e.undone = len(undone)
	return r.stream(ctx, ids, func(c commit) {
		if len(r.options.Scope) == 0 || c.lost == paths || len(r.inScope(c.files)) > 0 {
			c.files = nil
			e.commits = append(e.commits, c)
		}
	})
}

func (r *Repository) inScope(files []fileChange) []fileChange {
	if len(r.options.Scope) == 0 {
		return files
	}
	var inside []fileChange
	for _, f := range files {
		for _, folder := range r.options.Scope {
			if within(folder, f.path) || within(folder, f.old) {
				inside = append(inside, f)
				break
			}
		}
	}
	return inside
}

// gatherTags counts the tagged commits that are new, the release's own apart.
func (r *Repository) gatherTags(ctx context.Context, e *evidence) error {
	if e.unrelated {
		return nil
	}
	pattern := "refs/tags/"
	if r.options.Tags != "" {
		pattern += r.options.Tags
	}
	list := func(filters ...string) ([]string, error) {
		args := append([]string{"for-each-ref", "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"}, filters...)
		out, err := r.git.Must(ctx, nil, append(args, "--", pattern)...)
		return strings.Fields(string(out)), err
	}
	between, err := list("--merged="+e.next.id, "--no-merged="+e.live.id)
	if err != nil {
		return err
	}
	if len(between) == 0 {
		one, err := list("--count=1")
		if err != nil {
			return err
		}
		if len(one) == 0 {
			e.sheet.note("the repository has no tags that name versions, so it does not tell how many were skipped")
			return nil
		}
	}
	e.tagged, e.skipped = true, map[string]bool{}
	for _, id := range between {
		if id != e.next.id {
			e.skipped[id] = true
		}
	}
	return nil
}

// attributes are those of the new release, of every folder that a changed file lies in.
func (r *Repository) attributes(ctx context.Context, e *evidence) (*kind.Attributes, error) {
	const most = 5_000
	var names []string
	seen := map[string]bool{}
	for _, f := range e.files {
		for dir := path.Dir(f.path); !seen[dir] && len(names) < most; dir = path.Dir(dir) {
			seen[dir] = true
			if file := path.Join(dir, ".gitattributes"); !strings.ContainsAny(file, "\n\r") {
				names = append(names, e.next.id+":"+file)
			}
		}
	}
	found, err := r.git.blobs(ctx, names, 1<<20, 16<<20)
	if err != nil {
		if context.Cause(ctx) != nil {
			return nil, err
		}
		e.sheet.note("the .gitattributes files could not be read: generated and vendored files are told by their paths only")
		return &kind.Attributes{}, nil
	}
	return kindAttributes(found), nil
}
