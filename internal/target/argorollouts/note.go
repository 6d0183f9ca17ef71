package argorollouts

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
)

// stateAnnotation is on every Rollout that adg has led.
const stateAnnotation = "deployguardian.io/state"

// note is what adg knows about a Rollout, kept at the Rollout: any replica of adg finds it there, and no write of an owner
// whose time is over gets past it, because the object's resourceVersion is compared.
type note struct {
	OpID       string   `json:"op_id"`
	Deployment string   `json:"deployment"`
	Releases   []wanted `json:"releases,omitempty"`
	Template   string   `json:"template,omitempty"` // hash of the pod template that was written
	Fences     []fence  `json:"fences"`             // the latest first
	Nudges     int      `json:"nudges,omitempty"`   // writes that change nothing but this
}

// wanted is a placement as it can be had: the share is what the weight gives.
type wanted struct {
	Version string  `json:"version"`
	Share   float64 `json:"share"`
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

// next is the note of a write for want.
func (n note) next(want adg.Desired) note {
	n.OpID, n.Deployment, n.Releases = want.OpID, want.Deployment, nil
	if !slices.Contains(n.Fences, fence{want.Deployment, want.Fence}) { // else it stays in its place, and nothing is to be written
		others := slices.DeleteFunc(slices.Clone(n.Fences), func(f fence) bool { return f.Deployment == want.Deployment })
		n.Fences = append([]fence{{want.Deployment, want.Fence}}, others...)
		n.Fences = n.Fences[:min(len(n.Fences), maxFences)]
	}
	return n
}

// knows tells whether a version was one of those that adg wanted last.
func (n note) knows(version string) bool {
	return slices.ContainsFunc(n.Releases, func(w wanted) bool { return w.Version == version })
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
