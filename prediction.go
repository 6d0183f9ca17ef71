package adg

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Prediction is what was expected of a deployment before its first step. All probabilities are from 0 to 1.
type Prediction struct {
	At            time.Time      `json:"at"`
	Success       float64        `json:"success"` // the probability that it does not fail
	Low           float64        `json:"low"`     // of the 90 % interval of Success
	High          float64        `json:"high"`
	Base          float64        `json:"base"`              // the part of deployments that succeeded so far: what would be said without looking at this one
	Outcomes      int            `json:"outcomes"`          // matured outcomes that were learned from
	Standing      string         `json:"standing"`          // whether the model has earned being listened to, in words
	Model         string         `json:"model"`             // fingerprint of the model
	Contributions []Contribution `json:"contributions"`     // what made it differ from Base, the largest first
	Missing       []string       `json:"missing,omitempty"` // features that nothing was known of
	Counted       string         `json:"counted,omitempty"` // what counted as a failure in what was learned from, in words
	// Features are what was known, by name: the outcome will be learned with them.
	Features map[string]float64 `json:"features,omitempty"`
	// Paths and Authors stand for the files that the release changes and the people who made it, at most MaxPaths and
	// MaxAuthors of them: by them later deployments know what became of those files and people. They are hashes.
	Paths   []string `json:"paths,omitempty"`
	Authors []string `json:"authors,omitempty"`
}

// The bounds of what a prediction remembers of a change.
const (
	MaxPaths   = 200
	MaxAuthors = 50
)

// Contribution is what one feature did to a prediction.
type Contribution struct {
	Feature string  `json:"feature"`
	Points  float64 `json:"points"` // percentage points of the probability of success; below zero: it makes failure likelier
	Text    string  `json:"text"`   // "14 files in 5 directories, usual is 2"
}

// RiskPolicy says what a prediction may do to a deployment. The zero value lets it do nothing.
type RiskPolicy struct {
	Warn    RiskLimit `json:"warn,omitzero"`    // people are told at the start
	Approve RiskLimit `json:"approve,omitzero"` // a human approves before the first step
	Block   RiskLimit `json:"block,omitzero"`   // it does not begin
	Steer   Steering  `json:"steer,omitzero"`
	Labels  *Labels   `json:"labels,omitempty"` // what counts as a failure; nil: DefaultLabels
}

// IsZero tells whether the policy says nothing of risks.
func (r RiskPolicy) IsZero() bool { return r == RiskPolicy{} }

// Asks tells whether a prediction is needed: what counts as a failure is for later.
func (r RiskPolicy) Asks() bool {
	r.Labels = nil
	return !r.IsZero()
}

// Labels say how a deployment counts once it is learned from: as failed, as a success, or as neither.
type Labels struct {
	RolledBack bool          `json:"rolled_back"`       // it was rolled back, with blame
	Blocked    bool          `json:"blocked"`           // a gate refused it; not the prediction, which would prove itself right
	Hotfixed   time.Duration `json:"hotfixed_within"`   // a fix had to follow within this; zero: that counts for nothing
	Incident   bool          `json:"incident"`          // its rollback failed, or somebody linked an incident to it
	Superseded time.Duration `json:"superseded_within"` // replaced within this is too soon to tell; zero: never
	Matures    time.Duration `json:"matures"`           // silence for so long is a success; zero: at once
}

// DefaultLabels are those of a policy that says nothing of them. What a gate refused was never tried: it is neither.
func DefaultLabels() Labels {
	return Labels{RolledBack: true, Hotfixed: 4 * time.Hour, Incident: true, Superseded: 15 * time.Minute, Matures: 7 * 24 * time.Hour}
}

// Steering is how far the risk changes how a deployment is made. The risk is the predicted probability of failure
// divided by that of the deployments so far: 3 is three times the usual one. Each number is the most that it may become
// as a factor, and zero or 1 leaves things as they are.
type Steering struct {
	Bake   float64 `json:"bake,omitempty"`   // the steps and phases take up to so many times as long
	Steps  float64 `json:"steps,omitempty"`  // the shares below 100 % become so many times smaller
	Strict float64 `json:"strict,omitempty"` // rules wait so many times less, and smaller faults have to be detectable
}

