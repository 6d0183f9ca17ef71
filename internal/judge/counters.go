package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// loneBirth is how long after the window's start a single sample has to be to count as a birth, where nothing tells
// how often the series is scraped.
const loneBirth = 5 * time.Second

// readCounts makes the share of bad ones of two counters.
func readCounts(c adg.Check, m adg.Measurement, now time.Time) reading {
	from := start(c, m, now)
	gap := usualGap(from, m.Total, m.Bad)
	total, bad := count(m.Total, from, gap), count(m.Bad, from, gap)
	switch {
	case !total.told():
		return total.untold("total", lately(c))
	case bad.onlyNaN():
		return bad.untold("bad", lately(c))
	case total.increase == 0 && bad.increase > 0:
		return reading{why: adg.NoData, text: fmt.Sprintf("no requests %s, though %s bad ones: do bad and total count the same thing?",
			lately(c), adg.Number(bad.increase, 4))}
	case total.increase == 0:
		return reading{why: adg.NoData, text: "no requests " + lately(c)}
	}
	return reading{value: bad.increase / total.increase, n: total.increase, bad: bad.increase}
}

// tally is what a list of counters comes to.
type tally struct {
	increase float64
	rising   int // series whose increase could be told
	alone    int // series with one sample, which tells none
	strange  int // series with samples that are no counter's
	samples  int
}

func (t tally) told() bool    { return t.rising > 0 }
func (t tally) onlyNaN() bool { return t.strange > 0 && t.rising+t.alone == 0 }

// untold explains why there is no increase of that counter then.
func (t tally) untold(what, when string) reading {
	switch {
	case t.alone > 0:
		return reading{why: adg.NoData, text: fmt.Sprintf("one sample of %s %s tells no increase, it takes two: the window has to hold at least two scrapes", what, when)}
	case t.strange > 0:
		return reading{why: adg.NotANumber, text: fmt.Sprintf("the samples of %s %s are not numbers (NaN or infinite), which a counter's always are", what, when)}
	}
	return reading{why: adg.NoData, text: fmt.Sprintf("there was no sample of %s %s", what, when)}
}

// count adds up the increases of all series since then.
func count(list []adg.Series, then time.Time, gap time.Duration) tally {
	var t tally
	for _, s := range list {
		all := since(inOrder(s.Samples), then)
		samples := numbers(all)
		told := steps(samples, then, gap, func(_ time.Time, rise float64) { t.increase += rise })
		switch {
		case told:
			t.rising++
		case len(samples) > 0:
			t.alone++
		case len(all) > 0:
			t.strange++
		}
		t.samples += len(samples)
	}
	return t
}

// steps gives each rise of a counter with the time when it was seen, and tells whether anything can be said about its
// rises at all.
func steps(samples []adg.Sample, then time.Time, gap time.Duration, each func(at time.Time, rise float64)) bool {
	if len(samples) == 0 {
		return false
	}
	isNew := born(samples, then, gap)
	if isNew {
		each(samples[0].At, max(samples[0].Value, 0))
	}
	for i := 1; i < len(samples); i++ {
		rise := samples[i].Value - samples[i-1].Value
		if rise < 0 {
			rise = max(samples[i].Value, 0)
		}
		each(samples[i].At, rise)
	}
	return isNew || len(samples) > 1
}

// born tells whether the series began after then, rather than that its first scrape came a little later.
func born(samples []adg.Sample, then time.Time, gap time.Duration) bool {
	return isNew(samples[0].At, then, meanGap(samples), gap)
}

// isNew is born for a first sample, by the gap of its own series or else of the others.
func isNew(first, then time.Time, own, gap time.Duration) bool {
	late := first.Sub(then)
	if own > 0 {
		gap = own
	}
	if gap == 0 {
		return late > loneBirth
	}
	return late > gap+gap/2
}

// usualGap is the longest mean gap between the samples of a series, zero where no series has two.
func usualGap(then time.Time, lists ...[]adg.Series) time.Duration {
	var longest time.Duration
	for _, list := range lists {
		for _, s := range list {
			longest = max(longest, meanGap(since(inOrder(s.Samples), then)))
		}
	}
	return longest
}

func meanGap(samples []adg.Sample) time.Duration {
	if len(samples) < 2 {
		return 0
	}
	return samples[len(samples)-1].At.Sub(samples[0].At) / time.Duration(len(samples)-1)
}

// numbers leaves out what no counter can show, in a copy if there is any.
func numbers(samples []adg.Sample) []adg.Sample {
	bad := func(s adg.Sample) bool { return !isFinite(s.Value) }
	if !slices.ContainsFunc(samples, bad) {
		return samples
	}
	return slices.DeleteFunc(slices.Clone(samples), bad)
}
