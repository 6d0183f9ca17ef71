package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Tested is what came of a policy that was tried: its checks, and how a release would be rolled back.
type Tested struct {
	Checks   []TestedCheck       `json:"checks"`
	Rollback *adgv1.RollbackPlan `json:"-"`
}

// MarshalJSON writes the plan as the API does.
func (t Tested) MarshalJSON() ([]byte, error) {
	plan, err := protojson.Marshal(t.Rollback)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Checks   []TestedCheck   `json:"checks"`
		Rollback json.RawMessage `json:"rollback"`
	}{t.Checks, plan})
}

// TestOptions are what a policy is tried with.
type TestOptions struct {
	File     string
	Version  string // stands for $version
	Schema   string // revision of the database schema that it needs; empty: not said
	Previous string // version that a rollback would go to; empty: the last good one on record
	DataDir  string // directory of the record, if there is one
}

// TestedCheck is one check of a policy, asked once.
type TestedCheck struct {
	Measurements []adg.Measurement `json:"measurements"`
	Judgement    adg.Judgement     `json:"judgement"`
	Unit         string            `json:"unit,omitempty"` // of the judgement's values
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
	var server away
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Report everything that is wrong or doubtful in policy files, with line and cure",
		Long: `Report everything that is wrong or doubtful in policy files, with line and cure.

With --server, as policies on the server: their sources, target and notifiers are the connections that are registered
there for the service. Nothing is stored, and nothing is asked of the connections.`,
		Example: `  adg policy lint guardian.yaml
  adg policy lint guardian.yaml --server --strict`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if server.chosen() {
				return server.ask(cmd.Context(), t, calls.Connect, "text", func(ctx context.Context, s session) error { return lintOnServer(ctx, s, files, strict) })
			}
			doubts := 0
			var wrong []error // every file is looked at, whatever is wrong with another
			for _, file := range files {
				found, err := calls.PolicyLint(cmd.Context(), file)
				if err != nil {
					wrong = append(wrong, err)
					continue
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
				wrong = append(wrong, adg.Errorf(adg.Invalid, "%d warnings, and --strict allows none", doubts))
			}
			return errors.Join(wrong...)
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	server.flags(cmd, "as the server takes policies, with its connections")
	return cmd
}

func schemaCommand(t Terminal, calls Calls) *cobra.Command {
	var server away
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files, for editors",
		Long: `Print the JSON Schema of policy files. Editors that speak YAML complete and check with it, for example with this
first line in the policy:  # yaml-language-server: $schema=policy.schema.json

With --server, that of policies as the server takes them: with the names of the connections that are registered there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server.chosen() {
				return server.ask(cmd.Context(), t, calls.Connect, "text", schemaOfServer)
			}
			schema, err := calls.PolicySchema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(t.Out, string(schema))
			return err
		},
	}
	server.flags(cmd, "the schema of policies as a server takes them")
	return cmd
}

func testCommand(t Terminal, calls Calls) *cobra.Command {
	var o TestOptions
	var output string
	var server away
	cmd := &cobra.Command{
		Use:   "test FILE --version VERSION",
		Short: "Ask every query of a policy once, and rehearse the way back; changes nothing",
		Long: `Ask every query of a policy once and show values and verdicts, and say how the version would be rolled back to
--previous, or else to the last good release on record: the target is asked whether it could. Nothing is changed. The exit code is 1 if a check says nothing.

With --server the server asks, by the connections that are registered there and that the policy names; without --version
about the release that is live. What is on record is then what the server has on record.`,
		Example: `  adg policy test guardian.yaml --version 1.4.1 --previous 1.4.0
  adg policy test guardian.yaml --server
  adg policy test guardian.yaml --server --version 1.4.1 --previous 1.4.0 --schema 17`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			o.File = args[0]
			if server.chosen() {
				if cmd.Flags().Changed("data-dir") {
					return adg.Errorf(adg.Invalid, "--data-dir is for a test from this machine: a server has records of its own")
				}
				if o.Schema != "" && o.Version == "" {
					return adg.Errorf(adg.Invalid, "which version needs schema %s? name it with --version", o.Schema)
				}
				return server.ask(cmd.Context(), t, calls.Connect, output, func(ctx context.Context, s session) error {
					return testOnServer(ctx, s, o)
				})
			}
			if o.Version == "" {
				return adg.Errorf(adg.Invalid, "which version is to be measured? name one that is live, with --version")
			}
			tested, err := calls.PolicyTest(cmd.Context(), o)
			if err != nil {
				return err
			}
			show := showTested
			if output == "json" {
				show = func(out io.Writer, tested Tested) error { return json.NewEncoder(out).Encode(tested) }
			}
			return errors.Join(show(t.Out, tested), silent(tested.Checks))
		},
	}
	cmd.Flags().StringVar(&o.Version, "version", "", "`version` that stands for $version")
	cmd.Flags().StringVar(&o.Schema, "schema", "", "revision of the database schema that the version needs, for the way back")
	cmd.Flags().StringVar(&o.Previous, "previous", "", "`version` that stands for $baseline, and that a rollback would go to (default: the last good one on record)")
	dataDirFlag(cmd, &o.DataDir)
	outputFlag(cmd, &output)
	server.flags(cmd, "the server asks, by its connections")
	return cmd
}

func showTested(out io.Writer, tested Tested) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, testedHead)
	for _, c := range tested.Checks {
		j := c.Judgement
		var took string
		if len(c.Measurements) > 0 {
			took = c.Measurements[0].Took.Round(100_000).String()
		}
		_, _ = fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\t%s\n", j.Check, mark(j.Verdict), j.Verdict,
			amount(j.Value, c.Unit), amount(j.Baseline, c.Unit), amount(j.Limit, c.Unit), took, clean(j.Text))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range tested.Checks {
		for _, m := range c.Measurements {
			for _, sent := range m.Sent {
				_, _ = fmt.Fprintf(out, "\n%s, %s: %s", m.Check, m.Arm, clean(sent))
			}
			for _, warning := range m.Warnings {
				_, _ = fmt.Fprintf(out, "\n%s, %s: warning: %s", m.Check, m.Arm, clean(warning))
			}
		}
	}
	_, _ = fmt.Fprintln(out)
	if len(tested.Checks) > 0 {
		_, _ = fmt.Fprintln(out)
	}
	return facts(Terminal{Out: out}, wayBack(tested.Rollback)...)
}

// silent is an error if some checks say nothing.
func silent(tested []TestedCheck) error {
	unknown := 0
	for _, c := range tested {
		if c.Judgement.Verdict == adg.Unknown {
			unknown++
		}
	}
	return mute(unknown, len(tested))
}

// mute is an error if some of all say nothing.
func mute(unknown, all int) error {
	if unknown == 0 {
		return nil
	}
	return adg.Errorf(adg.Unavailable, "%d of %d checks say nothing: a deployment guarded like this would be held", unknown, all)
}
