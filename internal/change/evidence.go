package change

import (
	"maps"
	"math"
	"path"
	"slices"
	"time"

	"github.com/deployguardian/adg/internal/change/kind"
)

// Private

// evidence is all that the measures come from. Its arithmetic is pure.
type evidence struct {
	live, next point
	files      []fileChange
	kinds      []kind.Kind // of each file
	commits    []commit
	undone     int
	unrelated  bool // how the two are related is not known, so neither are the commits in between
	tagged     bool
	skipped    map[string]bool
	before     *Index // the history up to live; nil: not known
	roots      []string
	content    *content // nil: not known
	sheet      sheet
}

func (e *evidence) measure() {
	e.measureKinds()
	e.measureSize()
	if !e.unrelated {
		e.measureCommits()
	}
	e.measureHistory()
	if e.content != nil {
		e.content.measure(&e.sheet)
	}
}

// written are the files that people changed.
func (e *evidence) written() []fileChange {
	var files []fileChange
	for i, f := range e.files {
		if e.kinds[i].Counted() {
			files = append(files, f)
		}
	}
	return files
}

func (e *evidence) measureKinds() {
	count := map[kind.Kind]int{}
	for _, k := range e.kinds {
		count[k]++
	}
	for name, n := range map[string]int{
		"migrations": count[kind.Migration], "infra": count[kind.Infrastructure] + count[kind.Pipeline], "pipelines": count[kind.Pipeline],
		"config": count[kind.Configuration], "tests": count[kind.Test], "docs": count[kind.Docs], "deps": count[kind.Manifest] + count[kind.Lock],
		"generated": count[kind.Generated], "vendored": count[kind.Vendored], "submodules": count[kind.Submodule],
	} {
		e.sheet.set(name, float64(n))
	}
}

// measureSize is NS, ND, NF, entropy, LA and LD.
func (e *evidence) measureSize() {
	files := e.written()
	dirs := map[string]bool{}
	var added, deleted, renamed, binary, created, removed float64
	known := true
	churn := make([]float64, 0, len(files))
	for _, f := range files {
		dirs[path.Dir(f.path)] = true
		added, deleted = added+float64(f.added), deleted+float64(f.deleted)
		churn = append(churn, float64(f.added+f.deleted))
		known = known && f.counted
		renamed += oneIf(f.status == 'R' || f.status == 'C')
		created += oneIf(f.status == 'A')
		removed += oneIf(f.status == 'D')
		binary += oneIf(f.binary)
	}
	e.sheet.set("ns", float64(len(e.subsystems())))
	e.sheet.set("nd", float64(len(dirs)))
	e.sheet.set("nf", float64(len(files)))
	e.sheet.set("newfiles", created)
	e.sheet.set("deleted_files", removed)
	e.sheet.set("renames", renamed)
	if !known {
		e.sheet.note("lines were not counted: this clone does not hold the content of all files (it was made with --filter)")
		return
	}
	e.sheet.set("binaries", binary)
	e.sheet.set("la", added)
	e.sheet.set("ld", deleted)
	e.sheet.set("entropy", entropy(churn))
}

// entropy is Shannon's, of how changed lines are spread over the files, as a share of the most that it can be.
func entropy(churn []float64) float64 {
	total := 0.0
	for _, n := range churn {
		total += n
	}
	if total == 0 || len(churn) < 2 {
		return 0
	}
	sum := 0.0
	for _, n := range churn {
		if p := n / total; p > 0 {
			sum -= p * math.Log2(p)
		}
	}
	return sum / math.Log2(float64(len(churn)))
}

func (e *evidence) measureCommits() {
	var fix, bots, reverts, relands float64
	for _, c := range e.commits {
		fix += oneIf(c.word.fix)
		bots += oneIf(c.author.bot)
		reverts += oneIf(c.word.revert)
		relands += oneIf(c.word.reland)
	}
	n := float64(len(e.commits))
	s := &e.sheet
	s.set("n_commits", n)
	s.set("commits_undone", float64(e.undone))
	s.set("n_authors", float64(len(e.people())))
	s.set("bot_share", bots/max(n, 1))
	s.set("fix", fix/max(n, 1))
	s.set("reverts", reverts)
	s.set("relands", relands)
	if e.tagged {
		s.set("versions_skipped", float64(len(e.skipped)))
	}
	if e.next.at == 0 {
		return
	}
	oldest := 0.0
	if len(e.commits) > 0 {
		oldest = hours(e.next.at - e.oldest().Unix())
	}
	s.set("oldest_commit_h", oldest)
	if e.live.at > 0 {
		s.set("batch_age_h", hours(e.next.at-e.live.at))
	}
}

