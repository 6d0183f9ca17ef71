package swarm

import (
	"encoding/json"
	"slices"

	"github.com/deployguardian/adg"
)

// The labels that adg puts: on a service what it was asked for last, on the containers what they run. Labels on the
// containers hold as long as the image is the one that they were put with.
const (
	opLabel       = "adg.op"
	noteLabel     = "adg.note"
	versionLabel  = "adg.version"
	identityLabel = "adg.identity"
	imageLabel    = "adg.image"
)

const (
	keptOps    = 32 // operations remembered per service; a deployment needs about ten
	keptFences = 8  // deployments whose fence is remembered
)

// note is what adg remembers at a service, for every process that comes after this one.
type note struct {
	Ops      []string        `json:"ops"` // that were begun, the last one at the end
	Fences   []fence         `json:"fences"`
	Want     []adg.Placement `json:"want"`
	Rollback bool            `json:"rollback,omitempty"` // Want is a way back
	Capacity uint64          `json:"capacity"`           // tasks that the releases with traffic have together
	Image    string          `json:"image"`              // what the service ran when adg changed it last
	Replicas uint64          `json:"replicas"`           // what the service had when adg changed it last
}

// fence is the newest one seen for a deployment; the last entry is the deployment that has the service.
type fence struct {
	Deployment string `json:"deployment"`
	Fence      int64  `json:"fence"`
}

// readNote reads the note of a service; what cannot be read was not written by adg and counts as none.
func readNote(labels map[string]string) note {
	var n note
	if text, found := labels[noteLabel]; !found || json.Unmarshal([]byte(text), &n) != nil {
		return note{}
	}
	return n
}

// write puts the note on a service.
func (n note) write(labels map[string]string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	text, err := json.Marshal(n)
	if err != nil {
		return labels // strings and numbers only: it cannot happen
	}
	labels[noteLabel], labels[opLabel] = string(text), n.op()
	return labels
}

// op is the operation that was begun last; empty: none.
func (n note) op() string {
	if len(n.Ops) == 0 {
		return ""
	}
	return n.Ops[len(n.Ops)-1]
}

func (n note) exists() bool { return len(n.Ops) > 0 }

// deployment is the one that has the service.
func (n note) deployment() string {
	if len(n.Fences) == 0 {
		return ""
	}
	return n.Fences[len(n.Fences)-1].Deployment
}

// newer tells whether an owner after this one has been here.
func (n note) newer(want adg.Desired) bool {
	return slices.ContainsFunc(n.Fences, func(f fence) bool { return f.Deployment == want.Deployment && f.Fence > want.Fence })
}

// claimed tells whether the service is this operation's, by this owner.
func (n note) claimed(want adg.Desired) bool {
	return n.op() == want.OpID && len(n.Fences) > 0 && n.Fences[len(n.Fences)-1] == fence{want.Deployment, want.Fence}
}

// superseded tells whether the operation was begun here and another one after it.
func (n note) superseded(want adg.Desired) bool {
	return slices.Contains(n.Ops, want.OpID) && n.op() != want.OpID
}

// claim makes the service this operation's.
func (n note) claim(want adg.Desired, capacity uint64) note {
	n.Ops = append(slices.DeleteFunc(slices.Clone(n.Ops), func(op string) bool { return op == want.OpID }), want.OpID)
	n.Ops = n.Ops[max(len(n.Ops)-keptOps, 0):]
	n.Fences = append(slices.DeleteFunc(slices.Clone(n.Fences), func(f fence) bool { return f.Deployment == want.Deployment }),
		fence{want.Deployment, want.Fence})
	n.Fences = n.Fences[max(len(n.Fences)-keptFences, 0):]
	n.Want, n.Rollback, n.Capacity = want.Releases, want.Rollback, capacity
	return n
}
