package argorollouts

import (
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/notes"
)

// note is what adg knows about a Rollout, kept at the Rollout: any replica of adg finds it there, and no write of an owner
// whose time is over gets past it, because the object's resourceVersion is compared.
type note struct {
	OpID       string       `json:"op_id"`
	Deployment string       `json:"deployment"`
	Releases   []wanted     `json:"releases,omitempty"`
	Template   string       `json:"template,omitempty"` // hash of the pod template that was written
	Fences     notes.Fences `json:"fences"`             // the latest first
	Nudges     int          `json:"nudges,omitempty"`   // writes that change nothing but this
}

// wanted is a placement as it can be had: the share is what the weight gives.
type wanted struct {
	Version string  `json:"version"`
	Share   float64 `json:"share"`
}

// next is the note of a write for want.
func (n note) next(want adg.Desired) note {
	n.OpID, n.Deployment, n.Releases = want.OpID, want.Deployment, nil
	n.Fences = n.Fences.With(want)
	return n
}

// knows tells whether a version was one of those that adg wanted last.
func (n note) knows(version string) bool {
	return slices.ContainsFunc(n.Releases, func(w wanted) bool { return w.Version == version })
}
