package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/models"
)

// PredictOptions are the arguments of `adg predict`.
type PredictOptions struct {
	Repository string             // of git; empty: the change is not measured
	From, To   string             // tags, branches or commits: what is live, and what is to be
	Payload    string             // file with what a pipeline knows of the change, in place of a repository
	Service    string             // whose model of its own counts
	Model      string             // id, or the beginning of one; empty: the one in use
	DataDir    string             // where models are
	Features   map[string]float64 // what else is known
	Progress   func(done, all int)
}

// TrainOptions are the arguments of `adg predict train`.
type TrainOptions struct {
	Histories  []string // tables as adg learn writes them
	Records    bool     // learn from the deployments of the data directory, too
	Repository string   // that their commits are in; empty: changes are not measured
	DataDir    string
	Seed       uint64
	Progress   func(done, all int)
}

// Predicted is a prediction and how it came about.
type Predicted struct {
	adg.Prediction
	Notes []string `json:"notes,omitempty"`
}

// PredictCalls are the calls of the verbs that predict; Calls has them.
type PredictCalls struct {
	Predict func(context.Context, PredictOptions) (Predicted, error)
	Train   func(context.Context, TrainOptions) (models.Item, error)
	// Models are the models of a data directory, the newest first.
	Models func(ctx context.Context, dataDir string) ([]models.Item, error)
	// Model is the one whose id begins so; with no id the one in use.
	Model func(ctx context.Context, dataDir, id string) (models.Item, error)
	// Pin keeps it in use; no id lets the newest be used again.
	Pin func(ctx context.Context, dataDir, id string) (models.Item, error)
	// Records are all deployments of a data directory, and what people corrected of them.
	Records func(ctx context.Context, dataDir string) ([]adg.Deployment, []learn.Correction, error)
	// Correct puts a correction on record, and gives the whole id of its deployment.
	Correct func(ctx context.Context, dataDir string, c learn.Correction) (id string, err error)
}

// Private

// predictFlags are those of `adg predict` itself.
func predictFlags(cmd *cobra.Command, t Terminal, calls PredictCalls) {
	var o PredictOptions
	var features []string
	var asJSON bool
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		switch {
		case o.Repository == "" && o.Payload == "" && len(features) == 0:
			return cmd.Help()
		case o.Repository != "" && (o.From == "" || o.To == ""):
			return adg.Errorf(adg.Invalid, "which change? name what is live with --from and what is to be with --to, as in: adg predict --repo . --from v1.4 --to v1.5")
		case o.Repository != "" && o.Payload != "":
			return adg.Errorf(adg.Invalid, "the change is measured in a repository or told by a payload, not both")
		}
		if o.Features, err = named(features); err != nil {
			return err
		}
		meter := newMeter(t)
		o.Progress = func(done, all int) { meter.say(fmt.Sprintf("reading the history: %d of %d commits", done, all)) }
		p, err := calls.Predict(cmd.Context(), o)
		meter.clear()
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(t.Out).Encode(p)
		}
		showPrediction(t, p)
		return nil
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Repository, "repo", "", "`directory` of the git repository that the change is in")
	flags.StringVar(&o.From, "from", "", "tag, branch or `commit` that is live")
	flags.StringVar(&o.To, "to", "", "tag, branch or `commit` that is to be deployed")
	flags.StringVar(&o.Payload, "payload", "", "`file` with what a pipeline knows of the change, as JSON; GitHub's answer to a comparison is one")
	flags.StringVar(&o.Service, "service", "", "`name` of the service")
	flags.StringArrayVar(&features, "feature", nil, "what else is known, as `name=number`: tests_failed=2; may be repeated")
	flags.StringVar(&o.Model, "model", "", "`id` of the model (default: the pinned one, else the newest, else what public data teach)")
	jsonFlags(cmd, &asJSON)
	dataDirFlag(cmd, &o.DataDir)
	_ = cmd.MarkFlagDirname("repo")
	_ = cmd.MarkFlagFilename("payload", "json")
}

// mostFeatures is how many features a person or a pipeline may name.
const mostFeatures = 100

func named(features []string) (map[string]float64, error) {
	all := map[string]float64{}
	if len(features) > mostFeatures {
		return nil, adg.Errorf(adg.Invalid, "--feature is there %d times, at most %d are taken", len(features), mostFeatures)
	}
	for _, f := range features {
		name, text, _ := strings.Cut(f, "=")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || name == "" || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, adg.Errorf(adg.Invalid, "--feature %q: write a name and a number, as in tests_failed=2", f)
		}
		if err := learn.ValidFeature(name); err != nil {
			return nil, fmt.Errorf("--feature: %w", err)
		}
		all[name] = v
	}
	return all, nil
}

func showPrediction(t Terminal, p Predicted) {
	_, _ = fmt.Fprintf(t.Out, "success with %.1f %% (%.1f to %.1f %%); usual is %.1f %%\n", 100*p.Success, 100*p.Low, 100*p.High, 100*p.Base)
	_, _ = fmt.Fprintln(t.Out, flat(p.Standing))
	if p.Counted != "" {
		_, _ = fmt.Fprintln(t.Out, "counted as failed: "+flat(p.Counted))
	}
	for _, c := range p.Contributions {
		_, _ = fmt.Fprintf(t.Out, "%+6.1f points: %s\n", c.Points, flat(c.Text))
	}
	if len(p.Missing) > 0 {
		_, _ = fmt.Fprintln(t.Out, "nothing was known of: "+flat(strings.Join(p.Missing, ", ")))
	}
	for _, note := range p.Notes {
		_, _ = fmt.Fprintln(t.Err, "note: "+flat(note))
	}
}

