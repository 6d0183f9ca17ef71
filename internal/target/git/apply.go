package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Current fetches the branch and says which version it holds.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.begin(ctx)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("read the repository: %w", err)
	}
	defer s.end()
	now, err := s.look(ctx)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("read the repository: %w", err)
	}
	return s.observed(ctx, now)
}

// Apply commits the release that gets all traffic, or for a rollback the reverts that lead back to it. Every operation
// is one commit, also one that finds everything as it is wanted: it notes the operation and its fence where every other
// replica sees them.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	release, err := t.check(want)
	if err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	s, err := t.begin(ctx)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	defer s.end()
	seen, err := s.apply(ctx, want, release)
	if err != nil && !errors.Is(err, adg.ErrFenced) {
		err = fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	return seen, err
}

// Private

// maxMoves bounds how often the branch may move between a fetch and a push.
const maxMoves = 50

// word is what may stand in a trailer: without a space or a line's end nothing can be added to it.
var word = regexp.MustCompile(`^[!-~]{1,256}$`)

// check gives the release that is to be live.
func (t *target) check(want adg.Desired) (adg.Release, error) {
	if err := want.Validate(); err != nil {
		return adg.Release{}, err
	}
	for what, text := range map[string]string{"operation": want.OpID, "deployment": want.Deployment} {
		if !word.MatchString(text) {
			return adg.Release{}, adg.Errorf(adg.Invalid, "%s %q: it is written into commits, so use 1 to 256 visible letters without spaces", what, text)
		}
	}
	for _, p := range want.Releases {
		if p.Share > 99.99 {
			return p.Release, nil
		}
	}
	return adg.Release{}, adg.Errorf(adg.Invalid, "a repository says one version: it cannot split traffic, so one release has to get 100 %%")
}

func (s *session) apply(ctx context.Context, want adg.Desired, release adg.Release) (adg.Observed, error) {
	if s.forge != nil {
		return s.applyByRequest(ctx, want, release)
	}
	for range maxMoves {
		now, err := s.look(ctx)
		if err != nil {
			return adg.Observed{}, err
		}
		if err := fenced(now.ops, want); err != nil {
			return adg.Observed{}, err
		}
		if now.found(want.OpID) {
			return s.observed(ctx, now)
		}
		commit, err := s.prepareCommit(ctx, now, want, release)
		if gaveUp, ok := errors.AsType[conflict](err); ok {
			s.giveUp(want.OpID, now.head, gaveUp.text)
			return s.observed(ctx, now)
		}
		if err != nil {
			return adg.Observed{}, err
		}
		moved, err := s.push(ctx, commit, "refs/heads/"+s.o.Branch, now.head)
		if err != nil {
			return adg.Observed{}, err
		}
		if !moved {
			return s.lookAgain(ctx, want)
		}
	}
	return adg.Observed{}, adg.Errorf(adg.Unavailable, "others pushed to %s %d times, each time before this commit could be pushed", s.o.Branch, maxMoves)
}

// lookAgain says what the branch holds after a push: that the server took it proves little.
func (s *session) lookAgain(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	now, err := s.look(ctx)
	if err != nil {
		// What was asked for was taken. What is live now is not known, and the next Current may tell.
		return adg.Observed{OpID: want.OpID, Text: "pushed, but " + err.Error()}, nil
	}
	seen, err := s.observed(ctx, now)
	if err == nil && !now.found(want.OpID) {
		seen.Done, seen.Text = false, fmt.Sprintf("the server took the push, and %s does not hold it", s.o.Branch)
	}
	return seen, err
}

// prepareCommit makes the commit that leads from what the branch says to what is wanted. An error may be a conflict.
func (s *session) prepareCommit(ctx context.Context, now state, want adg.Desired, release adg.Release) (string, error) {
	p, err := s.plan(ctx, now, want, release.Version)
	if err != nil {
		return "", err
	}
	return s.commit(ctx, now, want, release, p)
}

// commit makes the commit of an operation on top of the branch; nobody but this clone has it yet.
func (s *session) commit(ctx context.Context, now state, want adg.Desired, release adg.Release, p plan) (string, error) {
	if _, err := s.must(ctx, nil, "read-tree", "--end-of-options", now.head); err != nil {
		return "", err
	}
	var changed strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		e := p.files[name]
		if e.object == "" {
			e = entry{"0", strings.Repeat("0", len(now.head))}
		}
		fmt.Fprintf(&changed, "%s %s\t%s\x00", e.mode, e.object, name)
	}
	if _, err := s.must(ctx, []byte(changed.String()), "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	tree, err := s.must(ctx, nil, "write-tree", "--missing-ok")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", strings.TrimSpace(string(tree)), "-p", now.head}
	if !s.o.Signing.Key.IsZero() {
		if err := s.readySigner(ctx); err != nil {
			return "", err
		}
		args = append(args, "-S")
	}
	commit, err := s.must(ctx, []byte(s.message(want, release, p)), args...)
	return strings.TrimSpace(string(commit)), err
}

