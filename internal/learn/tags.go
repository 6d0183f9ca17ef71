package learn

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

// Tags says which tags of a repository are deployments. The zero value takes all but pre-releases.
type Tags struct {
	Options
	Git         string // the program; empty: git from PATH
	Pattern     string // as in git tag --list; empty: all
	PreReleases bool   // alpha, beta, rc and the like are deployed too
}

// ReadTags reads a history from a repository's tags: each is a deployment of its commit, in the order in which they
// were made. One fails when a commit in it is reverted afterwards, when the next tag goes back behind it, or when a
// patch version that is mostly fixes has to follow at once. A tag such as api/v1.2 or api-v1.2 is of the service api;
// the others are of Options.Service, or of the repository. No tags give an empty history with a note.
func ReadTags(ctx context.Context, dir string, o Tags) (History, error) {
	if err := o.Rules.Validate(); err != nil {
		return History{}, err
	}
	o.Rules = o.Rules.WithDefaults()
	g, err := openGit(ctx, o.Git, dir)
	if err != nil {
		return History{}, err
	}
	o.Service = first(o.Service, strings.TrimSuffix(repositoryFolder(g.Dir), ".git"))
	r := &tagsReading{git: g, options: o, index: map[string]int32{}}
	if err := r.list(ctx); err != nil {
		return History{}, err
	}
	if len(r.tags) == 0 {
		r.notes.add("the repository has no tags that name a version")
		return finish(nil, o.Rules, &r.notes), nil
	}
	if g.Shallow {
		r.notes.add("the clone is shallow: what came before it is not known (git fetch --unshallow gets it)")
	}
	if err := r.load(ctx); err != nil {
		return History{}, err
	}
	return r.history()
}

// Private

const (
	maxTags   = 200_000
	maxWalked = 1_000_000_000 // steps through the graph of commits
)

// tag is one tag, and what is new in it.
type tag struct {
	name, service, version string
	commit, actor          string
	at                     time.Time
	node                   int32 // of its commit; -1 where that was not read
	commits, fixes         int   // new since all tags of the service before
	from                   int   // position of the latest tag that it builds on; -1: none
	arrival                *arrival
}

// node is a commit in the graph.
type node struct {
	parents []int32
	at      int64
	reverts int32 // the commit that it takes back; -1: none
	fix     bool
}

type tagsReading struct {
	git     git
	options Tags
	tags    []*tag
	index   map[string]int32
	nodes   []node
	reverts []int32 // nodes
	walked  int
	latest  time.Time
	notes   notes
}

func repositoryFolder(gitDir string) string {
	if filepath.Base(gitDir) == ".git" {
		return filepath.Base(filepath.Dir(gitDir))
	}
	return filepath.Base(gitDir)
}

func (r *tagsReading) list(ctx context.Context) error {
	if strings.HasPrefix(r.options.Pattern, "-") || len(r.options.Pattern) > 256 {
		return adg.Errorf(adg.Invalid, "pattern of tags %q: write one as for git tag --list", cut(r.options.Pattern, 60))
	}
	args := []string{"tag", "--list", "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(objecttype)%00%(*objecttype)%00%(creatordate:unix)%00%(taggeremail)%00%(taggername)%00"}
	if r.options.Pattern != "" {
		args = append(args, r.options.Pattern)
	}
	out, err := r.git.Must(ctx, nil, args...)
	if err != nil {
		return err
	}
	before, moved := 0, 0
	for line := range bytes.Lines(out) {
		fields := strings.Split(strings.TrimSuffix(string(line), "\n"), "\x00")
		if len(fields) != 9 {
			continue // of something that is no tag of a commit
		}
		id := fields[1]
		if fields[3] == "tag" {
			id = fields[2]
		}
		seconds, err := strconv.ParseInt(fields[5], 10, 64)
		at := time.Unix(seconds, 0).UTC()
		if (fields[3] != "commit" && fields[4] != "commit") || !gitread.IsObjectID(id) || err != nil || !plausible(at) {
			moved++
			continue
		}
		service, version := splitTag(fields[0])
		if !isVersion(version) || !strings.ContainsAny(version, "0123456789") {
			moved++
			continue
		}
		if !r.options.PreReleases && isPreRelease(version) {
			before++
			continue
		}
		if len(r.tags) == maxTags {
			return adg.Errorf(adg.Invalid, "the repository has more than %d tags: choose some with a pattern", maxTags)
		}
		t := &tag{name: clean(fields[0]), service: clean(first(service, r.options.Service)), version: version, commit: id, at: at, node: -1, from: -1}
		t.actor = pseudonym(r.options.Key, fields[7], strings.Trim(fields[6], "<>"))
		r.tags = append(r.tags, t)
	}
	r.notes.counted(before, "%d tags of pre-releases were left out")
	r.notes.counted(moved, "%d tags name no version, no commit or no possible time and were left out")
	slices.SortStableFunc(r.tags, func(a, b *tag) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if order, ok := compareVersions(a.version, b.version); ok {
			return order
		}
		return compareText(a.name, b.name)
	})
	return nil
}

