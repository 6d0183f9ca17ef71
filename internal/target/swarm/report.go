package swarm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"

	"github.com/deployguardian/adg"
)

// enoughFailures is how many tasks may fail before the service is given up: one may have met a bad node.
const enoughFailures = 3

const maxSentences = 10 // of a report

// observed is the view in the words of the seam.
func (v view) observed() adg.Observed {
	seen := adg.Observed{Releases: v.releases(), OpID: v.services[0].note.op()}
	goals, err := v.goals(v.services[0].note.Want, v.services[0].note.Rollback)
	text := v.strangers()
	if err != nil {
		text = append(text, err.Error())
	}
	failed, why := v.failed(goals)
	text = append(text, why...)
	undone := v.undone(goals)
	text = append(text, undone...)
	seen.Failed = failed
	seen.Done = !failed && err == nil && len(undone) == 0
	if more := len(text) - maxSentences; more > 0 {
		text = append(text[:maxSentences], fmt.Sprintf("and %d more", more))
	}
	seen.Text = strings.Join(text, "; ")
	return seen
}

// Private

// releases are the shares: of the tasks that run, or where a router decides of those of the services that it knows. None
// are known where something else splits the traffic.
func (v view) releases() []adg.Placement {
	if v.o.SplitElsewhere {
		return nil
	}
	counts, total := map[string]int{}, 0
	var found []adg.Placement
	for _, s := range v.services {
		for _, t := range s.running() {
			r := v.release(t.Spec.ContainerSpec)
			if !slices.ContainsFunc(found, func(p adg.Placement) bool { return p.Release.Version == r.Version }) {
				found = append(found, adg.Placement{Release: r})
			}
			if v.live(s) {
				counts[r.Version]++
				total++
			}
		}
	}
	most := 0
	for i := range found {
		n := counts[found[i].Release.Version]
		found[i].Share = 100 * float64(n) / float64(max(total, 1))
		found[i].Role = adg.CandidateRole
		if n == 0 {
			found[i].Role = adg.IdleRole
		}
		if n > counts[found[most].Release.Version] {
			most = i
		}
	}
	if len(found) > 0 && found[most].Share > 0 {
		found[most].Role = adg.StableRole
	}
	return found
}

// release is what a container runs, as whole as it is known.
func (v view) release(c *swarm.ContainerSpec) adg.Release {
	for _, s := range v.services {
		for _, p := range s.note.Want {
			if runs(c, p.Release) {
				return p.Release
			}
		}
	}
	version := tagOf(c.Image)
	if labelled(c) {
		version = c.Labels[versionLabel]
	}
	if version == "" {
		_, digest, _ := strings.Cut(digestOf(c.Image), ":")
		version = "image-" + digest[:min(len(digest), 12)]
	}
	return adg.Release{Version: version, Artifact: c.Image}
}

// strangers says what others have changed at the services.
func (v view) strangers() []string {
	var text []string
	for _, s := range v.services {
		if s.replaced() {
			text = append(text, fmt.Sprintf("somebody has changed service %s from %s to %s since adg changed it", s.Spec.Name, s.note.Image, s.image()))
		}
		if s.rescaled() {
			text = append(text, fmt.Sprintf("somebody has scaled service %s from %d to %d tasks since adg changed it", s.Spec.Name, s.note.Replicas, s.replicas()))
		}
		for _, t := range s.tasks {
			if t.lost && t.Status.State == swarm.TaskStateRunning {
				text = append(text, fmt.Sprintf("node %s is down, and what task %d of service %s does there is not known", t.NodeID, t.Slot, s.Spec.Name))
			}
		}
	}
	return text
}

