package adg

import (
	"context"
	"slices"
	"time"
)

// Target makes releases live. It is safe for concurrent use; calls for one deployment never overlap.
//
// Current reads the real state and changes nothing. Apply converges to what is wanted and returns what it sees then:
// it is idempotent, and the same Desired with the same OpID does nothing twice. It may return before the target has
// converged (Observed.Done is false) and is asked again by Current. An error means that the outcome is not known;
// Permanent means that trying again cannot help. A cancelled context ends the call promptly and starts nothing new.
// Where the platform can compare, a call with a Fence older than one that it has seen is refused with ErrFenced.
type Target interface {
	Current(ctx context.Context) (Observed, error)
	Apply(ctx context.Context, want Desired) (Observed, error)
	Can() Capabilities
}

// Role is what a release is to the target.
type Role uint8

// The roles. An idle release runs (or stays ready to) without traffic.
const (
	StableRole Role = iota
	CandidateRole
	IdleRole
)

var roleNames = []string{"stable", "candidate", "idle"}

// String is the role's name.
func (r Role) String() string { return enumText(r, roleNames) }

// MarshalText writes the name.
func (r Role) MarshalText() ([]byte, error) { return marshalEnum(r, "role", roleNames) }

// UnmarshalText reads a name.
func (r *Role) UnmarshalText(text []byte) error { return unmarshalEnum(r, "role", roleNames, text) }

// Placement is a release with its part.
type Placement struct {
	Release Release `json:"release"`
	Share   float64 `json:"share"` // percent; the shares of a Desired add up to 100
	Role    Role    `json:"role"`
}

// Desired is the complete state wanted, not a verb. A rollback is the last good release at 100 and the bad one at 0.
type Desired struct {
	OpID       string      `json:"op_id"`
	Deployment string      `json:"deployment"`
	Fence      int64       `json:"fence"` // grows with each owner of the deployment
	Releases   []Placement `json:"releases"`
	// Rollback is for capacity and for those who would undo it: the release that gets the traffic is brought to the size
	// that it needs before the traffic moves, and what would undo that is suspended. The releases are reached all the same.
	Rollback bool          `json:"rollback,omitempty"`
	Approved string        `json:"approved,omitempty"` // the person who asked for this rollback, or approved it; empty: nobody did
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// Validate refuses shares that are no shares.
func (d Desired) Validate() error {
	if d.OpID == "" {
		return Errorf(Invalid, "desired state without an operation id")
	}
	sum := 0.0
	placed := map[string]bool{}
	for _, p := range d.Releases {
		if placed[p.Release.Version] {
			return Errorf(Invalid, "version %s is placed twice", p.Release.Version)
		}
		placed[p.Release.Version] = true
		if err := p.Release.Validate(); err != nil {
			return err
		}
		if !(p.Share >= 0 && p.Share <= 100) {
			return Errorf(Invalid, "release %s: a share of %g %%", p.Release.Version, p.Share)
		}
		sum += p.Share
	}
	if sum < 99.999 || sum > 100.001 {
		return Errorf(Invalid, "the shares add up to %g %%, not to 100", sum)
	}
	return nil
}

// Observed is what the target reports.
type Observed struct {
	Releases []Placement `json:"releases"`         // Release holds what the target knows: at least the version
	Done     bool        `json:"done"`             // it has converged to the last Desired
	Failed   bool        `json:"failed,omitempty"` // it has given up converging
	Text     string      `json:"text,omitempty"`   // what it says about its progress
	OpID     string      `json:"op_id,omitempty"`  // the last one applied, where the target can tell
	// Suspended says what of others is kept from undoing this state, such as "automated sync of the application shop";
	// empty: nothing.
	Suspended string `json:"suspended,omitempty"`
	// Log is the tail of what a program or a pipeline wrote: at most MaxLog bytes, free of secrets, untrusted text.
	Log string `json:"log,omitempty"`
}

// MaxLog is the most bytes of a log that a target hands on.
const MaxLog = 4 << 10

// Share is the share of a version; false if the target does not report it.
func (o Observed) Share(version string) (float64, bool) {
	i := slices.IndexFunc(o.Releases, func(p Placement) bool { return p.Release.Version == version })
	if i < 0 {
		return 0, false
	}
	return o.Releases[i].Share, true
}

// Capabilities is what a target can do beyond making one release live.
type Capabilities struct {
	Shares  bool `json:"shares"`  // splits traffic between two releases
	Idle    bool `json:"idle"`    // keeps a release running without traffic
	Drain   bool `json:"drain"`   // lets requests end before it takes a release away
	Migrate bool `json:"migrate"` // moves the database's schema
	Reports bool `json:"reports"` // Current reads the real state; without it a rollback cannot be verified at the target
}

// Outcome is how an effect ended.
type Outcome struct {
	OpID     string        `json:"op_id"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
	Observed Observed      `json:"observed"`
	Err      string        `json:"err,omitempty"`   // free of secrets
	Final    bool          `json:"final,omitempty"` // trying again cannot help
}