// splitTag takes the service off a tag's name.
func splitTag(name string) (service, version string) {
	for _, sign := range "@/" { // as npm's tools and as Go's name them
		if i := strings.LastIndexByte(name, byte(sign)); i > 0 {
			return strings.ReplaceAll(name[:i], "/", "."), name[i+1:]
		}
	}
	v, ok := parseVersion(name)
	prefix := strings.TrimRight(v.prefix, "-_.")
	if ok && prefix != "" && !moving[prefix] && prefix != "version" && prefix != "ver" && len(prefix) < len(name) {
		return name[:len(prefix)], strings.TrimLeft(name[len(prefix):], "-_.")
	}
	return "", name
}

// load reads the graph of commits, those of branches included: a revert may not be in any tag yet.
func (r *tagsReading) load(ctx context.Context) error {
	listed, err := r.git.Must(ctx, nil, "rev-list", "--topo-order", "--reverse", fmt.Sprintf("--max-count=%d", MaxCommits), "--tags", "--branches", "--remotes")
	if err != nil {
		return err
	}
	actors := map[string]string{}
	for _, t := range r.tags {
		actors[t.commit] = ""
	}
	subjects := map[string]int32{} // the latest commit of each
	err = r.git.stream(ctx, r.options.Key, strings.Fields(string(listed)), []string{"--no-patch"}, func(commits []commit) error {
		for _, c := range commits {
			here := int32(len(r.nodes))
			n := node{at: c.at.Unix(), reverts: -1, fix: c.message.fix && !c.message.revert}
			if c.bad {
				n.at = 0
			}
			if c.message.revert && !c.message.planned {
				target, found := r.index[c.message.reverted]
				if !found && c.message.quoted != "" {
					target, found = subjects[clean(c.message.quoted)]
				}
				if found {
					n.reverts = target
					r.reverts = append(r.reverts, here)
				}
			}
			subjects[strings.Clone(clean(c.message.subject))] = here
			for _, p := range c.parents {
				if i, found := r.index[p]; found {
					n.parents = append(n.parents, i)
				}
			}
			r.index[strings.Clone(c.id)] = here
			r.nodes = append(r.nodes, n)
			if !c.bad && c.at.After(r.latest) {
				r.latest = c.at
			}
			if _, tagged := actors[c.id]; tagged {
				actors[strings.Clone(c.id)] = c.actor
			}
		}
		return nil
	})
	for _, t := range r.tags {
		t.actor = first(t.actor, actors[t.commit])
		if i, found := r.index[t.commit]; found {
			t.node = i
		}
		if t.at.After(r.latest) {
			r.latest = t.at
		}
	}
	return err
}

// history goes through the services one by one: each has its own tags, of the same commits.
func (r *tagsReading) history() (History, error) {
	now := r.options.Now
	if now.IsZero() {
		now = r.latest
	}
	byService := map[string][]*tag{}
	var services []string
	for _, t := range r.tags {
		if byService[t.service] == nil {
			services = append(services, t.service)
		}
		byService[t.service] = append(byService[t.service], t)
	}
	owner := make([]int32, len(r.nodes))
	var all []*arrival
	for _, service := range services {
		tags := byService[service]
		for i := range owner {
			owner[i] = -1
		}
		if r.walked += len(owner); r.walked > maxWalked {
			return History{}, adg.Errorf(adg.Invalid, "%d services in one repository of %d commits are too many: choose tags with a pattern", len(services), len(r.nodes))
		}
		r.claim(tags, owner)
		for _, line := range r.lines(tags, owner) {
			newTrack("tag", line).label(r.options.Rules, now)
		}
		r.revert(tags, owner)
		for _, t := range tags {
			all = append(all, t.arrival)
		}
	}
	return finish(all, r.options.Rules, &r.notes), nil
}

