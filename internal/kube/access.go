package kube

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
)

// Right is a verb on a kind of object in the client's namespace.
type Right struct {
	Verb     string
	Resource Resource
	Name     string // empty: all of them
}

// Missing asks the API server for each right, and returns one obstacle for each that the credentials do not have.
func (c *Client) Missing(ctx context.Context, rights []Right) ([]adg.Obstacle, error) {
	var obstacles []adg.Obstacle
	for _, r := range rights {
		review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": map[string]any{
			"namespace": c.Namespace(), "verb": r.Verb, "group": r.Resource.Group, "version": r.Resource.Version, "resource": r.Resource.Plural, "name": r.Name}}}
		var answer struct {
			Status struct {
				Allowed bool `json:"allowed"`
			} `json:"status"`
		}
		if err := c.Create(ctx, reviews, review, &answer); err != nil {
			return nil, err
		}
		if !answer.Status.Allowed {
			obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf(
				"the credentials may not %s %s in the namespace %s: grant it in their role", r.Verb, r.Resource, c.Namespace())})
		}
	}
	return obstacles, nil
}

// Private

var reviews = Resource{Group: "authorization.k8s.io", Version: "v1", Plural: "selfsubjectaccessreviews", Cluster: true}
