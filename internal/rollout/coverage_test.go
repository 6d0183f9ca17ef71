package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

// coverage counts how often each event met each state.
type coverage map[string]map[adg.State]int

func (c coverage) count(s adg.State, events []string) {
	for _, e := range events {
		if c[e] == nil {
			c[e] = map[adg.State]int{}
		}
		c[e][s]++
	}
}

// allEvents is everything that can happen to a deployment.
var allEvents = []string{
	"health healthy", "health degraded", "health unhealthy", "health unknown", "no assessment", "nothing to measure",
	"outcome done", "outcome not done yet", "outcome error", "outcome final error", "outcome of another operation", "the outcome is lost",
	"target done", "target not done", "target failed", "target lies", "target silent", "target speaks of another operation",
	"the way back is blocked", "the way back is doubtful", "the rehearsal fails",
	"command none", "command promote", "command hold", "command resume", "command rollback", "command cancel", "command approve", "command reject",
	"gate open", "gate shut", "gate unknown", "gate refused",
	"the line is stopped", "another rollback of the service", "three services turned bad", "the hourly limit", "a newer deployment",
	"the deadline has passed", "a tick before it is due", "a late tick", "the clock jumps ahead", "the clock jumps back",
}

// impossible says which pairs cannot be, and why.
func impossible(s adg.State, event string) string {
	timing := []string{"the deadline has passed", "a tick before it is due", "a late tick", "the clock jumps ahead", "the clock jumps back"}
	if s == adg.Pending && slices.Contains(timing, event) {
		return "the first tick sets the clock and the deadline, and leaves the state"
	}
	return ""
}

// missing are the pairs of a living state and an event that can be, and were not.
func (c coverage) missing() (pairs []string) {
	for _, event := range allEvents {
		for _, s := range adg.States() {
			if !s.Ended() && c[event][s] == 0 && impossible(s, event) == "" {
				pairs = append(pairs, fmt.Sprintf("%q never met %s", event, s))
			}
		}
	}
	return pairs
}

// complete wants every pair of a living state and an event.
func (c coverage) complete(t *testing.T) {
	t.Helper()
	for _, pair := range c.missing() {
		t.Error(pair)
	}
	for _, event := range allEvents {
		for _, s := range adg.States() {
			if n, why := c[event][s], impossible(s, event); !s.Ended() && n > 0 && why != "" {
				t.Errorf("%q met %s %d times, and cannot: %s", event, s, n, why)
			}
		}
	}
	for event := range c {
		if !slices.Contains(allEvents, event) {
			t.Errorf("%q is not on the list of events", event)
		}
	}
}

// String is a table: a row per event, a column per state.
func (c coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-36s", "event × state")
	for _, s := range adg.States() {
		fmt.Fprintf(&b, " %9.9s", strings.ReplaceAll(s.String(), "rollback", "rb"))
	}
	for _, event := range allEvents {
		fmt.Fprintf(&b, "\n%-36s", event)
		for _, s := range adg.States() {
			if impossible(s, event) != "" {
				fmt.Fprintf(&b, " %9s", "–")
				continue
			}
			fmt.Fprintf(&b, " %9d", c[event][s])
		}
	}
	return b.String()
}
