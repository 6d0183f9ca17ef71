// Package app puts the parts together: it is the only package that knows everybody.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/seal"
)

// App is the program, put together once per process.
type App struct {
	log      *slog.Logger
	env      config.Lookup
	terminal cli.Terminal
	version  string
}

// Main runs one command line and returns the exit code.
func Main(version string, args []string, in io.Reader, out, errOut io.Writer) int {
	a := New(version, in, out, errOut)
	return cli.Main(context.Background(), version, args, a.terminal, a.calls())
}

// New is the program; nothing runs yet.
func New(version string, in io.Reader, out, errOut io.Writer) *App {
	return &App{
		version: version, env: config.Environment, terminal: cli.Terminal{In: in, Out: out, Err: errOut},
		log: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// Private

func (a *App) calls() cli.Calls {
	return cli.Calls{
		Run: a.run, Demo: a.demo, Report: a.report, Changed: changed, PolicyLint: a.lint, PolicyTest: a.try, Reference: a.reference,
		PolicySchema: func() ([]byte, error) { return config.Schema(drivers()) },
		Shop:         demo.Shop, Connect: a.connect, LiftHold: a.liftHold,
		PredictCalls: cli.PredictCalls{Predict: a.predict, Train: a.train, Models: a.models, Model: a.model, Pin: a.pin, Records: a.records, Correct: a.correct},
		ServerCalls:  cli.ServerCalls{Server: a.server, ConfigCheck: a.checkConfig, NewKey: seal.NewKey, RotateKey: a.rotate},
		StoreCalls:   cli.StoreCalls{StoreCopy: a.copyStore, StoreBackup: a.backup},
		PastCalls:    cli.PastCalls{Replay: a.replay, Backtest: a.backtest, Deployments: a.deployments},
	}
}

// both joins the errors of something and of its end.
func both(err *error, end func() error) { *err = errors.Join(*err, end()) }
