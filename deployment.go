package adg

import (
	"slices"
	"strings"
	"time"
)

// State is where a deployment is in its life (docs/design.md, "A deployment's life").
type State uint8

// The states. Those from Blocked on are ends: nothing is done after them.
const (
	Pending           State = iota // stored; nothing done yet
	Gated                          // waits for a gate or an approval
	Rolling                        // going up the steps
	Verifying                      // fully live, in one of the phases
	Held                           // paused, by a human or because nothing is known; Status.Resume says where it goes on
	RollbackPending                // condemned; in grace, or waiting for an approval or a slot
	RollingBack                    // the target is being brought back to the last good release
	VerifyingRollback              // the target says it is back; the checks have not said so yet
	Blocked                        // a gate refused it
	Succeeded
	RolledBack     // the last good release is live and verified
	RollbackFailed // a human is needed
	Cancelled      // a human ended it
	Superseded     // a newer deployment of the service took over
	Undecided      // ended at its deadline without a decision
)

var stateNames = []string{"pending", "gated", "rolling", "verifying", "held", "rollback_pending", "rolling_back",
	"verifying_rollback", "blocked", "succeeded", "rolled_back", "rollback_failed", "cancelled", "superseded", "undecided"}

// String is the state's name.
func (s State) String() string { return enumText(s, stateNames) }

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return marshalEnum(s, "state", stateNames) }

// UnmarshalText reads a name.
func (s *State) UnmarshalText(text []byte) error { return unmarshalEnum(s, "state", stateNames, text) }

// Ended tells whether the deployment is over.
func (s State) Ended() bool { return s >= Blocked }

// States are all of them, in order.
func States() []State {
	all := make([]State, len(stateNames))
	for i := range all {
		all[i] = State(i)
	}
	return all
}

// Deployment is one attempt to make a release live. Spec is written once; Status changes with every tick.
type Deployment struct {
	ID      string `json:"id"`
	Version int64  `json:"version"` // of the stored record, for compare-and-swap; the store counts it
	Spec    Spec   `json:"spec"`
	Status  Status `json:"status"`
}

// Target is the name of the target in charge: the policy's, or its fallback where that has taken over.
func (d Deployment) Target() string {
	if d.Status.Fallback {
		return d.Spec.Policy.Rollback.Fallback
	}
	return d.Spec.Policy.Target
}

// Spec is what was asked for.
type Spec struct {
	// ID is the deployment's, where the caller has one: the same ID again is a Conflict. Empty: a new one is made.
	ID string `json:"id,omitempty"`
	// Key is what the start is known by: another deployment with the same Key is a Conflict. Empty: by nothing.
	Key      string   `json:"key,omitempty"`
	Release  Release  `json:"release"`
	LastGood *Release `json:"last_good,omitempty"` // where a rollback goes; nil: nowhere, and a human is told at the start
	Policy   Policy   `json:"policy"`
	// PolicyVersion is the number that the policy has on the server; zero: it has none.
	PolicyVersion int64 `json:"policy_version,omitempty"`
	// Prediction is what was expected before the first step, and Steered what the risk changed in the policy, in words.
	Prediction *Prediction `json:"prediction,omitempty"`
	Steered    []string    `json:"steered,omitempty"`
	Actor      string      `json:"actor"`            // who asked
	Author     string      `json:"author,omitempty"` // who wrote the change, as the pipeline said
	Reason     string      `json:"reason,omitempty"`
	// Labels are what else was said about it, such as its build's address.
	Labels    map[string]string `json:"labels,omitempty"`
	Emergency string            `json:"emergency,omitempty"` // why no freeze window holds it up; empty: they do
	Created   time.Time         `json:"created"`
	Trace     string            `json:"trace,omitempty"` // the request's (traceparent); nothing depends on it
}

// WayBack tells whether there is a release to go back to. The release itself is none, and neither is one of the same version:
// no target could tell the two apart.
func (s Spec) WayBack() bool {
	return s.LastGood != nil && s.LastGood.Identity() != s.Release.Identity() && s.LastGood.Version != s.Release.Version
}

// ValidWayBack refuses a way back that somebody named, and that is none.
func (s Spec) ValidWayBack() error {
	if s.LastGood == nil || s.LastGood.Version != s.Release.Version {
		return nil
	}
	return Advised(Errorf(Invalid, "a rollback of %s cannot go to %s, which is the same version", s.Release.Version, s.LastGood.Version),
		"name the version that was live and good before it (previous), or none")
}

