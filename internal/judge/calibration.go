package judge

import (
	"encoding/json"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/histogram"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// calibration is what a check learned from the baseline: Baseline.Calibration.
type calibration struct {
	Gap      int64                 `json:"gap,omitempty"` // ms between two scrapes
	Length   int64                 `json:"ms,omitempty"`  // of a bucket
	Replicas []uint32              `json:"replicas,omitempty"`
	Bounds   []histogram.Threshold `json:"bounds,omitempty"`  // of a histogram: the baseline's quantiles
	Streams  []learned             `json:"streams,omitempty"` // one, or one for each quantile
}

// learned is what one stream taught.
type learned struct {
	Test sequential.Calibration `json:"test"` // how much the replicas differ
	Past record                 `json:"past"`
}

func (c calibration) gap() time.Duration { return time.Duration(c.Gap) * time.Millisecond }

// calibrationOf reads what was learned; what cannot be read is as good as nothing.
func calibrationOf(b *adg.Baseline) calibration {
	var c calibration
	if len(b.Calibration) == 0 || json.Unmarshal(b.Calibration, &c) != nil || !c.sound() {
		return calibration{}
	}
	return c
}

// Seasonal adds to a frozen baseline what the check said in the same hour of previous days: each measurement is of the
// last good release over an hour or so, one day, two days and more before the deployment. It changes only baselines of
// sequential checks that ask for seasons.
func Seasonal(c adg.Check, b *adg.Baseline, previous []adg.Measurement) {
	if c.Compare != adg.Sequential || !c.Sequential.Season || len(b.Calibration) == 0 {
		return
	}
	known := calibrationOf(b)
	for _, m := range previous {
		if m.Err != "" {
			continue
		}
		for i, day := range known.sums(c, m) {
			if day.All > 0 && len(known.Streams[i].Past.Days) < maxDays {
				known.Streams[i].Past.Days = append(known.Streams[i].Past.Days, day)
			}
		}
	}
	b.Calibration = known.text()
}

// Private

const (
	maxDays       = 14
	longestBucket = 24 * time.Hour
	latestBucket  = 1 << 53
	// windowOfPast is the least time over which counts are compared to see how much they spread.
	windowOfPast = time.Minute
)

// learn is what a check learns from a measurement of the time before.
func learn(c adg.Check, m adg.Measurement, from, to time.Time) calibration {
	m.Arm = adg.BaselineArm
	list, _ := countersOf(nil, c, m, nil, from, to)
	gap := scrapes(list)
	k := calibration{Gap: gap.Milliseconds(), Length: length(c, gap)}
	if c.Histogram != "" {
		bounds, err := histogram.Thresholds(overall(list, adg.BaselineArm), histogram.Quantiles[:]...)
		if err != nil || len(bounds) == 0 {
			return calibration{Gap: k.Gap}
		}
		k.Bounds = bounds
		for i := range list {
			list[i].bounds = bounds
		}
	}
	if k.Length == 0 || k.Length > longestBucket.Milliseconds() || len(list) == 0 {
		return calibration{Gap: k.Gap}
	}
	b := books{Length: k.Length, Gap: k.Gap}
	b.book(list, from)
	k.Replicas = b.Replicas
	streams := max(1, len(k.Bounds))
	d := designOf(c, k.Length, 1, streams)
	for i := range streams {
		state := d.Start(nil)
		var windows []adg.Counts
		perWindow := max(1, windowOfPast.Milliseconds()/k.Length)
		var one learned
		var window int64
		for _, open := range b.Open {
			control := open.control().counts(i)
			d.Next(&state, new(toBucket(c, open, i, len(k.Replicas), d.Seconds)))
			if at := open.Index / perWindow; len(windows) == 0 || at != window {
				windows, window = append(windows, adg.Counts{}), at
			}
			last := &windows[len(windows)-1]
			last.Bad, last.All = last.Bad+control.Bad, last.All+control.All
			one.Past.Bad, one.Past.All = one.Past.Bad+control.Bad, one.Past.All+control.All
		}
		one.Past.Phi = dispersion(windows)
		one.Test = state.Spread
		k.Streams = append(k.Streams, one)
	}
	return k
}

// sums are the requests of each stream in a measurement, counted as the calibration counts.
func (c calibration) sums(check adg.Check, m adg.Measurement) []adg.Counts {
	m.Arm = adg.BaselineArm
	to := m.At
	from := time.Time{}
	list, _ := countersOf(nil, check, m, c.Bounds, from, to)
	sums := make([]adg.Counts, len(c.Streams))
	if len(list) == 0 || c.Length == 0 {
		return sums
	}
	for _, t := range list {
		from = earlier(from, t.at(0))
	}
	b := books{Length: c.Length, Gap: c.Gap}
	b.book(list, from)
	for _, open := range b.Open {
		for i := range sums {
			n := open.control().counts(i)
			sums[i].Bad, sums[i].All = sums[i].Bad+n.Bad, sums[i].All+n.All
		}
	}
	return sums
}

func (c calibration) text() json.RawMessage {
	text, err := json.Marshal(c)
	if err != nil { // a number that JSON has no word for, which the books never let in
		return nil
	}
	return text
}

func (c calibration) sound() bool {
	if c.Gap < 0 || c.Length < 0 || c.Length > longestBucket.Milliseconds() || len(c.Replicas) > maxGroups || len(c.Streams) > maxStreams || len(c.Bounds) > maxStreams {
		return false
	}
	for _, s := range c.Streams {
		if !(s.Past.All >= 0 && s.Past.Bad >= 0) || len(s.Past.Days) > maxDays {
			return false
		}
	}
	return true
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
