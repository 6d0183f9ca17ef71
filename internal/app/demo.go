package app

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/template"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/demo/load"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/demo/tally"
	"github.com/deployguardian/adg/internal/report"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

//go:embed demo.yaml
var demoPolicy string

const (
	demoHistory = 6 * time.Second // of metrics before the first deployment
	demoScrape  = time.Second     // as the policy has it
	demoLimit   = 5 * time.Minute // for all of it
)

// demo shows the whole of it: a good release is promoted, then a bad one is caught, rolled back and verified. The
// error says what did not go as it should.
func (a *App) demo(ctx context.Context, o cli.DemoOptions, t cli.Terminal) (err error) {
	if o.Serve {
		return a.serveDemo(ctx, o, t)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, demoLimit, adg.Errorf(adg.Unavailable, "the demo took longer than %s", adg.Short(demoLimit)))
	defer cancel()
	dir, err := demoDir(o.DataDir)
	if err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, dir, sqlite.Options{Log: a.log})
	if err != nil {
		return err
	}
	defer both(&err, store.Close)
	stage, err := demo.Open(ctx, demo.Options{Fault: shop.Fault(o.Fault), HAProxy: o.HAProxy, Dir: dir, Seed: 1, Log: a.log})
	if err != nil {
		return err
	}
	defer stage.Close()
	p := play{app: a, options: o, terminal: t, dir: dir, store: store, stage: stage}
	return p.run(ctx)
}

// Private

// demoDir is the demo's directory: the one that is named, or a new one.
func demoDir(named string) (string, error) {
	if named == "" {
		dir, err := os.MkdirTemp("", "adg-demo-")
		if err != nil {
			return "", adg.Errorf(adg.Unavailable, "making a directory for the demo: %w", err)
		}
		return dir, nil
	}
	if err := os.MkdirAll(named, 0o750); err != nil {
		return "", adg.Errorf(adg.Unavailable, "making the demo's directory: %w", err)
	}
	return filepath.Abs(named)
}

// play is one performance of the demo.
type play struct {
	app      *App
	options  cli.DemoOptions
	terminal cli.Terminal
	dir      string
	store    *sqlite.Store
	stage    *demo.Stage
}

