package control

import (
	"context"
	"fmt"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// Course selects a page of what was recorded over time; zero fields select all.
type Course struct {
	Check  string
	Arm    *adg.Arm  // nil: both
	From   time.Time // only at or after
	To     time.Time // only before
	Points int       // more than this, of each check and arm, are thinned out evenly, the ends kept; 0: none
	After  string    // Next of the page before; empty: the first page
	Limit  int       // rows of the page
}

// Measurements are a page of what sources answered, oldest first, and where the next page begins; empty: there is none.
// A page ends early where it becomes large.
func (c *Control) Measurements(ctx context.Context, who identity.Caller, id string, r Course) (list []adg.Measurement, next string, err error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return nil, "", err
	}
	w, after, err := c.walk(ctx, d, r)
	if err != nil {
		return nil, "", err
	}
	selected := func(m adg.Measurement) bool { return r.Arm == nil || m.Arm == *r.Arm }
	thin := thinning{most: r.Points, all: map[arm]int{}, passed: map[arm]int{}}
	if r.Points > 0 {
		err := eachMeasurement(ctx, c, w, place{at: r.From}, func(m adg.Measurement, at place) bool {
			if selected(m) {
				thin.count(m, !after.before(at))
			}
			return true
		})
		if err != nil {
			return nil, "", err
		}
	}
	bytes, last := 0, after
	err = eachMeasurement(ctx, c, w, after, func(m adg.Measurement, at place) bool {
		if !selected(m) || !thin.keeps(m) {
			return true
		}
		if len(list) > 0 && (len(list) == r.Limit || bytes > maxPage) {
			next = last.String()
			return false
		}
		list, last, bytes = append(list, m), at, bytes+weight(m)
		return true
	})
	return list, next, err
}

// Assessments are a page of a deployment's health over time, oldest first, and where the next page begins; empty: there is
// none.
func (c *Control) Assessments(ctx context.Context, who identity.Caller, id string, r Course) (d adg.Deployment, list []adg.Assessment, next string, err error) {
	d, err = c.Deployment(ctx, who, id)
	if err != nil {
		return d, nil, "", err
	}
	w, after, err := c.walk(ctx, d, r)
	if err != nil {
		return d, nil, "", err
	}
	judged, last := 0, after
	see := func(a adg.Assessment, at place) bool {
		if len(list) > 0 && (len(list) == r.Limit || judged > maxJudgements) {
			next = last.String()
			return false
		}
		if r.Check != "" {
			a.Judgements = only(a.Judgements, r.Check)
		}
		list, last, judged = append(list, a), at, judged+len(a.Judgements)
		return true
	}
	at := func(a adg.Assessment) time.Time { return a.At }
	read := func(f adg.MeasurementFilter) ([]adg.Assessment, error) { return c.o.Store.Assessments(ctx, d.ID, f) }
	if r.Points == 0 {
		err = each(w, after, read, at, see)
		return d, list, next, err
	}
	// The store thins these out itself: they have one arm only.
	all, err := read(adg.MeasurementFilter{From: r.From, To: w.end, Limit: min(r.Points, maxPoints)})
	for here := (place{}); len(all) > 0; all = all[1:] {
		if here = here.then(at(all[0])); after.before(here) && !see(all[0], here) {
			break
		}
	}
	return d, list, next, err
}

// Forgotten tells whether some of what was recorded of a deployment from a time on and before another was forgotten
// since. What decisions were made from is never forgotten.
func (c *Control) Forgotten(ctx context.Context, who identity.Caller, id string, from, to time.Time) (bool, error) {
	d, err := c.Deployment(ctx, who, id)
	if err != nil || !d.Status.State.Ended() {
		return false, err
	}
	// The oldest quiet ticks go first, so what was forgotten ends before the first quiet one that is left.
	var begin, end time.Time // of what was forgotten: after the one, before the other
	begin = d.Spec.Created
	for seq := int64(1); ; {
		page, err := c.o.Store.Ticks(ctx, d.ID, seq, 200)
		if err != nil {
			return false, err
		}
		for _, e := range page {
			if e.Seq != seq+1 {
				end = e.Input.Now
			} else if end.IsZero() {
				begin = e.Input.Now
			}
			if seq = e.Seq; e.Quiet {
				return overlaps(from, to, begin, end), nil
			}
		}
		if len(page) == 0 {
			if seq < d.Version {
				end = latest
			}
			return overlaps(from, to, begin, end), nil
		}
	}
}

// Private

const (
	maxPage       = 2 << 20 // bytes of measurements on a page, about
	maxJudgements = 10_000  // on a page
	maxPoints     = 10_000
	windowRows    = 2000 // that are read at a time
	firstWindow   = time.Minute
	widestWindow  = 365 * 24 * time.Hour
)

// latest is later than everything that was recorded.
var latest = time.Unix(1<<40, 0)

// overlaps tells whether the time from one moment on and before another has to do with what lies between two; a zero
// end is no time at all, and a zero to is none.
func overlaps(from, to, begin, end time.Time) bool {
	return from.Before(end) && (to.IsZero() || begin.Before(to))
}

