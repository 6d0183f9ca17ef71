package learn

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// GitOps says how a GitOps repository is read. The zero value reads all YAML files of HEAD.
type GitOps struct {
	Options
	Git   string   // the program; empty: git from PATH
	Ref   string   // branch that is deployed; empty: HEAD
	Paths []string // such as apps/{service}/overlays/{environment}/kustomization.yaml; * and ** as in a shell; the last that fits holds
	Order []string // environments in the order of promotion; empty: the usual names, from dev to production
}

// ReadGitOps reads a history from the versions that a repository's files name over time: image tags, chart versions,
// revisions. A merge is one change, made when it was merged. Going back is a rollback; a version that was left behind
// in one environment while a later one was promoted was blocked. A repository without commits or without versions
// gives an empty history with a note.
func ReadGitOps(ctx context.Context, dir string, o GitOps) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	o.Rules = o.Rules.WithDefaults()
	at, err := newPlaces(o.Paths)
	if err != nil {
		return History{}, err
	}
	g, err := openGit(ctx, o.Git, dir)
	if err != nil {
		return History{}, err
	}
	r := &gitopsReading{git: g, options: o, places: at, files: map[string]map[string]pinned{}, tracks: map[string]*lane{}}
	tip, err := g.resolve(ctx, o.Ref)
	if err != nil {
		return History{}, err
	}
	if tip == "" {
		r.notes.add("the repository has no commits")
		return finish(nil, o.Rules, &r.notes), nil
	}
	if g.Shallow {
		r.notes.add("the clone is shallow: what came before it is not known (git fetch --unshallow gets it)")
	}
	listed, err := g.Must(ctx, nil, "rev-list", "--topo-order", "--reverse", "--first-parent", fmt.Sprintf("--max-count=%d", MaxCommits), "--end-of-options", tip)
	if err != nil {
		return History{}, err
	}
	err = g.stream(ctx, o.Key, strings.Fields(string(listed)), []string{"--raw", "--no-abbrev", "-M", "-l200", "--diff-merges=first-parent"},
		func(commits []commit) error { return r.chunk(ctx, commits) })
	if err != nil {
		return History{}, err
	}
	return r.history()
}

// Private

const (
	maxManifest = 1 << 20
	manifestRun = 32 << 20 // bytes of files that are held at once
)

// pinned is a version as it stands in a file.
type pinned struct {
	version string
	lane    string
}

// lane is one service in one environment, by one file. The file may move.
type lane struct {
	noun     string
	arrivals []*arrival
}

type gitopsReading struct {
	git     git
	options GitOps
	places  places
	files   map[string]map[string]pinned // by path, then by what is pinned
	tracks  map[string]*lane
	order   []string // of tracks
	latest  commit
	total   int

	unreadable, lost, backwards int
	notes                       notes
}

func (r *gitopsReading) chunk(ctx context.Context, commits []commit) error {
	for len(commits) > 0 {
		n, files := 0, 0
		var ids []string
		for n < len(commits) && files < 20_000 {
			for _, f := range commits[n].files {
				if _, _, ok := r.places.match(f.path); ok && f.regular && f.status != 'D' {
					ids = append(ids, f.blob)
				}
			}
			files += len(commits[n].files)
			n++
		}
		slices.Sort(ids)
		if err := r.portion(ctx, commits[:n], slices.Compact(ids)); err != nil {
			return err
		}
		commits = commits[n:]
	}
	return nil
}

func (r *gitopsReading) portion(ctx context.Context, commits []commit, ids []string) error {
	pins := map[string][]pin{} // what is kept of the files: their texts would be too much
	read := map[string]bool{}
	for batch := range slices.Chunk(ids, 500) {
		texts, err := r.git.blobs(ctx, batch, maxManifest, manifestRun)
		if err != nil {
			return err
		}
		for _, c := range commits {
			for _, f := range c.files {
				key := f.blob + " " + f.path
				text, found := texts[f.blob]
				if !found || read[key] || f.status == 'D' {
					continue
				}
				read[key] = true
				if found, err := readPins(f.path, text); err == nil {
					pins[key] = found
				} else {
					r.unreadable++
				}
			}
		}
	}
	for _, c := range commits {
		if c.at.Before(r.latest.at) || c.bad {
			r.backwards++
			c.at = r.latest.at
		}
		if c.at.IsZero() || !plausible(c.at) {
			continue
		}
		r.latest = c
		if err := r.commit(c, pins, read); err != nil {
			return err
		}
	}
	return nil
}

