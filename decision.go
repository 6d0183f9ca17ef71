package adg

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

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
	Rehearsal  *Rehearsal  `json:"rehearsal,omitempty"`  // of the way back, where it was rehearsed
	Suspends   string      `json:"suspends,omitempty"`   // what a rollback that begins now is about to suspend
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
	Name  string    `json:"name"`
	Open  GateState `json:"open"`
	Text  string    `json:"text"`
	Until time.Time `json:"until,omitzero"` // it opens then, as far as is known now; zero: it is open, or nobody knows
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
	TurnedBad int    `json:"turned_bad"`        // services of the environment that turned unhealthy within Limits.Within, this one included
	Stopped   string `json:"stopped,omitempty"` // who stopped the line, and why; empty: nobody
	Rolling   string `json:"rolling,omitempty"` // another deployment of this service that is being rolled back
	Limits    Limits `json:"limits,omitzero"`   // those of the installation
}

// Limits are where an installation stops rolling back by itself, because it is rather the measurements that are broken.
type Limits struct {
	Services  int           `json:"services,omitempty"`  // of one environment that turn bad; zero: 3
	Within    time.Duration `json:"within,omitempty"`    // of which time; zero: 5 minutes
	Rollbacks int           `json:"rollbacks,omitempty"` // automatic ones in an hour, where policies allow more; zero: what they say
}

// WithDefaults is l with what it does not say.
func (l Limits) WithDefaults() Limits {
	l.Services, l.Within = cmp.Or(l.Services, 3), cmp.Or(l.Within, 5*time.Minute)
	return l
}

// CommonCause says that so many services turned bad that rolling back would not help; empty: they did not.
func (f Fleet) CommonCause() string {
	l := f.Limits.WithDefaults()
	if f.TurnedBad < l.Services {
		return ""
	}
	return fmt.Sprintf("%d services turned bad within %g minutes: that looks like a common cause, and a human has to decide", f.TurnedBad, l.Within.Minutes())
}

// PerHour is how many automatic rollbacks there may be in an hour under a policy.
func (f Fleet) PerHour(r RollbackPolicy) int {
	if most := f.Limits.Rollbacks; most > 0 {
		return min(most, r.PerHour)
	}
	return r.PerHour
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
	Address    string      `json:"address,omitempty"` // the actor's e-mail address, where it is known: authors are known by theirs
	Reason     string      `json:"reason,omitempty"`
	Via        string      `json:"via,omitempty"` // how it was asked for; nothing depends on it
	At         time.Time   `json:"at"`
	Trace      string      `json:"trace,omitempty"` // the request's (traceparent); nothing depends on it
}

// Refusal is the reason that a decision gives where what was asked for cannot be done.
func (c Command) Refusal(why string) string { return c.refusal() + why }

// Refused is why what was asked for could not be done, by the reasons of the decision that answers it; false if it was done.
func (c Command) Refused(reasons []string) (why string, refused bool) {
	for _, reason := range reasons {
		if why, refused = strings.CutPrefix(reason, c.refusal()); refused {
			return why, true
		}
	}
	return "", false
}

func (c Command) refusal() string { return c.Kind.String() + " by " + c.Actor + " is refused: " }

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
	FactChanged // somebody changed what deployments depend on, such as a hold, a policy or a role; of no deployment
)

var factNames = []string{"none", "started", "gated", "blocked", "promoted", "held", "resumed", "asked", "suggested",
	"condemned", "reprieved", "rollback_started", "rolled_back", "rollback_failed", "succeeded", "cancelled",
	"superseded", "deadline", "blind", "page", "warning", "changed"}

// String is the fact's name.
func (f FactKind) String() string { return enumText(f, factNames) }

// MarshalText writes the name.
func (f FactKind) MarshalText() ([]byte, error) { return marshalEnum(f, "fact", factNames) }

// UnmarshalText reads a name.
func (f *FactKind) UnmarshalText(text []byte) error { return unmarshalEnum(f, "fact", factNames, text) }

// Fact is something that people are told, once per notifier. The ID is the same each time it is sent.
type Fact struct {
	ID          string    `json:"id"`
	Deployment  string    `json:"deployment"` // empty: it is of none
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
	Via         string    `json:"via,omitempty"`      // how the actor asked for it
	Action      string    `json:"action,omitempty"`   // of FactChanged, as in the audit log: hold.put
	Resource    string    `json:"resource,omitempty"` // of FactChanged, as in the audit log: hold/v2
	Urgent      bool      `json:"urgent,omitempty"`   // wakes people
	Link        string    `json:"link,omitempty"`     // address of the deployment's page; put in when people are told, by a server that knows its own
}
