package flux

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/gitops"
)

// Suspends is the Kustomization where its revision of the repository has another version than the one that is wanted.
func (t *target) Suspends(ctx context.Context, want adg.Desired) (string, error) {
	version, err := wanted(want)
	if err != nil {
		return "", err
	}
	s, err := t.look(ctx)
	if err != nil {
		return "", err
	}
	if what := s.suspended(); what != "" || s.parent == nil || suspended(s.parent) {
		return what, nil
	}
	if follow, err := t.follows(ctx, s, want, version); err != nil || follow {
		return "", err
	}
	return s.kustomization(), nil
}

// Resume lets the Kustomization go on, unless the repository has a release that is held, or nobody can tell. Where it is
// suspended for other HelmReleases too, it goes on with the last of them.
func (t *target) Resume(ctx context.Context, held []adg.Release) (adg.Observed, error) {
	s, err := t.look(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	seen := s.observed()
	if seen.Suspended == "" {
		return seen, nil
	}
	version, revision, err := t.desired(ctx, s.parent)
	switch {
	case ctx.Err() != nil:
		return adg.Observed{}, err
	case err != nil:
		seen.Text = "what the repository has cannot be told: " + err.Error()
		return seen, nil
	}
	i := slices.IndexFunc(held, func(r adg.Release) bool {
		return r.Version == version || gitops.Is(t.o.Image+":"+version, t.o.Image, r)
	})
	if i >= 0 {
		seen.Text = fmt.Sprintf("revision %s of the repository still has %s, which is on hold: revert it there", revision, held[i].Version)
		return seen, nil
	}
	err = t.write(ctx, kustomizations, s.parent, func(object *unstructured.Unstructured, n *note) error {
		own := slices.Index(n.Holds, t.key())
		if own < 0 {
			return nil
		}
		n.Holds = slices.Delete(n.Holds, own, own+1)
		if len(n.Holds) == 0 {
			unstructured.RemoveNestedField(object.Object, "spec", "suspend")
		}
		return nil
	})
	if err != nil {
		return adg.Observed{}, fmt.Errorf("resume the Kustomization %s: %w", s.parent.GetName(), err)
	}
	return t.Current(ctx)
}

// Rehearse says whether a version could be set: that the HelmRelease is there and not suspended by somebody, that it and
// its Kustomization may be written, and whether the Kustomization could be given back by itself afterwards.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if _, err := wanted(want); err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	s, err := t.look(ctx)
	switch code := adg.CodeOf(err); {
	case err == nil:
	case code == adg.NotFound, code == adg.Invalid:
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	case code == adg.Unauthorized:
		return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
	default:
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	var obstacles []adg.Obstacle
	if suspended(s.release) {
		obstacles = append(obstacles, adg.Obstacle{Name: "sync", Text: "the HelmRelease is suspended, and not by adg: flux resume helmrelease " + t.o.Name})
	}
	allowed := func(r kube.Resource, object *unstructured.Unstructured) error {
		may, err := t.mayUpdate(ctx, r, object)
		if err == nil && !may {
			obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf(
				"the %s %s/%s may not be updated: give adg's role the verb update on it", object.GetKind(), object.GetNamespace(), object.GetName())})
		}
		return err
	}
	if err := allowed(helmReleases, s.release); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	if s.parent == nil {
		return obstacles, nil
	}
	if err := allowed(kustomizations, s.parent); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	if _, _, err := t.desired(ctx, s.parent); err != nil && ctx.Err() == nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "sync", Text: fmt.Sprintf(
			"the Kustomization %s will have to be resumed by hand after a rollback: what the repository has cannot be told: %s", s.parent.GetName(), err)})
	}
	return obstacles, nil
}

// Private

// mayUpdate asks the API server, as kubectl auth can-i does.
func (t *target) mayUpdate(ctx context.Context, r kube.Resource, object *unstructured.Unstructured) (bool, error) {
	var answer struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{
		"resourceAttributes": map[string]any{"namespace": object.GetNamespace(), "verb": "update", "group": r.Group, "resource": r.Plural, "name": object.GetName()},
	}}
	reviews := kube.Resource{Group: "authorization.k8s.io", Version: "v1", Plural: "selfsubjectaccessreviews", Cluster: true}
	err := t.client.Create(ctx, reviews, review, &answer)
	return answer.Status.Allowed, err
}
