// Package pipeline makes releases live by having the team's own pipeline do it: it starts a run, finds it again whoever
// asks, follows it to its end and brings its log. What differs between CI systems is a Platform; the one for an HTTP
// interface of one's own is here, the others have packages of their own.
package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Platform is one pipeline of a CI system. It is safe for concurrent use. Its errors are those of API: Permanent where
// trying again cannot help, Throttled where the system asks to wait.
type Platform interface {
	// Recent lists the latest runs, the newest first: at least those that ADG started, with their tags as far as the
	// platform can tell, and at most a few dozen. Runs of others are listed where it is sure that they run the same
	// pipeline.
	Recent(ctx context.Context) ([]Run, error)
	// Start starts a run. It never starts a second one by itself when it does not know whether the first was taken.
	// The run's ID is empty where the platform does not tell it; Recent finds it then.
	Start(ctx context.Context, order Order) (Run, error)
	// Follow reads how far a run is, with the job that it is at or failed in. One that is not there any more is Gone.
	Follow(ctx context.Context, run Run) (Run, error)
	// Tail reads the end of the log of a run that has ended: of the job that failed, or of the last one.
	Tail(ctx context.Context, run Run) (string, error)
	// Stop cancels a run; nothing if it has ended. Where runs cannot be cancelled the error is errors.ErrUnsupported, and
	// ErrNotYet where there is nothing yet that could be.
	Stop(ctx context.Context, run Run) error
	// Check tells what would keep the order from being started, and starts nothing.
	Check(ctx context.Context, order Order) ([]adg.Obstacle, error)
}

// State is how far a run is.
type State uint8

// The states.
const (
	Queued State = iota // nothing has begun yet
	Running
	Waiting   // for a person, and does nothing until then
	Succeeded // to its end
	Failed    // by itself
	Cancelled // by somebody
	Gone      // the platform does not know it any more
)

// Ended tells whether the run will do nothing more.
func (s State) Ended() bool { return s >= Succeeded }

// Run is one execution of the pipeline.
type Run struct {
	ID    string // the platform's
	Tag   Tag    // zero: it is not ours, or the platform cannot tell
	State State
	// Untold says that the platform cannot tell yet whose run it is.
	Untold bool
	Job    string // the job that it is at, or that failed
	Why    string // what the platform says about the state: why it waits, why it failed, who cancelled it
	URL    string // for people; empty: unknown
	Log    string // what Follow left for Tail
}

// Tag is what every run of ADG carries as one of its variables, so that any process finds it again and knows what it
// was to do, and for whom: others may share the pipeline.
type Tag struct {
	Op      string
	Fence   int64
	Version string
	Scope   string // target/environment/service
}

// ErrNotYet says that a run cannot be cancelled yet: Stop has to be asked again.
var ErrNotYet = errors.New("there is nothing to cancel yet")

// String is how the tag is written: adg:OPERATION:FENCE:VERSION:TARGET/ENVIRONMENT/SERVICE.
func (t Tag) String() string {
	return fmt.Sprintf("adg:%s:%d:%s:%s", t.Op, t.Fence, t.Version, t.Scope)
}

// IsZero tells whether there is no tag.
func (t Tag) IsZero() bool { return t == Tag{} }

// ParseTag reads a tag that is the whole of a text, such as a variable's.
func ParseTag(text string) (Tag, bool) {
	tag, found := FindTag(text)
	return tag, found && tag.String() == text
}

// FindTag finds the first tag in a text, such as a configuration that was made with it.
func FindTag(text string) (Tag, bool) {
	found := tagForm.FindStringSubmatch(text)
	if found == nil {
		return Tag{}, false
	}
	fence, err := strconv.ParseInt(found[2], 10, 64)
	if err != nil {
		return Tag{}, false
	}
	return Tag{Op: found[1], Fence: fence, Version: found[3], Scope: found[4]}, true
}

// Order is what a run is started with.
type Order struct {
	Tag       Tag
	Rollback  bool
	Variables map[string]string // by the names of the policy; one of them holds the tag
}

// Private

var tagForm = regexp.MustCompile(`adg:([A-Za-z0-9._+/-]{1,200}):([0-9]{1,18}):([A-Za-z0-9][A-Za-z0-9._+-]{0,127}):((?:[A-Za-z0-9._-]{1,24}/){2}[A-Za-z0-9._-]{1,24})`)

var shortName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,24}$`)

// place is the part of a scope that a target knows of itself.
func place(target, environment string) string {
	return scoped(target) + "/" + scoped(environment) + "/"
}

// scoped is a name as it is written in a scope: as it is, or as its hash where it is long or holds other letters.
func scoped(name string) string {
	switch {
	case name == "":
		return "_"
	case shortName.MatchString(name):
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// deployment is the part of the operation's id that all operations of a deployment share.
func (t Tag) deployment() string {
	if i := strings.LastIndexByte(t.Op, '/'); i >= 0 {
		return t.Op[:i]
	}
	return t.Op
}

// shares tells whether two tags are of the same target, environment and service.
func (t Tag) shares(other Tag) bool { return !t.IsZero() && t.Scope == other.Scope }

// text says in a sentence how far the run is.
func (r Run) text() string {
	text := "run " + r.ID
	switch r.State {
	case Queued:
		text += " has not started yet"
	case Running:
		text += " is running"
	case Waiting:
		text += " waits for a person"
	case Succeeded:
		text += " succeeded"
	case Failed:
		text += " failed"
	case Cancelled:
		text += " was cancelled"
	case Gone:
		text += " is not there any more: nobody can tell how it ended"
	}
	switch {
	case r.Job == "" || r.State == Succeeded:
	case r.State == Queued:
		text += ", job " + r.Job
	default:
		text += " in job " + r.Job
	}
	if r.Why != "" {
		text += ": " + r.Why
	}
	if r.URL != "" {
		text += " (" + r.URL + ")"
	}
	return text
}
