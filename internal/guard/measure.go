package guard

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
)

const (
	// queryTimeout bounds one question; a source that takes longer than a check's interval is as good as down.
	queryTimeout = 20 * time.Second
	// perDeployment bounds the questions that one deployment asks at the same time.
	perDeployment = 8
	// shortest is the least stretch of time that is worth asking for.
	shortest = time.Second
	// maxValues bounds the values of a frozen baseline.
	maxValues = 256
	// maxSamples bounds the samples that they are made of.
	maxSamples = 10_000
)

// question is what one arm of a check is asked.
type question struct {
	check adg.Check
	arm   adg.Arm
	vars  map[string]string
	span  time.Duration // of a range query over more than the check's window: zero for none
}

// variables are what a query of the deployment may name.
func variables(d adg.Deployment, measured adg.Release, stable *adg.Release) map[string]string {
	vars := maps.Clone(d.Spec.Policy.Variables)
	if vars == nil {
		vars = map[string]string{}
	}
	vars["version"] = measured.Version
	vars["service"] = d.Spec.Policy.Service
	vars["environment"] = d.Spec.Policy.Environment
	vars["baseline"] = ""
	switch {
	case stable != nil:
		vars["baseline"] = stable.Version
	case d.Spec.LastGood != nil:
		vars["baseline"] = d.Spec.LastGood.Version
	}
	return vars
}

// measure asks all questions at the same time and returns the answers in order. A source that cannot be opened or
// does not answer is a measurement with an error: it is evidence of nothing but itself.
func (g *Guard) measure(ctx context.Context, d adg.Deployment, questions []question, now time.Time) []adg.Measurement {
	answers := make([]adg.Measurement, len(questions))
	slots := make(chan struct{}, perDeployment)
	var asked sync.WaitGroup
	for i, q := range questions {
		slots <- struct{}{}
		asked.Go(func() {
			defer func() { <-slots }()
			answers[i] = g.ask(ctx, d, q, now)
		})
	}
	asked.Wait()
	return answers
}

// Private

func (g *Guard) ask(ctx context.Context, d adg.Deployment, q question, now time.Time) adg.Measurement {
	m := adg.Measurement{Check: q.check.Name, Arm: q.arm, At: now}
	begin := time.Now() //nolint:forbidigo // how long a source takes is real time, and decides nothing
	source, err := g.world.Source(ctx, d, q.check.Source)
	if err == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, queryTimeout, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(queryTimeout)))
		defer cancel()
		err = fill(ctx, source, q, &m)
	}
	if err != nil {
		m.Err = err.Error()
	}
	m.Took = time.Since(begin) //nolint:forbidigo // see above
	return m
}

// fill puts the source's answers into the measurement.
func fill(ctx context.Context, source adg.Source, q question, m *adg.Measurement) error {
	if q.check.Compare == adg.Logs {
		return intoLog(ctx, source, q, m)
	}
	if q.check.Histogram != "" {
		return into(ctx, source, q, m, adg.Counters, q.check.Histogram, &m.Slow)
	}
	if !q.check.Counts() {
		return into(ctx, source, q, m, kindOf(q.check), q.check.Query, &m.Values)
	}
	if err := into(ctx, source, q, m, adg.Counters, q.check.Total, &m.Total); err != nil {
		return err
	}
	return into(ctx, source, q, m, adg.Counters, q.check.Bad, &m.Bad)
}

func into(ctx context.Context, source adg.Source, q question, m *adg.Measurement, kind adg.QueryKind, text string, series *[]adg.Series) error {
	query := adg.Query{Kind: kind, Text: text, Vars: q.vars, At: m.At, Window: q.check.Window, Step: max(q.check.Window/60, shortest)}
	switch {
	case q.span == 0:
	case kind == adg.Counters:
		query.Window = q.span
	default:
		query.Kind, query.Span, query.Step = adg.Range, q.span, max(q.check.Window, q.span/maxValues)
		if q.check.Aggregate != adg.Latest { // the windows are made of samples as fine as those of the live measurement
			query.Step = max(q.check.Window/60, q.span/maxSamples, shortest)
		}
	}
	answer, err := source.Query(ctx, query)
	if err != nil {
		return err
	}
	*series = answer.Series
	m.Sent = append(m.Sent, answer.Sent)
	m.Warnings = append(m.Warnings, answer.Warnings...)
	return nil
}

// intoLog asks for lines and keeps their patterns: the lines are not kept.
func intoLog(ctx context.Context, source adg.Source, q question, m *adg.Measurement) error {
	span := max(q.check.Window, q.span)
	answer, err := adg.AskLines(ctx, source, adg.LinesQuery{Text: q.check.Query, Vars: q.vars, At: m.At, Window: span, Replica: q.check.Replica})
	if err != nil {
		return err
	}
	log := judge.ReadLines(q.check, answer, m.At.Add(-span), m.At)
	m.Log, m.Sent, m.Warnings = &log, append(m.Sent, answer.Sent), append(m.Warnings, answer.Warnings...)
	return nil
}

// kindOf is the shape of answer that a check's comparison and aggregate need.
func kindOf(c adg.Check) adg.QueryKind {
	switch c.Compare {
	case adg.Events:
		return adg.Counters
	case adg.Probe:
		return adg.Instant
	case adg.MannWhitney:
		return adg.Range
	case adg.Threshold, adg.Relative, adg.Sequential, adg.Logs:
		if c.Aggregate != adg.Latest {
			return adg.Range
		}
		return adg.Instant
	}
	return adg.Instant
}
