package pipeline

import (
	"slices"
	"time"

	"github.com/deployguardian/adg/internal/target/ledger"
)

// Private

// note is what this machine knows of an operation's run. The platform knows better, where it can tell at all.
type note struct {
	Tag  Tag       `json:"tag"`
	At   time.Time `json:"at"`            // when it was asked for first
	ID   string    `json:"id,omitempty"`  // of the run; empty: unknown
	Sent time.Time `json:"sent,omitzero"` // when it was about to be started; zero: it was not, or was refused
	// Wait is until when a run may be missing in what the platform lists, which another machine has started.
	Wait  time.Time `json:"wait,omitzero"`
	Ended bool      `json:"ended,omitempty"` // the run
}

const maxNotes = 64

// book is the file of notes, the oldest first.
type book struct {
	Runs []note `json:"runs"`
}

func (t *Target) noted() ([]note, error) {
	var b book
	_, err := ledger.Load(t.notes, &b)
	return b.Runs, err
}

// edit changes the note of an operation, or makes one at the end. Call it between the ledger's Begin and End.
func (t *Target) edit(tag Tag, change func(*note)) error {
	noted, err := t.noted()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(noted, func(n note) bool { return n.Tag.Op == tag.Op })
	if at < 0 {
		noted = append(noted, note{Tag: tag, At: time.Now().UTC()}) //nolint:forbidigo // compared with how long ago that is
		at = len(noted) - 1
	}
	change(&noted[at])
	return ledger.Save(t.notes, book{noted[max(len(noted)-maxNotes, 0):]})
}

// ask notes that an operation is asked for. An owner that is not the deployment's first one, and that asks for the first
// time, may follow one that has started the run on another machine a moment ago.
func (t *Target) ask(tag Tag) error {
	noted, err := t.noted()
	if err != nil {
		return err
	}
	first := tag.Fence > 1 && !slices.ContainsFunc(noted, func(n note) bool {
		return n.Tag.deployment() == tag.deployment() && n.Tag.Fence == tag.Fence
	})
	return t.edit(tag, func(n *note) {
		n.Tag = tag
		if first {
			n.Wait = time.Now().Add(t.s.Options.Appear).UTC() //nolint:forbidigo // how long the platform takes is real time
		}
	})
}

// lagging tells whether a run that was started a moment ago may be missing in what the platform lists.
func (t *Target) lagging(runs []Run, noted []note) bool {
	for _, n := range noted {
		late := time.Since(n.Sent) < t.s.Options.Appear || time.Until(n.Wait) > 0 //nolint:forbidigo // how long the platform takes is real time
		if n.ID == "" && !n.listed(runs) && late {
			return true
		}
	}
	return false
}

// pending tells whether the operation was asked for lately and has no run yet. An older one may have been taken over by
// another machine, and its run be forgotten.
func (n note) pending(runs []Run) bool {
	const lately = time.Hour
	return n.ID == "" && !n.listed(runs) && time.Since(n.At) < lately //nolint:forbidigo // nothing is decided by it but what is said
}

func (n note) listed(runs []Run) bool {
	return slices.ContainsFunc(runs, func(r Run) bool { return r.Tag.Op == n.Tag.Op })
}
