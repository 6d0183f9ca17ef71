package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
)

// TestedCheck is one check of a policy, asked once.
type TestedCheck struct {
	Measurements []adg.Measurement `json:"measurements"`
	Judgement    adg.Judgement     `json:"judgement"`
}

func policyCommand(t Terminal, calls Calls) *cobra.Command {
	cmd := &cobra.Command{
		Use: "policy", Short: "Check, describe and try policy files, and keep them on a server", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(lintCommand(t, calls), schemaCommand(t, calls), testCommand(t, calls))
	cmd.AddCommand(storedPolicies(t, calls.Connect)...)
	return cmd
}

// Linted is what there is to say about a policy that is right.
type Linted struct {
	Warnings []string
	Promise  string // about false alarms; empty: none
}

// Private

func lintCommand(t Terminal, calls Calls) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Report everything that is wrong or doubtful in policy files, with line and cure",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			doubts := 0
			for _, file := range files {
				found, err := calls.PolicyLint(file)
				if err != nil {
					return err
				}
				for _, w := range found.Warnings {
					_, _ = fmt.Fprintln(t.Out, clean(w))
				}
				doubts += len(found.Warnings)
				if len(found.Warnings) == 0 {
					_, _ = fmt.Fprintf(t.Out, "%s: good\n", clean(file))
				}
				if found.Promise != "" {
					_, _ = fmt.Fprintf(t.Out, "%s: promise: %s\n", clean(file), clean(found.Promise))
				}
			}
			if strict && doubts > 0 {
				return adg.Errorf(adg.Invalid, "%d warnings, and --strict allows none", doubts)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return cmd
}

func schemaCommand(t Terminal, calls Calls) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files, for editors",
		Long: `Print the JSON Schema of policy files. Editors that speak YAML complete and check with it, for example with this
first line in the policy:  # yaml-language-server: $schema=policy.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := calls.PolicySchema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(t.Out, string(schema))
			return err
		},
	}
}

func testCommand(t Terminal, calls Calls) *cobra.Command {
	var version, previous, dir, output string
	cmd := &cobra.Command{
		Use:   "test FILE --version VERSION",
		Short: "Ask every query of a policy once and show values and verdicts; changes nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			if version == "" {
				return adg.Errorf(adg.Invalid, "which version is to be measured? name one that is live, with --version")
			}
			tested, err := calls.PolicyTest(cmd.Context(), args[0], version, previous, dir)
			if err != nil {
				return err
			}
			show := showTested
			if output == "json" {
				show = func(out io.Writer, tested []TestedCheck) error { return json.NewEncoder(out).Encode(tested) }
			}
			return errors.Join(show(t.Out, tested), silent(tested))
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "`version` that stands for $version")
	cmd.Flags().StringVar(&previous, "previous", "", "`version` that stands for $baseline")
	dataDirFlag(cmd, &dir)
	outputFlag(cmd, &output)
	return cmd
}

func showTested(out io.Writer, tested []TestedCheck) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CHECK\tVERDICT\tVALUE\tBASELINE\tLIMIT\tTOOK\tSENTENCE")
	for _, c := range tested {
		j := c.Judgement
		var took string
		if len(c.Measurements) > 0 {
			took = c.Measurements[0].Took.Round(100_000).String()
		}
		_, _ = fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\t%s\n", j.Check, mark(j.Verdict), j.Verdict, number(j.Value), number(j.Baseline), number(j.Limit), took, clean(j.Text))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range tested {
		for _, m := range c.Measurements {
			for _, sent := range m.Sent {
				_, _ = fmt.Fprintf(out, "\n%s, %s: %s", m.Check, m.Arm, clean(sent))
			}
			for _, warning := range m.Warnings {
				_, _ = fmt.Fprintf(out, "\n%s, %s: warning: %s", m.Check, m.Arm, clean(warning))
			}
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

// silent is an error if some checks say nothing.
func silent(tested []TestedCheck) error {
	unknown := 0
	for _, c := range tested {
		if c.Judgement.Verdict == adg.Unknown {
			unknown++
		}
	}
	if unknown == 0 {
		return nil
	}
	return adg.Errorf(adg.Unavailable, "%d of %d checks say nothing: a deployment guarded like this would be held", unknown, len(tested))
}
