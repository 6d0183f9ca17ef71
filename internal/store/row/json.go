package row

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// number is a float64 that may be no number.
type number float64

// MarshalJSON writes NaN and the infinities as strings.
func (n number) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(n)), nil }

// UnmarshalJSON reads numbers, and strings that hold one.
func (n *number) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	*n = number(f)
	return err
}

func appendNumber(text []byte, f float64) []byte {
	special := math.IsNaN(f) || math.IsInf(f, 0)
	if special {
		text = append(text, '"')
	}
	text = strconv.AppendFloat(text, f, 'g', -1, 64)
	if special {
		text = append(text, '"')
	}
	return text
}

type numbers []float64

// MarshalJSON writes all numbers at once: a measurement may hold thousands.
func (n numbers) MarshalJSON() ([]byte, error) {
	text := append(make([]byte, 0, 2+8*len(n)), '[')
	for i, f := range n {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendNumber(text, f)
	}
	return append(text, ']'), nil
}

// UnmarshalJSON reads a list of numbers.
func (n *numbers) UnmarshalJSON(text []byte) error {
	var all []number
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*n = make(numbers, len(all))
	for i, f := range all {
		(*n)[i] = float64(f)
	}
	return nil
}

// The types below are stored in place of the ones that they embed; their fields hide those that hold floats.

type judgement struct {
	adg.Judgement
	Value    *number `json:"value,omitempty"`
	Baseline *number `json:"baseline,omitempty"`
	Limit    *number `json:"limit,omitempty"`
	N        number  `json:"n,omitempty"`
	BaseN    number  `json:"base_n,omitempty"`
}

func newJudgement(j adg.Judgement) judgement {
	return judgement{j, (*number)(j.Value), (*number)(j.Baseline), (*number)(j.Limit), number(j.N), number(j.BaseN)}
}

func (j judgement) plain() adg.Judgement {
	p := j.Judgement
	p.Value, p.Baseline, p.Limit = (*float64)(j.Value), (*float64)(j.Baseline), (*float64)(j.Limit)
	p.N, p.BaseN = float64(j.N), float64(j.BaseN)
	return p
}

type watch struct {
	adg.Watch
	Last judgement `json:"last"`
}

func newWatch(w adg.Watch) watch { return watch{w, newJudgement(w.Last)} }

func (w watch) plain() adg.Watch {
	p := w.Watch
	p.Last = w.Last.plain()
	return p
}

type status struct {
	adg.Status
	Score  number  `json:"score"`
	Checks []watch `json:"checks,omitempty"`
}

func newStatus(s adg.Status) status { return status{s, number(s.Score), each(s.Checks, newWatch)} }

func (s status) plain() adg.Status {
	p := s.Status
	p.Score, p.Checks = float64(s.Score), each(s.Checks, watch.plain)
	return p
}

type assessment struct {
	adg.Assessment
	Score      number      `json:"score"`
	Judgements []judgement `json:"judgements"`
}

func newAssessment(a adg.Assessment) assessment {
	return assessment{a, number(a.Score), each(a.Judgements, newJudgement)}
}

func (a assessment) plain() adg.Assessment {
	p := a.Assessment
	p.Score, p.Judgements = float64(a.Score), each(a.Judgements, judgement.plain)
	return p
}

type decision struct {
	adg.Decision
	Next status `json:"next"`
}

func newDecision(d adg.Decision) decision { return decision{d, newStatus(d.Next)} }

func (d decision) plain() adg.Decision {
	p := d.Decision
	p.Next = d.Next.plain()
	return p
}

type placement struct {
	adg.Placement
	Share number `json:"share"`
}

type observed struct {
	adg.Observed
	Releases []placement `json:"releases"`
}

func newObserved(o adg.Observed) observed {
	return observed{o, each(o.Releases, func(p adg.Placement) placement { return placement{p, number(p.Share)} })}
}

func (o observed) plain() adg.Observed {
	p := o.Observed
	p.Releases = each(o.Releases, func(p placement) adg.Placement {
		p.Placement.Share = float64(p.Share)
		return p.Placement
	})
	return p
}

type outcome struct {
	adg.Outcome
	Observed observed `json:"observed"`
}

func newOutcome(o adg.Outcome) outcome { return outcome{o, newObserved(o.Observed)} }

func (o outcome) plain() adg.Outcome {
	p := o.Outcome
	p.Observed = o.Observed.plain()
	return p
}

type input struct {
	adg.Input
	Assessment *assessment `json:"assessment,omitempty"`
	Watches    []watch     `json:"watches,omitempty"`
	Observed   *observed   `json:"observed,omitempty"`
	Outcome    *outcome    `json:"outcome,omitempty"`
}

func newInput(in adg.Input) input {
	return input{in, maybe(in.Assessment, newAssessment), each(in.Watches, newWatch), maybe(in.Observed, newObserved), maybe(in.Outcome, newOutcome)}
}

func (in input) plain() adg.Input {
	p := in.Input
	p.Assessment, p.Watches = maybe(in.Assessment, assessment.plain), each(in.Watches, watch.plain)
	p.Observed, p.Outcome = maybe(in.Observed, observed.plain), maybe(in.Outcome, outcome.plain)
	return p
}

// tick is a row of ticks: without a decision, nothing was changed.
type tick struct {
	Before   *status   `json:"before,omitempty"`
	Input    input     `json:"input"`
	Decision *decision `json:"decision,omitempty"`
}

