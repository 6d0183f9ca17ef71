package ssh

import (
	"encoding/json"
	"slices"

	"github.com/deployguardian/adg"
)

// The steps of an operation on a host, in their order.
const (
	claimed   = "claimed"
	drained   = "drained"
	linked    = "linked"
	restarted = "restarted"
	done      = "done"
)

const (
	keptOps      = 32 // operations remembered per host; a deployment needs about ten
	keptFences   = 8  // deployments whose fence is remembered
	keptReleases = 64 // releases whose artifact is remembered
)

// note is what adg remembers on a host, for every process that comes after this one. It is replaced only by who has read
// the one that is there.
type note struct {
	Ops      []string      `json:"ops"` // that were begun, the last one at the end
	Fences   []fence       `json:"fences"`
	Version  string        `json:"version"` // that this host is to have
	Step     string        `json:"step"`    // the last one that was done
	Failed   string        `json:"failed,omitempty"`
	Releases []adg.Release `json:"releases"` // what is in the folders
}

// fence is the newest one seen for a deployment; the last entry is the deployment that has the host.
type fence struct {
	Deployment string `json:"deployment"`
	Fence      int64  `json:"fence"`
}

func (n note) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		return "" // strings and numbers only: it cannot happen
	}
	return string(text)
}

// op is the operation that was begun last; empty: none.
func (n note) op() string {
	if len(n.Ops) == 0 {
		return ""
	}
	return n.Ops[len(n.Ops)-1]
}

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

// superseded tells whether the operation was begun here and another one after it.
func (n note) superseded(want adg.Desired) bool {
	return slices.Contains(n.Ops, want.OpID) && n.op() != want.OpID
}

// known is what the note says about a version.
func (n note) known(version string) (adg.Release, bool) {
	i := slices.IndexFunc(n.Releases, func(r adg.Release) bool { return r.Version == version })
	if i < 0 {
		return adg.Release{Version: version}, false
	}
	return n.Releases[i], true
}

// claim makes the host this operation's, to have a release.
func (n note) claim(want adg.Desired, release adg.Release, step string) note {
	n.Ops = append(slices.DeleteFunc(slices.Clone(n.Ops), func(op string) bool { return op == want.OpID }), want.OpID)
	n.Ops = n.Ops[max(len(n.Ops)-keptOps, 0):]
	n.Fences = append(slices.DeleteFunc(slices.Clone(n.Fences), func(f fence) bool { return f.Deployment == want.Deployment }),
		fence{want.Deployment, want.Fence})
	n.Fences = n.Fences[max(len(n.Fences)-keptFences, 0):]
	n.Releases = append(slices.DeleteFunc(slices.Clone(n.Releases), func(r adg.Release) bool { return r.Version == release.Version }), release)
	n.Releases = n.Releases[max(len(n.Releases)-keptReleases, 0):]
	n.Version, n.Step, n.Failed = release.Version, step, ""
	return n
}

// at is the note after a step.
func (n note) at(step string) note {
	n.Step = step
	return n
}