// failed tells whether a service will not become what is wanted, and what its tasks died of.
func (v view) failed(goals []goal) (failed bool, text []string) {
	for i, g := range goals {
		s := v.services[i]
		if !g.awaited() || !s.note.exists() {
			continue
		}
		short := v.ready(s, g.wanted.Release, 0) < g.replicas
		failures := s.failures(g.wanted.Release)
		if len(failures) > 0 && short {
			t := failures[0]
			text = append(text, fmt.Sprintf("%d tasks of service %s have failed, the last one with %s: %s",
				len(failures), s.Spec.Name, v.release(t.Spec.ContainerSpec).Version, t.why()))
			failed = failed || len(failures) >= enoughFailures
		}
		status := s.UpdateStatus
		switch {
		case status == nil:
		case strings.HasPrefix(string(status.State), "rollback") && !s.holds(g.wanted.Release):
			failed = true
			text = append(text, fmt.Sprintf("the engine has rolled service %s back to %s by itself: %s", s.Spec.Name, s.image(), excerpt(status.Message)))
		case status.State == swarm.UpdateStatePaused || status.State == swarm.UpdateStateRollbackPaused:
			failed = true
			text = append(text, fmt.Sprintf("the update of service %s is paused: %s%s", s.Spec.Name, excerpt(status.Message), s.causes()))
		}
	}
	return failed, text
}

// causes is what the tasks of a paused update died of.
func (s service) causes() string {
	for _, t := range slices.Backward(s.tasks) {
		if (t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateRejected) && t.Spec.ContainerSpec.Image == s.image() {
			return fmt.Sprintf("; task %d: %s", t.Slot, t.why())
		}
	}
	return ""
}

// undone says what is still to happen, per service; empty: nothing.
func (v view) undone(goals []goal) []string {
	var text []string
	op := v.services[0].note.op()
	for i, s := range v.services {
		name := s.Spec.Name
		if s.note.op() != op {
			text = append(text, fmt.Sprintf("operation %s has not come to service %s", op, name))
		}
		spare := i < len(goals) && goals[i].spare
		if state := s.UpdateStatus; state != nil && !spare && (state.State == swarm.UpdateStateUpdating || state.State == swarm.UpdateStateRollbackStarted) {
			text = append(text, fmt.Sprintf("service %s is being updated: %s", name, excerpt(state.Message)))
		}
		switch {
		case op == "" || i >= len(goals):
			if n := uint64(len(s.running())); n != s.replicas() {
				text = append(text, fmt.Sprintf("%d tasks of service %s run, %d are meant to", n, name, s.replicas()))
			}
		case spare:
		case !goals[i].awaited():
			if n := len(s.running()); n > 0 || s.replicas() > 0 {
				text = append(text, fmt.Sprintf("%d tasks of service %s still run", n, name))
			}
		default:
			text = append(text, v.lacks(s, goals[i])...)
		}
		if v.o.LiveLabel != "" && i < len(goals) && goals[i].live != v.live(s) && op != "" {
			text = append(text, fmt.Sprintf("label %s of service %s is to change", v.o.LiveLabel, name))
		}
	}
	return text
}

// lacks is what one service with a release lacks.
func (v view) lacks(s service, g goal) []string {
	var text []string
	name, version := s.Spec.Name, g.wanted.Release.Version
	if !s.holds(g.wanted.Release) { // the tasks may still run it, because the engine has not begun to replace them
		text = append(text, fmt.Sprintf("service %s is to run %s, and is told to run %s", name, version, s.image()))
	}
	replicas := g.replicas
	if s.rescaled() {
		replicas = s.replicas() // it is not adg's to undo, and counts in the next step
	}
	if s.replicas() != replicas {
		text = append(text, fmt.Sprintf("service %s is to have %d tasks, not %d", name, replicas, s.replicas()))
	}
	if ready := v.ready(s, g.wanted.Release, v.o.Monitor); ready < replicas {
		said := fmt.Sprintf("%d of %d tasks of service %s have run %s for %s", ready, replicas, name, version, adg.Short(v.o.Monitor))
		if why := s.waiting(); why != "" {
			said += ", and one waits: " + why
		}
		text = append(text, said)
	}
	if more := uint64(len(s.running())); more > replicas {
		text = append(text, fmt.Sprintf("%d tasks of service %s are still to stop", more-replicas, name))
	}
	return text
}

// label is what the router looks at, key and value; empty: there is no router.
func (v view) label() (key, value string) {
	key, value, _ = strings.Cut(v.o.LiveLabel, "=")
	return key, value
}
