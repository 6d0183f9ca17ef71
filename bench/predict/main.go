// Command predict scores the prediction on public data, strictly in time order, as adg predict evaluate does, and writes
// the weights that ADG ships with.
//
//	go run ./bench/predict -data DIR            the figures, as Markdown on standard output
//	go run ./bench/predict -data DIR -prior     internal/predict/prior_weights.go anew
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/evaluate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	data := flag.String("data", "", "`folder` with the tables, from others; needed")
	only := flag.String("only", "", "only tables whose name contains this `text`")
	prior := flag.Bool("prior", false, "write the shipped weights instead")
	flag.Parse()
	err := errors.New("where are the tables? name their folder with -data")
	if *data != "" && *prior {
		err = writePrior(*data, "internal/predict/prior_weights.go")
	} else if *data != "" {
		err = report(ctx, os.Stdout, *data, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "predict:", err)
		stop()
		os.Exit(1)
	}
}

// Private

// run is one table's evaluation.
type run struct {
	set
	*evaluate.Result
	once *evaluate.Result // nothing learned once scoring had begun; nil for deployments
	cold []coldStart
	took time.Duration
}

func report(ctx context.Context, out io.Writer, data, only string) error {
	tables, err := loadAll(data)
	if err != nil {
		return err
	}
	var runs []run
	for i, s := range sets {
		if !s.matches(only) {
			continue
		}
		// What the other tables teach: this one must not have been seen.
		prior := predict.FitPrior(sources(tables, s.family))
		options := evaluate.Options{
			Delay: s.delay, Refit: s.refit, ScoreLast: s.score, Seed: 1, Prior: prior,
			Progress: func(done, all int) {
				if done%1024 == 0 {
					fmt.Fprintf(os.Stderr, "\r\x1b[K%s: %d of %d rows", s.name, done, all)
				}
			},
		}
		began := time.Now()
		r, err := evaluate.Run(ctx, tables[i], options)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		one := run{set: s, Result: r, took: time.Since(began)}
		one.cold = coldStarts(tables[i], s, prior)
		if s.delay == 0 {
			options.Once = true
			if one.once, err = evaluate.Run(ctx, tables[i], options); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		runs = append(runs, one)
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	writeReport(out, runs)
	return nil
}

// sources are the tables of the other families, with their labels.
func sources(tables []*evaluate.Table, without string) []predict.Source {
	var all []predict.Source
	for i, s := range sets {
		if s.family == without {
			continue
		}
		t := tables[i]
		source := predict.Source{Name: s.name, Names: t.Names}
		for j, row := range t.Values {
			if t.Labels[j] == evaluate.Unlabelled {
				continue
			}
			values := make([]float64, len(row))
			for k, v := range row {
				values[k] = float64(v)
			}
			source.Rows = append(source.Rows, values)
			source.Failed = append(source.Failed, t.Labels[j] == evaluate.Failed)
		}
		all = append(all, source)
	}
	return all
}
