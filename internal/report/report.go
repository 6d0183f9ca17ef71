// Package report tells what happened in a deployment: the timeline, the decisions with their evidence, what was done
// at the target and the measurements as plots, as Markdown and as one HTML file that opens without a network.
package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Memory is what a report is made from.
type Memory interface {
	Deployment(ctx context.Context, id string) (adg.Deployment, error)
	adg.History
}

// Story is a deployment told from its records.
type Story struct {
	Deployment adg.Deployment
	Title      string
	Summary    []Line
	Timeline   []Event
	Decisions  []adg.Entry
	Effects    []adg.Effect
	Expected   Course // the probability of success in percent, from the prediction on; without points where nobody predicted
	Checks     []Course
	Baselines  []adg.Baseline
	Decided    time.Time // when the release was found bad: condemned, or a human was called as there is no way back; zero: it was not
	FirstBad   time.Time // since when health was not good any more before that; zero: it was good
	FoundBy    []string  // the queries of the first bad sample, as sent
	Impact     []Impact  // what users met, of a release that was found bad
	Change     *Change   // what lies between it and the release before it; nil: no repository is at hand
}

// Line is a fact of the summary.
type Line struct{ Name, Text string }

// Event is one line of the timeline.
type Event struct {
	At     time.Time
	Kind   string
	Text   string
	Urgent bool
}

// Course is how one check went: a point per judgement, oldest first.
type Course struct {
	Check  adg.Check
	Points []Point
	Last   adg.Judgement
	Sent   []string // the queries of the last measurement, as sent
}

// Point is one judgement of a check. A number that does not exist is NaN.
type Point struct {
	At                     time.Time
	Value, Baseline, Limit float64
	Verdict                adg.Verdict
}

// maxRows bounds what one report reads of each kind.
const maxRows = 10_000

// Gather reads everything that was recorded of a deployment. It works while the deployment is still going on.
func Gather(ctx context.Context, m Memory, id string) (Story, error) {
	d, err := m.Deployment(ctx, id)
	if err != nil {
		return Story{}, err
	}
	s := Story{Deployment: d}
	if s.Decisions, err = m.Entries(ctx, id, 0, maxRows); err != nil {
		return s, err
	}
	if s.Effects, err = m.Effects(ctx, id); err != nil {
		return s, err
	}
	if s.Baselines, err = m.Baselines(ctx, id); err != nil {
		return s, err
	}
	facts, err := m.Facts(ctx, id)
	if err != nil {
		return s, err
	}
	assessments, err := m.Assessments(ctx, id, adg.MeasurementFilter{Limit: maxRows})
	if err != nil {
		return s, err
	}
	if s.Checks, err = courses(ctx, m, d, assessments); err != nil {
		return s, err
	}
	s.Expected = expected(d.Spec.Prediction, assessments)
	if s.Decided = decided(d.Status, s.Decisions); !s.Decided.IsZero() {
		s.FirstBad = firstBad(assessments, s.Decided)
		if p, c, found := s.firstBadSample(); found {
			if s.FoundBy, err = sent(ctx, m, id, c.Check.Name, p.At); err != nil {
				return s, err
			}
		}
		if s.Impact, err = impacts(ctx, m, d, s.Baselines); err != nil {
			return s, err
		}
	}
	s.Title = fmt.Sprintf("%s %s in %s: %s", d.Spec.Policy.Service, d.Spec.Release.Version, d.Spec.Policy.Environment, words(d.Status.State.String()))
	s.Timeline = timeline(facts, s.Effects)
	s.Summary = summary(s)
	return s, nil
}

// Private

