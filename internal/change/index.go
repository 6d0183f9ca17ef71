package change

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// The bounds of an Index. Past them nothing new is remembered and the answers say so; what is known stays right.
const (
	MaxFiles      = 2_000_000
	MaxAuthors    = 500_000
	MaxDevelopers = 1_000 // remembered per file
	maxSubsystems = 100_000
	maxPairs      = 5_000_000 // of author and subsystem
)

// Index is what the history up to one commit teaches: of each file its lines, its last change and its developers, of
// each author the commits per year and per subsystem. It holds no names and no addresses, only pseudonyms. The zero
// value is empty and ready. Keep one per service, with MarshalBinary: what is live moves on from release to release,
// and a Measure folds in only what is new. It is not safe for concurrent use.
type Index struct {
	head     string
	settings string // of the repository that it was read with
	commits  uint32
	shallow  bool // it begins in the middle of the history
	guessed  bool // some commits could be read in part only: lines are not known
	full     bool // a bound was reached

	files      map[string]file
	people     []person
	authors    map[uint64]uint32 // pseudonym → place in people
	subsystems map[string]uint32
	pairs      map[uint64]uint32 // author and subsystem → commits
}

// Head is the commit that the index has come to; empty if it has not begun.
func (x *Index) Head() string { return x.head }

// Commits counts what was folded in.
func (x *Index) Commits() int { return int(x.commits) }

// Files counts the files that are known.
func (x *Index) Files() int { return len(x.files) }

// Authors counts the authors that are known.
func (x *Index) Authors() int { return len(x.people) }

// Private

type file struct {
	lines   int64
	last    int64    // when it was last changed
	commit  uint32   // the last to change it, by its number
	changes uint32   // that were made to it
	devs    []uint32 // who made them, sorted; shared between copies, never written to
}

type person struct {
	id    uint64
	years []yearly
}

type yearly struct {
	year    uint16
	commits uint32
}

func (x *Index) reset(settings string, shallow bool) {
	*x = Index{
		settings: settings, shallow: shallow,
		files: map[string]file{}, authors: map[uint64]uint32{}, subsystems: map[string]uint32{}, pairs: map[uint64]uint32{},
	}
}

func (x *Index) clone() *Index {
	c := *x
	c.files, c.authors, c.subsystems, c.pairs = maps.Clone(x.files), maps.Clone(x.authors), maps.Clone(x.subsystems), maps.Clone(x.pairs)
	c.people = slices.Clone(x.people)
	for i := range c.people {
		c.people[i].years = slices.Clone(c.people[i].years)
	}
	return &c
}

// fold takes one more commit into account.
func (x *Index) fold(c commit, subsystem func(path string) string) {
	x.commits++
	x.guessed = x.guessed || c.lost != nothing
	who, known := x.authorOf(c.author)
	if known {
		x.people[who].count(time.Unix(c.at, 0).UTC().Year())
	}
	touched := map[string]bool{}
	for _, f := range c.files {
		x.foldFile(f, c, who, known)
		touched[subsystem(f.path)] = true
	}
	if !known {
		return
	}
	for name := range touched {
		if pair, found := x.pairOf(who, name); found {
			x.pairs[pair]++
		}
	}
}

func (x *Index) foldFile(f fileChange, c commit, who uint32, known bool) {
	was, found := x.files[f.old]
	if f.status == 'R' {
		delete(x.files, f.old)
	}
	if f.status == 'D' {
		delete(x.files, f.path)
		return
	}
	if f.status == 'A' {
		was, found = x.files[f.path] // it may have come by another branch already
		was.lines = 0
	}
	if _, there := x.files[f.path]; !there && len(x.files) >= MaxFiles {
		x.full = true
		return
	}
	was.lines = max(0, was.lines+int64(f.added)-int64(f.deleted))
	was.changes++
	if !found || c.at >= was.last {
		was.last, was.commit = c.at, x.commits
	}
	if at, there := slices.BinarySearch(was.devs, who); known && !there {
		if len(was.devs) < MaxDevelopers {
			was.devs = slices.Insert(slices.Clone(was.devs), at, who)
		} else {
			x.full = true
		}
	}
	x.files[f.path] = was
}

func (x *Index) authorOf(a author) (uint32, bool) {
	who, found := x.authors[a.id]
	if !found {
		if len(x.people) >= MaxAuthors {
			x.full = true
			return 0, false
		}
		who = uint32(len(x.people))
		x.people = append(x.people, person{id: a.id})
		x.authors[a.id] = who
	}
	return who, true
}

func (x *Index) pairOf(who uint32, subsystem string) (uint64, bool) {
	at, found := x.subsystems[subsystem]
	if !found {
		if len(x.subsystems) >= maxSubsystems {
			x.full = true
			return 0, false
		}
		at = uint32(len(x.subsystems))
		x.subsystems[strings.Clone(subsystem)] = at
	}
	pair := uint64(who)<<32 | uint64(at)
	if _, found := x.pairs[pair]; !found && len(x.pairs) >= maxPairs {
		x.full = true
		return 0, false
	}
	return pair, true
}

// count clamps the year first: a committer's clock may say anything.
func (p *person) count(year int) {
	year = min(max(year, 1970), 9999)
	for i := len(p.years) - 1; i >= 0; i-- {
		if int(p.years[i].year) == year {
			p.years[i].commits++
			return
		}
	}
	p.years = append(p.years, yearly{uint16(year), 1})
}

// experience is EXP, and REXP as of a year.
func (p person) experience(year int) (all, recent float64) {
	for _, y := range p.years {
		all += float64(y.commits)
		recent += float64(y.commits) / float64(max(year-int(y.year), 0)+1)
	}
	return all, recent
}

// experience of somebody who is not known is none.
func (x *Index) experience(a author, year int, subsystems []string) (all, recent, there float64) {
	who, found := x.authors[a.id]
	if !found {
		return 0, 0, 0
	}
	all, recent = x.people[who].experience(year)
	for _, name := range subsystems {
		if at, known := x.subsystems[name]; known {
			there += float64(x.pairs[uint64(who)<<32|uint64(at)])
		}
	}
	return all, recent, there
}

// subsystemOf is the deepest of the roots that a file lies in, or else the first folder of its path.
func subsystemOf(roots []string, name string) string {
	deepest := ""
	for _, root := range roots {
		if within(root, name) && len(root) > len(deepest) {
			deepest = root
		}
	}
	if deepest != "" {
		return deepest
	}
	first, _, nested := strings.Cut(name, "/")
	if !nested {
		return "."
	}
	return first
}

// within tells whether a path is a folder or lies below it.
func within(folder, name string) bool {
	rest, found := strings.CutPrefix(name, folder)
	return found && (rest == "" || rest[0] == '/')
}

// folders are cleaned, so that "./api/" and "api" are the same.
func folders(given []string) []string {
	var clean []string
	for _, folder := range given {
		if f := strings.Trim(path.Clean("/"+folder), "/"); f != "" {
			clean = append(clean, f)
		}
	}
	return clean
}