// RiskBound is which number of a prediction is meant.
type RiskBound uint8

// The bounds.
const (
	BoundSuccess RiskBound = iota // the probability itself
	BoundLower                    // the lower end of its interval: be careful already when it may be so
	BoundUpper                    // the upper end: act only when it is surely so
)

var riskBoundNames = []string{"success", "lower", "upper"}

// String is the bound as it is written in a policy.
func (b RiskBound) String() string { return enumText(b, riskBoundNames) }

// MarshalText writes the bound as in a policy.
func (b RiskBound) MarshalText() ([]byte, error) { return marshalEnum(b, "bound", riskBoundNames) }

// UnmarshalText reads a bound as in a policy.
func (b *RiskBound) UnmarshalText(text []byte) error {
	return unmarshalEnum(b, "bound", riskBoundNames, text)
}

// RiskLimit holds for predictions whose bound is below a probability: "upper < 60%". The zero value holds for none.
type RiskLimit struct {
	Bound RiskBound
	Below float64 // 0 to 1
}

// IsZero tells whether there is no limit.
func (l RiskLimit) IsZero() bool { return l == RiskLimit{} }

// Of is the number of the prediction that is meant.
func (b RiskBound) Of(p Prediction) float64 {
	switch b {
	case BoundLower:
		return p.Low
	case BoundUpper:
		return p.High
	case BoundSuccess:
	}
	return p.Success
}

// Holds tells whether the prediction is below the limit. A number that is none always is: nothing known is no good news.
func (l RiskLimit) Holds(p Prediction) bool {
	return !l.IsZero() && !(l.Bound.Of(p) >= l.Below)
}

// String writes the limit so that it can be read back.
func (l RiskLimit) String() string {
	if l.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s < %g%%", l.Bound, math.Round(1e8*l.Below)/1e6)
}

// MarshalText writes the limit as in a policy.
func (l RiskLimit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a limit as in a policy: "success < 90%", "upper < 0.6".
func (l *RiskLimit) UnmarshalText(text []byte) error {
	*l = RiskLimit{}
	if len(text) == 0 {
		return nil
	}
	name, amount, found := strings.Cut(string(text), "<")
	value, unit, err := parseAmount(strings.TrimSpace(amount))
	if unit == Percent {
		value /= 100
	}
	read := RiskLimit{Below: value}
	if !found || err != nil || unit == Points || !(value > 0 && value <= 1) {
		return Errorf(Invalid, "limit %q: write success, lower or upper, and a probability, as in 'upper < 60%%'", text)
	}
	if err := read.Bound.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil {
		return err
	}
	*l = read
	return nil
}

// Private

func (r RiskPolicy) validate() error {
	for name, factor := range map[string]float64{"bake": r.Steer.Bake, "steps": r.Steer.Steps, "strict": r.Steer.Strict} {
		if factor != 0 && !(factor >= 1 && factor <= 100) {
			return Errorf(Invalid, "risk: steer: %s is a factor from 1 to 100, not %g", name, factor)
		}
	}
	if l := r.Labels; l != nil {
		return l.validate()
	}
	return nil
}

func (l Labels) validate() error {
	for name, d := range map[string]time.Duration{"hotfixed_within": l.Hotfixed, "superseded_within": l.Superseded, "matures": l.Matures} {
		if d < 0 {
			return Errorf(Invalid, "risk: labels: %s is a time of 0 or more, not %s", name, d)
		}
	}
	if !l.RolledBack && !l.Blocked && l.Hotfixed == 0 && !l.Incident {
		return Errorf(Invalid, "risk: labels: nothing counts as a failure, so there is nothing to learn: let one of rolled_back, blocked, hotfixed_within and incident")
	}
	return nil
}
