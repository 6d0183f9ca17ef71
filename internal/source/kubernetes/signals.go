package kubernetes

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/deployguardian/adg/internal/kube"
)

// signals are what can be counted of a pod; since is the beginning of the query's window.
var signals = map[string]func(p corev1.Pod, since time.Time) float64{
	"pods":  func(corev1.Pod, time.Time) float64 { return 1 },
	"ready": func(p corev1.Pod, _ time.Time) float64 { return one(kube.Ready(p)) },
	"unready": func(p corev1.Pod, _ time.Time) float64 {
		return one(!kube.Ready(p) && p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded)
	},
	"restarts": func(p corev1.Pod, _ time.Time) float64 {
		return containers(p, func(c corev1.ContainerStatus) float64 { return float64(c.RestartCount) })
	},
	"recent_restarts": func(p corev1.Pod, since time.Time) float64 {
		return containers(p, func(c corev1.ContainerStatus) float64 {
			last := c.LastTerminationState.Terminated
			return one(last != nil && !last.FinishedAt.Time.Before(since))
		})
	},
	"oom_killed": func(p corev1.Pod, since time.Time) float64 {
		return containers(p, func(c corev1.ContainerStatus) float64 {
			ends := []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated}
			return one(slices.ContainsFunc(ends, func(e *corev1.ContainerStateTerminated) bool {
				return e != nil && e.Reason == "OOMKilled" && !e.FinishedAt.Time.Before(since)
			}))
		})
	},
	"crash_loops":       waiting("CrashLoopBackOff"),
	"image_pull_errors": waiting("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"),
	"config_errors":     waiting("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
	"evicted": func(p corev1.Pod, _ time.Time) float64 {
		return one(p.Status.Phase == corev1.PodFailed && p.Status.Reason == "Evicted")
	},
	"unschedulable": func(p corev1.Pod, _ time.Time) float64 {
		return one(slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
		}))
	},
}

// waiting counts the containers that wait for one of those reasons.
func waiting(reasons ...string) func(corev1.Pod, time.Time) float64 {
	return func(p corev1.Pod, _ time.Time) float64 {
		return containers(p, func(c corev1.ContainerStatus) float64 {
			return one(c.State.Waiting != nil && slices.Contains(reasons, c.State.Waiting.Reason))
		})
	}
}

func containers(p corev1.Pod, count func(corev1.ContainerStatus) float64) float64 {
	total := 0.0
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		total += count(c)
	}
	return total
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
