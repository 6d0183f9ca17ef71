package kubernetes

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

// stateAnnotation is on every object that adg writes.
const stateAnnotation = "deployguardian.io/state"

// note is what adg knows about an object, kept at the object: any replica of adg finds it there, and no write of an
// owner whose time is over gets past it, because the object's resourceVersion is compared.
type note struct {
	OpID       string   `json:"op_id"`
	Deployment string   `json:"deployment"`
	Rollback   bool     `json:"rollback,omitempty"`
	Releases   []wanted `json:"releases,omitempty"`
	Size       int      `json:"size,omitempty"`     // pods of all releases together when the deployment began, where their numbers are the shares
	Pods       *int     `json:"pods,omitempty"`     // that adg left the Deployment with, where it is for adg to say
	Added      int      `json:"added,omitempty"`    // pods that others had added to it by then since the deployment began; negative: taken away
	Template   string   `json:"template,omitempty"` // hash of the pod template that was written
	Fences     []fence  `json:"fences"`             // the latest first
}

// wanted is a placement as far as it can be checked later.
type wanted struct {
	Version  string  `json:"version"`
	Artifact string  `json:"artifact,omitempty"`
	Config   string  `json:"config,omitempty"`
	Share    float64 `json:"share"`
}

// fence is the newest one that was seen for a deployment.
type fence struct {
	Deployment string `json:"deployment"`
	Fence      int64  `json:"fence"`
}

// maxFences bounds the deployments whose fences are remembered.
const maxFences = 8

// noteOf is empty where there is none, or none that can be read: whoever wrote it was not adg.
func noteOf(object *unstructured.Unstructured) note {
	var n note
	if text := object.GetAnnotations()[stateAnnotation]; text != "" && json.Unmarshal([]byte(text), &n) != nil {
		return note{}
	}
	return n
}

func (n note) fenced(want adg.Desired) bool {
	return slices.ContainsFunc(n.Fences, func(f fence) bool { return f.Deployment == want.Deployment && f.Fence > want.Fence })
}

// claimed is the note with the fence of want.
func (n note) claimed(want adg.Desired) note {
	if slices.Contains(n.Fences, fence{want.Deployment, want.Fence}) {
		return n // in the place that it has: nothing is to be written
	}
	fences := slices.DeleteFunc(slices.Clone(n.Fences), func(f fence) bool { return f.Deployment == want.Deployment })
	fences = append([]fence{{want.Deployment, want.Fence}}, fences...)
	n.Fences = fences[:min(len(fences), maxFences)]
	return n
}

// next is the note of a write for want.
func (n note) next(want adg.Desired) note {
	n = n.claimed(want)
	n.OpID, n.Deployment, n.Rollback, n.Releases = want.OpID, want.Deployment, want.Rollback, nil
	for _, p := range want.Releases {
		n.Releases = append(n.Releases, wanted{p.Release.Version, p.Release.Artifact, p.Release.Config, p.Share})
	}
	return n
}

func (n note) put(object *unstructured.Unstructured) error {
	text, err := json.Marshal(n)
	if err != nil {
		return adg.Permanent(adg.Errorf(adg.Internal, "note of %s: %w", object.GetName(), err))
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[stateAnnotation] = string(text)
	object.SetAnnotations(annotations)
	return nil
}
