package adg

import "time"

// Policy says how the deployments of one service in one environment are guarded. It is complete: whoever reads a
// policy file fills in the defaults, and a running deployment keeps the policy that it started with.
type Policy struct {
	Service     string            `json:"service"`
	Environment string            `json:"environment"`
	Variables   map[string]string `json:"variables,omitempty"` // user variables for queries, without the '$'

	Checks   []Check        `json:"checks"`
	Strategy Strategy       `json:"strategy"`
	Verify   []Phase        `json:"verify"`
	Rollback RollbackPolicy `json:"rollback"`
	Risk     RiskPolicy     `json:"risk,omitzero"`
	Scoring  Scoring        `json:"scoring"`
	// Alpha is the probability, at most, that a deployment of a release that is no worse is called worse by its
	// sequential checks, all of them and all steps and phases together; zero: 0.01.
	Alpha   float64 `json:"alpha,omitempty"`
	Promote Proof   `json:"promote,omitempty"` // what a sequential check has to show before the next step; zero: Baked

	Interval    time.Duration `json:"interval"` // between measurements while rolling; zero: 15 s
	WarmUp      time.Duration `json:"warm_up"`  // after a step, before measurements count
	Settle      time.Duration `json:"settle"`   // how long the target may take to reach a step; zero: 10 m
	History     time.Duration `json:"history"`  // how much of the past the frozen baseline covers; zero: 30 m
	Deadline    time.Duration `json:"deadline"` // from the start; zero: what the steps and phases take, and 24 h
	AtDeadline  AtDeadline    `json:"at_deadline"`
	UnknownHold time.Duration `json:"unknown_hold"`        // Unknown for this long holds the deployment; zero: 3 intervals
	GateTimeout time.Duration `json:"gate_timeout"`        // closed gates for this long block the deployment; zero: 24 h
	Approve     bool          `json:"approve,omitempty"`   // a human approves before the first step
	FourEyes    bool          `json:"four_eyes,omitempty"` // who started it, or wrote the change, may not approve it
	OnInterrupt OnInterrupt   `json:"on_interrupt"`
	Notify      []string      `json:"notify,omitempty"` // names of notifiers
	Target      string        `json:"target,omitempty"` // name of a registered target; empty: the one of the policy's file
	Digest      string        `json:"digest,omitempty"` // of the text that the policy was read from
}

// OnInterrupt is what becomes of a deployment when the process that guards it is interrupted for good.
type OnInterrupt uint8

// The choices. Leave stops guarding and changes nothing: the next process goes on.
const (
	InterruptLeave OnInterrupt = iota
	InterruptRollBack
)

var onInterruptNames = []string{"leave", "roll_back"}

// String is the name as in a policy.
func (o OnInterrupt) String() string { return enumText(o, onInterruptNames) }

// MarshalText writes the name.
func (o OnInterrupt) MarshalText() ([]byte, error) {
	return marshalEnum(o, "interrupt action", onInterruptNames)
}

// UnmarshalText reads a name.
func (o *OnInterrupt) UnmarshalText(text []byte) error {
	return unmarshalEnum(o, "interrupt action", onInterruptNames, text)
}
