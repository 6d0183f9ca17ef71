package guard

import (
	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/rollout"
	"github.com/deployguardian/adg/internal/verdict"
)

// assess measures the checks that are due, has them judged, and puts the health of all that count now into the input.
// Without a question that can be asked yet, there is no assessment.
func (g *Guard) assess(ctx context.Context, d adg.Deployment, need rollout.Need, frozen []adg.Baseline, in *adg.Input) []adg.Measurement {
	asked := verdict.Questions(d, need, frozen, in.Now)
	if len(asked) == 0 {
		return nil
	}
	answers := g.measure(ctx, d, asLive(d, asked), in.Now)
	assessment, watches := verdict.Of(d, need, asked, answers, frozen, in.Now)
	in.Assessment, in.Watches = &assessment, watches
	return answers
}

// Private

// asLive are questions about the time until now, with the variables that their queries may name.
func asLive(d adg.Deployment, asked []verdict.Question) []question {
	all := make([]question, len(asked))
	for i, q := range asked {
		all[i] = question{check: q.Check, arm: q.Arm, vars: variables(d, q.Release, q.Stable)}
	}
	return all
}
