package adg

import (
	"strings"
	"time"
)

// Comparison is the kind of question that a check asks.
type Comparison uint8

// The comparisons. The zero value compares with fixed limits.
const (
	Threshold   Comparison = iota // the window's value against fixed limits
	Relative                      // the window's value against the baseline's
	Probe                         // consecutive failures of a probe
	Events                        // how often something happened in the window: restarts, OOM kills
	Sequential                    // counts against the baseline's, from the first request on, with a promise about false alarms
	MannWhitney                   // the window's samples against the baseline's by their ranks
	Logs                          // the patterns of log lines against the baseline's: new ones, and more frequent ones
)

var comparisonNames = []string{"threshold", "relative", "probe", "events", "sequential", "mann-whitney", "logs"}

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
// A check has either a Query, whose answer is the value; or Bad and Total, two counters whose increases over the
// window make the value (the share of bad ones, 0 to 1) and whose total is the sample size; or, for Sequential, a
// Histogram, in which the requests slower than the baseline's quantiles are the bad ones.
type Check struct {
	Name   string `json:"name"`
	Source string `json:"source"` // the source's name in the policy

	Query string `json:"query,omitempty"` // text with $version, $window …; a path for a probe
	Bad   string `json:"bad,omitempty"`   // counter selector
	Total string `json:"total,omitempty"` // counter selector

	Histogram string `json:"histogram,omitempty"` // selector of a classic histogram's buckets, or of a native histogram

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

	Sequential SequentialTest `json:"sequential,omitzero"`
	Ranks      RankTest       `json:"ranks,omitzero"`
	Logs       LogTest        `json:"logs,omitzero"`

	Weight           float64 `json:"weight"` // share in the score; zero: 1
	Critical         bool    `json:"critical,omitempty"`
	BlamePreexisting bool    `json:"blame_preexisting,omitempty"` // count a fault that was there before the deployment, too

	Unit string `json:"unit,omitempty"` // what its values are counted in, for people; see CountedIn
}

// Share is the unit of values that are a part of all, from 0 to 1: people read them in percent.
const Share = "share"

// CountedIn is the unit of the check's values: what the policy says; unless it does, Share for what is made of two
// counters, for the moments of a log and for what has limits in percent, and what a histogram's name ends in; empty where nobody said.
func (c Check) CountedIn() string {
	share := c.Counts() && c.Compare != Events || c.Compare == Logs
	for _, limit := range [...]Condition{c.Warn, c.Fail} {
		share = share || limit.Unit == Points || limit.Unit == Percent && !limit.Relative
	}
	switch {
	case c.Unit != "":
		return c.Unit
	case share:
		return Share
	}
	name, _, _ := strings.Cut(c.Histogram, "{")
	name = strings.TrimSuffix(strings.TrimSpace(name), "_bucket")
	for _, known := range [...]struct{ end, unit string }{{"_seconds", "s"}, {"_milliseconds", "ms"}, {"_bytes", "B"}} {
		if strings.HasSuffix(name, known.end) {
			return known.unit
		}
	}
	return ""
}

// CountedIn is the unit of the values of the check of that name; empty where there is none.
func (p Policy) CountedIn(check string) string {
	for _, c := range p.Checks {
		if c.Name == check {
			return c.CountedIn()
		}
	}
	return ""
}

// Counts tells whether the check is made of two counters.
func (c Check) Counts() bool { return c.Bad != "" || c.Total != "" }

// Promises tells whether the check promises how often it calls a release worse that is not: a sequential one, and one of
// logs, which is a sequential test of each pattern.
func (c Check) Promises() bool { return c.Compare == Sequential || c.Compare == Logs }

// Unproven tells whether the check promises something and has not shown what has to be shown before the release goes on.
// That there are no more patterns nobody can prove: of logs, baked is all there is.
func (c Check) Unproven(last Judgement, promote Proof) bool {
	if c.Compare == Logs {
		promote = min(promote, Baked)
	}
	return c.Promises() && last.Proof < promote
}

// SequentialTest is what a sequential check promises, and one of logs. A ratio is the candidate's rate of bad requests divided by the
// baseline's.
type SequentialTest struct {
	Alpha  float64 `json:"alpha,omitempty"`  // probability, at most, of a false alarm during the whole deployment; the policy's is shared out over its checks
	Ratio  float64 `json:"ratio,omitempty"`  // tolerated; zero: 1
	NotBy  float64 `json:"not_by,omitempty"` // "not worse" means: not by this ratio; zero: 1.5
	Beta   float64 `json:"beta,omitempty"`   // probability, at most, of calling a release not worse that is so by NotBy; zero: 0.05
	Detect float64 `json:"detect,omitempty"` // ratio that had to be detectable before nothing found is good news; zero: 3
	Power  float64 `json:"power,omitempty"`  // with this probability; zero: 0.9
	Bucket int     `json:"bucket,omitempty"` // seconds per bucket; zero: four times the scrape interval that is seen
	Season bool    `json:"season,omitempty"` // a historical baseline is that of the same hour of the days before
	// Independent says that the requests are known to be independent of each other, so that the promise about false
	// alarms holds without three replicas of the baseline that show it.
	Independent bool `json:"independent,omitempty"`
	NoSplit     bool `json:"no_split,omitempty"` // do not ask whether the candidate gets its share of the requests
}

// Direction is which change of a value is bad.
type Direction uint8

// The directions.
const (
	Increase Direction = iota
	Decrease
	Either
)

var directionNames = []string{"increase", "decrease", "either"}

// String is the direction's name.
func (d Direction) String() string { return enumText(d, directionNames) }

// MarshalText writes the name.
func (d Direction) MarshalText() ([]byte, error) { return marshalEnum(d, "direction", directionNames) }

// UnmarshalText reads a name.
func (d *Direction) UnmarshalText(text []byte) error {
	return unmarshalEnum(d, "direction", directionNames, text)
}

// RankTest is how a mann-whitney check compares; the zero value of a field stands for what its comment says.
type RankTest struct {
	Direction  Direction `json:"direction"`
	Confidence float64   `json:"confidence,omitempty"` // of the interval of the shift; zero: 0.98
	Tolerance  float64   `json:"tolerance,omitempty"`  // share of the estimated shift that the interval has to be away from 0; zero: 0.25
	CLES       bool      `json:"cles,omitempty"`       // the effect is measured as the probability that the candidate's value is the larger, not as the ratio of means
	Increase   float64   `json:"increase,omitempty"`   // effect from which on an increase counts; zero: 1, and 0.5 for CLES
	Decrease   float64   `json:"decrease,omitempty"`   // effect up to which a decrease counts; zero: the same
	Outliers   float64   `json:"outliers,omitempty"`   // factor of the interquartile range beyond which a value is left out; zero: none is
	NaNAsZero  bool      `json:"nan_as_zero,omitempty"`
}
