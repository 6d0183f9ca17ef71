package backtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/verdict"
)

// Memory is what a backtest on recorded deployments reads. It is safe for concurrent use.
type Memory interface {
	ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error)
	Ticks(ctx context.Context, deployment string, after int64, limit int) ([]adg.Entry, error)
	Measurements(ctx context.Context, deployment string, f adg.MeasurementFilter) ([]adg.Measurement, error)
	Baselines(ctx context.Context, deployment string) ([]adg.Baseline, error)
}

// Recorded tells what a policy, whose defaults are filled in, would have done with the ended deployments of its
// service and environment. Only checks are asked whose questions were asked then: others are Missing. The frozen
// baselines are those of the record.
func Recorded(ctx context.Context, m Memory, p adg.Policy, o Options) (Result, error) {
	list, err := ended(ctx, m, p, o)
	if err != nil {
		return Result{}, err
	}
	cases, err := each(ctx, list, o, func(ctx context.Context, d adg.Deployment) (Case, error) {
		c, err := again(ctx, m, d, p)
		if err != nil {
			err = fmt.Errorf("deployment %s: %w", d.ID, err)
		}
		return c, err
	})
	return Result{Summary: Summarize(cases), Cases: cases}, err
}

// Private

// maxCases bounds one backtest.
const maxCases = 10_000

// ended are the deployments that the options select, the oldest first.
func ended(ctx context.Context, m Memory, p adg.Policy, o Options) ([]adg.Deployment, error) {
	f := adg.DeploymentFilter{Service: p.Service, Environment: p.Environment, Limit: 100}
	if o.Service != "" {
		f.Service = o.Service
	}
	var all []adg.Deployment
	for {
		page, err := m.ListDeployments(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			begun := d.Spec.Created
			if d.Status.State.Ended() && (o.From.IsZero() || !begun.Before(o.From)) && (o.To.IsZero() || !begun.After(o.To)) {
				all = append(all, d)
			}
		}
		if len(all) > maxCases {
			return nil, adg.Errorf(adg.Invalid, "more than %d deployments: narrow the time down with --from and --to", maxCases)
		}
		if len(page) < f.Limit || o.Limit > 0 && len(all) >= o.Limit {
			if o.Limit > 0 && len(all) > o.Limit {
				all = all[:o.Limit]
			}
			slices.Reverse(all)
			return all, nil
		}
		f.Before = page[len(page)-1].ID
	}
}

// each does all cases, so many at the same time, and gives them in the order of what they are made of.
func each[T any](ctx context.Context, all []T, o Options, do func(context.Context, T) (Case, error)) ([]Case, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cases, errs := make([]Case, len(all)), make([]error, len(all))
	next := make(chan int)
	var workers sync.WaitGroup
	var counting sync.Mutex
	done := 0
	for range min(max(o.Workers, 1), len(all)) {
		workers.Go(func() {
			for i := range next {
				if cases[i], errs[i] = do(ctx, all[i]); errs[i] != nil {
					cancel()
				}
				counting.Lock()
				done++
				if o.Progress != nil {
					o.Progress(done, len(all))
				}
				if o.Each != nil && errs[i] == nil {
					o.Each(done, len(all), cases[i])
				}
				counting.Unlock()
			}
		})
	}
	var interrupted error
	for i := range all {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		interrupted = context.Cause(ctx)
		break
	}
	close(next)
	workers.Wait()
	for _, err := range errs {
		if interrupted == nil || err != nil && !errors.Is(err, context.Canceled) {
			interrupted = err
		}
	}
	return cases, interrupted
}

// again simulates one recorded deployment under another policy.
func again(ctx context.Context, m Memory, d adg.Deployment, p adg.Policy) (Case, error) {
	c := Case{Name: d.ID, Release: d.Spec.Release.Version, Began: d.Spec.Created, Was: strings.ReplaceAll(d.Status.State.String(), "_", " "), WouldBe: NotSimulated}
	known, err := read(ctx, m, d)
	if err != nil {
		return c, err
	}
	c.Truth, c.Notes = truth(d, known.people)
	var checks []adg.Check
	checks, c.Missing = answerable(p, d.Spec.Policy)
	switch {
	case known.gone > 0:
		c.Notes = append(c.Notes, fmt.Sprintf("compacted: %d of %d ticks are gone", known.gone, d.Version-1))
		return c, nil
	case known.from.IsZero():
		c.Notes = append(c.Notes, "the release never got traffic")
		return c, nil
	case len(checks) == 0:
		c.Notes = append(c.Notes, "no check of the policy is on record")
		return c, nil
	}
	frozen, err := m.Baselines(ctx, d.ID)
	if err != nil {
		return c, err
	}
	spec := d.Spec
	spec.Policy = unattended(p, checks)
	l := script{spec: spec, frozen: frozen, answer: known.record.answer, from: known.from, to: known.to, looks: known.looks}.play()
	c.tell(l, known.from)
	if name := counted(checks); name != "" {
		c.Served = known.served(name, l.decided)
		c.WasServed = known.served(name, known.to)
	}
	if at := d.Status.Condemned; !at.IsZero() {
		c.WasFound = new(at.Sub(known.from).Seconds())
	}
	return c, nil
}

