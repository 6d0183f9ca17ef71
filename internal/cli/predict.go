package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/evaluate"
)

func predictCommand(t Terminal, calls PredictCalls) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "predict [--repo DIR --from LIVE --to NEW]",
		Short: "Predict whether a deployment will succeed, with reasons; tell how good predictions are",
		Long: `Predict whether a deployment will succeed: a probability, its 90 % interval, what it comes from, and what was not known.

The change between what is live and what is to be is measured in a git repository, or told by a pipeline. The model is the
one that was trained here (adg predict train); without one, what public data teach. Predictions are honest about what
they are worth: "not yet better than your base rate" means so.`,
		Example: `  adg predict --repo . --from v1.4 --to v1.5 --service checkout
  adg predict --payload compare.json --feature tests_failed=0
  adg learn tags . -o history.csv && adg predict train history.csv --repo .`,
	}
	predictFlags(cmd, t, calls)
	cmd.AddCommand(predictTrain(t, calls), predictModel(t, calls), predictEvaluate(t))
	return cmd
}

// Private

// trial is what `adg predict evaluate` is asked.
type trial struct {
	data, prior  string
	columns      evaluate.Columns
	delay, refit string
	scoreLast    float64
	seed         uint64
	asJSON       bool
}

func predictEvaluate(t Terminal) *cobra.Command {
	var o trial
	cmd := &cobra.Command{
		Use:   "evaluate --data FILE --label COLUMN --time COLUMN",
		Short: "Tell how good predictions would have been on a table of the past",
		Long: `Tell how good predictions would have been on a table of the past: each row is predicted before its outcome is known, and
outcomes are learned when the delay has passed, strictly in the order of time.

The table is CSV, plain or gzipped, and its first line names the columns. Features are the columns of numbers that no
flag names. Of the last rows (--score-last) the scores are given, of each expert and of the answer itself ("chosen"):
AUC, PR-AUC, log-loss, Brier score and its skill against the running base rate, expected calibration error, and the share of the
failures among the riskiest 5, 10 and 20 %.

What other repositories teach (--prior shipped) is there from the first row on. Use --prior none for tables that it was made of.`,
		Example: `  adg predict evaluate --data deployments.csv.gz --label failed --time ts --group app --delay 7d --ignore version,commit
  adg learn tags . -o history.csv && adg predict evaluate --data history.csv --label failed --time at --group service`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := o.options()
			if err != nil {
				return err
			}
			table, err := o.read(t)
			if err != nil {
				return err
			}
			meter := newMeter(t)
			options.Progress = func(done, all int) { meter.say(fmt.Sprintf("%d of %d rows", done, all)) }
			result, err := evaluate.Run(cmd.Context(), table, options)
			meter.clear()
			if err != nil {
				return err
			}
			if o.asJSON {
				return json.NewEncoder(t.Out).Encode(result)
			}
			return showTrial(t, result)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.data, "data", "", "`file` with the table, or - for standard input")
	flags.StringVar(&o.columns.Label, "label", "", "`column` with 1 for failed and 0 for not; empty: not known")
	flags.StringVar(&o.columns.Time, "time", "", "`column` of the time: epoch seconds, RFC 3339, or a date")
	flags.StringVar(&o.columns.Group, "group", "", "`column` of the service")
	flags.StringSliceVar(&o.columns.Ignore, "ignore", nil, "`columns` that are known only afterwards, or mean nothing")
	flags.StringVar(&o.delay, "delay", "0", "the `time` after which an outcome is known: 7d, 12h")
	flags.StringVar(&o.refit, "refit", "30d", "the `time` between two trainings; 0: none any more once scoring has begun")
	flags.Float64Var(&o.scoreLast, "score-last", 0.75, "the `share` of the rows, the last ones, that is scored")
	flags.StringVar(&o.prior, "prior", "shipped", "what is known beforehand: `shipped`, or none")
	flags.Uint64Var(&o.seed, "seed", 1, "`number` that the trees' randomness comes from")
	jsonFlags(cmd, &o.asJSON)
	for _, name := range []string{"data", "label", "time"} {
		_ = cmd.MarkFlagRequired(name)
	}
	_ = cmd.MarkFlagFilename("data", "csv", "gz")
	_ = cmd.RegisterFlagCompletionFunc("prior", cobra.FixedCompletions([]string{"shipped", "none"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o trial) options() (evaluate.Options, error) {
	e := evaluate.Options{ScoreLast: o.scoreLast, Seed: o.seed}
	if err := oneOf("prior", o.prior, "shipped", "none"); err != nil {
		return e, err
	}
	if o.prior == "shipped" {
		e.Prior = predict.Shipped()
	}
	var err error
	if e.Delay, err = stretch("delay", o.delay); err != nil {
		return e, err
	}
	if e.Refit, err = stretch("refit", o.refit); err != nil {
		return e, err
	}
	return e, e.Validate()
}

// stretch reads a time, in seconds, as people write it: 7d, 12h, 90s, 0; a number alone is seconds.
func stretch(flag, text string) (float64, error) {
	if v, err := strconv.ParseFloat(text, 64); err == nil && v >= 0 && v < 1e10 {
		return v, nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if v, err := strconv.ParseFloat(days, 64); err == nil && v >= 0 && v < 1e5 {
			return v * 86400, nil
		}
	}
	if v, err := time.ParseDuration(text); err == nil && v >= 0 {
		return v.Seconds(), nil
	}
	return 0, adg.Errorf(adg.Invalid, "--%s %q: write a time such as 7d, 12h or 0", flag, text)
}

func (o trial) read(t Terminal) (*evaluate.Table, error) {
	in := t.In
	if o.data != "-" {
		f, err := os.Open(o.data)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // nothing was written
		in = f
	}
	return evaluate.Read(in, o.columns)
}

// showTrial writes a line per expert, the answer's first.
func showTrial(t Terminal, r *evaluate.Result) error {
	w := tabwriter.NewWriter(t.Out, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "\tWEIGHT\tAUC\tPR-AUC\tLOG-LOSS\tBRIER\tSKILL\tECE\tTOP 5 %\tTOP 10 %\tTOP 20 %\t")
	line := func(name, weight string, s predict.Score) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, weight, score(s.AUC), score(s.PRAUC), score(s.LogLoss),
			score(s.Brier), score(s.BrierSkill), score(s.ECE), score(s.RecallAt5), score(s.RecallAt10), score(s.RecallAt20))
	}
	line("chosen", "", r.Chosen)
	names := predict.ExpertNames()
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case r.Weights[a] > r.Weights[b]:
			return -1
		case r.Weights[a] < r.Weights[b]:
			return 1
		}
		return 0
	})
	for _, name := range names {
		line(name, fmt.Sprintf("%.3f", r.Weights[name]), r.Experts[name])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(t.Out, "\n%d rows of %d features; %d scored, %d of them failed; %s\n", r.Rows, r.Features, r.Scored, r.Failed, r.Standing)
	for _, note := range r.Notes {
		_, _ = fmt.Fprintln(t.Err, "note: "+flat(note))
	}
	return nil
}

func score(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4f", *v)
}
