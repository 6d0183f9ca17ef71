package swarm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"

	"github.com/deployguardian/adg"
)

// Rehearse tells whether the releases that are to get traffic could be made live: the services and the images are
// there, the nodes have room, and the managers can still decide.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := t.check(want); err != nil {
		return nil, adg.Permanent(err)
	}
	v, err := t.look(ctx)
	if adg.IsPermanent(err) {
		return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	nodes, err := t.engine.nodes(ctx)
	if err != nil {
		return nil, err
	}
	goals, err := v.goals(want.Releases, want.Rollback)
	if err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	found := quorum(nodes)
	for i, g := range goals {
		if g.wanted == nil || g.wanted.Share == 0 {
			continue
		}
		missing, spec, err := t.missing(ctx, v.services[i], g, want.Rollback, len(nodes))
		if err != nil {
			return nil, err
		}
		found = append(found, missing...)
		more := uint64(0)
		switch s := v.services[i]; {
		case !g.inPlace && len(goals) == 1:
			more = min(g.replicas, t.batch(want.Rollback))
		case g.replicas > s.replicas():
			more = g.replicas - s.replicas()
		}
		used, err := t.engine.tasks(ctx, nil)
		if err != nil {
			return nil, err
		}
		found = append(found, room(nodes, used, spec, more, v.services[i].Spec.Name)...)
	}
	return found, nil
}

// Private

// batch is how many more tasks run at the same time while the one service is updated.
func (t *target) batch(rollback bool) uint64 {
	n := t.o.Parallelism
	if rollback {
		n = t.o.RollbackParallelism
	}
	switch {
	case t.o.Order != "start-first":
		return 0
	case n == 0:
		return 1 << 32
	default:
		return uint64(n) //nolint:gosec // checked when the options were read
	}
}

// missing looks for the image that a service would run, and says how it would run it.
func (t *target) missing(ctx context.Context, s service, g goal, rollback bool, nodes int) ([]adg.Obstacle, swarm.TaskSpec, error) {
	spec := s.Spec.TaskTemplate
	image := s.image()
	if !g.inPlace {
		var before *swarm.TaskSpec
		var err error
		if rollback {
			if before, err = t.engine.recorded(ctx, s.Spec.Name, g.wanted.Release); err != nil {
				return nil, spec, err
			}
		}
		if before != nil {
			spec, image = *before, before.ContainerSpec.Image
		} else if image, err = imageOf(g.wanted.Release, t.o.Image, s.image()); err != nil {
			return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, spec, nil
		}
	}
	found, err := t.unobtainable(ctx, image, g.wanted.Release.Version, nodes)
	return found, spec, err
}

// unobtainable says why a node might not get an image. What the manager has is enough where it is the only node.
func (t *target) unobtainable(ctx context.Context, image, version string, nodes int) ([]adg.Obstacle, error) {
	_, here, err := t.engine.local(ctx, image)
	if err != nil || here && nodes == 1 {
		return nil, err
	}
	where := "not on the manager"
	if here {
		where = "on the manager"
	}
	_, err = t.engine.registered(ctx, image)
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return nil, err
	case adg.CodeOf(err) == adg.NotFound:
		return []adg.Obstacle{{Name: "release", Final: nodes == 1, Text: fmt.Sprintf(
			"image %s of release %s is %s, and the registry does not have it: push it again, or only nodes that have it can run it", image, version, where)}}, nil
	default:
		return []adg.Obstacle{{Name: "release", Text: fmt.Sprintf(
			"image %s of release %s is %s, and the registry cannot be asked whether other nodes can have it: %s", image, version, where, excerpt(err.Error()))}}, nil
	}
}

// quorum looks whether the managers could lose one more of them.
func quorum(nodes []swarm.Node) []adg.Obstacle {
	managers, reachable := 0, 0
	for _, n := range nodes {
		if n.ManagerStatus == nil {
			continue
		}
		managers++
		if n.ManagerStatus.Reachability == swarm.ReachabilityReachable {
			reachable++
		}
	}
	if managers > reachable && reachable-1 <= managers/2 {
		return []adg.Obstacle{{Name: "access", Text: fmt.Sprintf(
			"%d of %d managers are reachable: if one more is lost, the swarm takes no changes; bring a manager back", reachable, managers)}}
	}
	return nil
}

// room places so many more tasks on the nodes by what is reserved there. It cannot judge all that the scheduler does:
// what it finds might fail, and only without any node it would.
func room(nodes []swarm.Node, used []swarm.Task, spec swarm.TaskSpec, more uint64, name string) []adg.Obstacle {
	usable := slices.DeleteFunc(slices.Clone(nodes), func(n swarm.Node) bool {
		return n.Status.State != swarm.NodeStateReady || n.Spec.Availability != swarm.NodeAvailabilityActive
	})
	if len(usable) == 0 {
		return []adg.Obstacle{{Name: "capacity", Final: true, Text: "no node of the swarm is ready and active: bring one back"}}
	}
	if spec.Resources == nil || spec.Resources.Reservations == nil || more == 0 {
		return nil
	}
	need, fit := *spec.Resources.Reservations, uint64(0)
	if need.NanoCPUs <= 0 && need.MemoryBytes <= 0 {
		return nil
	}
	for _, n := range usable {
		free := n.Description.Resources
		for _, t := range used {
			if t.NodeID == n.ID && t.DesiredState == swarm.TaskStateRunning && t.Spec.Resources != nil && t.Spec.Resources.Reservations != nil {
				free.NanoCPUs -= t.Spec.Resources.Reservations.NanoCPUs
				free.MemoryBytes -= t.Spec.Resources.Reservations.MemoryBytes
			}
		}
		for fit < more && free.NanoCPUs >= need.NanoCPUs && free.MemoryBytes >= need.MemoryBytes {
			free.NanoCPUs -= need.NanoCPUs
			free.MemoryBytes -= need.MemoryBytes
			fit++
		}
	}
	if fit >= more {
		return nil
	}
	text := fmt.Sprintf("service %s needs room for %d more tasks, and by what is reserved the nodes have it for %d", name, more, fit)
	if spec.Placement != nil && len(spec.Placement.Constraints) > 0 {
		text += ", its constraints (" + strings.Join(spec.Placement.Constraints, ", ") + ") not counted"
	}
	return []adg.Obstacle{{Name: "capacity", Text: adg.Printable(text) + ": add nodes, or reserve less"}}
}
