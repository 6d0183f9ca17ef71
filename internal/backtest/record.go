package backtest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/verdict"
)

// record is everything that was measured of the two releases: the samples of all measurements of a check and arm, each
// once, from which any window can be cut.
type record struct {
	tables  map[place]*table
	answers map[place][]adg.Measurement // to queries, in order
	samples int
}

// place is where a measurement belongs.
type place struct {
	check string
	arm   adg.Arm
}

// table is the series of one place.
type table struct{ values, bad, total, slow lists }

// lists are series by their labels.
type lists map[string]*adg.Series

// maxSamples bounds the memory that one case takes.
const maxSamples = 4_000_000

func newRecord() *record {
	return &record{tables: map[place]*table{}, answers: map[place][]adg.Measurement{}}
}

// add takes in a measurement; they come in the order of their times.
func (r *record) add(m adg.Measurement) error {
	at := place{m.Check, m.Arm}
	t := r.tables[at]
	if t == nil {
		t = &table{values: lists{}, bad: lists{}, total: lists{}, slow: lists{}}
		r.tables[at] = t
	}
	for _, part := range []struct {
		into lists
		from []adg.Series
	}{{t.values, m.Values}, {t.bad, m.Bad}, {t.total, m.Total}, {t.slow, m.Slow}} {
		for _, s := range part.from {
			r.samples += part.into.add(s)
		}
	}
	if len(m.Bad)+len(m.Total)+len(m.Slow) == 0 {
		r.answers[at] = append(r.answers[at], adg.Measurement{At: m.At, Values: m.Values, Warnings: m.Warnings, Err: m.Err, Log: m.Log})
	}
	if m.Log != nil {
		for _, pattern := range m.Log.Patterns {
			r.samples += len(pattern.Cells)
		}
	}
	if r.samples > maxSamples {
		return adg.Errorf(adg.Invalid, "more than %d samples are on record, which is more than one backtest holds", maxSamples)
	}
	return nil
}

// answer is what the source would have said to a question then.
func (r *record) answer(q verdict.Question, at time.Time) adg.Measurement {
	m := adg.Measurement{Check: q.Check.Name, Arm: q.Arm, At: at}
	where := place{q.Check.Name, q.Arm}
	t := r.tables[where]
	if t == nil {
		return m
	}
	if latest(q.Check) {
		if last := r.lastAnswer(where, at); last != nil {
			m.Values, m.Warnings, m.Err = last.Values, last.Warnings, last.Err
		}
		return m
	}
	from := at.Add(-q.Check.Window)
	if q.Check.Compare == adg.Logs {
		// Its patterns were counted then: another level or other lines to ignore cannot be tried.
		if last := r.lastAnswer(where, at); last != nil && !last.At.Before(from) {
			m.Log, m.Warnings, m.Err = last.Log, last.Warnings, last.Err
		}
		return m
	}
	m.Values, m.Bad, m.Total, m.Slow = t.values.cut(from, at), t.bad.cut(from, at), t.total.cut(from, at), t.slow.cut(from, at)
	return m
}

// served is how many bad requests the candidate served between two times, as the check counts them; false if its
// counters are not on record.
func (r *record) served(check string, from, to time.Time) (float64, bool) {
	t := r.tables[place{check, adg.CandidateArm}]
	if t == nil || len(t.total) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, s := range t.bad.cut(from, to) {
		before := s.Samples[0].Value
		if s.Samples[0].At.Sub(from) > birth {
			before = 0
		}
		for _, sample := range s.Samples {
			if sample.Value < before {
				before = 0 // it was reset
			}
			sum += sample.Value - before
			before = sample.Value
		}
	}
	return sum, true
}

// Private

// birth is how long after the beginning a counter has to appear to have begun from 0.
const birth = 5 * time.Second

// latest tells whether a check asks for the value at one time, rather than for the samples of a window.
func latest(c adg.Check) bool {
	switch c.Compare {
	case adg.Probe:
		return true
	case adg.Threshold, adg.Relative:
		return !c.Counts() && c.Aggregate == adg.Latest
	case adg.Events, adg.Sequential, adg.MannWhitney, adg.Logs:
	}
	return false
}

func (r *record) lastAnswer(where place, at time.Time) *adg.Measurement {
	all := r.answers[where]
	i, found := slices.BinarySearchFunc(all, at, func(m adg.Measurement, t time.Time) int { return m.At.Compare(t) })
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return &all[i]
}

// add takes in the samples that are not there yet, and says how many were added. Windows overlap, so that most of what
// comes is known; what comes late goes where it belongs.
func (l lists) add(s adg.Series) int {
	key := fingerprint(s.Labels)
	have := l[key]
	if have == nil {
		have = &adg.Series{Labels: s.Labels}
		l[key] = have
	}
	before := len(have.Samples) + len(have.Histograms)
	have.Samples = merge(have.Samples, s.Samples, func(x adg.Sample) time.Time { return x.At })
	have.Histograms = merge(have.Histograms, s.Histograms, func(x adg.HistogramSample) time.Time { return x.At })
	return len(have.Samples) + len(have.Histograms) - before
}

// cut are the parts of the series from one time to another, both included, the series without any left out. They
// share their memory with the record.
func (l lists) cut(from, to time.Time) []adg.Series {
	var all []adg.Series
	for _, key := range slices.Sorted(maps.Keys(l)) {
		s := l[key]
		part := adg.Series{
			Labels:     s.Labels,
			Samples:    between(s.Samples, from, to, func(x adg.Sample) time.Time { return x.At }),
			Histograms: between(s.Histograms, from, to, func(x adg.HistogramSample) time.Time { return x.At }),
		}
		if len(part.Samples)+len(part.Histograms) > 0 {
			all = append(all, part)
		}
	}
	return all
}

func merge[T any](have, more []T, at func(T) time.Time) []T {
	for _, one := range more {
		if n := len(have); n == 0 || at(have[n-1]).Before(at(one)) {
			have = append(have, one)
			continue
		}
		i, found := slices.BinarySearchFunc(have, at(one), func(x T, t time.Time) int { return at(x).Compare(t) })
		if !found {
			have = slices.Insert(have, i, one)
		}
	}
	return have
}

func between[T any](all []T, from, to time.Time, at func(T) time.Time) []T {
	first, _ := slices.BinarySearchFunc(all, from, func(x T, t time.Time) int { return at(x).Compare(t) })
	last, _ := slices.BinarySearchFunc(all, to, func(x T, t time.Time) int { return cmp.Or(at(x).Compare(t), -1) })
	return all[first:max(first, last):max(first, last)]
}

func fingerprint(labels map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		text.WriteString(name + "\x00" + labels[name] + "\x00")
	}
	return text.String()
}
