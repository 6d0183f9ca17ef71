package argorollouts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

var (
	rollouts    = kube.Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "rollouts"}
	replicaSets = kube.Resource{Group: "apps", Version: "v1", Plural: "replicasets"}
	podResource = kube.Resource{Version: "v1", Plural: "pods"}
)

// What Argo Rollouts writes on the ReplicaSets and pods of a Rollout.
const (
	hashLabel          = "rollouts-pod-template-hash"
	revisionAnnotation = "rollout.argoproj.io/revision"
)

// rollout is a Rollout as it was read.
type rollout struct {
	object  *unstructured.Unstructured
	note    note
	release adg.Release // of its template: the candidate, as long as it is not promoted
	spec    spec
	status  status
}

// spec is what adg reads of a Rollout's.
type spec struct {
	Replicas    *int32                 `json:"replicas"`
	Paused      bool                   `json:"paused"`
	Selector    metav1.LabelSelector   `json:"selector"`
	Template    corev1.PodTemplateSpec `json:"template"`
	WorkloadRef *struct{}              `json:"workloadRef"`
	Strategy    struct {
		Canary *struct {
			Steps          []step `json:"steps"`
			TrafficRouting *struct {
				MaxTrafficWeight *int64 `json:"maxTrafficWeight"`
			} `json:"trafficRouting"`
		} `json:"canary"`
	} `json:"strategy"`
}

// step is one of the strategy's, whatever it does.
type step map[string]any

// status is what adg reads of a Rollout's.
type status struct {
	Abort              bool   `json:"abort"`
	Phase              string `json:"phase"`
	Message            string `json:"message"`
	ObservedGeneration string `json:"observedGeneration"`
	CurrentPodHash     string `json:"currentPodHash"`
	StableRS           string `json:"stableRS"`
	CurrentStepIndex   *int   `json:"currentStepIndex"`
	PauseConditions    []struct {
		Reason string `json:"reason"`
	} `json:"pauseConditions"`
	Canary struct {
		Weights *struct {
			Canary     destination   `json:"canary"`
			Stable     destination   `json:"stable"`
			Additional []destination `json:"additional"`
			Verified   *bool         `json:"verified"`
		} `json:"weights"`
	} `json:"canary"`
}

type destination struct {
	Weight          float64 `json:"weight"`
	PodTemplateHash string  `json:"podTemplateHash"`
}

// The phases of a Rollout, as its controller says them.
const (
	healthy  = "Healthy"
	paused   = "Paused"
	degraded = "Degraded"
)

// parse reads a Rollout, or says why adg cannot lead it.
func (t *target) parse(object *unstructured.Unstructured) (*rollout, error) {
	r := &rollout{object: object, note: notes.Of[note](object)}
	var typed struct {
		Spec   *spec   `json:"spec"`
		Status *status `json:"status"`
	}
	typed.Spec, typed.Status = &r.spec, &r.status
	if err := kube.Convert(object.Object, &typed); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "read Rollout %s: %w", t.o.Name, err)
	}
	switch {
	case r.spec.WorkloadRef != nil:
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "Rollout %s has a workloadRef: write the pod template into the Rollout itself, so that adg can put a release there", t.o.Name))
	case r.spec.Strategy.Canary == nil:
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "Rollout %s has no strategy canary, which is the one that adg leads", t.o.Name))
	case len(r.spec.Template.Spec.Containers) == 0:
		return nil, adg.Errorf(adg.Unavailable, "read Rollout %s: the answer is no Rollout", t.o.Name)
	}
	r.release = t.templates.ReleaseOf(r.spec.Template.ObjectMeta, r.spec.Template.Spec)
	return r, nil
}

func (r *rollout) size() int {
	if r.spec.Replicas == nil {
		return 1
	}
	return int(*r.spec.Replicas)
}

// whole is the weight that all of the traffic is.
func (r *rollout) whole() int64 {
	if routing := r.spec.Strategy.Canary.TrafficRouting; routing != nil && routing.MaxTrafficWeight != nil && *routing.MaxTrafficWeight > 0 {
		return *routing.MaxTrafficWeight
	}
	return 100
}

// observedSpec tells whether the controller has seen the spec.
func (r *rollout) observedSpec() bool {
	return r.status.ObservedGeneration == strconv.FormatInt(r.object.GetGeneration(), 10)
}

func (r *rollout) promoted() bool {
	return r.status.StableRS != "" && r.status.StableRS == r.status.CurrentPodHash
}

// kept is the pod template of a release as the cluster has kept it.
type kept struct {
	hash     string
	release  adg.Release
	template map[string]any
	revision int64
}

// history are the templates that the Rollout had, the newest first.
func (t *target) history(ctx context.Context, r *rollout) ([]kept, error) {
	selector, err := metav1.LabelSelectorAsSelector(&r.spec.Selector)
	if err != nil || selector.Empty() {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the selector of Rollout %s selects no pods of its own", t.o.Name))
	}
	sets, err := kube.List[kube.Object](ctx, t.client, replicaSets, kube.Selection{Labels: selector.String()})
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, set := range sets {
		owner := metav1.GetControllerOf(&set)
		template, found, err := unstructured.NestedMap(set.Object, "spec", "template")
		if err != nil || !found || owner == nil || owner.UID != r.object.GetUID() {
			continue
		}
		var typed corev1.PodTemplateSpec
		if kube.Convert(template, &typed) != nil {
			continue
		}
		unstructured.RemoveNestedField(template, "metadata", "labels", hashLabel)
		revision, _ := strconv.ParseInt(set.GetAnnotations()[revisionAnnotation], 10, 64)
		all = append(all, kept{set.GetLabels()[hashLabel], t.templates.ReleaseOf(typed.ObjectMeta, typed.Spec), template, revision})
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Compare(b.revision, a.revision) })
	return all, nil
}

// pods are those of the Rollout that are not on their way out.
func (t *target) pods(ctx context.Context, r *rollout) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(&r.spec.Selector)
	if err != nil || selector.Empty() {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the selector of Rollout %s selects no pods of its own", t.o.Name))
	}
	all, err := kube.List[corev1.Pod](ctx, t.client, podResource, kube.Selection{Labels: selector.String()})
	return slices.DeleteFunc(all, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	}), err
}

// hashOf recognises a pod template. JSON from a map has sorted keys.
func hashOf(object *unstructured.Unstructured) string {
	template, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	text, err := json.Marshal(template)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
