package adg

import "time"

// StrategyKind is how a release becomes live.
type StrategyKind uint8

// The strategies.
const (
	RollingUpdate StrategyKind = iota
	BlueGreen
	Canary
	FeatureFlag
	Recreate
)

var strategyNames = []string{"rolling", "blue-green", "canary", "feature-flag", "recreate"}

// String is the strategy's name.
func (s StrategyKind) String() string { return enumText(s, strategyNames) }

// MarshalText writes the name.
func (s StrategyKind) MarshalText() ([]byte, error) { return marshalEnum(s, "strategy", strategyNames) }

// UnmarshalText reads a name.
func (s *StrategyKind) UnmarshalText(text []byte) error {
	return unmarshalEnum(s, "strategy", strategyNames, text)
}

// Step is one stretch of a rollout: the candidate gets a share, and has to be good for Bake before the next step.
type Step struct {
	Share float64       `json:"share"`           // percent of traffic, batches or users; 0 stages the release without traffic
	Bake  time.Duration `json:"bake"`            // how long it must have been healthy
	Pause bool          `json:"pause,omitempty"` // wait for a human's promote after the bake
}

// Strategy is the way to 100 %. Steps rise strictly and end at 100.
//
// Canary and feature-flag take the shares of the policy; rolling takes batches; blue-green stages at 0 and switches
// to 100, keeping the old release idle for Keep; recreate is the one step to 100.
type Strategy struct {
	Kind  StrategyKind  `json:"kind"`
	Steps []Step        `json:"steps"`
	Keep  time.Duration `json:"keep,omitempty"`
}

// Phase is a stretch of verification after the last step: all checks, or those named, at an interval of its own.
type Phase struct {
	Name     string        `json:"name"`
	For      time.Duration `json:"for"`
	Interval time.Duration `json:"interval"`
	Checks   []string      `json:"checks,omitempty"` // empty: all
}

// Trust is how far ADG may act alone.
type Trust uint8

// The levels of trust, rising. Observe only records; Suggest also tells what it would do; Ask does it once a human
// approved; Auto does it.
const (
	Observe Trust = iota
	Suggest
	Ask
	Auto
)

var trustNames = []string{"observe", "suggest", "ask", "auto"}

// String is the level's name.
func (t Trust) String() string { return enumText(t, trustNames) }

// MarshalText writes the name.
func (t Trust) MarshalText() ([]byte, error) { return marshalEnum(t, "trust", trustNames) }

// UnmarshalText reads a name.
func (t *Trust) UnmarshalText(text []byte) error { return unmarshalEnum(t, "trust", trustNames, text) }

// Rule says which health, lasting how long, leads to a rollback, and how soon.
type Rule struct {
	When  Health        `json:"when"`            // Unhealthy, or Degraded (which Unhealthy satisfies too)
	For   time.Duration `json:"for"`             // bad must have lasted this long; Unknown neither counts nor resets
	After time.Duration `json:"after,omitempty"` // grace: a good stretch of Recover within it calls the rollback off; zero: now
}

// AtDeadline is what happens to a deployment that has not ended in time.
type AtDeadline uint8

// The ways to end. EndToLastGood rolls back below 100 % and keeps what is fully live; EndPage changes nothing, ends
// the deployment undecided and calls a human.
const (
	EndToLastGood AtDeadline = iota
	EndKeep
	EndPage
)

var atDeadlineNames = []string{"to_last_good", "keep", "page"}

// String is the name as in a policy.
func (a AtDeadline) String() string { return enumText(a, atDeadlineNames) }

// MarshalText writes the name.
func (a AtDeadline) MarshalText() ([]byte, error) {
	return marshalEnum(a, "deadline action", atDeadlineNames)
}

// UnmarshalText reads a name.
func (a *AtDeadline) UnmarshalText(text []byte) error {
	return unmarshalEnum(a, "deadline action", atDeadlineNames, text)
}

// RollbackPolicy says when and how a deployment is rolled back.
type RollbackPolicy struct {
	Trust      Trust         `json:"trust"`
	Rules      []Rule        `json:"rules"`
	Recover    time.Duration `json:"recover"`     // healthy for this long within a grace calls the rollback off; zero: 1 m
	AskTimeout time.Duration `json:"ask_timeout"` // how long an approval is waited for; zero: 30 m
	AskThen    AskThen       `json:"ask_then"`    // what happens when nobody answered
	Attempts   int           `json:"attempts"`    // tries at the target before RollbackFailed; zero: 5
	Timeout    time.Duration `json:"timeout"`     // for one attempt at the target; zero: 5 m
	VerifyFor  time.Duration `json:"verify_for"`  // the restored release must be good for this long; zero: 1 m
	VerifyMax  time.Duration `json:"verify_max"`  // and be so within this time; zero: 10 m
	HoldFor    time.Duration `json:"hold_for"`    // how long the bad release stays on hold; zero: until lifted
	PerHour    int           `json:"per_hour"`    // automatic rollbacks over all services in an hour; zero: 10
	// Over is how long the traffic takes to go back, in four stages, so that the last good release warms up; zero: it goes
	// at once. For canaries and feature flags.
	Over time.Duration `json:"over,omitempty"`
	// Fallback is another target, which is asked when the attempts at the first one are used up; empty: none.
	Fallback string `json:"fallback,omitempty"`
	// SchemaIrreversible says that the release's schema change cannot be undone: it is never rolled back automatically.
	SchemaIrreversible bool `json:"schema_irreversible,omitempty"`
}

// AskThen is what happens when an approval was not given in time.
type AskThen uint8

// The answers to silence.
const (
	AskThenHold     AskThen = iota // stay, and keep reminding
	AskThenRollBack                // do it
)

var askThenNames = []string{"hold", "roll_back"}

// String is the name as in a policy.
func (a AskThen) String() string { return enumText(a, askThenNames) }

// MarshalText writes the name.
func (a AskThen) MarshalText() ([]byte, error) {
	return marshalEnum(a, "ask timeout action", askThenNames)
}

// UnmarshalText reads a name.
func (a *AskThen) UnmarshalText(text []byte) error {
	return unmarshalEnum(a, "ask timeout action", askThenNames, text)
}
