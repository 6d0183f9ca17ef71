// Command judge compares ADG's judgement with the rules by which the field's tools decide whether a canary is rolled
// back, all of them on the same traces: how many healthy releases each takes back, how soon it finds a bad one, and how
// many requests that costs.
//
//	go run ./bench/judge -data DIR        the whole benchmark, into bench/judge/results
//	go run ./bench/judge -quick           a minute's worth of it, on standard output
//	go run ./bench/judge -csv DIR -n 20   traces as CSV (see TRACES.md)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/deployguardian/adg/bench/judge/rules"
	"github.com/deployguardian/adg/bench/judge/trace"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "judge:", err)
		stop()
		os.Exit(1)
	}
}

// Private

// options are the flags.
type options struct {
	out, csv, data, only string
	traces, aa, n        int
	workers              int
	seed                 uint64
	quick                bool
}

// bench is one run.
type bench struct {
	options
	tuningTraces int
	target       float64 // part of healthy releases that tuned rules roll back
	progress     *progress
	rules        []*rules.Rule
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("judge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.out, "out", "", "write results to this `folder`; bench/judge/results, or standard output with -quick or -only")
	flags.StringVar(&o.csv, "csv", "", "write traces as CSV to this `folder`, and do nothing else")
	flags.IntVar(&o.n, "n", 20, "how many `traces` of each fault -csv writes")
	flags.StringVar(&o.data, "data", "", "`folder` with measured data, from others; without it only what is made up is judged")
	flags.StringVar(&o.only, "only", "", "only worlds whose name contains this `text`; \"usual\", \"real\"")
	flags.IntVar(&o.traces, "traces", 400, "`traces` of each fault")
	flags.IntVar(&o.aa, "aa", 5000, "`traces` of healthy releases")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "`traces` at a time; the results do not depend on it")
	flags.Uint64Var(&o.seed, "seed", 1, "`number` from which all traces are made")
	flags.BoolVar(&o.quick, "quick", false, "a minute's worth: the usual world, few traces")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if o.traces < 1 || o.aa < 1 || o.n < 1 || o.workers < 1 {
		return o, errors.New("traces, aa, n and workers are 1 or more")
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.quick {
		if !given["traces"] {
			o.traces = 60
		}
		if !given["aa"] {
			o.aa = 300
		}
	}
	if o.out == "" && !o.quick && o.only == "" {
		o.out = "bench/judge/results"
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b := &bench{options: o, tuningTraces: min(1000, o.aa), target: 0.01, progress: &progress{out: stderr}, rules: rules.All()}
	if o.csv != "" {
		return b.writeTraces(ctx)
	}
	if o.only == "" || o.only == "real" {
		usual := trace.Usual()
		b.progress.total = float64(b.tuningTraces+o.aa/4+4*o.traces) * cost(&usual) // of measured latencies
	}
	began := time.Now()
	r := &Report{Command: command(args), Traces: o.traces, Healthy: o.aa, Seed: o.seed, Machine: machine(o.workers)}
	if err := b.synthetic(ctx, r); err != nil {
		return err
	}
	if err := b.measured(ctx, r); err != nil {
		return err
	}
	r.Took = time.Since(began).Round(time.Minute / 10).String()
	return r.write(o.out, stdout)
}

// command is what has to be typed to get the same.
func command(args []string) string {
	return strings.TrimSpace("go run ./bench/judge " + strings.Join(args, " "))
}

// machine is what the run was made on.
func machine(workers int) string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo") // there is none but on Linux
	if _, after, found := strings.Cut(string(info), "model name"); found {
		line, _, _ := strings.Cut(after, "\n")
		model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
	}
	return fmt.Sprintf("%s (%s/%s, %s, %d at a time)", model, runtime.GOOS, runtime.GOARCH, runtime.Version(), workers)
}

// synthetic runs all rules on all worlds.
func (b *bench) synthetic(ctx context.Context, r *Report) error {
	var list []setup
	for _, s := range setups() {
		if b.quick && s.world.Name != "usual" || b.only != "" && !strings.Contains(s.world.Name, b.only) {
			continue
		}
		list = append(list, s)
		b.progress.total += b.work(s)
	}
	if len(list) == 0 && b.only != "real" {
		return fmt.Errorf("there is no world whose name contains %q", b.only)
	}
	for _, s := range list {
		cells, err := b.world(ctx, s)
		if err != nil {
			return fmt.Errorf("world %q: %w", s.world.Name, err)
		}
		r.Cells = append(r.Cells, cells...)
		r.bounds(s)
	}
	return nil
}

// work is how much a setup costs, in the unit of progress.
func (b *bench) work(s setup) float64 {
	n := float64(b.healthy(s) + b.traces*len(s.faults))
	if s.tuned {
		n += float64(b.tuningTraces)
	}
	return n * cost(&s.world)
}

func (b *bench) healthy(s setup) int { return max(int(s.part*float64(b.aa)), 1) }

// world runs all rules on one world.
func (b *bench) world(ctx context.Context, s setup) ([]Cell, error) {
	var settings []setting
	for _, rule := range b.rules {
		settings = append(settings, setting{rule: rule, knobs: rule.Defaults()})
	}
	if s.tuned {
		b.progress.at(s.world.Name + ", finding equal false-rollback rates")
		e := &experience{rules: b.rules}
		if err := b.gather(ctx, e, &s.world, b.tuningTraces); err != nil {
			return nil, err
		}
		settings = append(settings, e.tune(b.target)...)
	}
	var cells []Cell
	for i, f := range append([]trace.Fault{healthy}, s.faults...) {
		b.progress.at(s.world.Name + ", " + f.Name)
		n, from := b.traces, faultyTraces
		if i == 0 {
			n, from = b.healthy(s), healthyTraces
		}
		all, err := b.play(ctx, &s.world, &f, from, n, settings)
		if err != nil {
			return nil, err
		}
		for j, setting := range settings {
			one := make([]sample, len(all))
			for k := range all {
				one[k] = all[k][j]
			}
			if !one[0].skipped {
				cells = append(cells, summarize(&s.world, &f, setting, one))
			}
		}
	}
	return cells, nil
}
