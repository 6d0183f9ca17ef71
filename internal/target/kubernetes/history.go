package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

var (
	replicaSets         = kube.Resource{Group: "apps", Version: "v1", Plural: "replicasets"}
	controllerRevisions = kube.Resource{Group: "apps", Version: "v1", Plural: "controllerrevisions"}
)

// recorded is the pod template that a release had when it last ran in this workload, as the cluster has kept it; nil:
// it has not. The newest one is taken.
func (t *target) recorded(ctx context.Context, w *workload, r adg.Release) (map[string]any, error) {
	selector, err := metav1.LabelSelectorAsSelector(&w.selector)
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the selector of %s: %w", w.name(), err))
	}
	resource, fields, revision := controllerRevisions, []string{"data", "spec", "template"}, revisionNumber
	if w.kind.word == "Deployment" {
		resource, fields, revision = replicaSets, []string{"spec", "template"}, revisionAnnotation
	}
	kept, err := kube.List[kube.Object](ctx, t.client, resource, kube.Selection{Labels: selector.String()})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(kept, func(a, b kube.Object) int { return cmp.Compare(revision(b), revision(a)) })
	for _, k := range kept {
		owner := metav1.GetControllerOf(&k)
		template, found, err := unstructured.NestedMap(k.Object, fields...)
		if err != nil || !found || owner == nil || owner.UID != w.object.GetUID() {
			continue
		}
		var typed corev1.PodTemplateSpec
		if kube.Convert(template, &typed) != nil || !t.is(t.releaseOf(typed.ObjectMeta, typed.Spec), r) {
			continue
		}
		delete(template, "$patch") // how a ControllerRevision says that it is the whole
		unstructured.RemoveNestedField(template, "metadata", "labels", "pod-template-hash")
		return template, nil
	}
	return nil, nil
}

func revisionNumber(o kube.Object) int64 {
	n, _, _ := unstructured.NestedInt64(o.Object, "revision")
	return n
}

func revisionAnnotation(o kube.Object) int64 {
	n, _ := strconv.ParseInt(o.GetAnnotations()["deployment.kubernetes.io/revision"], 10, 64)
	return n
}
