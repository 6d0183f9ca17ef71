package guard

import (
	"context"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
)

// maxCachedBaselines bounds the memory that frozen baselines take, which never change and are needed at each tick:
// deployments past it read them from the store.
const maxCachedBaselines = 16_384

// frozen gives the deployment's baselines: from memory, from the store, or, when there are none yet, measured now.
// Those measured now still have to be stored with the tick: fresh tells so.
func (g *Guard) frozen(ctx context.Context, d adg.Deployment, now time.Time) (all []adg.Baseline, fresh bool, err error) {
	if all, ok := g.baselines.Get(d.ID); ok {
		return all, false, nil
	}
	all, err = g.store.Baselines(ctx, d.ID)
	if err != nil {
		return nil, false, err
	}
	if len(all) > 0 || d.Status.State != adg.Pending {
		g.baselines.Put(d.ID, all)
		return all, false, nil
	}
	return g.freeze(ctx, d, now), true, nil
}

// freeze measures what each check says before the deployment: the last good release over the policy's history.
// A check that cannot be asked has a baseline that says why; probes have none.
func (g *Guard) freeze(ctx context.Context, d adg.Deployment, now time.Time) []adg.Baseline {
	if d.Spec.LastGood == nil {
		return nil
	}
	policy := d.Spec.Policy
	vars := variables(d, *d.Spec.LastGood, d.Spec.LastGood)
	var questions []question
	for _, c := range policy.Checks {
		if c.Compare == adg.Probe {
			continue
		}
		questions = append(questions, question{check: c, arm: adg.BaselineArm, vars: vars, span: policy.History})
	}
	answers := g.measure(ctx, d, questions, now)
	all := make([]adg.Baseline, len(answers))
	for i, m := range answers {
		span := policy.History
		for range shorter {
			if m.Err == "" || !raw(questions[i].check) || ctx.Err() != nil {
				break
			}
			span /= 3
			questions[i].span = span
			m = g.ask(ctx, d, questions[i], now)
		}
		all[i] = judge.Freeze(questions[i].check, m, now.Add(-span), now)
		if questions[i].check.Sequential.Season {
			judge.Seasonal(questions[i].check, &all[i], g.before(ctx, d, questions[i], now))
		}
	}
	return all
}

// before asks about the same hour of the days before.
func (g *Guard) before(ctx context.Context, d adg.Deployment, q question, now time.Time) []adg.Measurement {
	const days, hour = 7, time.Hour
	q.span = hour
	var all []adg.Measurement
	for day := 1; day <= days && ctx.Err() == nil; day++ {
		all = append(all, g.ask(ctx, d, q, now.AddDate(0, 0, -day).Add(hour/2)))
	}
	return all
}

// shorter is how often a source that refuses the raw counters of the whole history is asked for a third of it: what is
// scraped every second from many replicas is more than a source gives at once, and a part of it is enough.
const shorter = 2

func raw(c adg.Check) bool { return c.Counts() || c.Histogram != "" }
