package guard

import (
	"context"
	"log/slog"
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
			check = judge.Alone(check)
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
