package guard

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
	"github.com/deployguardian/adg/internal/verdict"
)

// Tried is one check that was asked once.
type Tried struct {
	Measurements []adg.Measurement
	Judgement    adg.Judgement
}

// Try asks every check of a policy once about spec.Release, and about spec.LastGood beside it if there is one, and
// judges the answers. It stores nothing and changes nothing. Relative checks without a release beside it are asked
// about the past of the same release.
func Try(ctx context.Context, world World, spec adg.Spec) []Tried {
	g := New(nil, world, Options{Log: slog.New(slog.DiscardHandler)})
	d := adg.Deployment{Spec: spec}
	now := time.Now().UTC() //nolint:forbidigo // there is no store whose clock could be asked
	frozen := d
	if frozen.Spec.LastGood == nil {
		frozen.Spec.LastGood = &spec.Release
	}
	before := g.freeze(ctx, frozen, now)
	tried := make([]Tried, len(spec.Policy.Checks))
	var asked []verdict.Question
	for _, check := range spec.Policy.Checks {
		if spec.LastGood == nil {
			check = judge.Once(check)
		}
		asked = append(asked, verdict.Arms(check, spec.Release, spec.LastGood)...)
	}
	answers := g.measure(ctx, d, asLive(d, asked), now)
	for i, o := range verdict.Observations(asked, answers, before) {
		tried[i].Measurements = append(tried[i].Measurements, o.Candidate)
		if o.Stable != nil {
			tried[i].Measurements = append(tried[i].Measurements, *o.Stable)
		}
		tried[i].Judgement, _ = judge.Judge(o, now)
	}
	return tried
}

// TryLines asks a source once for the lines of a log in the last span of time, of whatever level, and keeps the patterns
// that most of them have.
func TryLines(ctx context.Context, source adg.Source, text string, vars map[string]string, span time.Duration) (adg.Measurement, error) {
	now := time.Now() //nolint:forbidigo // there is no store whose clock could be asked
	q := question{check: adg.Check{Compare: adg.Logs, Query: text, Window: span, Logs: adg.LogTest{Level: adg.LevelDebug, Any: true}}, vars: vars}
	m := adg.Measurement{At: now.UTC()}
	err := intoLog(ctx, source, q, &m)
	m.Took = time.Since(now) //nolint:forbidigo // how long a source takes is real time, and decides nothing
	if err != nil {
		m.Err = err.Error()
		return m, err
	}
	lines := func(p adg.LogPattern) (n int) {
		for _, c := range p.Cells {
			n += c.Lines
		}
		return n
	}
	slices.SortStableFunc(m.Log.Patterns, func(a, b adg.LogPattern) int { return cmp.Compare(lines(b), lines(a)) })
	for _, p := range m.Log.Patterns[min(len(m.Log.Patterns), shownPatterns):] {
		m.Log.Left += lines(p)
	}
	m.Log.Patterns = m.Log.Patterns[:min(len(m.Log.Patterns), shownPatterns)]
	return m, nil
}

// Private

// shownPatterns is how many of them somebody who tries a source out is shown.
const shownPatterns = 20