// plan is what has to be changed, which may be nothing. What is neither the release wanted nor one that it takes over
// from was put there by somebody else, and is left alone.
func (s *session) plan(ctx context.Context, now state, want adg.Desired, version string) (plan, error) {
	known := func(p adg.Placement) bool { return p.Release.Version == now.version }
	if len(want.Releases) > 1 && !slices.ContainsFunc(want.Releases, known) {
		return plan{}, conflict{fmt.Sprintf("%s holds version %s, which is none of this deployment's: somebody else has put it there (the newest commit is by %s)", s.o.Branch, now.version, s.scrub(now.by))}
	}
	if !want.Rollback {
		return s.write(ctx, now, version)
	}
	p, err := s.revert(ctx, now, version)
	if _, ok := errors.AsType[conflict](err); ok && s.o.Fallback == write {
		return s.write(ctx, now, version)
	}
	return p, err
}

// message is what people read in the history, and what other replicas of ADG do.
func (s *session) message(want adg.Desired, release adg.Release, p plan) string {
	var m strings.Builder
	verb := "deploy"
	if want.Rollback {
		verb = "roll back to"
	}
	fmt.Fprintf(&m, "%s: %s %s\n\n", release.Service, verb, release.Version)
	for _, c := range p.reverts {
		fmt.Fprintf(&m, "This reverts commit %s.\n", c.commit)
	}
	switch {
	case len(p.files) == 0:
		fmt.Fprintf(&m, "Nothing had to be changed: this notes the operation.\n")
	case want.Rollback && len(p.reverts) == 0:
		fmt.Fprintf(&m, "The commits of the release could not be reverted: this writes the version only.\n")
	}
	fmt.Fprintf(&m, "\n%s: %s\n%s: %s\n%s: %s\n%s: %d\n%s: %s\n", targetTrailer, s.name, deploymentTrailer, want.Deployment,
		operationTrailer, want.OpID, fenceTrailer, want.Fence, versionTrailer, release.Version)
	return m.String()
}

// lostRace are the reasons for which a push is refused when somebody else was faster.
var lostRace = []string{"stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "incorrect old value"}

// push puts a commit on a branch, if that is still where it was: at old, or not there where old is empty. moved: it is
// not.
func (s *session) push(ctx context.Context, commit, ref, old string, more ...string) (moved bool, err error) {
	args := append([]string{"push", "--porcelain", "--no-verify", "--force-with-lease=" + ref + ":" + old}, more...)
	result, err := s.run(ctx, nil, append(args, "--", "origin", commit+":"+ref)...)
	if err != nil || result.Exit == 0 {
		return false, err
	}
	for line := range strings.Lines(string(result.Stdout)) {
		if !strings.HasPrefix(line, "!\t") {
			continue
		}
		if slices.ContainsFunc(lostRace, func(reason string) bool { return strings.Contains(line, reason) }) {
			return true, nil
		}
		result.Stderr = append(append(result.Stderr, "error: "...), line...)
	}
	return false, s.failure("push", result)
}

func (s *session) giveUp(op, head, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = stuck{op, head, text}
}

// observed is what the branch says, and what really runs where that can be asked.
func (s *session) observed(ctx context.Context, now state) (adg.Observed, error) {
	seen := adg.Observed{
		Releases: []adg.Placement{{Release: adg.Release{Version: now.version}, Share: 100}},
		Done:     true, Text: fmt.Sprintf("%s is at %s", s.o.Branch, short(now.head)),
	}
	if len(now.ops) > 0 {
		last := now.ops[0]
		seen.OpID = last.id
		if last.version != now.version {
			seen.Text += fmt.Sprintf(": version %s was written after operation %s, the newest commit is by %s", now.version, last.id, s.scrub(now.by))
		}
	}
	if s.forge != nil {
		if err := s.pending(ctx, &seen, now.ops); err != nil {
			return adg.Observed{}, err
		}
	}
	s.mu.Lock()
	given := s.stuck
	s.mu.Unlock()
	if given.head == now.head {
		seen.OpID, seen.Done, seen.Failed, seen.Text = given.op, false, true, given.text+": nothing was changed"
	}
	if s.live != nil {
		s.compare(ctx, &seen)
	}
	return seen, nil
}