// claim gives each commit to the first tag that it is in.
func (r *tagsReading) claim(tags []*tag, owner []int32) {
	for i, t := range tags {
		if t.node < 0 {
			continue
		}
		for stack := []int32{t.node}; len(stack) > 0; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if o := int(owner[at]); o >= 0 {
				if o != i {
					t.from = max(t.from, o)
				}
				continue
			}
			owner[at] = int32(i)
			if len(r.nodes[at].parents) < 2 {
				t.commits++
				if r.nodes[at].fix {
					t.fixes++
				}
			}
			stack = append(stack, r.nodes[at].parents...)
		}
	}
}

// lines are tags that build on one another: a maintenance release does not replace a newer one.
func (r *tagsReading) lines(tags []*tag, owner []int32) [][]*arrival {
	var lines [][]*arrival
	lineOf := make([]int, len(tags))
	lastOf := []int{} // by line, the position of its last tag
	for i, t := range tags {
		from, back := t.from, false
		if i > 0 && t.node >= 0 && t.commits == 0 && tags[i-1].node != t.node && r.isBehind(t.node, tags[i-1].node, owner) {
			from, back = i-1, true
		}
		line := len(lines)
		if from >= 0 {
			if line = lineOf[from]; lastOf[line] != from && !tags[lastOf[line]].arrival.back {
				line = len(lines)
			} else {
				from = lastOf[line]
			}
		}
		if line == len(lines) {
			lines, lastOf = append(lines, nil), append(lastOf, i)
		}
		t.arrival = r.arrival(t, tags, from)
		t.arrival.back, t.arrival.behind = back, !back
		lineOf[i], lastOf[line] = line, i
		lines[line] = append(lines[line], t.arrival)
	}
	return lines
}

func (r *tagsReading) arrival(t *tag, tags []*tag, from int) *arrival {
	a := &arrival{Deployment: Deployment{
		Service: t.service, Environment: clean(r.options.Environment), To: t.name, ToCommit: t.commit, At: t.at, Actor: t.actor,
	}}
	if from < 0 {
		return a
	}
	a.From, a.FromCommit = tags[from].name, tags[from].commit
	a.fix = isPatchOf(t.version, tags[from].version) && 2*t.fixes > t.commits
	if t.commits > 0 {
		a.Features = map[string]float64{"n_commits": float64(t.commits), "fix": float64(t.fixes) / float64(t.commits)}
	}
	return a
}

// isBehind tells whether a commit is in the history of another.
func (r *tagsReading) isBehind(old, node int32, owner []int32) bool {
	if node < 0 || owner[old] < 0 {
		return false
	}
	seen := map[int32]bool{}
	for stack := []int32{node}; len(stack) > 0 && r.walked < maxWalked; r.walked++ {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if at == old {
			return true
		}
		if at < old || seen[at] { // parents come before their children
			continue
		}
		seen[at] = true
		stack = append(stack, r.nodes[at].parents...)
	}
	return false
}

// revert finds the tags that a commit was reverted of once they were out.
func (r *tagsReading) revert(tags []*tag, owner []int32) {
	for _, at := range r.reverts {
		of := owner[r.nodes[at].reverts]
		if of < 0 || owner[at] == of || r.nodes[at].at == 0 {
			continue
		}
		t, when := tags[of], time.Unix(r.nodes[at].at, 0).UTC()
		after := when.Sub(t.at)
		if after <= 0 || after > r.options.Rules.Matures || t.arrival.Outcome == RolledBack || t.arrival.back {
			continue
		}
		t.arrival.Outcome, t.arrival.FailedAt = RolledBack, when
		t.arrival.Why = fmt.Sprintf("a commit in %s was reverted after %s", t.name, span(after))
	}
}
