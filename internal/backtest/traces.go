package backtest

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge"
)

// Traces tells what a policy would have done on the traces (*.csv) of a directory: the canary has the trace's share of
// the requests for as long as the policy's steps below 100 % bake. Without a policy it is a sequential check of the
// errors, and one of the latency where the trace has it, for the whole length.
//
// Every check of two counters is answered with the trace's errors and requests, and every histogram with its
// latencies; checks that ask something else are Missing. The baseline is frozen from the time before the canary.
func Traces(ctx context.Context, dir fs.FS, p *adg.Policy, o Options) (Result, error) {
	names, err := fs.Glob(dir, "*.csv")
	if err != nil {
		return Result{}, fmt.Errorf("listing the traces: %w", err)
	}
	if len(names) == 0 {
		return Result{}, adg.Errorf(adg.NotFound, "there is no trace (*.csv) in the directory")
	}
	cases, err := each(ctx, names, o, func(_ context.Context, name string) (Case, error) {
		c, err := traced(dir, name, p)
		if err != nil {
			err = fmt.Errorf("trace %s: %w", name, err)
		}
		return c, err
	})
	return Result{Summary: Summarize(cases), Cases: cases}, err
}

// Private

func traced(dir fs.FS, name string, p *adg.Policy) (c Case, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return c, err
	}
	defer func() {
		if failed := f.Close(); err == nil {
			err = failed
		}
	}()
	t, err := parseTrace(f)
	if err != nil {
		return c, err
	}
	c = Case{Name: strings.TrimSuffix(path.Base(name), ".csv"), WouldBe: NotSimulated}
	from, err := t.begin()
	if err != nil {
		return c, err
	}
	if err := c.learn(t, from); err != nil {
		return c, err
	}
	share, err := t.share(from)
	if err != nil {
		return c, err
	}
	policy := usual(t, from)
	if p != nil {
		policy = *p
	}
	return c, c.follow(t, policy, from, share)
}

// follow simulates the policy on the trace.
func (c *Case) follow(t *trace, p adg.Policy, from int, share float64) error {
	var checks []adg.Check
	for _, check := range p.Checks {
		if check.Counts() || check.Histogram != "" && len(t.limits) > 0 {
			check.Replica = "replica"
			checks = append(checks, check)
		} else {
			c.Missing = append(c.Missing, check.Name)
		}
	}
	if len(checks) == 0 {
		c.Notes = append(c.Notes, "no check of the policy can be answered from a trace")
		return nil
	}
	p = unattended(p, checks)
	known, frozen, err := t.record(p.Checks, from)
	if err != nil {
		return err
	}
	bake := time.Duration(0)
	for _, step := range p.Strategy.Steps {
		if step.Share < 100 {
			bake += step.Bake
		}
	}
	p.Strategy = adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: share, Bake: bake}, {Share: 100}}}
	p.Verify = nil // a trace knows nothing of a release that has all of the requests
	p.Deadline = max(p.Deadline, time.Duration(t.seconds)*time.Second)
	spec := adg.Spec{
		Release: adg.Release{Service: p.Service, Version: "canary"}, LastGood: &adg.Release{Service: p.Service, Version: "baseline"},
		Policy: p, Actor: "backtest", Created: at(from),
	}
	l := script{spec: spec, frozen: frozen, answer: known.answer, from: at(from), to: at(t.seconds), canaryOnly: true}.play()
	c.tell(l, at(from))
	if name := counted(checks); name != "" {
		if bad, ok := known.served(name, at(from), l.decided); ok {
			c.Served = &bad
		}
	}
	return nil
}

// learn takes in what the trace says is true of it.
func (c *Case) learn(t *trace, from int) error {
	c.Truth, c.Kind = Good, t.truth["kind"]
	text, found := t.truth["degraded from"]
	if !found || text == "" || text == "never" || text == "none" {
		return nil
	}
	second, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(second) || math.IsInf(second, 0) {
		return adg.Errorf(adg.Invalid, "degraded from: %q is no second", text)
	}
	c.Truth, c.Fault = Bad, new(max(0, second-float64(from)))
	return nil
}

// begin is the second in which the canary begins.
func (t *trace) begin() (int, error) {
	text, found := t.truth["canary from"]
	if !found {
		return t.first, nil
	}
	second, err := strconv.Atoi(text)
	if err != nil || second < 0 || second >= t.seconds {
		return 0, adg.Errorf(adg.Invalid, "canary from: %q is no second of the trace", text)
	}
	return second, nil
}

// share is the canary's part of the requests, in percent: as the trace says, else as it was.
func (t *trace) share(from int) (float64, error) {
	if text, found := t.truth["share"]; found {
		share, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
		if err != nil || !(share > 0 && share < 100) {
			return 0, adg.Errorf(adg.Invalid, "share: %q is no share between 0 and 100 %%", text)
		}
		return share, nil
	}
	var sums [2]float64
	for _, r := range t.replicas {
		for second, one := range r.rows {
			if second >= from {
				sums[r.arm] += one.requests
			}
		}
	}
	share := 100 * sums[adg.CandidateArm] / (sums[adg.CandidateArm] + sums[adg.BaselineArm])
	if !(share > 0 && share < 100) {
		return 0, adg.Errorf(adg.Invalid, "the canary has %.3g %% of the requests: there is nothing to compare", share)
	}
	return share, nil
}

// record is what the sources would have answered to the checks, and what would have been frozen before the canary.
func (t *trace) record(checks []adg.Check, from int) (*record, []adg.Baseline, error) {
	r := newRecord()
	var frozen []adg.Baseline
	for _, arm := range []adg.Arm{adg.CandidateArm, adg.BaselineArm} {
		bad, total, slow := t.counters(arm, arm.String())
		for _, c := range checks {
			m := adg.Measurement{Check: c.Name, Arm: arm, At: at(t.seconds)}
			if c.Counts() {
				m.Bad, m.Total = bad, total
			} else {
				m.Slow = slow
			}
			if err := r.add(m); err != nil {
				return nil, nil, err
			}
		}
	}
	if from == 0 {
		return r, nil, nil
	}
	for _, c := range checks {
		table := r.tables[place{c.Name, adg.BaselineArm}]
		if table == nil {
			continue
		}
		m := adg.Measurement{Check: c.Name, Arm: adg.BaselineArm, At: at(from), Bad: table.bad.cut(epoch, at(from)), Total: table.total.cut(epoch, at(from)), Slow: table.slow.cut(epoch, at(from))}
		frozen = append(frozen, judge.Freeze(c, m, epoch, at(from)))
	}
	return r, frozen, nil
}

// usual is the policy where none is given.
func usual(t *trace, from int) adg.Policy {
	whole := time.Duration(t.seconds-from) * time.Second
	p := adg.Policy{
		Service: "trace", Environment: "trace", Interval: 5 * time.Second,
		Checks:   []adg.Check{{Name: "errors", Source: "trace", Bad: "errors", Total: "requests", Compare: adg.Sequential, Critical: true}},
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: whole}, {Share: 100}}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy}}},
	}
	if len(t.limits) > 0 {
		p.Checks = append(p.Checks, adg.Check{Name: "latency", Source: "trace", Histogram: "latency", Compare: adg.Sequential, Critical: true})
	}
	return p.WithDefaults()
}
