package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// maxRequests bounds how many branches of requests are looked at.
const maxRequests = 20

// proposal is a branch of this target that the main one does not hold.
type proposal struct {
	branch string
	operation
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// requestPrefix is what the branches of this target begin with.
func (t *target) requestPrefix() string { return "adg/" + unfit.ReplaceAllString(t.name, "-") + "/" }

// requestBranch is the same for one operation wherever it is asked for, so that it never has two requests.
func (t *target) requestBranch(op string) string {
	sum := sha256.Sum256([]byte(op))
	name := unfit.ReplaceAllString(op, "-")
	return t.requestPrefix() + strings.Trim(name[:min(len(name), 60)], "-") + "-" + hex.EncodeToString(sum[:4])
}

// applyByRequest has somebody else merge the commit.
func (s *session) applyByRequest(ctx context.Context, want adg.Desired, release adg.Release) (adg.Observed, error) {
	now, err := s.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	proposals, err := s.proposals(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	if err := errors.Join(fenced(now.ops, want), fencedBy(proposals, want)); err != nil {
		return adg.Observed{}, adg.ErrFenced
	}
	branch := s.requestBranch(want.OpID)
	if _, found, err := s.forge.find(ctx, branch, s.o.Branch); err != nil || found || now.found(want.OpID) {
		if err != nil {
			return adg.Observed{}, err
		}
		return s.observed(ctx, now)
	}
	title, body, err := s.propose(ctx, now, want, release, branch, proposals)
	if gaveUp, ok := errors.AsType[conflict](err); ok {
		s.giveUp(want.OpID, now.head, gaveUp.text)
		return s.observed(ctx, now)
	}
	if err != nil {
		return adg.Observed{}, err
	}
	if proposals, err = s.proposalsNow(ctx); err != nil {
		return adg.Observed{}, err
	}
	if err := fencedBy(proposals, want); err != nil {
		s.withdraw(ctx, proposals, want, branch)
		return adg.Observed{}, err
	}
	if err := s.supersede(ctx, proposals, branch); err != nil {
		return adg.Observed{}, err
	}
	if title != "" {
		if _, err := s.forge.open(ctx, branch, s.o.Branch, title, body); err != nil {
			return adg.Observed{}, err
		}
	}
	return s.lookAgainByRequest(ctx, want)
}

// propose pushes the commit of an operation to its own branch, unless it is there. Without a title there is nothing to
// ask for: the branch is as it is wanted.
func (s *session) propose(ctx context.Context, now state, want adg.Desired, release adg.Release, branch string, proposals []proposal) (title, body string, err error) {
	p, err := s.plan(ctx, now, want, release.Version)
	if err != nil || len(p.files) == 0 {
		return "", "", err
	}
	title, body, _ = strings.Cut(s.message(want, release, p), "\n")
	for _, known := range proposals {
		if known.branch == branch {
			return title, strings.TrimSpace(body), nil
		}
	}
	commit, err := s.commit(ctx, now, want, release, p)
	if err != nil {
		return "", "", err
	}
	moved, err := s.push(ctx, commit, "refs/heads/"+branch, "")
	if err == nil && moved {
		err = adg.Errorf(adg.Unavailable, "another process pushed %s just now", branch)
	}
	return title, strings.TrimSpace(body), err
}

// proposalsNow fetches before it looks: another owner may have come meanwhile.
func (s *session) proposalsNow(ctx context.Context) ([]proposal, error) {
	if _, err := s.look(ctx); err != nil {
		return nil, err
	}
	return s.proposals(ctx)
}

// proposals are the branches of requests that the main branch does not hold, the newest first.
func (s *session) proposals(ctx context.Context) ([]proposal, error) {
	said, err := s.must(ctx, nil, "for-each-ref", fmt.Sprintf("--count=%d", maxRequests), "--sort=-committerdate", "--format=%(objectname) %(refname)",
		"--no-merged="+branchRef, "--", requestRefs)
	if err != nil {
		return nil, err
	}
	var found []proposal
	for line := range strings.Lines(string(said)) {
		commit, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		ops, err := s.operations(ctx, commit)
		if err != nil {
			return nil, err
		}
		if len(ops) > 0 && ops[0].commit == commit {
			found = append(found, proposal{s.requestPrefix() + strings.TrimPrefix(ref, requestRefs), ops[0]})
		}
	}
	return found, nil
}

func fencedBy(proposals []proposal, want adg.Desired) error {
	for _, p := range proposals {
		if err := fenced([]operation{p.operation}, want); err != nil {
			return err
		}
	}
	return nil
}

// supersede takes back what was asked for earlier: merged now, it would undo what is asked for.
func (s *session) supersede(ctx context.Context, proposals []proposal, but string) error {
	for _, p := range proposals {
		if p.branch == but {
			continue
		}
		r, found, err := s.forge.find(ctx, p.branch, s.o.Branch)
		if err == nil && found && r.state == openRequest {
			err = s.forge.close(ctx, r, p.branch, s.o.Branch)
		}
		if err != nil {
			return err
		}
		if _, err := s.push(ctx, "", "refs/heads/"+p.branch, p.commit); err != nil {
			return fmt.Errorf("delete the branch of a request that is out of date: %w", err)
		}
	}
	return nil
}

// withdraw deletes the branch that was pushed too late. Where that fails it stays, and is of no account to pending.
func (s *session) withdraw(ctx context.Context, proposals []proposal, want adg.Desired, branch string) {
	for _, p := range proposals {
		if p.branch == branch && p.fence <= want.Fence {
			_, _ = s.push(ctx, "", "refs/heads/"+branch, p.commit)
		}
	}
}

// lookAgainByRequest says what has become of the request.
func (s *session) lookAgainByRequest(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	now, err := s.look(ctx)
	if err == nil {
		var seen adg.Observed
		if seen, err = s.observed(ctx, now); err == nil {
			return seen, nil
		}
	}
	return adg.Observed{OpID: want.OpID, Text: "asked for, but " + err.Error()}, nil
}

// pending adds what the newest request that was not merged says. Without one the branch's version counts, whichever
// operation it comes from: a forge may merge commits under other words. What an owner of a deployment asked for whom
// another has followed waits for nobody.
func (s *session) pending(ctx context.Context, seen *adg.Observed, merged []operation) error {
	seen.OpID = ""
	proposals, err := s.proposals(ctx)
	if err != nil {
		return err
	}
	for _, p := range proposals {
		owner := adg.Desired{Deployment: p.deployment, Fence: p.fence}
		if fenced(merged, owner) != nil || fencedBy(proposals, owner) != nil {
			continue
		}
		r, found, err := s.forge.find(ctx, p.branch, s.o.Branch)
		if err != nil {
			return err
		}
		if found && r.state == mergedRequest {
			continue
		}
		seen.OpID, seen.Done = p.id, false
		switch {
		case !found:
			seen.Text += fmt.Sprintf(", the branch %s waits for its request", p.branch)
		case r.state == closedRequest:
			seen.Failed = true
			seen.Text += fmt.Sprintf(": the request for version %s was closed and not merged: %s", p.version, r.link)
		default:
			seen.Text += fmt.Sprintf(": version %s waits until this is merged: %s", p.version, r.link)
		}
		return nil
	}
	return nil
}
