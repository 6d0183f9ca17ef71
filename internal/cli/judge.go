package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/linejudge"
)

func judgeCommand(t Terminal) *cobra.Command {
	var o linejudge.Options
	var alpha float64
	cmd := &cobra.Command{
		Use:   "judge --method METHOD",
		Short: "Judge data of your own: a request per line in, an answer per line out",
		Long: `Judge data of your own with the tests that the checks of a policy use. Each line of standard input is a request, a
JSON object, and each line of standard output its answer, in the same order and at once. With --csv both are tables.

  sequential    counts of bad requests of a canary and of a control, bucket by bucket; may be looked at after each
  mann-whitney  two lists of samples, by their ranks, as Kayenta compares them
  threshold     a list of samples against fixed limits
  relative      a list of samples against another one, or against a number

A line that can't be judged is answered with {"error": "…"}, and the next one is judged. What the fields are stands in
docs/judging.md.

Exits with 0 whatever the verdicts are, and with 2 if an answer was an error.`,
		Example: `  echo '{"buckets": [{"canary": {"bad": 9, "all": 200}, "control": {"bad": 10, "all": 1800}}]}' | adg judge --method sequential
  echo '{"control": [1,2,3,2,1], "experiment": [7,8,9,8,7]}' | adg judge --method mann-whitney --alpha 0.05
  echo '{"values": [120, 180, 240]}' | adg judge --method threshold --settings '{"fail": "> 200", "aggregate": "p95"}'
  adg judge --method sequential --csv < buckets.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Method == "" {
				return adg.Errorf(adg.Invalid, "which --method? choose one of %s", strings.Join(linejudge.Methods(), ", "))
			}
			if cmd.Flags().Changed("alpha") {
				o.Alpha = &alpha
			}
			if t.typed() {
				_, _ = fmt.Fprintln(t.Err, "reading requests from the terminal, one a line; end with Ctrl-D")
			}
			tally, err := linejudge.Run(o, t.In, t.Out)
			if err == nil && tally.Failed > 0 {
				err = adg.Errorf(adg.Invalid, "%d of %d answers are errors", tally.Failed, tally.Answers)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Method, "method", "", "`method`: "+strings.Join(linejudge.Methods(), ", "))
	flags.Float64Var(&alpha, "alpha", 0.01, "probability, at most, of a false alarm, of sequential and of mann-whitney, where it is 0.02 unless said;\na request's own wins")
	flags.StringVar(&o.Settings, "settings", "", "fields that every request has unless it says otherwise: a `JSON` object")
	flags.BoolVar(&o.CSV, "csv", false, "read and write CSV, with a line of column names")
	_ = cmd.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(linejudge.Methods(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
