package sequential

import "github.com/deployguardian/adg"

// Counts is how many of all were bad.
type Counts = adg.Counts

// Bucket is what both versions did in one stretch of time. A bucket in which the canary had no requests is time
// before it, or beside it: it tells how much the baseline's replicas differ, and nothing about the canary.
type Bucket struct {
	Canary  Counts
	Control Counts
	Groups  []Counts // the baseline's replicas, always in the same order; empty: not known. Lent, never kept
	Seconds float64  // its length; zero: the design's
}

// Design fixes a test before its first bucket. The zero value of a field stands for what its comment says.
type Design struct {
	Alpha    float64 // probability, at most, that a release that is no worse is ever called worse; 0.01
	Ratio    float64 // tolerated ratio of the canary's bad rate to the baseline's; 1
	RMax     float64 // from this ratio on a release is worse for the test of "not worse"; 1.5
	Beta     float64 // probability, at most, that a release at RMax or above is ever called not worse; 0.05
	Detect   float64 // ratio that has to be detectable before an undecided test is called baked; 3
	Power    float64 // probability with which it has to be detectable; 0.9
	Seconds  float64 // length of a bucket; 1
	Canaries int     // replicas of the canary; 1
	Horizon  float64 // seconds over which the detector of late faults keeps its share of Alpha; 86,400
}

// Outcome is what a test has come to. The zero value is undecided.
type Outcome uint8

// The outcomes. Worse stays for ever, whatever comes after it.
const (
	Undecided Outcome = iota
	Worse
	NotWorse
)
