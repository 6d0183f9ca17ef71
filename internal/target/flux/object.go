package flux

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

// Private

var (
	helmReleases    = kube.Resource{Group: "helm.toolkit.fluxcd.io", Version: "v2", Plural: "helmreleases"}
	kustomizations  = kube.Resource{Group: kustomizeGroup, Version: "v1", Plural: "kustomizations"}
	gitRepositories = kube.Resource{Group: "source.toolkit.fluxcd.io", Version: "v1", Plural: "gitrepositories"}
	podResource     = kube.Resource{Version: "v1", Plural: "pods"}
)

// The labels by which the kustomize-controller marks what it applies.
const (
	kustomizationName      = kustomizeGroup + "/name"
	kustomizationNamespace = kustomizeGroup + "/namespace"
	kustomizeGroup         = "kustomize.toolkit.fluxcd.io"
)

// requestedAt asks a controller of Flux to reconcile now; any new value does.
const requestedAt = "reconcile.fluxcd.io/requestedAt"

// note is what adg keeps in an annotation: of the operation at the HelmRelease, of the suspension at the Kustomization.
type note struct {
	OpID     string       `json:"op_id,omitempty"`
	Rollback bool         `json:"rollback,omitempty"`
	Version  string       `json:"version,omitempty"`  // what is to be live
	Followed bool         `json:"followed,omitempty"` // the repository has it: its Kustomization brings it
	Holds    []string     `json:"holds,omitempty"`    // the HelmReleases for which adg has suspended this Kustomization
	Fences   notes.Fences `json:"fences,omitempty"`
}

func annotate(object *unstructured.Unstructured, name, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	object.SetAnnotations(annotations)
}

func suspended(object *unstructured.Unstructured) bool {
	is, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend")
	return is
}

func textOf(object *unstructured.Unstructured, fields ...string) string {
	text, _, _ := unstructured.NestedString(object.Object, fields...)
	return text
}

// parent is the Kustomization that applies the HelmRelease; nil: none does, or it is gone.
func (t *target) parent(ctx context.Context, release *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	name := release.GetLabels()[kustomizationName]
	if name == "" || kube.ValidName("kustomization", name) != nil {
		return nil, nil
	}
	client, err := t.in(release.GetLabels()[kustomizationNamespace])
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	switch err := client.Get(ctx, kustomizations, name, object); {
	case adg.CodeOf(err) == adg.NotFound:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the Kustomization %s: %w", name, err)
	}
	return object, nil
}

// in is the client for a namespace; empty: that of the HelmRelease.
func (t *target) in(namespace string) (*kube.Client, error) {
	return t.client.In(cmp.Or(namespace, t.client.Namespace()))
}

// change is made to an object that was just read, and to its note.
type change func(object *unstructured.Unstructured, n *note) error

// operate is write for an operation: an owner of the deployment whose time is over is refused.
func (t *target) operate(ctx context.Context, want adg.Desired, r kube.Resource, object *unstructured.Unstructured, do change) error {
	return t.write(ctx, r, object, func(object *unstructured.Unstructured, n *note) error {
		if n.Fences.Refuse(want) {
			return adg.ErrFenced
		}
		n.Fences = n.Fences.With(want)
		return do(object, n)
	})
}

// write reads an object, has it changed with its note, and writes it back, unless that changes nothing. Its
// resourceVersion is compared, and after a conflict all begins anew.
func (t *target) write(ctx context.Context, r kube.Resource, which *unstructured.Unstructured, do change) error {
	client, err := t.in(which.GetNamespace())
	if err != nil {
		return err
	}
	return kube.Swap(ctx, func() (bool, error) {
		object := &unstructured.Unstructured{}
		if err := client.Get(ctx, r, which.GetName(), object); err != nil {
			return false, err
		}
		before, n := object.DeepCopy(), notes.Of[note](object)
		if err := do(object, &n); err != nil {
			return false, err
		}
		if err := notes.Put(object, n); err != nil {
			return false, err
		}
		if reflect.DeepEqual(before.Object, object.Object) {
			return false, nil
		}
		err := client.Replace(ctx, r, which.GetName(), object, nil)
		return adg.CodeOf(err) == adg.Conflict, err
	})
}
