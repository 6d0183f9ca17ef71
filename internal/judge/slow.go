package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/bounds"
	"github.com/deployguardian/adg/internal/judge/histogram"
)

const (
	// shownQuantile is the latency that people are shown of a histogram.
	shownQuantile = 0.95
	// shownAlpha is what its interval misses with.
	shownAlpha = 0.05
)

// readSlow is the quantile of a histogram that is shown, over the window.
func readSlow(c adg.Check, m adg.Measurement, now time.Time) reading {
	list, r := countersOf(nil, c, m, nil, start(c, m, now), now.Add(skew))
	if !r.known() {
		return r
	}
	buckets := overall(list, m.Arm)
	n := 0.0
	for _, b := range buckets {
		n += b.Count
	}
	if n == 0 {
		return reading{why: adg.NoData, text: "no requests " + lately(c)}
	}
	return reading{value: histogram.Quantile(buckets, shownQuantile), n: n}
}

// shift is by how much the candidate's quantile is above the baseline's in the window, and both of them.
type shift struct {
	candidate, baseline float64
	low, high           float64
	more, than          float64 // so many more of the candidate's requests take longer than that, for certain; zero: none does
}

// shift compares what both arms had in the window; not every window tells.
func (s *session) shift() (shift, bool) {
	candidate, err := bounds.OfBuckets(s.window[adg.CandidateArm])
	if err != nil || candidate.N() == 0 {
		return shift{}, false
	}
	p95 := histogram.Quantile(s.window[adg.CandidateArm], shownQuantile)
	if s.Stable == nil {
		return shift{candidate: p95, baseline: spreadOf(s.Before.Values).typical, low: math.NaN(), high: math.NaN()}, len(s.Before.Values) > 0
	}
	baseline, err := bounds.OfBuckets(s.window[adg.BaselineArm])
	if err != nil || baseline.N() == 0 {
		return shift{}, false
	}
	ours := bounds.QuantileInterval(candidate, shownQuantile, shownAlpha/2)
	theirs := bounds.QuantileInterval(baseline, shownQuantile, shownAlpha/2)
	gap := bounds.CompareCDFs(baseline, candidate, shownAlpha)
	return shift{
		candidate: p95, baseline: histogram.Quantile(s.window[adg.BaselineArm], shownQuantile),
		low: ours.Low - theirs.High, high: ours.High - theirs.Low, more: max(gap.Certain, 0), than: gap.At,
	}, true
}

// in says the shift in that unit.
func (d shift) in(unit string) string {
	text := fmt.Sprintf("p95 %s against %s", adg.Amount(d.candidate, unit, 3), adg.Amount(d.baseline, unit, 3))
	switch low, high := signed(d.low, unit), signed(d.high, unit); {
	case isFinite(d.low) && isFinite(d.high):
		text += fmt.Sprintf(" (%s to %s)", low, high)
	case isFinite(d.low):
		text += fmt.Sprintf(" (%s or more)", low)
	case isFinite(d.high):
		text += fmt.Sprintf(" (%s or less)", high)
	}
	if d.more > 0 {
		text += fmt.Sprintf(", and %s %% more of the requests take longer than %s", adg.Number(100*d.more, 2), adg.Amount(d.than, unit, 3))
	}
	return text
}

func signed(v float64, unit string) string {
	if v > 0 {
		return "+" + adg.Difference(v, unit, 2)
	}
	return adg.Difference(v, unit, 2)
}

// freezeSlow keeps the quantile that is shown, window by window, and the number of requests.
func freezeSlow(b *adg.Baseline, c adg.Check, m adg.Measurement) {
	list, r := countersOf(nil, c, m, nil, b.From, b.To)
	if !r.known() {
		b.Err = r.text
		return
	}
	windows := map[int64][]adg.HistogramBucket{}
	for i := range list {
		t := &list[i]
		for n := 1; n < t.len(); n++ {
			rise, _ := histogram.Increase(nil, t.histograms[n-1], t.histograms[n])
			at := windowOf(c, b, t.at(n))
			windows[at] = histogram.Sum(nil, windows[at], rise)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(windows)) {
		n := 0.0
		for _, one := range windows[at] {
			n += one.Count
		}
		b.Total += n
		if value := histogram.Quantile(windows[at], shownQuantile); isFinite(value) && n >= c.MinSamples {
			b.Values = append(b.Values, value)
		}
	}
	if len(b.Values) == 0 {
		b.Err = "the histogram told no requests " + between(b)
	}
}
