package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/deployguardian/adg/bench/judge/measure"
	"github.com/deployguardian/adg/bench/judge/records"
	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
)

// eshopper is the world with the latencies that were measured there.
const eshopper = "eShopper's latencies"

// measured runs the rules on what others measured. Data that is not there is named in the report.
func (b *bench) measured(ctx context.Context, r *Report) error {
	if b.only != "" && b.only != "real" {
		return nil
	}
	for _, part := range []func(context.Context, *Report) error{b.delag, b.nezha, b.petshop} {
		err := part(ctx, r)
		if errors.Is(err, records.ErrMissing) {
			r.Missing = append(r.Missing, err.Error())
			fmt.Fprintln(b.progress.out, "left out:", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// delag draws the requests of the usual world's canary and baseline from measured ones.
func (b *bench) delag(ctx context.Context, r *Report) error {
	b.progress.at("reading eShopper's requests")
	scenarios, err := records.Delag(b.data)
	if err != nil {
		return err
	}
	scenarios = slices.DeleteFunc(scenarios, func(s records.Scenario) bool {
		return len(s.Healthy) < 1000 || len(s.Slowed[0]) < 100 || len(s.Slowed[1]) < 100
	})
	if b.quick {
		scenarios = scenarios[:min(20, len(scenarios))]
	}
	experience := &experience{rules: b.rules}
	worlds := make([]*trace.World, len(scenarios))
	b.progress.at(eshopper + ", finding equal false-rollback rates")
	for i, s := range scenarios {
		worlds[i] = worldOf(s)
		if err := b.gather(ctx, experience, worlds[i], max(1, b.tuningTraces/len(scenarios))); err != nil {
			return err
		}
	}
	var settings []setting
	for _, rule := range b.rules {
		settings = append(settings, setting{rule: rule, knobs: rule.Defaults()})
	}
	settings = append(settings, experience.tune(b.target)...)
	for _, part := range []float64{0, 0.05, 0.1, 0.2, 0.5} {
		cells, err := b.slowed(ctx, scenarios, worlds, settings, part)
		if err != nil {
			return err
		}
		r.Cells = append(r.Cells, cells...)
	}
	return nil
}

// slowed plays each scenario with a part of the canary's requests slowed by either cause; 0 is a healthy release.
func (b *bench) slowed(ctx context.Context, scenarios []records.Scenario, worlds []*trace.World, settings []setting, part float64) ([]Cell, error) {
	name, causes, n, from := healthy.Name, 1, max(1, b.aa/4/len(scenarios)), healthyTraces
	if part > 0 {
		name, causes, n, from = fmt.Sprintf("%.0f %% of requests slowed", 100*part), 2, max(1, b.traces/2/len(scenarios)), faultyTraces
	}
	b.progress.at(eshopper + ", " + name)
	all := make([][]sample, len(settings))
	for i, s := range scenarios {
		for cause := range causes {
			f := trace.Fault{Name: name}
			if part > 0 {
				f.Latency = worlds[i].Latency.Mixed(trace.Observed(s.Slowed[cause]), part)
			}
			played, err := b.play(ctx, worlds[i], &f, from+stream(10*cause), n, settings)
			if err != nil {
				return nil, err
			}
			for _, samples := range played {
				for j := range samples {
					all[j] = append(all[j], samples[j])
				}
			}
		}
	}
	var cells []Cell
	w, f := *worlds[0], trace.Fault{Name: name}
	w.Name = eshopper
	for j, s := range settings {
		if !all[j][0].skipped {
			cells = append(cells, summarize(&w, &f, s, all[j]))
		}
	}
	return cells, nil
}

// worldOf is the usual world with a scenario's latencies. The limit of tools without a baseline is half above the p99.
func worldOf(s records.Scenario) *trace.World {
	w := trace.Usual()
	w.Name = eshopper + " " + s.Name
	w.Latency = trace.Observed(s.Healthy)
	w.LatencyLimit = 1.5 * trace.Edge(w.Latency.Quantile(0.99))
	return &w
}

// Measured is what a rule made of the episodes of a recording.
type Measured struct {
	Recording string           `json:"recording"`
	Rule      string           `json:"rule"`
	Detected  measure.Interval `json:"detected"` // of the episodes with a fault
	Faults    int              `json:"faults"`
	False     measure.Interval `json:"false"` // of the others
	Quiet     int              `json:"quiet"`
	Median    measure.Interval `json:"median_s"` // from the fault; misses never come
}

// nezha judges minutes without counts.
func (b *bench) nezha(_ context.Context, r *Report) error {
	episodes, err := records.Nezha(b.data)
	if err != nil {
		return err
	}
	r.recording("Nezha, front service, per minute", episodes, 60)
	return nil
}

// petshop judges steps of five minutes, with counts.
func (b *bench) petshop(_ context.Context, r *Report) error {
	episodes, err := records.Petshop(b.data)
	if err != nil {
		return err
	}
	r.recording("PetShop, front end, per 5 min", episodes, 300)
	return nil
}

func (r *Report) recording(name string, episodes []records.Episode, step int) {
	for _, rule := range rules.OnRecordings() {
		if rule.Counted && !episodes[0].Before[0].Counted {
			continue
		}
		row := Measured{Recording: name, Rule: rule.Name}
		detected, wrong := 0, 0
		var times []float64
		for _, e := range episodes {
			at, found := rule.Find(e)
			if e.Kind == "" {
				row.Quiet++
				if found {
					wrong++
				}
				continue
			}
			row.Faults++
			t := never
			if found {
				detected++
				t = float64((at + 1) * step)
			}
			times = append(times, t)
		}
		row.Detected, row.False = measure.Wilson(detected, row.Faults), measure.Wilson(wrong, row.Quiet)
		row.Median = measure.Quantile(times, 0.5)
		r.Measured = append(r.Measured, row)
	}
}

// measuredTable says what the rules made of recordings.
func (r *Report) measuredTable(out *bytes.Buffer) {
	fmt.Fprintf(out, "## On measured data\n\n")
	for _, missing := range r.Missing {
		fmt.Fprintf(out, "Left out: %s\n\n", missing)
	}
	if len(r.Measured) == 0 {
		return
	}
	fmt.Fprintf(out, "Recordings of services in which faults were injected, judged after each step against the time before (Nezha) or against a run without faults under the same traffic (PetShop). "+
		"They hold averages and quantiles per step, not histograms; limits without a baseline are twice the error rate (at least 1 %%) and half above the p99 of the time before.\n\n"+
		"| recording | rule | faults found | median, s | quiet stretches called bad |\n|---|---|---|---|---|\n")
	for _, m := range r.Measured {
		fmt.Fprintf(out, "| %s | %s | %s of %d (%.0f–%.0f) | %s | %s of %d (%.1f–%.1f) |\n", m.Recording, m.Rule, percent(m.Detected.Value), m.Faults, 100*m.Detected.Low, 100*m.Detected.High,
			spread(m.Median), percent(m.False.Value), m.Quiet, 100*m.False.Low, 100*m.False.High)
	}
	fmt.Fprintln(out)
}
