package unleash

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/deployguardian/adg/internal/target/flag"
)

// Private

// gradual is the name of the strategy that has a percentage.
const gradual = "flexibleRollout"

// environment is a flag in one environment, as the admin's interface and that of applications both write it.
type environment struct {
	Name       string     `json:"name"`
	Enabled    bool       `json:"enabled"`
	Strategies []strategy `json:"strategies"`
}

type strategy struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Disabled    bool              `json:"disabled"`
	Constraints []json.RawMessage `json:"constraints"`
	Segments    []json.RawMessage `json:"segments"`
	Parameters  struct {
		Rollout percent `json:"rollout"`
	} `json:"parameters"`
}

// percent is written as a string by some versions and as a number by others.
type percent float64

// UnmarshalJSON reads both.
func (p *percent) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if err != nil || !(value >= 0 && value <= 100) {
		return fmt.Errorf("rollout: %.40q is no percentage", text)
	}
	*p = percent(value)
	return nil
}

// everybody tells whether no constraint keeps a user from the strategy.
func (s strategy) everybody() bool {
	return !s.Disabled && len(s.Constraints) == 0 && len(s.Segments) == 0
}

func (s strategy) share() float64 {
	switch s.Name {
	case gradual:
		return float64(s.Parameters.Rollout)
	case "default":
		return 100
	default:
		return 0 // of users by name, address or host: they are not a percentage
	}
}

// gradual is the strategy whose percentage is moved; nil: there is none yet.
func (e environment) gradual() *strategy {
	for i, s := range e.Strategies {
		if s.Name == gradual && s.everybody() {
			return &e.Strategies[i]
		}
	}
	return nil
}

// state sums the strategies up: a user has the flag on if any of them says so.
func (e environment) state() flag.State {
	var s flag.State
	ours, constrained, others := e.gradual(), 0, 0
	if ours != nil {
		s.Text, s.Share = ours.Title, ours.share()
	}
	for i := range e.Strategies {
		other := &e.Strategies[i]
		switch {
		case other == ours || other.Disabled:
		case other.everybody() && other.share() > 0:
			others++
			s.Share = max(s.Share, other.share())
		default:
			constrained++
		}
	}
	if constrained > 0 {
		s.Rules = fmt.Sprintf("%d further strategies", constrained)
	}
	if others > 0 {
		s.Foreign = fmt.Sprintf("%d further strategies have the flag on for everybody whatever the gradual rollout is: remove them, or give them constraints", others)
	}
	if len(e.Strategies) == 0 {
		s.Share = 100 // so does Unleash: without a strategy the switch decides alone
	}
	if !e.Enabled {
		s.Share = 0
	}
	return s
}
