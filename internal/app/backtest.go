package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// backtest tells what a policy would have done, and writes the pictures that are wanted.
func (a *App) backtest(ctx context.Context, o cli.BacktestOptions) (r backtest.Result, written []string, err error) {
	var policy *adg.Policy
	if o.File != "" {
		file, err := a.load(o.File)
		if err != nil {
			return r, nil, err
		}
		policy = &file.Policy
	}
	if o.Traces != "" {
		r, err = backtest.Traces(ctx, os.DirFS(o.Traces), policy, o.Options)
	} else {
		r, err = backtestRecorded(ctx, o, *policy)
	}
	if err != nil || o.Plots == "" {
		return r, nil, err
	}
	written, err = writePlots(o.Plots, backtest.Plots(r))
	return r, written, err
}

// Private

func backtestRecorded(ctx context.Context, o cli.BacktestOptions, p adg.Policy) (r backtest.Result, err error) {
	store, err := sqlite.OpenReadOnly(ctx, o.DataDir)
	if err != nil {
		return r, err
	}
	defer both(&err, store.Close)
	return backtest.Recorded(ctx, store, p, o.Options)
}

func writePlots(dir string, plots []backtest.Plot) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("writing the plots: %w", err)
	}
	for _, p := range plots {
		path := filepath.Join(dir, p.Name)
		if err := os.WriteFile(path, p.SVG, 0o640); err != nil {
			return written, fmt.Errorf("writing the plots: %w", err)
		}
		written = append(written, path)
	}
	return written, nil
}
