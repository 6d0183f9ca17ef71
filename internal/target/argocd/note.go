package argocd

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/notes"
)

// Private

// note is what adg keeps in an annotation of the Application, where every replica finds it.
type note struct {
	OpID     string   `json:"op_id"`
	Rollback bool     `json:"rollback,omitempty"`
	Live     named    `json:"live"`            // what is to be live
	Others   []named  `json:"others"`          // what else the operation knows by name
	Entry    *int64   `json:"entry,omitempty"` // of the history that is gone back to; none: what the repository has is synced
	Revision string   `json:"revision"`        // that this is
	Newest   int64    `json:"newest"`          // the last entry of the history before
	Started  string   `json:"started"`         // when the last operation before had started
	Known    []placed `json:"known"`           // where images were seen live, the latest first
	// Automated is the policy of automated sync that was taken away.
	Automated json.RawMessage `json:"automated,omitempty"`
	Fences    notes.Fences    `json:"fences"`
}

// named is a release as far as images tell.
type named struct {
	Version  string `json:"version"`
	Artifact string `json:"artifact,omitempty"`
}

func (n named) release() adg.Release { return adg.Release{Version: n.Version, Artifact: n.Artifact} }

// placed is an image with the entry of the history by which it was live.
type placed struct {
	Image string `json:"image"`
	Entry int64  `json:"entry"`
}

// maxKnown bounds what is remembered; Argo CD keeps ten entries where nobody says otherwise.
const maxKnown = 16

// noteOf is empty where there is none, or none that can be read: whoever wrote it was not adg.
func noteOf(app *application) note {
	var n note
	if text := app.Metadata.Annotations[notes.Annotation]; text != "" && json.Unmarshal([]byte(text), &n) != nil {
		return note{}
	}
	return n
}

// saw remembers by which entry an image was live.
func (n note) saw(image string, at entry) note {
	others := slices.DeleteFunc(slices.Clone(n.Known), func(p placed) bool { return p.Image == image })
	all := append([]placed{{image, at.ID}}, others...)
	n.Known = all[:min(len(all), maxKnown)]
	return n
}

// changes bring the note to the Application.
func (n note) changes(app *application) ([]change, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Internal, "note of the Application: %w", err))
	}
	var all []change
	if app.Metadata.Annotations == nil {
		all = append(all, change{"add", "/metadata/annotations", map[string]string{}})
	}
	if app.Metadata.Annotations[notes.Annotation] == string(text) {
		return nil, nil
	}
	at := "/metadata/annotations/" + strings.ReplaceAll(notes.Annotation, "/", "~1")
	return append(all, change{"add", at, string(text)}), nil
}

// ours tells whether an operation is the one of this note: it names it, or brings the same revision.
func (n note) ours(o *operation) bool {
	named := slices.Contains(o.Info, info{infoName, n.OpID})
	return named || o.Sync != nil && o.Sync.Revision != "" && o.Sync.Revision == n.Revision
}

// infoName is the name of the information that a sync carries: its operation id.
const infoName = "deployguardian.io/operation"
