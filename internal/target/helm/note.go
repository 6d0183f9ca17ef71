package helm

import (
	"context"
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

var configMaps = kube.Resource{Version: "v1", Plural: "configmaps"}

// noteKey is where the ConfigMap of a target keeps its note.
const noteKey = "state"

// note is what adg knows about a release of helm, kept in a ConfigMap beside it: any replica of adg finds it there, and no
// write of an owner whose time is over gets past it, because the object's resourceVersion is compared.
type note struct {
	OpID       string       `json:"op_id"`
	Deployment string       `json:"deployment"`
	Version    string       `json:"version"`           // that was wanted
	After      int          `json:"after"`             // the newest revision when helm was started
	Runs       int          `json:"runs"`              // how often it was to be started
	Running    *running     `json:"running,omitempty"` // the run of helm that is under way; it was broken off if its time is over
	Fences     notes.Fences `json:"fences"`
}

// running is a run of helm: there is one at a time.
type running struct {
	OpID  string    `json:"op_id"`
	Fence int64     `json:"fence"`
	Until time.Time `json:"until"` // it is over then, whatever happened
}

// made tells whether a revision is of the last operation's making.
func (n note) made(number int) bool { return number > n.After && number <= n.After+n.Runs }

func (t *target) noteName() string { return "adg-helm-" + t.o.Release }

// readNote reads the note and the ConfigMap that it is in; nil: there is none yet.
func (t *target) readNote(ctx context.Context) (note, *unstructured.Unstructured, error) {
	var n note
	object := &unstructured.Unstructured{}
	err := t.client.Get(ctx, configMaps, t.noteName(), object)
	if adg.CodeOf(err) == adg.NotFound {
		return n, nil, nil
	}
	if err != nil {
		return n, nil, err
	}
	if n, err = parseNote(object); err != nil {
		return n, nil, adg.Permanent(adg.Errorf(adg.Invalid, "the ConfigMap %s, which adg keeps its state in, is damaged (%w): see what is live, then delete it", t.noteName(), err))
	}
	return n, object, nil
}

func parseNote(object *unstructured.Unstructured) (note, error) {
	var n note
	text, _, _ := unstructured.NestedString(object.Object, "data", noteKey)
	if text == "" {
		return n, nil
	}
	err := json.Unmarshal([]byte(text), &n)
	return n, err
}

// swap changes the note; after a conflict all begins anew. Nothing is written where change returns false.
func (t *target) swap(ctx context.Context, change func(n *note) (bool, error)) error {
	return kube.Swap(ctx, func() (bool, error) {
		n, object, err := t.readNote(ctx)
		if err != nil {
			return false, err
		}
		if write, err := change(&n); err != nil || !write {
			return false, err
		}
		text, err := json.Marshal(n)
		if err != nil {
			return false, adg.Permanent(adg.Errorf(adg.Internal, "the note of %s: %w", t.o.Release, err))
		}
		data := map[string]any{noteKey: string(text)}
		if object == nil {
			err = t.client.Create(ctx, configMaps, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": map[string]any{
				"name": t.noteName(), "labels": map[string]any{"app.kubernetes.io/managed-by": "adg"}}}, nil)
		} else {
			object.Object["data"] = data
			err = t.client.Replace(ctx, configMaps, t.noteName(), object, nil)
		}
		return adg.CodeOf(err) == adg.Conflict, err
	})
}
