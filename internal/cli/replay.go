package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/replay"
)

// ReplayOptions are the arguments of `adg replay`.
type ReplayOptions struct {
	Deployment string // an id, or the beginning of one
	All        bool
	DataDir    string
	Each       func(replay.Result) error // is given each result as it comes
	Progress   func(id, part string)
}

// PastCalls are the calls of the verbs that look back; Calls has them.
type PastCalls struct {
	Replay func(context.Context, ReplayOptions) error
	// Backtest gives the files that were written, too.
	Backtest func(context.Context, BacktestOptions) (result backtest.Result, written []string, err error)
	// Deployments are the ids of a data directory that begin so, the newest first.
	Deployments func(ctx context.Context, dir, prefix string) ([]string, error)
}

func replayCommand(t Terminal, calls PastCalls) *cobra.Command {
	var o ReplayOptions
	var output string
	cmd := &cobra.Command{
		Use:   "replay [DEPLOYMENT]",
		Short: "Make every decision again from its evidence, and show where the answer would be another one now",
		Long: `Make every decision of a deployment again from what is on record: the measurements, the frozen baselines and the
input of each tick. Either all comes out as it was, or what would be different with this version of adg is shown,
with the reasons side by side. The beginning of an id is enough where only one deployment has it.

Of deployments that were compacted the decisions are replayed, and what is gone is said. Nothing is changed.

Exits with 0 if all is equal, and with 1 if something is not.`,
		Example: `  adg replay checkout-1.4.2-k3v9x2qa
  adg replay checkout-1.4.2
  adg replay --all --output json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			if o.All == (len(args) == 1) {
				return adg.Errorf(adg.Invalid, "name one deployment, or all of them with --all")
			}
			if len(args) == 1 {
				o.Deployment = args[0]
			}
			meter := newMeter(t)
			o.Progress = func(id, part string) { meter.say(id + ": " + part) }
			replayed, different := 0, 0
			o.Each = func(r replay.Result) error {
				meter.clear()
				replayed++
				if !r.Equal() {
					different++
				}
				return showReplay(t, output, r)
			}
			err := calls.Replay(cmd.Context(), o)
			meter.clear()
			if err == nil && different > 0 {
				err = adg.Errorf(adg.Conflict, "%d of %d deployments would be decided differently now", different, replayed)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "all deployments of the data directory")
	dataDirFlag(cmd, &o.DataDir)
	outputFlag(cmd, &output)
	completeDeployments(cmd, &o.DataDir, calls)
	return cmd
}

// Private

// showReplay writes one result: an object per line, or the summary and what differs.
func showReplay(t Terminal, output string, r replay.Result) error {
	if output == "json" {
		return json.NewEncoder(t.Out).Encode(r)
	}
	_, err := fmt.Fprintln(t.Out, flat(r.Summary()))
	shown := 0
	for _, d := range r.Shown {
		for _, line := range d.Lines() {
			_, _ = fmt.Fprintln(t.Out, "  "+line)
		}
		shown++
	}
	if more := r.Different - shown; more > 0 {
		_, _ = fmt.Fprintf(t.Out, "  and %d more came out differently\n", more)
	}
	return err
}

// completeDeployments offers the ids of the data directory for the first argument.
func completeDeployments(cmd *cobra.Command, dir *string, calls PastCalls) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ids, err := calls.Deployments(cmd.Context(), *dir, typed)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
