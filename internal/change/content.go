package change

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/deployguardian/adg/internal/change/complexity"
	"github.com/deployguardian/adg/internal/change/dependency"
	"github.com/deployguardian/adg/internal/change/kind"
)

// The bounds on what is read of the files themselves.
const (
	maxSourceBytes  = 1 << 20
	maxLockBytes    = 16 << 20
	maxContentBytes = 48 << 20 // of each group of files, both versions together
	maxContentFiles = 4_000
)

// Private

// content is what the files themselves tell. A sum that is not known, because a file could not be read, is incomplete.
type content struct {
	packages, majors   int
	lost               bool // of dependencies
	functions          complexity.Delta
	branches           int
	unread, unparsable int // files of source
}

func (c *content) measure(s *sheet) {
	if c.lost {
		s.note("a file of dependencies could not be read, so the changed dependencies are not counted")
	} else {
		s.set("deps_changed", float64(c.packages))
		s.set("deps_major", float64(c.majors))
	}
	if c.unread > 0 {
		s.note("some source files are too large, too many or not in this clone: complexity is not measured")
		return
	}
	if c.unparsable > 0 {
		s.note("some Go files do not parse: their functions are not counted")
	}
	s.set("functions_touched", float64(c.functions.Touched))
	s.set("complexity_delta", float64(c.functions.After-c.functions.Before))
	s.set("complexity_max", float64(c.functions.Highest))
	s.set("branches_delta", float64(c.branches))
}

// gatherContent reads the changed files of dependencies and of source, and corrects their kinds by what they say.
func (r *Repository) gatherContent(ctx context.Context, e *evidence) error {
	var source, packages []int
	for i, f := range e.files {
		ecosystem, _ := dependency.Ecosystem(f.path)
		switch k := e.kinds[i]; {
		case f.submodule || f.symlink || f.oldLink:
		case (k == kind.Manifest || k == kind.Lock) && ecosystem != "":
			packages = append(packages, i)
		case f.binary || !k.Counted():
		case k == kind.Source || k == kind.Configuration || k == kind.Test:
			source = append(source, i)
		}
	}
	c := &content{}
	for i := range e.files {
		if e.kinds[i] == kind.Submodule {
			c.packages++
		}
	}
	if err := r.readSource(ctx, e, c, source); err != nil {
		return err
	}
	if err := r.readPackages(ctx, e, c, packages); err != nil {
		return err
	}
	e.content = c
	return nil
}

// sides are the two versions of a file; nil where there is none. Not read: it is missing or too large.
type sides struct {
	before, after []byte
	read          bool
}

// readSides reads both versions of some of the files. What cannot be read is no error: clones may lack content.
func (r *Repository) readSides(ctx context.Context, e *evidence, which []int, limit int64) (map[int]sides, error) {
	which = which[:min(len(which), maxContentFiles)]
	var ids []string
	for _, i := range which {
		f := e.files[i]
		if f.status != 'A' {
			ids = append(ids, f.oldBlob)
		}
		if f.status != 'D' {
			ids = append(ids, f.blob)
		}
	}
	slices.Sort(ids)
	blobs, err := r.git.blobs(ctx, slices.Compact(ids), limit, maxContentBytes)
	if err != nil {
		if context.Cause(ctx) != nil {
			return nil, err
		}
		return map[int]sides{}, nil
	}
	found := make(map[int]sides, len(which))
	for _, i := range which {
		f := e.files[i]
		old, now := blobs[f.oldBlob], blobs[f.blob]
		s := sides{read: (f.status == 'A' || old.text != nil) && (f.status == 'D' || now.text != nil)}
		if s.read && f.status != 'A' {
			s.before = old.text
		}
		if s.read && f.status != 'D' {
			s.after = now.text
		}
		found[i] = s
	}
	return found, nil
}

func (r *Repository) readSource(ctx context.Context, e *evidence, c *content, which []int) error {
	texts, err := r.readSides(ctx, e, which, maxSourceBytes)
	if err != nil {
		return err
	}
	for _, i := range which {
		f, t := e.files[i], texts[i]
		if latest := t.after; t.read {
			if latest == nil {
				latest = t.before
			}
			e.kinds[i] = kind.Refine(e.kinds[i], f.path, latest)
		}
		branching := complexity.IsGo(f.path) || complexity.HasBranches(f.path)
		switch {
		case e.kinds[i] != kind.Source || !branching:
		case !t.read:
			c.unread++
		case complexity.IsGo(f.path):
			delta, err := complexity.Go(t.before, t.after)
			if err != nil {
				c.unparsable++
				continue
			}
			c.functions = c.functions.Plus(delta)
		default:
			c.branches += complexity.Branches(f.path, t.after) - complexity.Branches(f.old, t.before)
		}
	}
	return nil
}

// readPackages compares files of dependencies. What a lock file says counts, and a manifest only where the folder's
// lock file of the same ecosystem did not change.
func (r *Repository) readPackages(ctx context.Context, e *evidence, c *content, which []int) error {
	texts, err := r.readSides(ctx, e, which, maxLockBytes)
	if err != nil {
		return err
	}
	locked := map[string]bool{}
	for _, i := range which {
		if ecosystem, lock := dependency.Ecosystem(e.files[i].path); lock {
			locked[ecosystem+"\n"+path.Dir(e.files[i].path)] = true
		}
	}
	for _, i := range which {
		f, t := e.files[i], texts[i]
		ecosystem, lock := dependency.Ecosystem(f.path)
		if !lock && locked[ecosystem+"\n"+path.Dir(f.path)] {
			continue
		}
		before, err1 := versions(f.old, t.before)
		after, err2 := versions(f.path, t.after)
		if !t.read || err1 != nil || err2 != nil {
			c.lost = true
			continue
		}
		changed, major := dependency.Compare(before, after)
		c.packages += changed
		c.majors += major
	}
	return nil
}

func versions(name string, text []byte) (dependency.Set, error) {
	if text == nil || strings.TrimSpace(string(text)) == "" {
		return nil, nil
	}
	return dependency.Parse(name, text)
}

// kindAttributes adds the files from the root down, as git reads them.
func kindAttributes(found map[string]blob) *kind.Attributes {
	var a kind.Attributes
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return len(x) - len(y) })
	for _, name := range names {
		_, file, _ := strings.Cut(name, ":")
		dir := path.Dir(file)
		if dir == "." {
			dir = ""
		}
		a.Add(dir, string(found[name].text))
	}
	return &a
}