// measureHistory is LT, NDEV, AGE, NUC, EXP, REXP and SEXP.
func (e *evidence) measureHistory() {
	s := &e.sheet
	switch {
	case e.before == nil:
		return
	case e.before.guessed:
		s.note("the lines that the files had before were not counted: this clone does not hold all of the history's content")
	default:
		s.set("lt", e.linesBefore())
	}
	if e.before.shallow {
		s.note("this clone is shallow: who changed these files before, and how much the authors did, is not known (git fetch --unshallow, or fetch-depth: 0)")
		return
	}
	if e.before.full {
		s.note("the history is larger than what is remembered of it: its oldest or rarest parts do not count")
	}
	e.measureFiles()
	if !e.unrelated {
		e.measureExperience()
	}
}

func (e *evidence) linesBefore() float64 {
	files := e.written()
	lines := 0.0
	for _, f := range files {
		lines += float64(e.before.files[f.old].lines)
	}
	return lines / float64(max(len(files), 1))
}

func (e *evidence) measureFiles() {
	devs, last := map[uint32]bool{}, map[uint32]bool{}
	var changes, age, old float64
	for _, f := range e.written() {
		was, found := e.before.files[f.old]
		if !found {
			continue
		}
		for _, dev := range was.devs {
			devs[dev] = true
		}
		last[was.commit] = true
		changes += float64(was.changes)
		age += hours(e.next.at-was.last) / 24
		old++
	}
	e.sheet.set("ndev", float64(len(devs)))
	e.sheet.set("nuc", float64(len(last)))
	e.sheet.set("npriorchanges", changes)
	e.sheet.set("age", age/max(old, 1))
}

func (e *evidence) measureExperience() {
	people := slices.DeleteFunc(slices.Clone(e.commits), func(c commit) bool { return c.author.bot })
	if len(people) == 0 {
		people = e.commits
	}
	year := instant(e.next.at).Year()
	subsystems := e.subsystems()
	var exp, rexp, sexp float64
	least := math.Inf(1)
	for _, c := range people {
		all, recent, there := e.before.experience(c.author, year, subsystems)
		exp, rexp, sexp = exp+all, rexp+recent, sexp+there
		least = min(least, all)
	}
	if len(people) == 0 {
		least = 0
	}
	n := float64(max(len(people), 1))
	e.sheet.set("exp", exp/n)
	e.sheet.set("rexp", rexp/n)
	e.sheet.set("sexp", sexp/n)
	e.sheet.set("min_exp", least)
}

func (e *evidence) subsystems() []string {
	names := map[string]bool{}
	for _, f := range e.written() {
		names[subsystemOf(e.roots, f.path)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (e *evidence) paths() []string {
	var paths []string
	for _, f := range e.written() {
		if len(paths) < MaxPaths {
			paths = append(paths, f.path)
		}
	}
	return paths
}

func (e *evidence) people() []string {
	names := map[string]bool{}
	for _, c := range e.commits {
		if !c.author.bot {
			names[c.author.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// oldest is the zero time where nothing is new.
func (e *evidence) oldest() time.Time {
	if len(e.commits) == 0 {
		return time.Time{}
	}
	first := slices.MinFunc(e.commits, func(a, b commit) int { return int(min(max(a.at-b.at, -1), 1)) })
	return instant(first.at)
}

func instant(at int64) time.Time {
	if at <= 0 {
		return time.Time{}
	}
	return time.Unix(at, 0).UTC()
}

// hours is never negative: clocks of committers differ.
func hours(seconds int64) float64 { return max(0, float64(seconds)/3600) }

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
