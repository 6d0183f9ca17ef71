package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

const (
	// maxValues and maxReplicas bound a baseline, which is stored with its deployment.
	maxValues   = 256
	maxReplicas = 256
)

// Freeze makes the baseline of a check from a measurement that covers from..to (Values: a range query's series; or
// Bad/Total counters). One that holds nothing says why in Err. Values that are not finite are left out, and so are
// those of windows with fewer requests than the check wants. For a sequential check it also learns what its test needs:
// how much the replicas differ and, of a histogram, which requests are slow; ten minutes and more of it are worth having.
func Freeze(c adg.Check, m adg.Measurement, from, to time.Time) adg.Baseline {
	b := adg.Baseline{Check: c.Name, From: from, To: to}
	switch {
	case m.Err != "":
		b.Err = "the source did not answer: " + plain(m.Err)
	case c.Compare == adg.Probe:
		b.Err = "a probe has no baseline"
	case c.Compare == adg.Logs:
		freezeLogs(&b, c, m)
	case c.Compare == adg.Events:
		freezeEvents(&b, c, m)
	case c.Counts():
		freezeCounts(&b, c, m)
	case c.Histogram != "":
		freezeSlow(&b, c, m)
	default:
		freezeValues(&b, c, m)
	}
	b.Values = thin(b.Values, maxValues)
	if c.Compare == adg.Sequential && b.Err == "" {
		b.Calibration = learn(c, m, from, to).text()
	}
	return b
}

// Private

func freezeCounts(b *adg.Baseline, c adg.Check, m adg.Measurement) {
	m.Bad, m.Total = until(m.Bad, b.To), until(m.Total, b.To)
	gap := usualGap(b.From, m.Total, m.Bad)
	total, bad := count(m.Total, b.From, gap), count(m.Bad, b.From, gap)
	switch {
	case total.told() && total.increase == 0:
		b.Err = "there were no requests " + between(b)
		return
	case !total.told():
		b.Err = total.untold("total", between(b)).text
		return
	case bad.onlyNaN():
		b.Err = bad.untold("bad", between(b)).text
		return
	case !isFinite(total.increase) || !isFinite(bad.increase):
		b.Err = "the counters add up to no number " + between(b)
		return
	}
	b.Bad, b.Total = bad.increase, total.increase
	windows, replicas := map[int64]adg.Counts{}, map[string]adg.Counts{}
	book := func(list []adg.Series, add func(n *adg.Counts, rise float64)) {
		for _, s := range list {
			replica, named := s.Labels[c.Replica]
			steps(numbers(since(inOrder(s.Samples), b.From)), b.From, gap, func(at time.Time, rise float64) {
				bump(windows, windowOf(c, b, at), rise, add)
				if named {
					bump(replicas, replica, rise, add)
				}
			})
		}
	}
	book(m.Total, func(n *adg.Counts, rise float64) { n.All += rise })
	book(m.Bad, func(n *adg.Counts, rise float64) { n.Bad += rise })
	for _, at := range slices.Sorted(maps.Keys(windows)) {
		n := windows[at]
		if share := n.Bad / n.All; isFinite(share) && n.All >= c.MinSamples {
			b.Values = append(b.Values, share)
		}
	}
	for i, name := range slices.Sorted(maps.Keys(replicas)) {
		if i == maxReplicas {
			break
		}
		if b.Replica == nil {
			b.Replica = map[string]adg.Counts{}
		}
		b.Replica[name] = replicas[name]
	}
}

func freezeEvents(b *adg.Baseline, c adg.Check, m adg.Measurement) {
	windows := map[int64]float64{}
	book := func(list []adg.Series, weight float64) {
		list = until(list, b.To)
		gap := usualGap(b.From, list)
		for _, s := range list {
			steps(numbers(since(inOrder(s.Samples), b.From)), b.From, gap, func(at time.Time, rise float64) {
				windows[windowOf(c, b, at)] += weight * rise
			})
		}
	}
	if c.Counts() {
		// What total shows is that somebody was looking: a counter that nobody has touched does not exist yet.
		book(m.Total, 0)
		book(m.Bad, 1)
	} else {
		book(m.Values, 1)
	}
	for _, at := range slices.Sorted(maps.Keys(windows)) {
		if n := windows[at]; isFinite(n) {
			b.Values = append(b.Values, n)
		}
	}
	if len(b.Values) == 0 {
		b.Err = "the counter told no increase " + between(b)
	}
}

func freezeValues(b *adg.Baseline, c adg.Check, m adg.Measurement) {
	list := until(m.Values, b.To)
	if r := single(list, combineThem); c.Aggregate == adg.Latest && !r.known() {
		b.Err = r.text
		return
	}
	windows := map[int64][]float64{}
	for _, s := range list {
		for _, sample := range since(inOrder(s.Samples), b.From) {
			if at := windowOf(c, b, sample.At); isFinite(sample.Value) {
				windows[at] = append(windows[at], sample.Value)
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(windows)) {
		values := windows[at]
		value := values[len(values)-1]
		if c.Aggregate != adg.Latest {
			slices.Sort(values)
			value = combine(c.Aggregate, values)
		}
		if isFinite(value) {
			b.Values = append(b.Values, value)
		}
	}
	if len(b.Values) == 0 {
		b.Err = "the source gave no number " + between(b)
	}
}

// windowOf numbers the windows between From and To; one owns its end and not its beginning.
func windowOf(c adg.Check, b *adg.Baseline, at time.Time) int64 {
	return int64((at.Sub(b.From) - 1) / window(c))
}

// until leaves out what is later than the baseline's end; the lists that were lent stay as they are.
func until(list []adg.Series, end time.Time) []adg.Series {
	kept := slices.Clone(list)
	for i := range kept {
		samples := inOrder(kept[i].Samples)
		n, _ := slices.BinarySearchFunc(samples, end, func(s adg.Sample, t time.Time) int {
			return cmp.Or(s.At.Compare(t), -1)
		})
		kept[i].Samples = samples[:n]
	}
	return kept
}

func bump[K comparable](counts map[K]adg.Counts, key K, rise float64, add func(*adg.Counts, float64)) {
	n := counts[key]
	add(&n, rise)
	counts[key] = n
}

// thin keeps at most limit values, evenly, the first and the last among them.
func thin(values []float64, limit int) []float64 {
	if len(values) <= limit {
		return values
	}
	kept := make([]float64, limit)
	for i := range kept {
		kept[i] = values[i*(len(values)-1)/(limit-1)]
	}
	return kept
}

func between(b *adg.Baseline) string {
	return fmt.Sprintf("between %s and %s", b.From.UTC().Format(time.RFC3339), b.To.UTC().Format(time.RFC3339))
}
