// Package backtest tells what a policy would have done: on deployments that are on record, or on recorded traces of
// two versions beside each other. The same code decides as in earnest, and nothing that was not recorded is made up.
//
// A simulated life has a target that reaches each step at once, no gates, no other services, and nobody who says a
// word: approvals are given and pauses end at once. A recorded sample counts from its own time on, so delays of the
// source are not replayed, and a value that a query answered stands until the next one on record, as long as the
// check's max_age. The share of the traffic is that of the record whatever the policy's steps are, so whether the
// release gets its share is not asked. When the record ends nothing more is known: a life that would have gone on
// has ended with the record.
package backtest

import (
	"time"
)

// Truth is what is known of a release.
type Truth string

// The truths. A recorded deployment that succeeded was good, and one that was rolled back, verified, was bad.
const (
	TruthUnknown Truth = "unknown"
	Good         Truth = "good"
	Bad          Truth = "bad"
)

// End is how a simulated life ended.
type End string

// The ends. Those from RolledBack to Suggested found the release bad.
const (
	RolledBack      End = "rolled back"
	Asked           End = "asked to roll back"    // a human would have had to approve it
	Suggested       End = "suggested a rollback"  // the policy's trust lets ADG do no more
	Promoted        End = "promoted"              // verified to the end
	HeldBack        End = "held"                  // nothing known, or bad without a way back
	Undecided       End = "undecided"             // the deadline passed
	EndedWithRecord End = "ended with the record" // it would have gone on
	NotSimulated    End = "not simulated"         // too little is on record
)

// Case is one deployment or trace and what the policy would have done with it. Times are in seconds since the
// release got its first traffic; one that does not exist is nil.
type Case struct {
	Name    string    `json:"name"`
	Release string    `json:"release,omitempty"`
	Began   time.Time `json:"began,omitzero"`
	Kind    string    `json:"kind,omitempty"` // of the fault, where it is known
	Truth   Truth     `json:"truth"`

	Was       string   `json:"was,omitempty"`        // how the recorded deployment ended
	WasFound  *float64 `json:"was_found,omitempty"`  // when the recorded deployment was condemned
	WasServed *float64 `json:"was_served,omitempty"` // bad requests that the release served then

	WouldBe End      `json:"would_be"`
	Found   *float64 `json:"found,omitempty"`   // when the release would have been found bad
	Decided *float64 `json:"decided,omitempty"` // when the simulated life ended
	Fault   *float64 `json:"fault,omitempty"`   // when the fault began, where that is known; else it was there from the start
	Detect  *float64 `json:"detect,omitempty"`  // from the fault to Found, of a release that was bad
	Served  *float64 `json:"served,omitempty"`  // bad requests that the release would have served until Decided
	Reasons []string `json:"reasons,omitempty"` // why it ended so
	Missing []string `json:"missing,omitempty"` // checks of the policy that the record cannot answer
	Notes   []string `json:"notes,omitempty"`   // what else has to be known to read this
}

// alarmed tells whether the release would have been found bad.
func (c Case) alarmed() bool {
	return c.WouldBe == RolledBack || c.WouldBe == Asked || c.WouldBe == Suggested
}

// early tells whether it would have been found bad before anything was wrong with it.
func (c Case) early() bool {
	return c.alarmed() && c.Found != nil && c.Fault != nil && *c.Found < *c.Fault
}

// Result is what a backtest has come to.
type Result struct {
	Summary Summary `json:"summary"`
	Cases   []Case  `json:"cases"`
}

// Options are how a backtest is done.
type Options struct {
	From, To time.Time           // of recorded deployments: begun in this time; zero: no limit
	Service  string              // of recorded deployments; empty: the policy's
	Workers  int                 // cases at the same time; zero: 1
	Limit    int                 // of recorded deployments: so many, the newest; zero: all
	Progress func(done, all int) // may be nil; called by one worker at a time
	// Each is given every case as soon as it is known, in any order; may be nil; called by one worker at a time.
	Each func(done, all int, one Case)
}