// By tells whether a person asked for the deployment or wrote the change: he is one pair of eyes, and not two. The author is
// compared as pipelines write him: a name, an address, or "Ann <ann@example.com>", in any case.
func (s Spec) By(person string) bool {
	if person = lowered(person); person == "" {
		return false
	}
	name, address, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(s.Author), ">"), "<")
	return slices.Contains([]string{lowered(s.Actor), lowered(s.Author), lowered(name), lowered(address)}, person)
}

func lowered(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// Status is where the deployment stands. rollout.Step alone writes it.
type Status struct {
	State    State     `json:"state"`
	Since    time.Time `json:"since"` // of the state
	Due      time.Time `json:"due"`   // when the next tick is wanted; zero: at once
	Ticked   time.Time `json:"ticked,omitzero"`
	Deadline time.Time `json:"deadline,omitzero"` // absolute; set by the first tick

	Step      int       `json:"step"`                // index into Strategy.Steps of the step being made or baked
	Reached   bool      `json:"reached,omitempty"`   // the target reported the step done
	ReachedAt time.Time `json:"reached_at,omitzero"` // measurements count from here, after the warm-up
	Phase     int       `json:"phase"`               // index into Policy.Verify while Verifying
	Entered   time.Time `json:"entered,omitzero"`    // when the step or the phase was entered
	Resume    State     `json:"resume,omitempty"`    // where Held goes on
	HeldBy    string    `json:"held_by,omitempty"`   // actor; or "adg" (nothing is known), "adg: pause", "adg: no way back"

	Good         time.Duration   `json:"good,omitempty"`          // healthy without interruption, in this step or phase
	Bad          []time.Duration `json:"bad,omitempty"`           // per rule: how long its health has lasted
	Blind        time.Duration   `json:"blind,omitempty"`         // Unknown without interruption
	Condemned    time.Time       `json:"condemned,omitzero"`      // when a rule (or a human) condemned the release
	CondemnedFor string          `json:"condemned_for,omitempty"` // why, in the words of then
	Rule         int             `json:"rule,omitempty"`          // the rule that did, 1-based; 0: a human, -1: the deadline, -2: the target, -3: cancelled, without blame
	Weak         bool            `json:"weak,omitempty"`          // condemned by nothing but judgements that are Weak: trust auto asks
	Asked        time.Time       `json:"asked,omitzero"`          // when an approval was asked for
	Approved     string          `json:"approved,omitempty"`      // who approved the rollback, or the start while Gated
	Paging       bool            `json:"paging,omitempty"`        // a human was called and the reason still stands
	Suggested    bool            `json:"suggested,omitempty"`     // the rollback was suggested already

	Ops       int    `json:"ops,omitempty"`       // how many effects were begun; numbers the next one
	Op        string `json:"op,omitempty"`        // the effect in flight; empty: none
	Rollbacks int    `json:"rollbacks,omitempty"` // rollbacks begun: never more than one
	Attempt   int    `json:"attempt,omitempty"`   // tries at the target in this step or rollback; Entered is when the last one ended

	Rehearsed time.Time  `json:"rehearsed,omitzero"`  // when the way back was rehearsed last
	Doubt     string     `json:"doubt,omitempty"`     // why that could not be done; empty: it could, or there is no way to rehearse
	Obstacles []Obstacle `json:"obstacles,omitempty"` // what was in the way back then
	Suspended string     `json:"suspended,omitempty"` // what the target keeps from undoing the rollback
	Back      int        `json:"back,omitempty"`      // the stage of a gradual rollback, from 1; 0: it goes back at once
	BackFrom  float64    `json:"back_from,omitempty"` // the share of the bad release when that began, percent
	Fallback  bool       `json:"fallback,omitempty"`  // the policy's fallback target has taken over

	Health  Health   `json:"health"`
	Score   float64  `json:"score"`
	Checks  []Watch  `json:"checks,omitempty"`  // one per check of the policy, in its order
	Reasons []string `json:"reasons,omitempty"` // why the state is what it is, for people
}

// Watch is one check's place in the schedule, its last judgement, and what the judge remembers of it.
type Watch struct {
	Check string     `json:"check"`
	Due   time.Time  `json:"due"`
	Last  Judgement  `json:"last"`
	State CheckState `json:"state"`
}
