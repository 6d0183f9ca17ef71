package adg

import "time"

// Comparison is the kind of question that a check asks.
type Comparison uint8

// The comparisons. The zero value compares with fixed limits.
const (
	Threshold Comparison = iota // the window's value against fixed limits
	Relative                    // the window's value against the baseline's
	Probe                       // consecutive failures of a probe
	Events                      // how often something happened in the window: restarts, OOM kills
)

var comparisonNames = []string{"threshold", "relative", "probe", "events"}

// String is the comparison's name.
func (c Comparison) String() string { return enumText(c, comparisonNames) }

// MarshalText writes the name.
func (c Comparison) MarshalText() ([]byte, error) {
	return marshalEnum(c, "comparison", comparisonNames)
}

// UnmarshalText reads a name.
func (c *Comparison) UnmarshalText(text []byte) error {
	return unmarshalEnum(c, "comparison", comparisonNames, text)
}

// BaselineKind says what "normal" is.
type BaselineKind uint8

// The baselines: the stable version at the same time, or the service before the deployment started.
const (
	Concurrent BaselineKind = iota
	Historical
)

var baselineKindNames = []string{"concurrent", "historical"}

// String is the baseline's name.
func (b BaselineKind) String() string { return enumText(b, baselineKindNames) }

// MarshalText writes the name.
func (b BaselineKind) MarshalText() ([]byte, error) {
	return marshalEnum(b, "baseline", baselineKindNames)
}

// UnmarshalText reads a name.
func (b *BaselineKind) UnmarshalText(text []byte) error {
	return unmarshalEnum(b, "baseline", baselineKindNames, text)
}

// Aggregate makes one number of the samples of a window.
type Aggregate uint8

// The aggregates. The zero value takes the latest sample, which is what an instant query answers.
const (
	Latest Aggregate = iota
	Average
	Largest
	Smallest
	Sum
	Median
	P95
)

var aggregateNames = []string{"latest", "average", "largest", "smallest", "sum", "median", "p95"}

// String is the aggregate's name.
func (a Aggregate) String() string { return enumText(a, aggregateNames) }

// MarshalText writes the name.
func (a Aggregate) MarshalText() ([]byte, error) { return marshalEnum(a, "aggregate", aggregateNames) }

// UnmarshalText reads a name.
func (a *Aggregate) UnmarshalText(text []byte) error {
	return unmarshalEnum(a, "aggregate", aggregateNames, text)
}

// Check is one health check: what is asked, how often, what is bad, and how much it counts.
//
// A check has either a Query, whose answer is the value, or Bad and Total, two counters whose increases over the
// window make the value (the share of bad ones, 0 to 1) and whose total is the sample size.
type Check struct {
	Name   string `json:"name"`
	Source string `json:"source"` // the source's name in the policy

	Query string `json:"query,omitempty"` // text with $version, $window …; a path for a probe
	Bad   string `json:"bad,omitempty"`   // counter selector
	Total string `json:"total,omitempty"` // counter selector

	Replica   string       `json:"replica,omitempty"` // the label that tells replicas apart
	Compare   Comparison   `json:"compare"`
	Baseline  BaselineKind `json:"baseline"`  // for Relative
	Aggregate Aggregate    `json:"aggregate"` // over the window's samples, for Query
	Warn      Condition    `json:"warn,omitzero"`
	Fail      Condition    `json:"fail,omitzero"`

	Window     time.Duration `json:"window"`                // how far back one measurement looks
	Interval   time.Duration `json:"interval"`              // between measurements; zero: the phase's
	MaxAge     time.Duration `json:"max_age,omitempty"`     // an older latest sample is stale; zero: the larger of the window and one minute
	Failures   int           `json:"failures,omitempty"`    // for Probe: consecutive failures that are Fail; zero: 3
	MinSamples float64       `json:"min_samples,omitempty"` // fewer requests (or samples) on either side are Unknown

	Weight           float64 `json:"weight"` // share in the score; zero: 1
	Critical         bool    `json:"critical,omitempty"`
	BlamePreexisting bool    `json:"blame_preexisting,omitempty"` // count a fault that was there before the deployment, too
}

// Counts tells whether the check is made of two counters.
func (c Check) Counts() bool { return c.Bad != "" || c.Total != "" }
