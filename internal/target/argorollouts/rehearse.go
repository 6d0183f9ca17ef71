package argorollouts

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Rehearse asks the cluster whether adg has the rights, whether the Rollout is one that adg can lead, whether the release's
// template and configuration are still there, and whether somebody has stopped the Rollout.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := check(want); err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	obstacles, err := t.client.Missing(ctx, t.rights())
	if err != nil || len(obstacles) > 0 {
		return obstacles, err // what may not be read cannot be looked at
	}
	s, err := t.look(ctx)
	if err != nil {
		return found("release", err)
	}
	p, err := t.plan(s.rollout, s.history, want)
	if err != nil {
		return found("release", err)
	}
	if err := t.mayWrite(s.rollout, p, want); err != nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "sync", Final: adg.IsPermanent(err), Text: err.Error()})
	}
	if err := t.configured(ctx, p.release); err != nil {
		more, err := found("release", err)
		if err != nil {
			return nil, err
		}
		obstacles = append(obstacles, more...)
	}
	if t.templates.Is(s.release, p.release) {
		return obstacles, nil
	}
	if p.kept == nil && want.Rollback {
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Text: fmt.Sprintf(
			"the pod template that %s had in %s is not kept any more: only its image and configuration would go back; raise revisionHistoryLimit", p.release.Version, t.o.Name)})
	}
	if _, err := t.template(s.rollout, p, want.Rollback); err != nil {
		more, err := found("release", err)
		if err != nil {
			return nil, err
		}
		obstacles = append(obstacles, more...)
	}
	return obstacles, nil
}

// Private

// found makes an obstacle of an error that would end Apply for good; any other stays one.
func found(name string, err error) ([]adg.Obstacle, error) {
	if !adg.IsPermanent(err) || adg.CodeOf(err) == adg.Unauthorized {
		return nil, err
	}
	return []adg.Obstacle{{Name: name, Final: true, Text: err.Error()}}, nil
}

// rights are those that the options need; deploy/kubernetes/argo-rollouts.yaml grants them.
func (t *target) rights() []kube.Right {
	all := []kube.Right{
		{Verb: "get", Resource: rollouts, Name: t.o.Name}, {Verb: "update", Resource: rollouts, Name: t.o.Name},
		{Verb: "list", Resource: replicaSets}, {Verb: "list", Resource: podResource},
	}
	if len(t.o.ConfigMaps) > 0 {
		all = append(all, kube.Right{Verb: "get", Resource: kube.Resource{Version: "v1", Plural: "configmaps"}})
	}
	if len(t.o.Secrets) > 0 {
		all = append(all, kube.Right{Verb: "get", Resource: kube.Resource{Version: "v1", Plural: "secrets"}})
	}
	return all
}
