package flag

import (
	"encoding/json"
	"slices"
	"strings"
)

// Private

// opening begins what adg notes at the end of a text that people may have written the start of.
const opening = "adg:["

// maxNotes bounds the deployments that are remembered: one is under way for a flag, and its predecessors' owners may
// still be alive.
const maxNotes = 3

// note is what a deployment did last.
type note struct {
	OpID       string  `json:"op"`
	Deployment string  `json:"deployment"`
	Fence      int64   `json:"fence"`
	Share      float64 `json:"share"`
}

// notes are of one deployment each, the latest first.
type notes []note

// notesIn reads what onto wrote; what is no note is somebody's text.
func notesIn(text string) notes {
	at := strings.LastIndex(text, opening)
	if at < 0 {
		return nil
	}
	var found notes
	if json.Unmarshal([]byte(text[at+len(opening)-1:]), &found) != nil {
		return nil
	}
	return found[:min(len(found), maxNotes)]
}

func (n notes) of(deployment string) (note, bool) {
	i := slices.IndexFunc(n, func(e note) bool { return e.Deployment == deployment })
	if i < 0 {
		return note{}, false
	}
	return n[i], true
}

// with puts a note first; the same deployment's earlier one goes.
func (n notes) with(latest note) notes {
	all := notes{latest}
	for _, e := range n {
		if e.Deployment != latest.Deployment && len(all) < maxNotes {
			all = append(all, e)
		}
	}
	return all
}

// onto gives the text with these notes instead of those that it had.
func (n notes) onto(text string) string {
	if at := strings.LastIndex(text, opening); at >= 0 && notesIn(text) != nil {
		text = text[:at]
	}
	raw, _ := json.Marshal(n) // strings and numbers: it cannot fail
	return strings.TrimSpace(strings.TrimSpace(text) + " " + strings.TrimSuffix(opening, "[") + string(raw))
}
