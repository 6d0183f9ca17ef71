package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/deployguardian/adg/internal/kube"
)

// maxTroubles is how many pods are told of.
const maxTroubles = 3

// trouble says what is wrong with the pods of a slot's release, and whether they are past the time that they had.
func (t *target) trouble(in slot) (texts []string, late bool) {
	restarts := int32(0)
	now := t.client.Now() // the cluster's: so are the times that it is compared with
	for _, p := range in.pods {
		if !t.is(t.releaseOf(p.ObjectMeta, p.Spec), in.release) {
			continue
		}
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
		}
		if kube.Ready(p) {
			continue
		}
		if in.kind.word != "Deployment" && now.Sub(unready(p)) > t.o.Deadline {
			late = true
		}
		if text := sickness(p); text != "" && len(texts) < maxTroubles {
			texts = append(texts, fmt.Sprintf("pod %s: %s", p.Name, text))
		}
	}
	if restarts > 0 && len(texts) == 0 {
		texts = append(texts, fmt.Sprintf("%d restarts of %s's containers", restarts, in.release.Version))
	}
	return texts, late
}

// unready is since when a pod is not ready.
func unready(p corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return p.CreationTimestamp.Time // nobody has looked whether it is
}

// sickness is why a pod is not ready, as far as it says.
func sickness(p corev1.Pod) string {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		ended := c.LastTerminationState.Terminated
		if c.State.Terminated != nil && c.State.Terminated.ExitCode != 0 {
			ended = c.State.Terminated
		}
		text := ""
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			text = w.Reason
			if w.Message != "" && c.RestartCount == 0 {
				text += " (" + w.Message + ")"
			}
		}
		if ended != nil {
			text = cmp.Or(text, "restarting") + fmt.Sprintf(" after %d restarts, the last one %s with exit code %d", c.RestartCount, cmp.Or(ended.Reason, "ended"), ended.ExitCode)
		}
		if text != "" {
			return fmt.Sprintf("container %s: %s", c.Name, text)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return cmp.Or(c.Message, c.Reason)
		}
	}
	return ""
}

// findEvent reads the latest warning about a workload that is not there yet, where its pods say nothing themselves. A
// cluster that does not tell its events is no reason to do without the rest.
func (s *state) findEvent(ctx context.Context) {
	for _, in := range s.slots {
		if !s.needed(in) {
			continue
		}
		if done, _, _ := s.progress(in); done {
			continue
		}
		about := in.name()
		for _, p := range in.pods {
			if !kube.Ready(p) && sickness(p) == "" {
				about = p.Name
			}
		}
		events, err := kube.List[corev1.Event](ctx, s.target.client, eventResource, kube.Selection{Fields: "type=Warning,involvedObject.name=" + about})
		if err != nil {
			return
		}
		latest := slices.MaxFunc(append(events, corev1.Event{}), func(a, b corev1.Event) int { return moment(a).Compare(moment(b)) })
		if latest.Message != "" {
			s.event = fmt.Sprintf("%s: %s: %s", about, latest.Reason, latest.Message)
		}
	}
}

func moment(e corev1.Event) time.Time {
	if !e.EventTime.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}
