package git

import (
	"context"
	"errors"
	"fmt"

	"github.com/deployguardian/adg"
)

// Rehearse makes the commit that Apply would make and asks the server whether it would take it, without handing it over.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	release, err := t.check(want)
	if err != nil {
		return nil, adg.Permanent(err)
	}
	s, err := t.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	defer s.end()
	obstacles, err := s.rehearse(ctx, want, release)
	switch {
	case err == nil:
		return obstacles, nil
	case adg.CodeOf(err) == adg.Unauthorized && adg.IsPermanent(err):
		return append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: err.Error()}), nil
	case adg.CodeOf(err) == adg.NotFound && adg.IsPermanent(err):
		return append(obstacles, adg.Obstacle{Name: "release", Final: true, Text: err.Error()}), nil
	}
	return obstacles, fmt.Errorf("rehearse: %w", err)
}

// Private

func (s *session) rehearse(ctx context.Context, want adg.Desired, release adg.Release) ([]adg.Obstacle, error) {
	now, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	var obstacles []adg.Obstacle
	if want.Rollback && s.o.Fallback == write {
		_, err := s.revert(ctx, now, release.Version)
		if torn, ok := errors.AsType[conflict](err); ok {
			obstacles = append(obstacles, adg.Obstacle{Name: "release", Text: torn.text + ": only the version would be written, and everything else that came with the release would stay"})
		}
	}
	commit, err := s.prepareCommit(ctx, now, want, release)
	if torn, ok := errors.AsType[conflict](err); ok {
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Final: true, Text: torn.text + ": take the release out by hand, or set fallback: write"})
		commit, err = now.head, nil // whether the server lets anybody push can be asked all the same
	}
	if err != nil {
		return obstacles, err
	}
	ref, old := "refs/heads/"+s.o.Branch, now.head
	if s.forge != nil {
		ref, old = "refs/heads/"+s.requestBranch(want.OpID), ""
		if _, _, err := s.forge.find(ctx, s.requestBranch(want.OpID), s.o.Branch); err != nil {
			return obstacles, err
		}
	}
	_, err = s.push(ctx, commit, ref, old, "--dry-run")
	return obstacles, err
}
