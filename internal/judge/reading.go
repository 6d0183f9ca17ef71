package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// skew is how far a sample may be ahead of now: clocks differ, and a source may stamp the end of an interval.
const skew = 30 * time.Second

// reading is what one measurement comes to: a value with its sample size, or why there is none.
type reading struct {
	value float64
	n     float64 // samples; requests, for a check of two counters
	bad   float64 // how many of n, for a check of two counters
	why   adg.Why // WhyNone: there is a value
	text  string  // why there is none, for people
}

func (r reading) known() bool { return r.why == adg.WhyNone }

// number is the value for the record, as far as there is one.
func (r reading) number() *float64 {
	if r.n == 0 && !r.known() {
		return nil
	}
	return finite(r.value)
}

// unknown is the verdict on a reading that is none, or too small to be one.
func (r reading) unknown() adg.Judgement {
	return adg.Judgement{Verdict: adg.Unknown, Why: r.why, Text: r.text, Value: r.number(), N: r.n}
}

// read makes one number of a measurement.
func read(c adg.Check, m adg.Measurement, now time.Time) reading {
	if m.Err != "" {
		return reading{why: adg.SourceError, text: "the source did not answer: " + plain(m.Err)}
	}
	if r := fresh(c, now, m); !r.known() {
		return r
	}
	var r reading
	switch {
	case c.Compare == adg.Events:
		r = readEvents(c, m, now)
	case c.Counts():
		r = readCounts(c, m, now)
	case c.Histogram != "":
		r = readSlow(c, m, now)
	default:
		r = readValues(c, m, now)
	}
	if math.IsNaN(r.value) || math.IsInf(r.n, 0) {
		return notANumber
	}
	return enough(c, r, "")
}

var notANumber = reading{why: adg.NotANumber, text: "the value is not a number (NaN), as a ratio without traffic is"}

// enough refuses what has fewer samples than the check wants.
func enough(c adg.Check, r reading, of string) reading {
	if r.known() && r.n < c.MinSamples {
		r.why = adg.TooFew
		r.text = fmt.Sprintf("%sonly %s, fewer than the %s that the check wants", of, size(c, r.n), adg.Number(c.MinSamples, 4))
	}
	return r
}

// fresh refuses an answer that is empty, from the past, or from the future.
func fresh(c adg.Check, now time.Time, m adg.Measurement) reading {
	var newest time.Time
	found := false
	for _, list := range [...][]adg.Series{m.Values, m.Bad, m.Total, m.Slow} {
		for _, s := range list {
			for _, sample := range s.Histograms {
				if !found || sample.At.After(newest) {
					newest, found = sample.At, true
				}
			}
			for _, sample := range s.Samples {
				if !found || sample.At.After(newest) {
					newest, found = sample.At, true
				}
			}
		}
	}
	age := now.Sub(newest)
	switch {
	case !found:
		return reading{why: adg.NoData, text: "the source answered, and there was no data"}
	case age < -skew:
		return reading{why: adg.ClockSkew, text: fmt.Sprintf("the latest sample is %s in the future: check the clocks of the source and of this machine", adg.Span(newest.Sub(now)))}
	case age > maxAge(c):
		return reading{why: adg.StaleData, text: fmt.Sprintf("the latest sample is %s old, and after %s it says nothing any more", adg.Span(age), adg.Span(maxAge(c)))}
	}
	return reading{}
}

func maxAge(c adg.Check) time.Duration {
	if c.MaxAge > 0 {
		return c.MaxAge
	}
	return max(c.Window, time.Minute)
}

func window(c adg.Check) time.Duration {
	if c.Window > 0 {
		return c.Window
	}
	return time.Minute
}

// start is where the measurement's window begins.
func start(c adg.Check, m adg.Measurement, now time.Time) time.Time {
	if m.At.IsZero() {
		return now.Add(-window(c))
	}
	return m.At.Add(-window(c))
}

// inOrder is the samples oldest first, one per time: of several the largest. What was lent is copied before it is
// changed, and given back as it is where nothing is wrong with it.
func inOrder(samples []adg.Sample) []adg.Sample {
	for i := 1; i < len(samples); i++ {
		if samples[i-1].At.Before(samples[i].At) {
			continue
		}
		sorted := slices.Clone(samples)
		slices.SortFunc(sorted, func(a, b adg.Sample) int {
			return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Value, a.Value))
		})
		sorted = slices.CompactFunc(sorted, func(a, b adg.Sample) bool { return a.At.Equal(b.At) })
		slices.Reverse(sorted)
		return sorted
	}
	return samples
}

// since is the samples from then on, of samples in order.
func since(samples []adg.Sample, then time.Time) []adg.Sample {
	i := 0
	for i < len(samples) && samples[i].At.Before(then) {
		i++
	}
	return samples[i:]
}
