package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
)

// BacktestOptions are the arguments of `adg backtest`.
type BacktestOptions struct {
	File    string // the policy; empty: the usual one for traces
	DataDir string
	Traces  string // directory of traces; empty: the deployments of DataDir
	Plots   string // directory to write; empty: none
	backtest.Options
}

func backtestCommand(t Terminal, calls PastCalls, connect Connect) *cobra.Command {
	var o BacktestOptions
	var server away
	var spell period
	var output string
	cmd := &cobra.Command{
		Use:   "backtest -f POLICY | --traces DIR",
		Short: "Tell what a policy would have done: on recorded deployments, or on traces",
		Long: `Tell what a policy would have done, before it is trusted.

On the ended deployments of a data directory: each is lived again under the policy, from what was measured then, and
what it would have come to stands beside what it was. Only checks can be asked whose queries are on record; the
others are named. What was good and what was bad is taken from how the deployments ended.

With --server, on the deployments that a server has on record, for a policy as the server takes it.

On traces (CSV files, one each, whose first lines say what is true of them): without a policy, one sequential check
of the errors.

Printed are the false rollbacks with their 95 % interval, the detections, the time to detect and the bad requests
that would have been served. --plots writes pictures of them.`,
		Example: `  adg backtest -f guardian.yaml
  adg backtest -f guardian.yaml --from 720h --output json
  adg backtest -f guardian.yaml --from 2026-05-01 --to 2026-06-01 --plots out/
  adg backtest -f guardian.yaml --server --limit 50
  adg backtest --traces traces/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			if err := spell.into(&o); err != nil {
				return err
			}
			if err := localFlags(cmd, server.chosen()); err != nil {
				return err
			}
			meter := newMeter(t)
			o.Progress = func(done, all int) { meter.say(fmt.Sprintf("%d of %d", done, all)) }
			result, written, err := backtestSomewhere(cmd.Context(), t, calls, connect, server, o)
			meter.clear()
			if err != nil {
				return err
			}
			for _, file := range written {
				_, _ = fmt.Fprintln(t.Err, "written: "+file)
			}
			if output == "json" {
				return json.NewEncoder(t.Out).Encode(result)
			}
			return showBacktest(t, result)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.File, "file", "f", "", "policy `file`")
	flags.StringVar(&spell.from, "from", "", "deployments begun since: a `time`, a day, or how long ago (720h)")
	flags.StringVar(&spell.to, "to", "", "deployments begun until: a `time`, a day, or how long ago")
	flags.StringVar(&o.Service, "service", "", "deployments of this `service` (default: the policy's)")
	flags.StringVar(&o.Traces, "traces", "", "`directory` of traces in place of recorded deployments")
	flags.StringVar(&o.Plots, "plots", "", "`directory` to write pictures (SVG) to")
	flags.IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "`n` at the same time")
	server.flags(cmd, "on the deployments of a server, for a policy as the server takes it")
	flags.IntVar(&o.Limit, "limit", 100, "deployments of a server at most, the newest: `n` up to 1000")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	_ = cmd.MarkFlagDirname("traces")
	_ = cmd.MarkFlagDirname("plots")
	dataDirFlag(cmd, &o.DataDir)
	outputFlag(cmd, &output)
	return cmd
}

// Private

// period is the time that recorded deployments are of, as it is written.
type period struct{ from, to string }

// into reads it, and refuses arguments that do not go together.
func (s period) into(o *BacktestOptions) (err error) {
	switch {
	case o.File == "" && o.Traces == "":
		return adg.Errorf(adg.Invalid, "name a policy with -f, or traces with --traces")
	case o.Traces != "" && (s.from != "" || s.to != "" || o.Service != ""):
		return adg.Errorf(adg.Invalid, "--from, --to and --service select recorded deployments, not traces")
	case o.Workers < 1:
		return adg.Errorf(adg.Invalid, "--workers %d: at least 1", o.Workers)
	}
	now := time.Now() //nolint:forbidigo // "720h" is before now
	if o.From, err = moment("from", s.from, now); err == nil {
		o.To, err = moment("to", s.to, now)
	}
	return err
}

// backtestSomewhere does it on this machine, or on a server.
func backtestSomewhere(ctx context.Context, t Terminal, calls PastCalls, connect Connect, server away, o BacktestOptions) (r backtest.Result, written []string, err error) {
	if !server.chosen() {
		o.Limit = 0
		return calls.Backtest(ctx, o)
	}
	err = server.ask(ctx, t, connect, "text", func(ctx context.Context, s session) error {
		r, err = backtestOnServer(ctx, s, o)
		return err
	})
	return r, nil, err
}

// localFlags refuses flags of the other kind of backtest.
func localFlags(cmd *cobra.Command, server bool) error {
	if !server && cmd.Flags().Changed("limit") {
		return adg.Errorf(adg.Invalid, "--limit is for --server: on this machine --from and --to select deployments")
	}
	for _, name := range []string{"traces", "service", "workers", "data-dir", "plots"} {
		if server && cmd.Flags().Changed(name) {
			return adg.Errorf(adg.Invalid, "--%s is for a backtest on this machine: with --server the deployments are the server's", name)
		}
	}
	return nil
}

// moment reads a time as people write it; empty is no time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, ok := written(text); ok {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, adg.Errorf(adg.Invalid, "--%s %q: write a day (2026-05-01), a time (2026-05-01T12:00:00Z), or how long ago (720h)", flag, text)
}

// written reads a day or a time, by the clock of this place where the text has no zone.
func written(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// showBacktest writes a line per case, what came of all of them, and what could not be asked.
func showBacktest(t Terminal, r backtest.Result) error {
	w := tabwriter.NewWriter(t.Out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CASE\tTRUTH\tWAS\tWOULD BE\tFOUND\tDETECT\tSERVED BAD\tNOTES")
	for _, c := range r.Cases {
		kind := string(c.Truth)
		if c.Kind != "" {
			kind = c.Kind
		}
		notes := c.Notes
		if len(c.Missing) > 0 {
			notes = append([]string{"not on record: " + strings.Join(c.Missing, ", ")}, notes...)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", flat(c.Name), flat(kind), beside(c.Was, c.WasFound), c.WouldBe,
			seconds(c.Found), seconds(c.Detect), amounts(c.WasServed, c.Served), cut(strings.Join(notes, "; "), 80))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.Out, "\n"+strings.Join(backtestLines(r.Summary), "\n"))
	return err
}

func backtestLines(s backtest.Summary) []string {
	lines := []string{
		fmt.Sprintf("%d cases, %d not simulated; %d promoted, %d open at their end", s.Cases, s.Skipped, s.Promoted, s.Open),
		"false rollbacks  " + rate(s.FalseRollbacks, "good"),
		"detections       " + rate(s.Detections, "bad"),
	}
	if s.Early > 0 {
		lines = append(lines, fmt.Sprintf("too early        %d bad releases were found before they were bad, which is no detection", s.Early))
	}
	detect := fmt.Sprintf("time to detect   median %s, 95 %% within %s", seconds(s.Median), seconds(s.P95))
	if s.WasMedian != nil {
		detect += "; it was " + seconds(s.WasMedian)
	}
	served := "served bad       " + number(&s.Served) + " requests by the bad releases"
	if s.WasServed != nil {
		served += "; it was " + number(s.WasServed)
	}
	return append(lines, detect, served)
}

func rate(r backtest.Rate, of string) string {
	if r.Of == 0 {
		return "none of the cases is known to be " + of
	}
	return fmt.Sprintf("%d of %d %s (%.3g %%, 95 %% interval %.3g to %.3g %%)", r.N, r.Of, of, 100*float64(r.N)/float64(r.Of), 100*r.Low, 100*r.High)
}

func beside(was string, found *float64) string {
	switch {
	case was == "":
		return "–"
	case found == nil:
		return was
	}
	return was + " at " + seconds(found)
}

func amounts(was, wouldBe *float64) string {
	if was == nil {
		return number(wouldBe)
	}
	return number(wouldBe) + " (was " + number(was) + ")"
}

func seconds(v *float64) string {
	if v == nil {
		return "–"
	}
	return number(v) + " s"
}