// tell puts on record how the simulated life went.
func (c *Case) tell(l life, from time.Time) {
	c.WouldBe, c.Reasons = l.end, l.reasons
	c.Decided = new(l.decided.Sub(from).Seconds())
	if l.found.IsZero() {
		return
	}
	c.Found = new(l.found.Sub(from).Seconds())
	if c.Truth == Bad && !c.early() {
		c.Detect = new(*c.Found - sum(number(c.Fault)))
	}
}

// past is what is known of a recorded deployment.
type past struct {
	record   *record
	from, to time.Time // the candidate was live; zero: never
	looks    []time.Time
	taken    bool     // it was rolled back at that time
	people   []string // what humans had asked for
	gone     int64    // ticks that are not on record any more
}

func (p past) served(check string, until time.Time) *float64 {
	bad, ok := p.record.served(check, p.from, until)
	if !ok {
		return nil
	}
	return &bad
}

// read goes through the history of a deployment, page by page, until its release was taken back.
func read(ctx context.Context, m Memory, d adg.Deployment) (past, error) {
	p := past{record: newRecord(), gone: d.Version - 1}
	page := max(1, 10_000/(2*len(d.Spec.Policy.Checks)+1))
	last := int64(0)
	for {
		entries, err := m.Ticks(ctx, d.ID, last, min(page, 500))
		if err != nil {
			return p, err
		}
		if len(entries) == 0 {
			return p, nil
		}
		p.gone -= int64(len(entries))
		last = entries[len(entries)-1].Seq
		over := p.taken
		for _, e := range entries {
			p.hear(e)
		}
		if over {
			continue // what was measured since is of the release that was restored
		}
		measured, err := m.Measurements(ctx, d.ID, adg.MeasurementFilter{From: entries[0].Input.Now, To: entries[len(entries)-1].Input.Now, Limit: 10_000})
		if err != nil {
			return p, err
		}
		for _, one := range measured {
			if p.taken && one.At.After(p.to) {
				break
			}
			if err := p.record.add(one); err != nil {
				return p, err
			}
		}
	}
}

// hear takes in what one tick says about when the release was live, and what people asked for.
func (p *past) hear(e adg.Entry) {
	if cmd := e.Input.Command; cmd != nil {
		p.people = append(p.people, fmt.Sprintf("%s by %s", cmd.Kind, cmd.Actor))
	}
	if p.taken {
		return
	}
	p.to = e.Input.Now
	if e.Input.Assessment != nil {
		p.looks = append(p.looks, p.to)
	}
	if e.Quiet {
		return
	}
	if at := e.Before.ReachedAt; p.from.IsZero() {
		p.from = at
	}
	p.taken = e.Decision.Apply != nil && e.Decision.Apply.Rollback
}

// truth is what the record says about the release.
func truth(d adg.Deployment, people []string) (Truth, []string) {
	var notes []string
	if len(people) > 0 {
		notes = append(notes, "people had their say: "+strings.Join(people, ", "))
	}
	if d.Status.State == adg.Succeeded {
		return Good, notes
	}
	if d.Status.State == adg.RolledBack {
		return Bad, notes
	}
	return TruthUnknown, notes
}

// answerable are the checks of a policy whose questions the record answers, and the names of the others.
func answerable(p, recorded adg.Policy) (checks []adg.Check, missing []string) {
	for _, c := range p.Checks {
		i := slices.IndexFunc(recorded.Checks, func(r adg.Check) bool { return r.Name == c.Name })
		if i >= 0 && written(recorded.Checks[i], recorded) == written(c, p) && arms(recorded.Checks[i]) >= arms(c) {
			checks = append(checks, c)
		} else {
			missing = append(missing, c.Name)
		}
	}
	return checks, missing
}

// arms is how many of the two versions a check asks about.
func arms(c adg.Check) int { return len(verdict.Arms(c, adg.Release{}, &adg.Release{})) }

// written is everything that the answers to a check's question depend on, beside the release and the time.
func written(c adg.Check, p adg.Policy) string {
	vars := maps.Clone(p.Variables)
	if vars == nil {
		vars = map[string]string{}
	}
	vars["service"], vars["environment"], vars["window"] = p.Service, p.Environment, c.Window.String()
	vars["version"], vars["baseline"] = "$version", "$baseline"
	parts := []string{c.Source}
	for _, text := range []string{c.Query, c.Bad, c.Total, c.Histogram} {
		expanded, err := adg.Expand(text, vars, func(_, value string) string { return value })
		if err != nil {
			expanded = text
		}
		parts = append(parts, expanded)
	}
	return strings.Join(parts, "\x00")
}

// counted is the first check that counts bad requests.
func counted(checks []adg.Check) string {
	for _, c := range checks {
		if c.Counts() && c.Compare != adg.Events {
			return c.Name
		}
	}
	return ""
}

// unattended is the policy with those checks, and nobody who is waited for.
func unattended(p adg.Policy, checks []adg.Check) adg.Policy {
	p.Checks = slices.Clone(checks)
	for i := range p.Checks {
		p.Checks[i].Sequential.NoSplit = true
	}
	p.Approve = false
	p.Strategy.Steps = slices.Clone(p.Strategy.Steps)
	for i := range p.Strategy.Steps {
		p.Strategy.Steps[i].Pause = false
	}
	p.Verify = slices.Clone(p.Verify)
	for i, phase := range p.Verify {
		p.Verify[i].Checks = slices.DeleteFunc(slices.Clone(phase.Checks), func(name string) bool {
			return !slices.ContainsFunc(checks, func(c adg.Check) bool { return c.Name == name })
		})
	}
	return p
}
