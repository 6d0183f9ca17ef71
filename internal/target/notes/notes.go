// Package notes is what targets have in common that keep what they know at an object of a Kubernetes cluster: any replica
// of adg finds it there, and an owner whose time is over is told by the fences in it.
package notes

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

// Annotation holds the note of a target, as JSON.
const Annotation = "deployguardian.io/state"

// MaxFences bounds the deployments whose fences are remembered.
const MaxFences = 8

// Fence is the newest one that was seen for a deployment.
type Fence struct {
	Deployment string `json:"deployment"`
	Fence      int64  `json:"fence"`
}

// Fences are those of the latest deployments, the latest first.
type Fences []Fence

// Refuse tells whether a newer owner of the deployment was there.
func (f Fences) Refuse(want adg.Desired) bool {
	return slices.ContainsFunc(f, func(one Fence) bool { return one.Deployment == want.Deployment && one.Fence > want.Fence })
}

// Has tells whether that of want is among them.
func (f Fences) Has(want adg.Desired) bool {
	return slices.Contains(f, Fence{want.Deployment, want.Fence})
}

// With are the fences with that of want. One that is there stays in its place, so that there is nothing to write.
func (f Fences) With(want adg.Desired) Fences {
	if f.Has(want) {
		return f
	}
	others := slices.DeleteFunc(slices.Clone(f), func(one Fence) bool { return one.Deployment == want.Deployment })
	all := append(Fences{{want.Deployment, want.Fence}}, others...)
	return all[:min(len(all), MaxFences)]
}

// Of is the note at an object; empty where there is none, or none that can be read: whoever wrote it was not adg.
func Of[N any](object *unstructured.Unstructured) N {
	var n, none N
	if text := object.GetAnnotations()[Annotation]; text != "" && json.Unmarshal([]byte(text), &n) != nil {
		return none
	}
	return n
}

// Put writes a note at an object.
func Put(object *unstructured.Unstructured, n any) error {
	text, err := json.Marshal(n)
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Internal, "note of %s: %w", object.GetName(), err))
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[Annotation] = string(text)
	object.SetAnnotations(annotations)
	return nil
}
