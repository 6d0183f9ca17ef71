package adg

import "context"

// Obstacle is what would keep a target from making a state live.
type Obstacle struct {
	Name  string `json:"name"`            // what kind it is, in one word: release, schema, capacity, access, sync
	Final bool   `json:"final,omitempty"` // it would fail; false: it might
	Text  string `json:"text"`            // a sentence for people, with the way out; free of secrets
}

// Same tells whether two obstacles are one, whatever their texts count or measure.
func (o Obstacle) Same(other Obstacle) bool { return o.Name == other.Name && o.Final == other.Final }

// Rehearser is a target that can tell beforehand whether it could make a state live: the release is still there, there is
// room and the right to do it. Rehearse changes nothing. None means that nothing speaks against it; an error, that it could
// not be found out.
type Rehearser interface {
	Rehearse(ctx context.Context, want Desired) ([]Obstacle, error)
}

// Rehearsal is what came of rehearsing the way back.
type Rehearsal struct {
	Obstacles []Obstacle `json:"obstacles,omitempty"`
	Err       string     `json:"err,omitempty"` // why nothing was found out; free of secrets
}

// Suspender is a target that keeps somebody else, such as a GitOps controller, from undoing what was applied as a rollback.
// What it has suspended is noted at the platform and reported in Observed.Suspended, whichever process asks.
type Suspender interface {
	// Suspends says in the words of Observed.Suspended what Apply would suspend, or has suspended, for a rollback; empty:
	// nothing. It changes nothing.
	Suspends(ctx context.Context, want Desired) (string, error)
	// Resume gives back what was suspended, unless a release that is still held would go live by that: then nothing is
	// changed, Suspended stays, and Text says which. It does nothing where nothing is suspended.
	Resume(ctx context.Context, held []Release) (Observed, error)
}

// Checker is a source or a target that can tell from this machine alone, and without changing anything, what would keep it
// from working here: a program that is not there. Nothing that is found is asked for elsewhere.
type Checker interface {
	Check() error
}

// PowerOf finds what a target can do beyond the methods of Target, such as Rehearser, in it or in what it wraps.
func PowerOf[T any](t Target) (power T, found bool) {
	for t != nil {
		if power, found = t.(T); found {
			return power, true
		}
		wrapper, wraps := t.(interface{ Unwrap() Target })
		if !wraps {
			return power, false
		}
		t = wrapper.Unwrap()
	}
	return power, false
}