// commit moves on to what the files say after a commit.
func (r *gitopsReading) commit(c commit, pins map[string][]pin, read map[string]bool) error {
	told := map[string]bool{}
	before := map[string]map[string]pinned{}
	for _, f := range c.files { // all that leaves first: files may swap their names
		if f.status == 'D' || f.status == 'R' {
			before[f.old] = r.files[f.old]
			delete(r.files, f.old)
		}
	}
	for _, f := range c.files {
		service, environment, ok := r.places.match(f.path)
		if !ok || f.status == 'D' || !f.regular {
			continue
		}
		key := f.blob + " " + f.path
		if !read[key] {
			r.lost++
			continue
		}
		old := r.files[f.path]
		if f.status == 'R' {
			old = before[f.old]
		}
		found, known := pins[key]
		if !known { // a half-written file is not a retired one
			r.files[f.path] = old
			continue
		}
		now := map[string]pinned{}
		for _, p := range found {
			if err := r.pin(c, f.path, placed{service, environment, len(found)}, p, old, now, told); err != nil {
				return err
			}
		}
		if len(now) > 0 {
			r.files[f.path] = now
		} else {
			delete(r.files, f.path)
		}
	}
	return nil
}

// placed is what a file's place says about what is in it.
type placed struct {
	service, environment string
	pins                 int
}

// pin compares one version with the one that stood there before.
func (r *gitopsReading) pin(c commit, path string, at placed, p pin, old, now map[string]pinned, told map[string]bool) error {
	what := p.noun + " " + p.name
	service := first(at.service, r.options.Service, p.name, serviceOf(path))
	if at.service != "" && at.pins > 1 && p.name != "" && p.name != at.service {
		service = at.service + "." + p.name
	}
	environment := first(at.environment, environmentOf(path), r.options.Environment)
	was, known := old[what]
	id := was.lane
	if !known {
		id = strings.Join([]string{path, p.noun, service, environment}, "\x00")
	}
	now[what] = pinned{p.version, id}
	if known && was.version == p.version {
		return nil
	}
	l := r.tracks[id]
	if l == nil {
		l = &lane{noun: p.noun}
		r.tracks[id] = l
		r.order = append(r.order, id)
	}
	a := &arrival{
		Deployment: Deployment{
			Service: clean(service), Environment: clean(environment), From: was.version, To: p.version,
			FromCommit: commitIn(was.version), ToCommit: commitIn(p.version), At: c.at, Actor: c.actor,
		},
		fix: c.message.fix && !c.message.revert, revert: c.message.revert, planned: c.message.planned,
	}
	twice := strings.Join([]string{a.Service, a.Environment, a.From, a.To, p.noun}, "\x00")
	if told[twice] { // several files of one service: one deployment
		return nil
	}
	told[twice] = true
	if r.total++; r.total > MaxDeployments {
		return errTooMany()
	}
	l.arrivals = append(l.arrivals, a)
	return nil
}

func (r *gitopsReading) history() (History, error) {
	now := r.options.Now
	if now.IsZero() {
		now = r.latest.at
	}
	var all []*arrival
	var lanes []*track
	for _, id := range r.order {
		l := r.tracks[id]
		t := newTrack(l.noun, l.arrivals)
		t.label(r.options.Rules, now)
		all = append(all, l.arrivals...)
		lanes = append(lanes, t)
	}
	promote(lanes, r.options.Rules, r.options.Order, &r.notes)
	r.notes.counted(r.unreadable, "%d versions of files could not be read as YAML (templates are none) and were left out")
	r.notes.counted(r.lost, "%d versions of files are not in this clone, or larger than 1 MiB, and were left out")
	r.notes.counted(r.backwards, "%d commits are dated before those that they build on: they count as made at the same time")
	if len(all) == 0 {
		r.notes.add("no file named a version: say with patterns where the files are")
	}
	return finish(all, r.options.Rules, &r.notes), nil
}
