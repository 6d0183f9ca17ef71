package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/deployguardian/adg"
)

const (
	poll     = 100 * time.Millisecond // how often the swarm is asked while something is waited for
	attempts = 40                     // at a change that others, or the engine itself, make in vain by one of their own
	pause    = 25 * time.Millisecond  // between them
	believed = 3                      // changes that the engine may take without showing them
)

// change brings the services to one desired state.
type change struct {
	target   *target
	want     adg.Desired
	unrouted bool // a service that is not wanted has just lost the traffic
}

// claim puts the operation's note on every service, the first one first, each only if nobody changed it meanwhile.
// After that no older owner can change any. superseded: another operation was begun after this one.
func (c *change) claim(ctx context.Context) (superseded bool, err error) {
	last, silent := -1, 0
	for range attempts {
		v, err := c.calm(ctx)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(v.services, func(s service) bool { return s.note.newer(c.want) }) {
			return false, adg.ErrFenced
		}
		if v.services[0].note.superseded(c.want) {
			return true, nil
		}
		if err := c.foreign(v); err != nil {
			return false, err
		}
		at := slices.IndexFunc(v.services, func(s service) bool { return !s.note.claimed(c.want) })
		if at < 0 {
			return false, nil
		}
		if silent == believed && at == last {
			return false, c.unheard(v.services[at].Spec.Name)
		}
		overtaken, err := c.put(ctx, v, at)
		if err != nil {
			return false, err
		}
		if overtaken || at != last {
			silent = 0
		}
		last, silent = at, silent+1
	}
	return false, c.contested(strings.Join(c.target.o.Services, " or "))
}

// converge goes from any state towards the wanted one. It ends early where the tasks show that they will not run.
func (c *change) converge(ctx context.Context) error {
	if len(c.target.o.Services) == 1 {
		_, err := c.bring(ctx)
		return err
	}
	for _, step := range []func(context.Context) (bool, error){c.raise, c.ready, c.bring, c.ready, c.route, c.lower} {
		if goesOn, err := step(ctx); err != nil || !goesOn {
			return err
		}
	}
	return nil
}

// Private

// calm looks when the tasks that a service had too many of have stopped: a claim makes the swarm forget them, and nobody
// could tell any more whether they still run. A rollback that begins does not wait for them.
func (c *change) calm(ctx context.Context) (view, error) {
	for waited := time.Duration(0); ; waited += poll {
		v, err := c.target.look(ctx)
		if err != nil {
			return view{}, err
		}
		stopping := slices.ContainsFunc(v.services, func(s service) bool {
			return !s.note.claimed(c.want) && (!c.want.Rollback || s.note.op() == c.want.OpID) && waited < s.grace() &&
				(s.stopping() || len(v.services) > 1 && uint64(len(s.running())) > s.replicas()) // the swarm may not have told them yet
		})
		if !stopping {
			return v, nil
		}
		if err := c.rest(ctx, poll); err != nil {
			return view{}, err
		}
	}
}

// put is the claim on one service.
func (c *change) put(ctx context.Context, v view, at int) (overtaken bool, err error) {
	s := v.services[at]
	capacity := v.capacity()
	if at > 0 {
		capacity = v.services[0].note.Capacity
	}
	n := s.note.claim(c.want, capacity)
	n.Image, n.Replicas = s.image(), s.replicas()
	spec := s.Spec
	spec.Labels = n.write(maps.Clone(spec.Labels))
	return c.write(ctx, s.Service, spec)
}

// write changes a service as it was read. overtaken: somebody else, or the engine itself, has changed it meanwhile.
func (c *change) write(ctx context.Context, s swarm.Service, spec swarm.ServiceSpec) (overtaken bool, err error) {
	err = c.target.engine.update(ctx, s, spec)
	if !refused(err) {
		return false, err
	}
	if now, gone := c.target.engine.service(ctx, s.Spec.Name); gone == nil && now.Version == s.Version {
		return false, err
	}
	return true, c.rest(ctx, pause)
}

// foreign refuses to overwrite what somebody has put there in the middle of this deployment.
func (c *change) foreign(v view) error {
	for _, s := range v.services {
		wanted := slices.ContainsFunc(c.want.Releases, func(p adg.Placement) bool { return s.holds(p.Release) })
		if s.replaced() && !wanted && s.note.deployment() == c.want.Deployment {
			return c.overwritten(s.Spec.Name, s.image())
		}
	}
	return nil
}

func (c *change) overwritten(name, image string) error {
	return adg.Permanent(adg.Errorf(adg.Conflict,
		"somebody has put %s into service %s during this deployment, and adg does not overwrite it: put back what was there, or end the deployment and begin another", image, name))
}

