package helm

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// Rehearse asks whether adg has the rights, whether helm can be started and knows the release, whether it has kept a
// revision of the one that is wanted, and whether somebody's helm is in the way.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	release, err := wanted(want)
	if err != nil {
		return found("release", adg.Permanent(err))
	}
	obstacles, err := t.client.Missing(ctx, t.rights())
	if err != nil || len(obstacles) > 0 {
		return obstacles, err // what may not be read cannot be looked at
	}
	s, err := t.look(ctx)
	if err != nil {
		return found("release", err)
	}
	if err := s.mayRun(want); err != nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "sync", Final: adg.IsPermanent(err), Text: err.Error()})
	}
	_, kept, err := s.find(ctx, release)
	if err != nil {
		return nil, err
	}
	if kept && want.Rollback || s.top().Status == deployed && is(s.release, release) {
		return obstacles, nil
	}
	if _, err := t.upgrade(release, want); err != nil {
		more, err := found("release", err)
		return append(obstacles, more...), err
	}
	if want.Rollback {
		obstacles = append(obstacles, adg.Obstacle{Name: "release", Text: fmt.Sprintf(
			"helm has kept no revision of %s that is %s: it would be upgraded to, with the values of today; raise helm's --history-max", t.o.Release, release.Version)})
	}
	return obstacles, nil
}

// Private

// found makes an obstacle of an error that would end Apply for good; any other stays one.
func found(name string, err error) ([]adg.Obstacle, error) {
	if !adg.IsPermanent(err) {
		return nil, err
	}
	if adg.CodeOf(err) == adg.Unauthorized {
		name = "access"
	}
	return []adg.Obstacle{{Name: name, Final: true, Text: err.Error()}}, nil
}

// rights are those of adg itself and of helm's history; what the chart's objects need nobody knows but the chart.
func (t *target) rights() []kube.Right {
	all := []kube.Right{
		{Verb: "get", Resource: configMaps, Name: t.noteName()}, {Verb: "update", Resource: configMaps, Name: t.noteName()}, {Verb: "create", Resource: configMaps},
	}
	for _, plural := range []string{"deployments", "statefulsets", "daemonsets"} {
		all = append(all, kube.Right{Verb: "list", Resource: apps(plural)})
	}
	secrets := kube.Resource{Version: "v1", Plural: "secrets"}
	for _, verb := range []string{"list", "get", "create", "update"} {
		all = append(all, kube.Right{Verb: verb, Resource: secrets})
	}
	return all
}