// newTick leaves out of a quiet tick what follows from the ticks before it and from what was measured.
func newTick(t adg.Tick, quiet bool) tick {
	if quiet {
		t.Input.Watches = nil
		return tick{Input: newInput(t.Input)}
	}
	return tick{Before: maybe(&t.Before, newStatus), Input: newInput(t.Input), Decision: maybe(&t.Decision, newDecision)}
}

func (t tick) plain() adg.Entry {
	e := adg.Entry{Quiet: t.Decision == nil, Input: t.Input.plain()}
	if t.Before != nil {
		e.Before = t.Before.plain()
	}
	if t.Decision != nil {
		e.Decision = t.Decision.plain()
	}
	return e
}

func (t tick) assessment() adg.Assessment {
	if t.Input.Assessment == nil {
		return adg.Assessment{}
	}
	return t.Input.Assessment.plain()
}

// series keeps the samples in two columns, the times as differences: most of what is stored is this.
type series struct {
	Labels map[string]string `json:"labels,omitempty"`
	At     []int64           `json:"at,omitempty"`
	Values numbers           `json:"v,omitempty"`

	Histograms []histogram `json:"h,omitempty"`
}

// histogram keeps its buckets in one column: lower, upper, count, lower, … and so on.
type histogram struct {
	At      int64   `json:"at"`
	Count   number  `json:"n"`
	Buckets numbers `json:"b,omitempty"`
}

func newHistogram(h adg.HistogramSample) histogram {
	c := histogram{At: Nanos(h.At), Count: number(h.Count)}
	for _, b := range h.Buckets {
		c.Buckets = append(c.Buckets, b.Lower, b.Upper, b.Count)
	}
	return c
}

func (h histogram) plain() adg.HistogramSample {
	p := adg.HistogramSample{At: Time(h.At), Count: float64(h.Count)}
	for b := h.Buckets; len(b) >= 3; b = b[3:] {
		p.Buckets = append(p.Buckets, adg.HistogramBucket{Lower: b[0], Upper: b[1], Count: b[2]})
	}
	return p
}

func newSeries(s adg.Series) series {
	c := series{Labels: s.Labels, At: make([]int64, len(s.Samples)), Values: make(numbers, len(s.Samples)), Histograms: each(s.Histograms, newHistogram)}
	before := int64(0)
	for i, sample := range s.Samples {
		at := Nanos(sample.At)
		c.At[i], c.Values[i] = at-before, sample.Value
		before = at
	}
	return c
}

func (s series) plain() adg.Series {
	p := adg.Series{Labels: s.Labels, Samples: make([]adg.Sample, min(len(s.At), len(s.Values))), Histograms: each(s.Histograms, histogram.plain)}
	at := int64(0)
	for i := range p.Samples {
		at += s.At[i]
		p.Samples[i] = adg.Sample{At: Time(at), Value: s.Values[i]}
	}
	return p
}

type measurement struct {
	adg.Measurement
	Values []series `json:"values,omitempty"`
	Bad    []series `json:"bad,omitempty"`
	Total  []series `json:"total,omitempty"`
	Slow   []series `json:"slow,omitempty"`
}

func newMeasurement(m adg.Measurement) measurement {
	return measurement{m, each(m.Values, newSeries), each(m.Bad, newSeries), each(m.Total, newSeries), each(m.Slow, newSeries)}
}

func (m measurement) plain() adg.Measurement {
	p := m.Measurement
	p.Values, p.Bad, p.Total = each(m.Values, series.plain), each(m.Bad, series.plain), each(m.Total, series.plain)
	p.Slow = each(m.Slow, series.plain)
	return p
}

type counts struct {
	Bad number `json:"bad"`
	All number `json:"all"`
}

type baseline struct {
	adg.Baseline
	Values  numbers           `json:"values,omitempty"`
	Bad     number            `json:"bad,omitempty"`
	Total   number            `json:"total,omitempty"`
	Replica map[string]counts `json:"replica,omitempty"`
}

func newBaseline(b adg.Baseline) baseline {
	c := baseline{Baseline: b, Values: b.Values, Bad: number(b.Bad), Total: number(b.Total)}
	if b.Replica != nil {
		c.Replica = make(map[string]counts, len(b.Replica))
	}
	for name, n := range b.Replica {
		c.Replica[name] = counts{number(n.Bad), number(n.All)}
	}
	return c
}

func (b baseline) plain() adg.Baseline {
	p := b.Baseline
	p.Values, p.Bad, p.Total = b.Values, float64(b.Bad), float64(b.Total)
	if b.Replica != nil {
		p.Replica = make(map[string]adg.Counts, len(b.Replica))
	}
	for name, n := range b.Replica {
		p.Replica[name] = adg.Counts{Bad: float64(n.Bad), All: float64(n.All)}
	}
	return p
}

// maybe keeps nil nil, too.
func maybe[A, B any](a *A, f func(A) B) *B {
	if a == nil {
		return nil
	}
	return new(f(*a))
}

// each keeps nil nil, so that what is read equals what was stored.
func each[A, B any](all []A, f func(A) B) []B {
	if all == nil {
		return nil
	}
	made := make([]B, len(all))
	for i, a := range all {
		made[i] = f(a)
	}
	return made
}