// owns refuses to go on where another operation, or somebody else, has taken the service.
func (c *change) owns(s service) error {
	switch {
	case s.note.newer(c.want):
		return adg.ErrFenced
	case !s.note.claimed(c.want):
		return adg.Errorf(adg.Conflict, "service %s has been taken by operation %q meanwhile", s.Spec.Name, s.note.op())
	case s.replaced():
		return c.overwritten(s.Spec.Name, s.image())
	default:
		return nil
	}
}

func (c *change) contested(name string) error {
	return adg.Errorf(adg.Unavailable, "service %s is changed by others all the time", name)
}

func (c *change) unheard(name string) error {
	return adg.Errorf(adg.Unavailable, "the engine took the change of service %s %d times, and did not make it", name, believed)
}

// look reads everything, and what is wanted of each service, as long as all of them are this operation's.
func (c *change) look(ctx context.Context) (view, []goal, error) {
	v, err := c.target.look(ctx)
	if err != nil {
		return view{}, nil, err
	}
	for _, s := range v.services {
		if err := c.owns(s); err != nil {
			return view{}, nil, err
		}
	}
	goals, err := v.goals(c.want.Releases, c.want.Rollback)
	return v, goals, err
}

// raise gives the services that hold a wanted release the tasks that they lack.
func (c *change) raise(ctx context.Context) (bool, error) {
	return true, c.each(ctx, func(s service, g goal) error {
		if !g.inPlace || s.replicas() >= g.replicas {
			return nil
		}
		return c.set(ctx, s, func(spec *swarm.ServiceSpec) { scale(spec, g.replicas) })
	})
}

// bring puts releases into services that hold another one.
func (c *change) bring(ctx context.Context) (bool, error) {
	v, goals, err := c.look(ctx)
	if err != nil {
		return false, err
	}
	for i, g := range goals {
		if g.wanted == nil || g.inPlace {
			continue
		}
		if err := c.replace(ctx, v.services[i], g); err != nil {
			return false, err
		}
	}
	return true, nil
}

// replace has a service run another release. In a rollback it gets back all that it had with it, not the image alone.
func (c *change) replace(ctx context.Context, s service, g goal) error {
	e, r := c.target.engine, g.wanted.Release
	if err := e.keep(ctx, s.Service); err != nil {
		return err
	}
	var before *swarm.TaskSpec
	if c.want.Rollback {
		var err error
		if before, err = e.recorded(ctx, s.Spec.Name, r); err != nil {
			return err
		}
	}
	image := ""
	if before == nil {
		named, err := imageOf(r, c.target.o.Image, s.image())
		if err != nil {
			return err
		}
		if image, err = e.pin(ctx, named); err != nil {
			return err
		}
	}
	return c.set(ctx, s, func(spec *swarm.ServiceSpec) {
		if before != nil {
			spec.TaskTemplate = *before
		} else {
			run(spec.TaskTemplate.ContainerSpec, r, image)
		}
		spec.UpdateConfig = c.updateConfig(spec.UpdateConfig)
		if len(c.target.o.Services) > 1 {
			scale(spec, g.replicas)
		}
	})
}

// updateConfig is how the engine is to go about it; what adg has no option for stays as it is.
func (c *change) updateConfig(before *swarm.UpdateConfig) *swarm.UpdateConfig {
	o := c.target.o
	config := swarm.UpdateConfig{}
	if before != nil {
		config = *before
	}
	config.Order, config.Monitor, config.FailureAction = swarm.UpdateOrder(o.Order), o.Monitor, swarm.UpdateFailureActionPause
	config.Parallelism = uint64(o.Parallelism) //nolint:gosec // checked when the options were read
	if o.EngineRollback {
		config.FailureAction = swarm.UpdateFailureActionRollback
	}
	if c.want.Rollback {
		config.Parallelism, config.Delay = uint64(o.RollbackParallelism), 0 //nolint:gosec // see above
		config.FailureAction = swarm.UpdateFailureActionPause               // what the engine would go back to is the bad release
	}
	return &config
}

// ready waits until the services that get tasks, or keep them, have them: running, and going forward for a while.
func (c *change) ready(ctx context.Context) (bool, error) {
	limit := c.target.o.ReadyTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, adg.Errorf(adg.Unavailable, "they were not ready within %s", adg.Short(limit)))
	defer cancel()
	said := ""
	for {
		v, goals, err := c.look(ctx)
		if err != nil {
			if said != "" {
				return false, adg.Errorf(adg.Unavailable, "%s: %w", said, err)
			}
			return false, err
		}
		period := c.target.o.Monitor
		if c.want.Rollback {
			period = 0
		}
		said = ""
		for i, g := range goals {
			s := v.services[i]
			if g.awaited() && s.holds(g.wanted.Release) && s.replicas() <= g.replicas && v.ready(s, g.wanted.Release, period) < g.replicas {
				said = strings.Join(v.lacks(s, g), "; ")
			}
		}
		if said == "" {
			return true, nil
		}
		if failed, _ := v.failed(goals); failed {
			return false, nil
		}
		if err := c.rest(ctx, poll); err != nil {
			return false, adg.Errorf(adg.Unavailable, "%s: %w", said, err)
		}
	}
}

