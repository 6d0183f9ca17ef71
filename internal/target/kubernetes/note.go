package kubernetes

import (
	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/notes"
)

// note is what adg knows about an object, kept at the object: any replica of adg finds it there, and no write of an
// owner whose time is over gets past it, because the object's resourceVersion is compared.
type note struct {
	OpID       string       `json:"op_id"`
	Deployment string       `json:"deployment"`
	Rollback   bool         `json:"rollback,omitempty"`
	Releases   []wanted     `json:"releases,omitempty"`
	Size       int          `json:"size,omitempty"`     // pods of all releases together when the deployment began, where their numbers are the shares
	Pods       *int         `json:"pods,omitempty"`     // that adg left the Deployment with, where it is for adg to say
	Added      int          `json:"added,omitempty"`    // pods that others had added to it by then since the deployment began; negative: taken away
	Template   string       `json:"template,omitempty"` // hash of the pod template that was written
	Fences     notes.Fences `json:"fences"`             // the latest first
}

// wanted is a placement as far as it can be checked later.
type wanted struct {
	Version  string  `json:"version"`
	Artifact string  `json:"artifact,omitempty"`
	Config   string  `json:"config,omitempty"`
	Share    float64 `json:"share"`
}

// claimed is the note with the fence of want.
func (n note) claimed(want adg.Desired) note {
	n.Fences = n.Fences.With(want)
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
