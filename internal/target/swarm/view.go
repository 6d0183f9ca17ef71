package swarm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/deployguardian/adg"
)

// view is what the swarm says about the services, at one time.
type view struct {
	o        Options
	now      time.Time // by the manager's clock, to the second that has begun
	services []service
}

// service is one service with its tasks.
type service struct {
	swarm.Service
	note  note
	tasks []task
}

// task is one task; those of the past are there for a while.
type task struct {
	swarm.Task
	lost bool // its node is down: what it does is not known
}

// look reads everything.
func (t *target) look(ctx context.Context) (view, error) {
	v := view{o: t.o}
	for _, name := range t.o.Services {
		s, err := t.engine.service(ctx, name)
		if err != nil {
			return view{}, err
		}
		if s.Spec.TaskTemplate.ContainerSpec == nil || s.Spec.Mode.ReplicatedJob != nil || s.Spec.Mode.GlobalJob != nil {
			return view{}, adg.Permanent(adg.Errorf(adg.Invalid, "service %s runs no containers that go on: a release is a replicated or a global service", name))
		}
		if s.Spec.Mode.Replicated == nil && len(t.o.Services) > 1 {
			return view{}, adg.Permanent(adg.Errorf(adg.Invalid, "service %s is global: of two services both have to be replicated", name))
		}
		v.services = append(v.services, service{Service: s, note: readNote(s.Spec.Labels)})
	}
	tasks, err := t.engine.tasks(ctx, t.o.Services)
	if err != nil {
		return view{}, err
	}
	nodes, err := t.engine.nodes(ctx)
	if err != nil {
		return view{}, err
	}
	if v.now, err = t.engine.now(); err != nil {
		return view{}, err
	}
	for _, one := range tasks {
		lost := slices.ContainsFunc(nodes, func(n swarm.Node) bool { return n.ID == one.NodeID && n.Status.State == swarm.NodeStateDown })
		for i := range v.services {
			if v.services[i].ID == one.ServiceID && one.Spec.ContainerSpec != nil {
				v.services[i].tasks = append(v.services[i].tasks, task{one, lost})
			}
		}
	}
	return v, nil
}

// Private

// replicas is how many tasks the service is meant to have.
func (s service) replicas() uint64 {
	if r := s.Spec.Mode.Replicated; r != nil && r.Replicas != nil {
		return *r.Replicas
	}
	if s.Spec.Mode.Replicated != nil {
		return 1
	}
	wanted := uint64(0)
	for _, t := range s.tasks {
		if t.DesiredState == swarm.TaskStateRunning && !t.lost {
			wanted++
		}
	}
	return wanted
}

// rescaled tells whether somebody else has changed the number of tasks since adg changed the service.
func (s service) rescaled() bool {
	return s.Spec.Mode.Replicated != nil && s.note.exists() && s.replicas() != s.note.Replicas
}

// replaced tells whether somebody else has changed the image since adg changed the service.
func (s service) replaced() bool { return s.note.exists() && s.image() != s.note.Image }

func (s service) image() string { return s.Spec.TaskTemplate.ContainerSpec.Image }

func (s service) holds(r adg.Release) bool { return runs(s.Spec.TaskTemplate.ContainerSpec, r) }

// running are the tasks that really run, those that are to stop included: until then they may have requests.
func (s service) running() []task {
	return slices.DeleteFunc(slices.Clone(s.tasks), func(t task) bool {
		return t.Status.State != swarm.TaskStateRunning || t.lost && t.DesiredState != swarm.TaskStateRunning
	})
}

// stopping tells whether tasks that the service has too many of still run.
func (s service) stopping() bool {
	return slices.ContainsFunc(s.running(), func(t task) bool { return t.DesiredState == swarm.TaskStateRemove })
}

// grace is how long a task may take to stop: after that the engine kills it.
func (s service) grace() time.Duration {
	const engines = 10 * time.Second // where the service says nothing
	if period := s.Spec.TaskTemplate.ContainerSpec.StopGracePeriod; period != nil {
		return *period + engines/2
	}
	return engines + engines/2
}

// ready is how many tasks of a service run a release and are to go on with it, and have done so for a while; zero: just now.
func (v view) ready(s service, r adg.Release, period time.Duration) uint64 {
	n := uint64(0)
	for _, t := range s.running() {
		lasts := period == 0 || !t.Status.Timestamp.After(v.now.Add(-period))
		if t.DesiredState == swarm.TaskStateRunning && !t.lost && runs(t.Spec.ContainerSpec, r) && lasts {
			n++
		}
	}
	return n
}

// failures are the tasks with a release that failed since the service was last changed, the newest first. The swarm
// counts all changes of all objects, so the numbers tell what came after what without a clock; but tasks of the release
// before are changed once more when they are put away.
func (s service) failures(r adg.Release) []task {
	failed := slices.DeleteFunc(slices.Clone(s.tasks), func(t task) bool {
		return !runs(t.Spec.ContainerSpec, r) || t.Status.State != swarm.TaskStateFailed && t.Status.State != swarm.TaskStateRejected || t.Version.Index <= s.Version.Index
	})
	slices.SortFunc(failed, func(a, b task) int { return b.Status.Timestamp.Compare(a.Status.Timestamp) })
	return failed
}

// waiting says why a task cannot begin; empty: none says so.
func (s service) waiting() string {
	for _, t := range s.tasks {
		if t.DesiredState == swarm.TaskStateRunning && t.Status.State == swarm.TaskStatePending && t.Status.Err != "" {
			return excerpt(t.Status.Err)
		}
	}
	return ""
}

// why says what the task died of.
func (t task) why() string {
	text := excerpt(t.Status.Err)
	if text == "" {
		text = string(t.Status.State)
	}
	if c := t.Status.ContainerStatus; c != nil && c.ExitCode != 0 {
		text += fmt.Sprintf(" (exit code %d)", c.ExitCode)
	}
	return text
}

// live tells whether the router sends the traffic there.
func (v view) live(s service) bool {
	key, value := v.label()
	return key == "" || s.Spec.Labels[key] == value
}

// runs tells whether a container is one of a release. adg's labels say so as long as the image is theirs; before adg
// has changed a service, the artifact or the image's tag does.
func runs(c *swarm.ContainerSpec, r adg.Release) bool {
	if labelled(c) {
		return c.Labels[identityLabel] == r.Identity()
	}
	if r.Artifact == "" {
		return tagOf(c.Image) == r.Version
	}
	image, err := imageOf(r, "", c.Image)
	return err == nil && sameImage(image, c.Image)
}

func labelled(c *swarm.ContainerSpec) bool {
	return c.Labels[identityLabel] != "" && c.Labels[imageLabel] == c.Image
}