// place is a row's place in the order of time: the n-th, from 1, of those with that time.
type place struct {
	at time.Time
	n  int
}

func (p place) before(q place) bool {
	return p.at.Before(q.at) || p.at.Equal(q.at) && p.n < q.n
}

// then is the place of the next row.
func (p place) then(at time.Time) place {
	if p.n > 0 && p.at.Equal(at) {
		return place{at, p.n + 1}
	}
	return place{at, 1}
}

// String is a place as a page token holds it.
func (p place) String() string { return fmt.Sprintf("%d.%d", p.at.UnixNano(), p.n) }

func readPlace(text string) (place, error) {
	var nanos int64
	var p place
	if _, err := fmt.Sscanf(text, "%d.%d", &nanos, &p.n); err != nil || p.n < 1 {
		return p, adg.Advised(adg.Errorf(adg.Invalid, "the page token is none of this list"), "leave it out to begin with the first page")
	}
	p.at = time.Unix(0, nanos).UTC()
	return p, nil
}

// walked is what is walked through in order of time.
type walked struct {
	deployment string
	check      string
	begin, end time.Time // the first and the last that can be there, both included
}

func (c *Control) walk(ctx context.Context, d adg.Deployment, r Course) (w walked, after place, err error) {
	w = walked{deployment: d.ID, check: r.Check, begin: r.From}
	if w.begin.Before(d.Spec.Created) {
		w.begin = d.Spec.Created
	}
	if w.end, err = c.o.Store.Now(ctx); err != nil {
		return w, after, err
	}
	if !r.To.IsZero() && !r.To.After(w.end) {
		w.end = r.To.Add(-1)
	}
	after.at = r.From
	if r.After != "" {
		after, err = readPlace(r.After)
	}
	return w, after, err
}

func eachMeasurement(ctx context.Context, c *Control, w walked, after place, see func(adg.Measurement, place) bool) error {
	read := func(f adg.MeasurementFilter) ([]adg.Measurement, error) {
		return c.o.Store.Measurements(ctx, w.deployment, f)
	}
	return each(w, after, read, func(m adg.Measurement) time.Time { return m.At }, see)
}

// each gives the rows after a place to see, oldest first, until it has seen enough. The store thins out what is more than
// it gives at once, so the rows are read in windows of time that hold fewer.
func each[T any](w walked, after place, read func(adg.MeasurementFilter) ([]T, error), at func(T) time.Time, see func(T, place) bool) error {
	from, span := w.begin, firstWindow
	if from.Before(after.at) {
		from = after.at
	}
	here := place{}
	for !from.After(w.end) {
		to := from.Add(span)
		if to.After(w.end) {
			to = w.end
		}
		rows, err := read(adg.MeasurementFilter{Check: w.check, From: from, To: to, Limit: windowRows})
		if err != nil {
			return err
		}
		if len(rows) == windowRows && to.After(from) {
			span = to.Sub(from) / 4
			continue
		}
		for _, row := range rows {
			if here = here.then(at(row)); after.before(here) && !see(row, here) {
				return nil
			}
		}
		if len(rows) < windowRows/4 {
			span = min(2*span, widestWindow)
		}
		from = to.Add(1)
	}
	return nil
}

// arm is what is thinned out by itself.
type arm struct {
	check string
	arm   adg.Arm
}

// thinning keeps as many of each arm as there may be, evenly, the first and the last among them.
type thinning struct {
	most   int // 0: all are kept
	all    map[arm]int
	passed map[arm]int
}

func (t thinning) count(m adg.Measurement, passed bool) {
	k := arm{m.Check, m.Arm}
	t.all[k]++
	if passed {
		t.passed[k]++
	}
}

// keeps tells whether the next measurement of an arm stays: if its share of the places is another than that of the one
// before it.
func (t thinning) keeps(m adg.Measurement) bool {
	k := arm{m.Check, m.Arm}
	i, all := t.passed[k], t.all[k]
	t.passed[k]++
	if t.most == 0 || i == 0 || all <= t.most {
		return true
	}
	return i*(t.most-1)/(all-1) != (i-1)*(t.most-1)/(all-1)
}

// weight is about how many bytes a measurement has in an answer.
func weight(m adg.Measurement) int {
	bytes := 200 + len(m.Err)
	for _, texts := range [][]string{m.Sent, m.Warnings} {
		for _, text := range texts {
			bytes += len(text)
		}
	}
	for _, list := range [][]adg.Series{m.Values, m.Bad, m.Total, m.Slow} {
		for _, s := range list {
			for name, value := range s.Labels {
				bytes += len(name) + len(value) + 8
			}
			bytes += 32 * len(s.Samples)
			for _, h := range s.Histograms {
				bytes += 40 + 32*len(h.Buckets)
			}
		}
	}
	if m.Log != nil {
		for _, p := range m.Log.Patterns {
			bytes += 64 + len(p.Text) + len(p.Example)
		}
	}
	return bytes
}

func only(all []adg.Judgement, check string) []adg.Judgement {
	var kept []adg.Judgement
	for _, j := range all {
		if j.Check == check {
			kept = append(kept, j)
		}
	}
	return kept
}