func predictTrain(t Terminal, calls PredictCalls) *cobra.Command {
	var o TrainOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "train [HISTORY...] [--records]",
		Short: "Train a model on histories as adg learn writes them, and on the deployments that were guarded here",
		Long: `Train a model on histories as adg learn writes them, and with --records on the deployments of the data directory, with what
was known before each; keep it in the data directory. With --repo what each deployment changed is measured, where its
commits are known. The model's card tells what counted as a failure, and how good its predictions of this history were,
each made before the outcome was known. The newest model is used, unless another one is pinned.`,
		Example: `  adg learn tags . -o history.csv && adg predict train history.csv --repo .
  adg predict train history.csv --records`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !o.Records {
				return adg.Errorf(adg.Invalid, "train on what? name histories that adg learn wrote, or --records for the deployments that were guarded here")
			}
			o.Histories = args
			meter := newMeter(t)
			o.Progress = func(done, all int) { meter.say(fmt.Sprintf("%d of %d deployments", done, all)) }
			item, err := calls.Train(cmd.Context(), o)
			meter.clear()
			if err != nil {
				return err
			}
			return showModel(t, item, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Repository, "repo", "", "`directory` of the git repository that the deployments' commits are in")
	flags.BoolVar(&o.Records, "records", false, "learn from the deployments of the data directory, too, by what their policies count as failures")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that the trees' randomness comes from")
	jsonFlags(cmd, &asJSON)
	dataDirFlag(cmd, &o.DataDir)
	_ = cmd.MarkFlagDirname("repo")
	return cmd
}

func predictModel(t Terminal, calls PredictCalls) *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "model",
		Short: "List, show, compare and pin trained models",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use: "list", Short: "List the models beside each other, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := calls.Models(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(t.Out).Encode(append([]models.Item{}, all...))
			}
			return listModels(t, all)
		},
	}
	show := &cobra.Command{
		Use: "show [ID]", Short: "Show a model's card: its data, its scores, its calibration", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			item, err := calls.Model(cmd.Context(), dir, strings.Join(args, ""))
			if err != nil {
				return err
			}
			return showModel(t, item, asJSON)
		},
	}
	var unpin bool
	pin := &cobra.Command{
		Use: "pin ID | pin --none", Short: "Keep one model in use, whichever are trained after it", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) != unpin {
				return adg.Errorf(adg.Invalid, "which model? adg predict model list shows them; --none lets the newest be used")
			}
			item, err := calls.Pin(cmd.Context(), dir, strings.Join(args, ""))
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(t.Out, "%s is used from now on\n", item.ID)
			return nil
		},
	}
	pin.Flags().BoolVar(&unpin, "none", false, "pin none: the newest is used")
	complete := func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		all, _ := calls.Models(cmd.Context(), dir)
		var ids []string
		for _, i := range all {
			if len(args) == 0 && strings.HasPrefix(i.ID, prefix) {
				ids = append(ids, i.ID)
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
	show.ValidArgsFunction, pin.ValidArgsFunction = complete, complete
	for _, sub := range []*cobra.Command{list, show, pin} {
		dataDirFlag(sub, &dir)
	}
	for _, sub := range []*cobra.Command{list, show} {
		jsonFlags(sub, &asJSON)
	}
	cmd.AddCommand(list, show, pin)
	return cmd
}

func listModels(t Terminal, all []models.Item) error {
	if len(all) == 0 {
		_, _ = fmt.Fprintln(t.Err, "no model was trained yet: adg predict train makes one")
		return nil
	}
	w := tabwriter.NewWriter(t.Out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MODEL\tTRAINED\tOUTCOMES\tFAILED\tAUC\tLOG-LOSS\tSKILL\tECE\t")
	for _, i := range all {
		in := ""
		switch {
		case i.Pinned:
			in = "pinned"
		case i.InUse:
			in = "in use"
		}
		c := i.Card
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.At.Local().Format("2006-01-02 15:04"), c.Outcomes, c.Failed,
			score(c.Score.AUC), score(c.Score.LogLoss), score(c.Score.BrierSkill), score(c.Score.ECE), in)
	}
	return w.Flush()
}

func showModel(t Terminal, i models.Item, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(t.Out).Encode(i)
	}
	c := i.Card
	_, _ = fmt.Fprintf(t.Out, "model %s: %s\n", i.ID, c.Standing())
	_, _ = fmt.Fprintf(t.Out, "its predictions of the last %d deployments, made before they were known: AUC %s, log-loss %s, Brier skill %s, calibration error %s\n",
		c.Judged, score(c.Score.AUC), score(c.Score.LogLoss), score(c.Score.BrierSkill), score(c.Score.ECE))
	if c.Counted != "" {
		_, _ = fmt.Fprintln(t.Out, "counted as failed: "+flat(c.Counted))
	}
	_, _ = fmt.Fprintf(t.Out, "features: %s\ndata: %s, seed %d\n", flat(strings.Join(c.Features, ", ")), c.Fingerprint, c.Seed)
	showPlot(t, c.Plot)
	return nil
}

// showPlot draws the calibration: what was predicted beside what came, a line per step.
func showPlot(t Terminal, plot []predict.Step) {
	top := 0.0
	for _, s := range plot {
		top = max(top, s.Predicted, s.Observed)
	}
	if top == 0 {
		return
	}
	const width = 40
	_, _ = fmt.Fprintln(t.Out, "calibration, failures predicted (-) and observed (#):")
	for _, s := range plot {
		_, _ = fmt.Fprintf(t.Out, "%6.2f %% %s\n%6.2f %% %s\n", 100*s.Predicted, strings.Repeat("-", int(s.Predicted/top*width)), 100*s.Observed, strings.Repeat("#", int(s.Observed/top*width)))
	}
}
