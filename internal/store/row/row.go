// Package row is how deployments are written into rows: what the stores on different databases have in common.
package row

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Encode is the JSON that a value is stored as. What was measured has functions of its own, since NaN and the infinities
// are values like others there.
func Encode(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", adg.Errorf(adg.Invalid, "this cannot be stored: %w", err)
	}
	return string(text), nil
}

// Decode reads what Encode wrote.
func Decode[T any](text string) (v T, err error) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, adg.Errorf(adg.Internal, "a stored %T cannot be read: %w", v, err)
	}
	return v, nil
}

// Maybe reads what Encode wrote; an empty text is nil.
func Maybe[T any](text string) (*T, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // nothing was stored, and that is no error
	}
	v, err := Decode[T](text)
	return &v, err
}

// Status is the JSON of a status.
func Status(s adg.Status) (string, error) { return Encode(newStatus(s)) }

// Spec is the JSON of a specification. Its time is in UTC, so that times sort as texts do.
func Spec(s adg.Spec) (string, error) {
	s.Created = s.Created.UTC()
	return Encode(s)
}

// Created is a time as it sorts among those of specifications: as text, without the Z.
func Created(t time.Time) string { return strings.TrimSuffix(t.UTC().Format(time.RFC3339Nano), "Z") }

// Readable is a text in which what is no text, or no database's, is replaced: what others answer may be anything.
func Readable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, string(utf8.RuneError)), "\x00", string(utf8.RuneError))
}

// LiveOnly tells whether a filter selects live deployments only.
func LiveOnly(f adg.DeploymentFilter) bool {
	return f.Live || len(f.States) > 0 && !slices.ContainsFunc(f.States, adg.State.Ended)
}

// Names are the names of states or kinds, as they are stored.
func Names[E fmt.Stringer](all []E) []string { return each(all, E.String) }

// Deployment reads a deployment from its rows.
func Deployment(id string, version int64, spec, stored string) (adg.Deployment, error) {
	d := adg.Deployment{ID: id, Version: version}
	var err error
	if d.Spec, err = Decode[adg.Spec](spec); err != nil {
		return d, err
	}
	d.Status, err = StatusOf(stored)
	return d, err
}

// StatusOf reads a deployment's status.
func StatusOf(text string) (adg.Status, error) {
	s, err := Decode[status](text)
	return s.plain(), err
}

// Entry reads what is stored of a tick.
func Entry(deployment string, seq int64, text string) (adg.Entry, error) {
	stored, err := Decode[tick](text)
	if err != nil {
		return adg.Entry{}, err
	}
	e := stored.plain()
	e.Deployment, e.Seq = deployment, seq
	return e, nil
}

// Effect reads an effect from its intent and its outcome, which is empty while there is none.
func Effect(intent, ended string) (adg.Effect, error) {
	e, err := Decode[adg.Effect](intent)
	if err != nil {
		return e, err
	}
	o, err := Maybe[outcome](ended)
	e.Outcome = maybe(o, outcome.plain)
	return e, err
}

// Assessment reads the assessment that is stored with a tick.
func Assessment(text string) (adg.Assessment, error) { return plain(text, tick.assessment) }

// Measurement reads a measurement.
func Measurement(text string) (adg.Measurement, error) { return plain(text, measurement.plain) }

// Baseline reads a baseline.
func Baseline(text string) (adg.Baseline, error) { return plain(text, baseline.plain) }

// Tick is a tick with everything encoded, so that no transaction has to wait for it.
type Tick struct {
	adg.Tick
	StatusJSON       string
	EntryJSON        string
	IntentJSON       string // empty: nothing is begun
	OutcomeJSON      string // empty: nothing has ended
	MeasurementsJSON []string
	BaselinesJSON    []string
	FactsJSON        []string
}

// Prepare encodes a tick. The intent gets the fence of the lease.
func Prepare(t adg.Tick) (p Tick, err error) {
	p.Tick = t
	encoded := func(v any) string {
		text, failed := Encode(v)
		err = errors.Join(err, failed)
		return text
	}
	d := t.Decision
	p.StatusJSON = encoded(newStatus(d.Next))
	p.EntryJSON = encoded(newTick(t, !p.Recorded()))
	if d.Apply != nil {
		want := *d.Apply
		want.Fence = t.Lease.Fence
		p.IntentJSON = encoded(adg.Effect{Deployment: t.Lease.Deployment, Fence: want.Fence, Desired: want, Begun: d.At})
	}
	if o := t.Input.Outcome; o != nil {
		p.OutcomeJSON = encoded(newOutcome(*o))
	}
	p.MeasurementsJSON = each(t.Measurements, func(m adg.Measurement) string { return encoded(newMeasurement(m)) })
	p.BaselinesJSON = each(t.Baselines, func(b adg.Baseline) string { return encoded(newBaseline(b)) })
	p.FactsJSON = each(d.Facts, func(f adg.Fact) string { return encoded(f) })
	return p, err
}

// Recorded tells whether the decision becomes an entry: a human's word is on record with its answer, also where it
// changed nothing.
func (p *Tick) Recorded() bool { return p.Decision.Changed() || p.Input.Command != nil }

// Durable tells whether the tick has to be on disk when its commit returns.
func (p *Tick) Durable() bool {
	return p.Recorded() || p.Input.Outcome != nil || len(p.Baselines) > 0
}

// At is the time that the tick is on record for, and whether the health was assessed then.
func (p *Tick) At() (nanos int64, assessed bool) {
	if a := p.Input.Assessment; a != nil {
		return Nanos(a.At), true
	}
	return Nanos(p.Decision.At), false
}

// Bad tells whether a deployment counts as bad after a tick: unhealthy, or condemned by a rule. Unknown neither makes
// it bad nor good.
func Bad(before bool, next adg.Status) bool {
	switch next.Health {
	case adg.Unhealthy:
		return true
	case adg.Healthy, adg.Degraded:
		return !next.Condemned.IsZero() && next.Rule > 0
	case adg.HealthUnknown:
	}
	return before
}

// Limit is how many rows are read: what a caller asked for, within reason.
func Limit(asked, otherwise, largest int) int {
	if asked <= 0 {
		return otherwise
	}
	return min(asked, largest)
}

// UnknownDeployment is NotFound.
func UnknownDeployment(id string) error {
	return adg.Errorf(adg.NotFound, "there is no deployment %q", id)
}

// KeyTaken is a Conflict.
func KeyTaken(d adg.Deployment) error {
	return adg.Errorf(adg.Conflict, "another deployment than %s was started with the same key", d.ID)
}

// NotGivenUp is NotFound.
func NotGivenUp(d adg.Delivery) error {
	return adg.Errorf(adg.NotFound, "fact %s to %s was not given up", d.Fact.ID, d.Notifier)
}

// TriedSince is a Conflict.
func TriedSince(d adg.Delivery, tries int) error {
	return adg.Errorf(adg.Conflict, "fact %s to %s was tried %d times by now: look at why it failed, and try it again then", d.Fact.ID, d.Notifier, tries)
}

// NoHold is NotFound.
func NoHold(service, environment, identity string) error {
	return adg.Errorf(adg.NotFound, "%s %s is not on hold in %s", service, identity, environment)
}

// Private

func plain[S, T any](text string, f func(S) T) (v T, err error) {
	stored, err := Decode[S](text)
	if err != nil {
		return v, err
	}
	return f(stored), nil
}
