package adg

import "time"

// DecisionKind is what was decided.
type DecisionKind uint8

// The decisions. The zero value goes on as before.
const (
	Continue DecisionKind = iota
	Hold
	Promote
	RollBack
)

var decisionNames = []string{"continue", "hold", "promote", "roll_back"}

// String is the decision's name.
func (d DecisionKind) String() string { return enumText(d, decisionNames) }

// MarshalText writes the name.
func (d DecisionKind) MarshalText() ([]byte, error) {
	return marshalEnum(d, "decision", decisionNames)
}

// UnmarshalText reads a name.
func (d *DecisionKind) UnmarshalText(text []byte) error {
	return unmarshalEnum(d, "decision", decisionNames, text)
}

// Input is everything that a decision may depend on. Nothing else does: the same deployment and the same input give
// the same decision for ever.
type Input struct {
	Now        time.Time   `json:"now"`                  // the store's clock
	Assessment *Assessment `json:"assessment,omitempty"` // nil: no check was due
	Watches    []Watch     `json:"watches,omitempty"`    // with Assessment: the checks' new states
	Observed   *Observed   `json:"observed,omitempty"`   // the target's state, where it was read
	Outcome    *Outcome    `json:"outcome,omitempty"`    // of the effect in flight
	Command    *Command    `json:"command,omitempty"`    // one from a human
	Gates      []Gate      `json:"gates,omitempty"`
	Fleet      Fleet       `json:"fleet"`
	Newer      string      `json:"newer,omitempty"` // a newer deployment of the same service and environment
}

// Decision is what to do and why. The guard stores it before it acts on it.
type Decision struct {
	Kind    DecisionKind `json:"kind"`
	At      time.Time    `json:"at"`
	Reasons []string     `json:"reasons"` // sentences for people; never empty when something changed
	From    State        `json:"from"`
	Next    Status       `json:"next"`

	Apply    *Desired       `json:"apply,omitempty"`    // what the target shall converge to; OpID is set
	Slot     int            `json:"slot,omitempty"`     // take one of this many automatic rollbacks per hour
	Facts    []Fact         `json:"facts,omitempty"`    // to be told
	Hold     *ReleaseHold   `json:"hold,omitempty"`     // put a release on hold
	Standing *ReleaseRecord `json:"standing,omitempty"` // what was learned about a release
}

// Changed tells whether the decision is more than "go on": a change of state, an effect, or something to tell.
func (d Decision) Changed() bool {
	return d.Kind != Continue || d.From != d.Next.State || d.Apply != nil || len(d.Facts) > 0 || d.Hold != nil || d.Standing != nil
}

// Gate is something that must hold before a deployment starts.
type Gate struct {
	Name string    `json:"name"`
	Open GateState `json:"open"`
	Text string    `json:"text"`
}

// GateState is whether a gate lets a deployment through. The zero value, not known, does not.
type GateState uint8

// The gate's states. A shut gate may open; a refusing one will not.
const (
	GateUnknown GateState = iota
	GateOpen
	GateShut
	GateRefused
)

var gateStateNames = []string{"unknown", "open", "shut", "refused"}

// String is the state's name.
func (g GateState) String() string { return enumText(g, gateStateNames) }

// MarshalText writes the name.
func (g GateState) MarshalText() ([]byte, error) { return marshalEnum(g, "gate state", gateStateNames) }

// UnmarshalText reads a name.
func (g *GateState) UnmarshalText(text []byte) error {
	return unmarshalEnum(g, "gate state", gateStateNames, text)
}

// Fleet is the state of everything else that ADG guards, as far as one deployment's decision depends on it.
type Fleet struct {
	Rollbacks int    `json:"rollbacks"`         // automatic rollbacks of the last hour, all services
	TurnedBad int    `json:"turned_bad"`        // services of the environment that turned unhealthy in the last 5 minutes, this one included
	Stopped   string `json:"stopped,omitempty"` // who stopped the line, and why; empty: nobody
	Rolling   string `json:"rolling,omitempty"` // another deployment of this service that is being rolled back
}

// CommandKind is what a human asks for.
type CommandKind uint8

// The commands.
const (
	CommandNone CommandKind = iota
	CommandPromote
	CommandHold
	CommandResume
	CommandRollBack
	CommandCancel
	CommandApprove
	CommandReject
)

var commandNames = []string{"none", "promote", "hold", "resume", "rollback", "cancel", "approve", "reject"}

// String is the command's name.
func (c CommandKind) String() string { return enumText(c, commandNames) }

// MarshalText writes the name.
func (c CommandKind) MarshalText() ([]byte, error) { return marshalEnum(c, "command", commandNames) }

// UnmarshalText reads a name.
func (c *CommandKind) UnmarshalText(text []byte) error {
	return unmarshalEnum(c, "command", commandNames, text)
}

// Command is a human's word on a deployment, with actor and reason on record.
type Command struct {
	ID         string      `json:"id"`
	Deployment string      `json:"deployment"`
	Kind       CommandKind `json:"kind"`
	Actor      string      `json:"actor"`
	Reason     string      `json:"reason,omitempty"`
	At         time.Time   `json:"at"`
	Trace      string      `json:"trace,omitempty"` // the request's (traceparent); nothing depends on it
}

// FactKind is what happened.
type FactKind uint8

// The facts that people are told.
const (
	FactNone FactKind = iota
	FactStarted
	FactGated
	FactBlocked
	FactPromoted // went on to the next step or phase
	FactHeld
	FactResumed
	FactAsked     // an approval is wanted
	FactSuggested // ADG would roll back, and may not
	FactCondemned // a rollback is coming
	FactReprieved // it was called off: healthy again within the grace
	FactRollbackStarted
	FactRolledBack
	FactRollbackFailed
	FactSucceeded
	FactCancelled
	FactSuperseded
	FactDeadline
	FactBlind   // the checks say nothing
	FactPage    // a human is needed now
	FactWarning // something that a human should know at the start: no last good release, a schema that cannot go back
)

var factNames = []string{"none", "started", "gated", "blocked", "promoted", "held", "resumed", "asked", "suggested",
	"condemned", "reprieved", "rollback_started", "rolled_back", "rollback_failed", "succeeded", "cancelled",
	"superseded", "deadline", "blind", "page", "warning"}

// String is the fact's name.
func (f FactKind) String() string { return enumText(f, factNames) }

// MarshalText writes the name.
func (f FactKind) MarshalText() ([]byte, error) { return marshalEnum(f, "fact", factNames) }

// UnmarshalText reads a name.
func (f *FactKind) UnmarshalText(text []byte) error { return unmarshalEnum(f, "fact", factNames, text) }

// Fact is something that people are told, once per notifier. The ID is the same each time it is sent.
type Fact struct {
	ID          string    `json:"id"`
	Deployment  string    `json:"deployment"`
	Kind        FactKind  `json:"kind"`
	At          time.Time `json:"at"`
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Release     string    `json:"release"`             // version being deployed
	LastGood    string    `json:"last_good,omitempty"` // version that a rollback goes to
	State       State     `json:"state"`
	Health      Health    `json:"health"`
	Text        string    `json:"text"`
	Reasons     []string  `json:"reasons,omitempty"`
	Actor       string    `json:"actor,omitempty"`
	Urgent      bool      `json:"urgent,omitempty"` // wakes people
}
