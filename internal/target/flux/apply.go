package flux

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

// Private

// converge takes each step that is not taken yet: the fence at the HelmRelease, the Kustomization that would set the
// version back suspended, and then the version with the note of the operation, in one write.
func (t *target) converge(ctx context.Context, want adg.Desired, version string) error {
	s, err := t.look(ctx)
	if err != nil {
		return err
	}
	if s.note.Fences.Refuse(want) {
		return adg.ErrFenced
	}
	follow, err := t.follows(ctx, s, want, version)
	if err != nil {
		return err
	}
	claim := func(*unstructured.Unstructured, *note) error { return nil }
	if err := t.operate(ctx, want, helmReleases, s.release, claim); err != nil {
		return err
	}
	if s.parent != nil && !follow {
		if err := t.suspend(ctx, s.parent, want); err != nil {
			return fmt.Errorf("suspend the Kustomization %s: %w", s.parent.GetName(), err)
		}
	}
	err = t.operate(ctx, want, helmReleases, s.release, func(object *unstructured.Unstructured, n *note) error {
		if suspended(object) {
			return adg.Errorf(adg.Conflict, "the HelmRelease is suspended, and not by adg: flux resume helmrelease %s", t.o.Name)
		}
		n.OpID, n.Rollback, n.Version, n.Followed = want.OpID, want.Rollback, version, follow
		if follow || t.value(object) == version {
			return nil
		}
		if err := unstructured.SetNestedField(object.Object, version, t.field...); err != nil {
			return adg.Permanent(adg.Errorf(adg.Invalid, "the HelmRelease cannot have a field %s: %w", t.o.Field, err))
		}
		return nil
	})
	if err != nil || !follow || t.value(s.release) == version {
		return err
	}
	return t.operate(ctx, want, kustomizations, s.parent, func(object *unstructured.Unstructured, _ *note) error {
		annotate(object, requestedAt, want.OpID)
		return nil
	})
}

// follows tells whether the repository has the version, so that its Kustomization brings it and keeps it. Forward, what
// is not in the repository yet is waited for; back, it is not.
func (t *target) follows(ctx context.Context, s *state, want adg.Desired, version string) (bool, error) {
	if s.parent == nil || suspended(s.parent) {
		return false, nil
	}
	has, revision, err := t.desired(ctx, s.parent)
	switch {
	case err == nil && has == version:
		return true, nil
	case want.Rollback:
		return false, nil // a repository that cannot be read is no reason not to go back
	case err != nil:
		return false, err
	}
	return false, adg.Errorf(adg.Unavailable, "revision %s of the repository has %s for %s, not %s: merge it", revision, has, t.o.Field, version)
}

// suspend keeps a Kustomization from setting the version back, and notes that it was adg who did, and for which
// HelmReleases: others that it applies may be rolled back at the same time. One that somebody else has suspended stays
// theirs.
func (t *target) suspend(ctx context.Context, parent *unstructured.Unstructured, want adg.Desired) error {
	return t.operate(ctx, want, kustomizations, parent, func(object *unstructured.Unstructured, n *note) error {
		switch {
		case !suspended(object):
			n.Holds = []string{t.key()} // what was noted before ended when it was resumed
			return unstructured.SetNestedField(object.Object, true, "spec", "suspend")
		case len(n.Holds) > 0 && !slices.Contains(n.Holds, t.key()):
			n.Holds = append(n.Holds, t.key())
		}
		return nil
	})
}

// key names the HelmRelease in the note of its Kustomization.
func (t *target) key() string { return t.client.Namespace() + "/" + t.o.Name }