// route moves the router's label: the service that gets the traffic has it before the other one loses it.
func (c *change) route(ctx context.Context) (bool, error) {
	if !c.target.routed() {
		return true, nil
	}
	for _, live := range []bool{true, false} {
		err := c.each(ctx, func(s service, g goal) error {
			v := view{o: c.target.o}
			if g.live != live || v.live(s) == live {
				return nil
			}
			c.unrouted = c.unrouted || g.wanted == nil
			return c.set(ctx, s, func(spec *swarm.ServiceSpec) { route(spec, c.target.o.LiveLabel, live) })
		})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// lower takes the tasks that are not wanted any more.
func (c *change) lower(ctx context.Context) (bool, error) {
	if c.unrouted {
		if err := c.rest(ctx, c.target.o.DrainTimeout); err != nil {
			return false, err
		}
	}
	return true, c.each(ctx, func(s service, g goal) error {
		if s.replicas() <= g.replicas {
			return nil
		}
		return c.set(ctx, s, func(spec *swarm.ServiceSpec) { scale(spec, g.replicas) })
	})
}

func (c *change) each(ctx context.Context, do func(service, goal) error) error {
	v, goals, err := c.look(ctx)
	if err != nil {
		return err
	}
	for i, g := range goals {
		if err := do(v.services[i], g); err != nil {
			return err
		}
	}
	return nil
}

// set edits a service that is this operation's until it reads what it wrote. What others change besides is kept; only
// a number of tasks that is not the planned one's base any more needs a new plan.
func (c *change) set(ctx context.Context, planned service, edit func(*swarm.ServiceSpec)) error {
	e, name, silent := c.target.engine, planned.Spec.Name, 0
	for range attempts {
		s, err := e.service(ctx, name)
		if err != nil {
			return err
		}
		n := readNote(s.Spec.Labels)
		now := service{Service: s, note: n}
		if err := c.owns(now); err != nil {
			return err
		}
		spec, same, err := edited(s.Spec, edit)
		if err != nil || same {
			return err
		}
		if silent == believed {
			return c.unheard(name)
		}
		if len(c.target.o.Services) > 1 && now.replicas() != planned.replicas() {
			return adg.Errorf(adg.Conflict, "somebody has scaled service %s from %d to %d tasks just now, which the next attempt counts",
				name, planned.replicas(), now.replicas())
		}
		n.Image, n.Replicas = spec.TaskTemplate.ContainerSpec.Image, service{Service: swarm.Service{Spec: spec}}.replicas()
		spec.Labels = n.write(spec.Labels)
		overtaken, err := c.write(ctx, s, spec)
		if err != nil {
			return err
		}
		silent++
		if overtaken {
			silent = 0
		}
	}
	return c.contested(name)
}

// rest waits, and ends with the context.
func (c *change) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return adg.Errorf(adg.Unavailable, "stopped: %w", context.Cause(ctx))
	}
}

// edited is a copy with the edit, which says whether anything is different.
func edited(spec swarm.ServiceSpec, edit func(*swarm.ServiceSpec)) (after swarm.ServiceSpec, same bool, err error) {
	before, err := json.Marshal(spec)
	if err != nil {
		return after, false, adg.Errorf(adg.Internal, "copy a service: %w", err)
	}
	if err := json.Unmarshal(before, &after); err != nil {
		return after, false, adg.Errorf(adg.Internal, "copy a service: %w", err)
	}
	edit(&after)
	now, err := json.Marshal(after)
	return after, bytes.Equal(before, now), err
}

// scale leaves a global service alone: its nodes decide.
func scale(spec *swarm.ServiceSpec, replicas uint64) {
	if spec.Mode.Replicated != nil {
		spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &replicas}
	}
}

// run has the containers run a release, and say so.
func run(c *swarm.ContainerSpec, r adg.Release, image string) {
	c.Image = image
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	c.Labels[versionLabel], c.Labels[identityLabel], c.Labels[imageLabel] = r.Version, r.Identity(), image
}

// route sets the label or takes it: what is true becomes false, because routers may take a missing label for true.
func route(spec *swarm.ServiceSpec, label string, live bool) {
	key, value, _ := strings.Cut(label, "=")
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	switch {
	case live:
		spec.Labels[key] = value
	case value == "true":
		spec.Labels[key] = "false"
	default:
		delete(spec.Labels, key)
	}
}