func (p play) run(ctx context.Context) (err error) {
	file, err := p.policy()
	if err != nil {
		return err
	}
	w, err := newWorld(file, p.dir, p.app.log, false)
	if err != nil {
		return err
	}
	w.drivers = p.drivers()
	defer both(&err, w.Close)
	if err := w.Open(ctx); err != nil {
		return err
	}
	p.say("A shop serves 200 requests per second in version v1, with errors of 2 %. Evidence: " + p.dir)
	select {
	case <-time.After(demoHistory):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.say("\nv2 is good. It goes up step by step, and is promoted:")
	good, err := p.deploy(ctx, w, file.Policy, demo.Good, demo.Stable)
	if err != nil {
		return err
	}
	if p.options.Fault == string(shop.None) {
		p.say("\nv3 is good, too:")
	} else {
		p.say("\nv3 is bad (" + p.options.Fault + "). It is caught, rolled back, and service is verified:")
	}
	before := p.stage.Counts()
	bad, err := p.deploy(ctx, w, file.Policy, demo.Bad, demo.Good)
	if err != nil {
		return err
	}
	p.stage.Quiet()
	after := p.stage.Counts()
	summary := demo.Summary{
		Kind: "summary", Good: demo.Ending{Outcome: good.Status.State.String()}, Load: totals(p.stage.Load()), Report: p.dir,
		Bad: demo.Ending{Outcome: bad.Status.State.String(), Fault: shop.Fault(p.options.Fault), Verified: bad.Status.State == adg.RolledBack},
	}
	if !bad.Status.Condemned.IsZero() {
		harm := demo.HarmOf(after[demo.Bad].Minus(before[demo.Bad]), after[demo.Good].Minus(before[demo.Good]), bad.Status.Condemned)
		summary.Bad.Harm = &harm
	}
	if summary.Counted, err = p.counted(ctx, w, after); err != nil {
		return err
	}
	if err := p.reports(ctx, good, bad); err != nil {
		return err
	}
	return p.end(summary)
}

// policy is the demo's own, with this stage's addresses; a copy stands beside the evidence.
func (p play) policy() (config.File, error) {
	scrape, err := demoScrapes(p.stage.Admin())
	if err != nil {
		return config.File{}, err
	}
	text, err := demoText(demoNames{Source: "metrics", Log: logFor(p.options.Fault, "log"), Scrape: scrape, Facts: filepath.Join(p.dir, "facts.jsonl")})
	if err != nil {
		return config.File{}, err
	}
	path := filepath.Join(p.dir, "guardian.yaml")
	if err := os.WriteFile(path, text, 0o640); err != nil {
		return config.File{}, adg.Errorf(adg.Unavailable, "writing the demo's policy: %w", err)
	}
	return config.Parse(path, text, p.drivers(), p.app.env)
}

// demoNames are what the demo's policy depends on.
type demoNames struct {
	Server         bool // it only names its source and target
	Source, Target string
	Log            string // the source of the shop's log; empty: no check asks for it
	Scrape, Facts  string
}

// logFor is the source of the shop's log where the release is bad by its log only. A check of a few seconds of a log needs more of
// them than the others do, and would let everybody wait.
func logFor(fault, source string) string {
	if fault != string(shop.Log) {
		return ""
	}
	return source
}

func demoText(names demoNames) ([]byte, error) {
	var text bytes.Buffer
	if err := template.Must(template.New("policy").Parse(demoPolicy)).Execute(&text, names); err != nil {
		return nil, fmt.Errorf("writing the demo's policy: %w", err)
	}
	return text.Bytes(), nil
}

// demoScrapes are what is scraped of a stage: the router, and each version past it. It is JSON.
func demoScrapes(admin string) (string, error) {
	type scrape struct {
		Job      string            `json:"job"`
		Targets  []string          `json:"targets"`
		Path     string            `json:"path"`
		Interval string            `json:"interval"`
		Labels   map[string]string `json:"labels"`
	}
	// Where the stage listens differs each time: the shop that begins anew goes on with the series of the one before.
	same := map[string]string{"instance": "shop"}
	all := []scrape{{"router", []string{admin}, "/metrics", demoScrape.String(), same}}
	for _, version := range []string{demo.Stable, demo.Good, demo.Bad} {
		all = append(all, scrape{version, []string{admin}, "/version/" + version + "/metrics", demoScrape.String(), same})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("writing what is scraped: %w", err)
	}
	return string(text), nil
}

// drivers are the usual ones, and the demo's own.
func (p play) drivers() config.Drivers {
	return withStage(drivers(), func() (*demo.Stage, error) { return p.stage, nil })
}

// withStage adds the router of the demo as a target, and the log of its shop as a source.
func withStage(all config.Drivers, stage func() (*demo.Stage, error)) config.Drivers {
	target := adg.NewTargetDriver("demo", "The router of the demo.", struct{}{},
		func(context.Context, struct{}, adg.Host) (adg.Target, error) {
			s, err := stage()
			if err != nil {
				return nil, err
			}
			return s.Target(), nil
		})
	source := adg.NewSourceDriver("demo", "The log of the demo's shop.", struct{}{},
		func(context.Context, struct{}, adg.Host) (adg.Source, error) { return demo.Log{Stage: stage}, nil })
	all.Targets = append(slices.Clip(all.Targets), target)
	all.Sources = append(slices.Clip(all.Sources), source)
	return all
}

func (p play) deploy(ctx context.Context, w *world, policy adg.Policy, version, previous string) (adg.Deployment, error) {
	view := cli.DemoView(p.terminal, p.options, p.dir)
	d, err := guarded(ctx, p.store, w, session{
		options: cli.RunOptions{Release: demo.Release(version), Previous: previous, Actor: "demo"},
		policy:  policy, view: view, person: nobody{}, log: p.app.log,
	})
	view.Close(d, err)
	return d, err
}

// counted compares what the router's log and the versions' own metrics say of the versions that still run, once the
// last request is answered and scraped.
func (p play) counted(ctx context.Context, w *world, log map[string]tally.Count) (map[string]demo.Agreement, error) {
	source, err := w.Source(ctx, adg.Deployment{}, "metrics")
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(demoScrape + demoScrape/2):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	now, err := p.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := source.Query(ctx, adg.Query{Text: "sum by (version) (http_requests_total)", At: now, Window: time.Minute})
	if err != nil {
		return nil, err
	}
	all := map[string]demo.Agreement{}
	for _, s := range answer.Series {
		version := s.Labels["version"]
		c := log[version]
		all[version] = demo.Agreement{Router: c.Requests - c.Unanswered, Metrics: int64(s.Samples[len(s.Samples)-1].Value)}
	}
	return all, nil
}

func (p play) reports(ctx context.Context, all ...adg.Deployment) error {
	for _, d := range all {
		story, err := report.Gather(ctx, p.store, d.ID)
		if err != nil {
			return err
		}
		o := cli.ReportOptions{Format: "both", Out: p.dir}
		if _, err := writeReport(io.Discard, story, o); err != nil {
			return err
		}
	}
	return nil
}

// end shows the summary, and is an error if the story went another way than it should.
func (p play) end(s demo.Summary) error {
	if p.options.Output == "json" {
		if err := json.NewEncoder(p.terminal.Out).Encode(s); err != nil {
			return fmt.Errorf("writing the summary: %w", err)
		}
	} else {
		p.say("\n" + s.Table())
	}
	want := adg.RolledBack.String()
	if p.options.Fault == string(shop.None) {
		want = adg.Succeeded.String()
	}
	var errs []error
	if s.Good.Outcome != adg.Succeeded.String() {
		errs = append(errs, adg.Errorf(adg.Internal, "the good release was not promoted, but %s", s.Good.Outcome))
	}
	if s.Bad.Outcome != want {
		errs = append(errs, adg.Errorf(adg.Internal, "the release with fault %q was expected to end as %s, and ended as %s", p.options.Fault, want, s.Bad.Outcome))
	}
	for version, c := range s.Counted {
		// A version that crashed has forgotten what it counted before.
		if c.Router != c.Metrics && p.options.Fault != string(shop.Crash) {
			errs = append(errs, adg.Errorf(adg.Internal, "%s: the router's log has %d answered requests, its metrics have %d", version, c.Router, c.Metrics))
		}
	}
	return errors.Join(errs...)
}

// say tells people; machines read events only.
func (p play) say(text string) {
	if p.options.Output != "json" {
		_, _ = fmt.Fprintln(p.terminal.Out, text)
	}
}

// nobody interrupts the demo's deployments: an interrupt ends the demo itself.
type nobody struct{}

// Ask waits for ever.
func (nobody) Ask(ctx context.Context, _ adg.OnInterrupt) cli.Wish {
	<-ctx.Done()
	return cli.Wish{}
}

// totals are the customers' numbers without those of each second.
func totals(s load.Stats) load.Stats {
	s.Seconds = nil
	return s
}