func courses(ctx context.Context, m Memory, d adg.Deployment, assessments []adg.Assessment) ([]Course, error) {
	all := make([]Course, 0, len(d.Spec.Policy.Checks))
	for _, check := range d.Spec.Policy.Checks {
		c := Course{Check: check}
		for _, a := range assessments {
			for _, j := range a.Judgements {
				if j.Check == check.Name && (len(c.Points) == 0 || j.At.After(c.Points[len(c.Points)-1].At)) {
					c.Points = append(c.Points, Point{j.At, value(j.Value), value(j.Baseline), value(j.Limit), j.Verdict})
					c.Last = j
				}
			}
		}
		var err error
		if c.Sent, err = sent(ctx, m, d.ID, check.Name, c.Last.At); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// sent are the queries of a check for a judgement at that time, as they were sent.
func sent(ctx context.Context, m Memory, deployment, check string, at time.Time) ([]string, error) {
	all, err := m.Measurements(ctx, deployment, adg.MeasurementFilter{Check: check, From: at, To: at.Add(time.Second), Limit: 4})
	var queries []string
	for _, measurement := range all {
		queries = append(queries, measurement.Sent...)
	}
	slices.Sort(queries)
	return slices.Compact(queries), err
}

// expected is how the probability of success went: as predicted, then by what the checks found.
func expected(p *adg.Prediction, assessments []adg.Assessment) Course {
	if p == nil {
		return Course{}
	}
	usual, nothing := 100*p.Base, math.NaN()
	c := Course{Check: adg.Check{Unit: "%"}, Points: []Point{{p.At, 100 * p.Success, usual, nothing, adg.Pass}}}
	for _, a := range assessments {
		if a.Success != nil {
			c.Points = append(c.Points, Point{a.At, 100 * *a.Success, usual, nothing, adg.Pass})
		}
	}
	return c
}

func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func timeline(facts []adg.Fact, effects []adg.Effect) []Event {
	var all []Event
	for _, f := range facts {
		text := f.Text
		if f.Actor != "" {
			text += " (by " + f.Actor + ")"
		}
		all = append(all, Event{f.At, words(f.Kind.String()), text, f.Urgent})
	}
	for _, e := range effects {
		all = append(all, Event{e.Begun, "target", "asked for " + shares(e.Desired.Releases), false})
		if o := e.Outcome; o != nil {
			text := fmt.Sprintf("reported %s after %s", shares(o.Observed.Releases), adg.Span(o.Took))
			if o.Err != "" {
				text = "error: " + o.Err
			}
			all = append(all, Event{o.At, "target", text, false})
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	return all
}

func shares(releases []adg.Placement) string {
	if len(releases) == 0 {
		return "nothing"
	}
	parts := make([]string, len(releases))
	for i, p := range releases {
		parts[i] = fmt.Sprintf("%s %g %%", p.Release.Version, p.Share)
	}
	return strings.Join(parts, ", ")
}

func summary(s Story) []Line {
	d := s.Deployment
	lines := []Line{
		{"Deployment", d.ID},
		{"Outcome", words(d.Status.State.String()) + because(d.Status.Reasons)},
		{"Release", cmp.Or(d.Spec.Release.Artifact, d.Spec.Release.Version) + revision(d.Spec.Release)},
		{"Last good release", "none: a rollback was not possible"},
		{"Strategy", d.Spec.Policy.Strategy.Kind.String() + ", trust " + d.Spec.Policy.Rollback.Trust.String()},
		{"Started", stamp(d.Spec.Created) + by(d.Spec.Actor) + because([]string{d.Spec.Reason})},
	}
	if d.Spec.LastGood != nil {
		lines[3].Text = d.Spec.LastGood.Version + revision(*d.Spec.LastGood)
	}
	if p := d.Spec.Prediction; p != nil {
		lines = append(lines, Line{"Expected", fmt.Sprintf("success with %.0f %% (%.0f to %.0f %%); usual is %.0f %%; %s", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base, p.Standing)})
		if p.Counted != "" {
			lines = append(lines, Line{"Counted as failed", p.Counted})
		}
	}
	if len(d.Spec.Steered) > 0 {
		lines = append(lines, Line{"Steered by the risk", strings.Join(d.Spec.Steered, "; ")})
	}
	if d.Status.State.Ended() {
		lines = append(lines, Line{"Ended", fmt.Sprintf("%s, after %s", stamp(d.Status.Since), adg.Span(d.Status.Since.Sub(d.Spec.Created)))})
	}
	if condemned := d.Status.Condemned; !condemned.IsZero() {
		lines = append(lines, Line{"Condemned", stamp(condemned)})
		if bad := s.FirstBad; !bad.IsZero() {
			lines = append(lines, Line{"First bad health", fmt.Sprintf("%s, %s before", stamp(bad), condemned.Sub(bad).Round(time.Millisecond))})
		}
		if d.Status.State == adg.RolledBack {
			lines = append(lines, Line{"Restored and verified", fmt.Sprintf("%s, %s after it was condemned", stamp(d.Status.Since), d.Status.Since.Sub(condemned).Round(time.Millisecond))})
		}
	}
	return lines
}

// decided is when the release was condemned, or when a human was called to one that is bad and has no way back. One that
// recovered after that, and succeeded, was not found bad.
func decided(s adg.Status, decisions []adg.Entry) time.Time {
	if !s.Condemned.IsZero() || s.State == adg.Succeeded {
		return s.Condemned
	}
	for _, e := range decisions {
		if next := e.Decision.Next; called(next) && !called(e.Before) {
			return e.Decision.At
		}
	}
	return time.Time{}
}

// called tells whether a human was called to a release that is bad.
func called(s adg.Status) bool {
	return s.State == adg.Held && s.Paging && (s.Health == adg.Unhealthy || s.Health == adg.Degraded)
}

// firstBad is the beginning of the stretch without good health that ended in the decision.
func firstBad(assessments []adg.Assessment, condemned time.Time) time.Time {
	var first time.Time
	for _, a := range assessments {
		switch {
		case a.At.After(condemned):
			return first
		case a.Health == adg.Healthy:
			first = time.Time{}
		case a.Health != adg.HealthUnknown && first.IsZero():
			first = a.At
		}
	}
	return first
}

func revision(r adg.Release) string {
	var parts []string
	for _, p := range []Line{{"commit", r.Commit}, {"configuration", r.Config}, {"schema", r.Schema}} {
		if p.Text != "" {
			parts = append(parts, p.Name+" "+p.Text)
		}
	}
	return because(parts)
}

func because(reasons []string) string {
	reasons = slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return r == "" })
	if len(reasons) == 0 {
		return ""
	}
	return " (" + strings.Join(reasons, "; ") + ")"
}

func by(actor string) string {
	if actor == "" {
		return ""
	}
	return " by " + actor
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// figure is a value in its unit as people read it.
func figure(v float64, unit string) string {
	if math.IsNaN(v) {
		return "–"
	}
	return adg.Amount(v, unit, 4)
}
