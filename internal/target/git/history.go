package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// The references of the clone.
const (
	branchRef   = "refs/adg/branch"
	requestRefs = "refs/adg/requests/"
)

// The trailers of commits.
const (
	targetTrailer     = "ADG-Target"
	deploymentTrailer = "ADG-Deployment"
	operationTrailer  = "ADG-Operation"
	fenceTrailer      = "ADG-Fence"
	versionTrailer    = "ADG-Version"
)

// operation is a commit of this target.
type operation struct {
	commit, id, deployment, version string
	fence                           int64
}

// entry is a file in a tree; without an object there is none.
type entry struct{ mode, object string }

// state is what the branch says.
type state struct {
	head    string
	file    entry // with the version
	text    []byte
	version string
	by      string      // who made the newest commit
	ops     []operation // of this target, the newest first
}

// found is the commit of an operation.
func (s state) found(op string) bool {
	for _, o := range s.ops {
		if o.id == op {
			return true
		}
	}
	return false
}

// fenced refuses what an owner of the deployment wants whom another has followed.
func fenced(ops []operation, want adg.Desired) error {
	for _, o := range ops {
		if o.deployment == want.Deployment && o.fence > want.Fence {
			return adg.ErrFenced
		}
	}
	return nil
}

// look fetches the branch and reads it.
func (s *session) look(ctx context.Context) (state, error) {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--filter=blob:none"}
	known, err := s.run(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", branchRef+"^{commit}")
	if err != nil {
		return state{}, err
	}
	if known.Exit != 0 {
		args = append(args, fmt.Sprintf("--depth=%d", s.o.History))
	}
	args = append(args, "--", "origin", "+refs/heads/"+s.o.Branch+":"+branchRef)
	if s.forge != nil {
		args = append(args, "+refs/heads/"+s.requestPrefix()+"*:"+requestRefs+"*")
	}
	if _, err := s.must(ctx, nil, args...); err != nil {
		return state{}, err
	}
	return s.read(ctx)
}

// read reads what was fetched.
func (s *session) read(ctx context.Context) (state, error) {
	said, err := s.must(ctx, nil, "log", "-1", "--no-patch", "--format=%H%x1f%an", "--end-of-options", branchRef)
	if err != nil {
		return state{}, err
	}
	var now state
	now.head, now.by, _ = strings.Cut(strings.TrimSpace(string(said)), "\x1f")
	if now.file, err = s.entryAt(ctx, now.head, s.place.file); err != nil {
		return state{}, err
	}
	if now.text, err = s.blob(ctx, now.file); err != nil {
		return state{}, err
	}
	if now.version, err = s.place.read(now.text); err != nil {
		return state{}, err
	}
	now.ops, err = s.operations(ctx, now.head)
	return now, err
}

// entryAt finds a file in a commit; one that is no plain file is an error.
func (s *session) entryAt(ctx context.Context, commit, file string) (entry, error) {
	listed, err := s.must(ctx, nil, "ls-tree", "-z", "--full-tree", commit, "--", file)
	if err != nil {
		return entry{}, err
	}
	kind, name, _ := strings.Cut(strings.TrimSuffix(string(listed), "\x00"), "\t")
	fields := strings.Fields(kind)
	if len(fields) != 3 || name != file {
		return entry{}, adg.Permanent(adg.Errorf(adg.NotFound, "the branch %s has no file %s: check branch and version.file", s.o.Branch, file))
	}
	e := entry{fields[0], fields[2]}
	if !e.plain() {
		return entry{}, adg.Permanent(adg.Errorf(adg.Invalid, "%s is no plain file in the branch %s", file, s.o.Branch))
	}
	return e, nil
}

func (e entry) plain() bool { return e.mode == "100644" || e.mode == "100755" }

// blob reads a file's text, from the server where the clone has not got it yet.
func (s *session) blob(ctx context.Context, e entry) ([]byte, error) {
	return s.must(ctx, nil, "cat-file", "blob", e.object)
}

// operations are the commits of this target behind a commit, the newest first.
func (s *session) operations(ctx context.Context, commit string) ([]operation, error) {
	format := "--format=%H"
	for _, trailer := range []string{targetTrailer, deploymentTrailer, operationTrailer, fenceTrailer, versionTrailer} {
		format += "%x1f%(trailers:key=" + trailer + ",valueonly,separator=%x1e)"
	}
	said, err := s.must(ctx, nil, "log", "-z", "--no-patch", "--topo-order", "--fixed-strings", "--grep="+targetTrailer+": "+s.name,
		fmt.Sprintf("--max-count=%d", s.o.History), format, "--end-of-options", commit)
	if err != nil {
		return nil, err
	}
	return parseOperations(string(said), s.name), nil
}

// parseOperations drops what is none: everybody can write trailers.
func parseOperations(text, target string) []operation {
	var ops []operation
	for record := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		f := strings.Split(record, "\x1f")
		if len(f) != 6 || f[1] != target || !word.MatchString(f[2]) || !word.MatchString(f[3]) || adg.ValidVersion(f[5]) != nil {
			continue
		}
		fence, err := strconv.ParseInt(f[4], 10, 64)
		if err != nil {
			continue
		}
		ops = append(ops, operation{commit: f[0], deployment: f[2], id: f[3], fence: fence, version: f[5]})
	}
	return ops
}

// change is a commit that changed the version.
type change struct{ commit, parent, from, to string }

// brought lists the commits since the branch last said a version, the newest first; false: it never did, as far back as
// the clone goes.
func (s *session) brought(ctx context.Context, head, version string) ([]change, bool, error) {
	said, err := s.must(ctx, nil, "log", "--first-parent", "--no-patch", "--format=%H %P", fmt.Sprintf("--max-count=%d", s.o.History), "--end-of-options", head, "--", s.place.file)
	if err != nil {
		return nil, false, err
	}
	var changes []change
	var newer *change
	for line := range strings.Lines(string(said)) {
		commits := strings.Fields(line)
		e, err := s.entryAt(ctx, commits[0], s.place.file)
		had := ""
		if err == nil {
			had, err = s.versionIn(ctx, e)
		}
		if err != nil && !adg.IsPermanent(err) {
			return nil, false, err
		}
		if newer != nil && had != newer.to {
			newer.from = had
			changes = append(changes, *newer)
		}
		if had == version {
			return changes, true, nil
		}
		if len(commits) < 2 { // the end of the history, or of what was fetched
			break
		}
		newer = &change{commit: commits[0], parent: commits[1], to: had}
	}
	return changes, false, nil
}

func (s *session) versionIn(ctx context.Context, e entry) (string, error) {
	text, err := s.blob(ctx, e)
	if err != nil {
		return "", err
	}
	return s.place.read(text)
}
