package adg

import (
	"encoding/json"
	"time"
)

// Arm is which of the two versions a measurement is of.
type Arm uint8

// The arms.
const (
	CandidateArm Arm = iota // the release being deployed
	BaselineArm             // the release that was live before, measured at the same time
)

var armNames = []string{"candidate", "baseline"}

// String is the arm's name.
func (a Arm) String() string { return enumText(a, armNames) }

// MarshalText writes the name.
func (a Arm) MarshalText() ([]byte, error) { return marshalEnum(a, "arm", armNames) }

// UnmarshalText reads a name.
func (a *Arm) UnmarshalText(text []byte) error { return unmarshalEnum(a, "arm", armNames, text) }

// Sample is one value at one time.
type Sample struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Series is samples with the labels that tell them from others, oldest first. A native histogram has Histograms in
// place of Samples.
type Series struct {
	Labels     map[string]string `json:"labels,omitempty"`
	Samples    []Sample          `json:"samples,omitempty"`
	Histograms []HistogramSample `json:"histograms,omitempty"`
}

// HistogramSample is a native histogram at one time: a counter per bucket. Buckets rise and do not overlap; those
// without observations are left out.
type HistogramSample struct {
	At      time.Time         `json:"at"`
	Count   float64           `json:"count"`
	Buckets []HistogramBucket `json:"buckets,omitempty"`
}

// HistogramBucket counts the observations above Lower and up to Upper.
type HistogramBucket struct {
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	Count float64 `json:"count"`
}

// Measurement is one observation of one arm of a check. An empty answer is not an error: the judge calls it Unknown.
// Err is already free of secrets.
type Measurement struct {
	Check string        `json:"check"`
	Arm   Arm           `json:"arm"`
	At    time.Time     `json:"at"`   // the end of the window
	Took  time.Duration `json:"took"` // how long the source took
	Sent  []string      `json:"sent,omitempty"`

	Values []Series `json:"values,omitempty"` // the answer to Query
	Bad    []Series `json:"bad,omitempty"`    // raw counters
	Total  []Series `json:"total,omitempty"`  // raw counters
	Slow   []Series `json:"slow,omitempty"`   // raw buckets of a histogram

	Log *LogCount `json:"log,omitempty"` // the lines of a log, as patterns

	Warnings []string `json:"warnings,omitempty"` // what the source said about its answer
	Err      string   `json:"err,omitempty"`
}

// Observation is everything that one check is judged from at one time.
type Observation struct {
	Check     Check         `json:"check"`
	Candidate Measurement   `json:"candidate"`
	Stable    *Measurement  `json:"stable,omitempty"` // the baseline arm at the same time; nil: not asked for
	Before    *Baseline     `json:"before,omitempty"` // frozen before the deployment started; nil: there is none
	State     CheckState    `json:"state"`            // what the judge remembered after the observation before
	Interval  time.Duration `json:"interval"`         // between observations, as the phase or the check has it
	Share     float64       `json:"share,omitempty"`  // percent of the requests that the candidate should get; zero: not known
}

// Baseline is what a check said before the deployment started, frozen then and never changed.
type Baseline struct {
	Check   string            `json:"check"`
	From    time.Time         `json:"from"`
	To      time.Time         `json:"to"`
	Values  []float64         `json:"values,omitempty"` // the value per window, oldest first, at most 256
	Bad     float64           `json:"bad,omitempty"`    // increase over all of From to To
	Total   float64           `json:"total,omitempty"`
	Replica map[string]Counts `json:"replica,omitempty"` // Bad and Total per replica, at most 256
	Err     string            `json:"err,omitempty"`     // why there is nothing
	// Calibration is what a sequential test learned from the baseline before the first request of the candidate: how
	// much the replicas differ, which latencies are its quantiles. It belongs to the judge.
	Calibration json.RawMessage `json:"calibration,omitempty"`
}

// Counts is how many of all were bad.
type Counts struct {
	Bad float64 `json:"bad"`
	All float64 `json:"all"`
}

// CheckState is what the judge remembers of a check from one observation to the next. It belongs to the judge:
// others store it and hand it back.
type CheckState struct {
	Streak int       `json:"streak,omitempty"` // consecutive failures of a probe
	Last   time.Time `json:"last,omitzero"`    // the latest sample that was counted
	// Test is the state of a sequential test.
	Test json.RawMessage `json:"test,omitempty"`
}
