package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

// kind is a kind of workload.
type kind struct {
	resource kube.Resource
	word     string
}

var kinds = map[string]kind{
	"deployment":  {kube.Resource{Group: "apps", Version: "v1", Plural: "deployments"}, "Deployment"},
	"statefulset": {kube.Resource{Group: "apps", Version: "v1", Plural: "statefulsets"}, "StatefulSet"},
	"daemonset":   {kube.Resource{Group: "apps", Version: "v1", Plural: "daemonsets"}, "DaemonSet"},
}

var (
	podResource   = kube.Resource{Version: "v1", Plural: "pods"}
	eventResource = kube.Resource{Version: "v1", Plural: "events"}
)

// workload is a Deployment, StatefulSet or DaemonSet as it was read.
type workload struct {
	kind     kind
	object   *unstructured.Unstructured
	template corev1.PodTemplateSpec
	selector metav1.LabelSelector
	note     note

	wanted       int  // pods that its spec asks for
	misscheduled int  // nodes that run a pod of it and are not to: those of a DaemonSet that have got a taint since
	complete     bool // its controller has seen the spec, and every pod is of it and available
	failed       string
	text         string // what hinders it
}

func (t *target) workload(ctx context.Context, name string) (*workload, error) {
	object := &unstructured.Unstructured{}
	if err := t.client.Get(ctx, t.kind.resource, name, object); err != nil {
		return nil, err
	}
	w, err := t.parse(object)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "read %s %s: %w", t.kind.word, name, err)
	}
	return w, nil
}

func (t *target) parse(object *unstructured.Unstructured) (*workload, error) {
	w := &workload{kind: t.kind, object: object, note: notes.Of[note](object)}
	text, err := json.Marshal(object.Object)
	if err != nil {
		return nil, err
	}
	switch t.kind.word {
	case "Deployment":
		var d appsv1.Deployment
		err = json.Unmarshal(text, &d)
		w.deployment(d)
	case "StatefulSet":
		var s appsv1.StatefulSet
		err = json.Unmarshal(text, &s)
		w.statefulSet(s)
	default:
		var d appsv1.DaemonSet
		err = json.Unmarshal(text, &d)
		w.daemonSet(d)
	}
	if err != nil {
		return nil, err
	}
	if object.GetName() == "" || len(w.template.Spec.Containers) == 0 {
		return nil, fmt.Errorf("the answer is no %s", t.kind.word)
	}
	return w, nil
}

func (w *workload) deployment(d appsv1.Deployment) {
	w.template, w.wanted = d.Spec.Template, size(d.Spec.Replicas)
	if d.Spec.Selector != nil {
		w.selector = *d.Spec.Selector
	}
	s, n := d.Status, int32(w.wanted)
	w.complete = s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" && s.ObservedGeneration >= d.Generation:
			w.failed = "the Deployment has given up: " + c.Message
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			w.text = c.Message
		}
	}
	if d.Spec.Paused {
		w.text = "the Deployment is paused"
	}
}

func (w *workload) statefulSet(s appsv1.StatefulSet) {
	w.template, w.wanted = s.Spec.Template, size(s.Spec.Replicas)
	if s.Spec.Selector != nil {
		w.selector = *s.Spec.Selector
	}
	n := int32(w.wanted)
	w.complete = s.Status.ObservedGeneration >= s.Generation && s.Status.CurrentRevision == s.Status.UpdateRevision &&
		s.Status.UpdatedReplicas == n && s.Status.Replicas == n && s.Status.AvailableReplicas == n
	if p := s.Spec.UpdateStrategy.RollingUpdate; p != nil && p.Partition != nil && *p.Partition > 0 {
		w.text = fmt.Sprintf("the StatefulSet's partition keeps the pods below number %d at what they were", *p.Partition)
	}
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		w.text = "the StatefulSet's update strategy is OnDelete: its pods stay what they are until somebody deletes them"
	}
}

func (w *workload) daemonSet(d appsv1.DaemonSet) {
	w.template, w.wanted = d.Spec.Template, int(d.Status.DesiredNumberScheduled)
	if d.Spec.Selector != nil {
		w.selector = *d.Spec.Selector
	}
	s := d.Status
	w.complete = s.ObservedGeneration >= d.Generation && s.UpdatedNumberScheduled == s.DesiredNumberScheduled &&
		s.NumberAvailable == s.DesiredNumberScheduled
	w.misscheduled = int(s.NumberMisscheduled)
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		w.text = "the DaemonSet's update strategy is OnDelete: its pods stay what they are until somebody deletes them"
	}
}

func (w *workload) name() string { return w.object.GetName() }

func size(replicas *int32) int {
	if replicas == nil {
		return 1
	}
	return int(*replicas)
}

// pods are those of the workload that are not on their way out.
func (t *target) pods(ctx context.Context, w *workload) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(&w.selector)
	if err != nil || selector.Empty() {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the selector of %s %s selects no pods of its own", w.kind.word, w.name()))
	}
	all, err := kube.List[corev1.Pod](ctx, t.client, podResource, kube.Selection{Labels: selector.String()})
	if err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	for _, p := range all {
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if p.DeletionTimestamp == nil && !ended {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

// apart takes those pods of other releases out that the controller of a DaemonSet does not replace, because their node is
// none of those where it is to run any more. When all is complete every other node has a pod of the release: so a node
// that has none is one of these, unless there are more than the controller counts.
func (t *target) apart(w *workload, all []corev1.Pod) (pods, strays []corev1.Pod) {
	if w.misscheduled == 0 || !w.complete {
		return all, nil
	}
	release, runs := w.release(t), map[string]bool{}
	for _, p := range all {
		if t.is(t.releaseOf(p.ObjectMeta, p.Spec), release) {
			runs[p.Spec.NodeName] = true
		}
	}
	for _, p := range all {
		if runs[p.Spec.NodeName] {
			pods = append(pods, p)
		} else {
			strays = append(strays, p)
		}
	}
	if len(strays) > w.misscheduled {
		return all, nil
	}
	return pods, strays
}
