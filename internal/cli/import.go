package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/importer"
	"github.com/deployguardian/adg/internal/importer/manifest"
)

func importCommand(t Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Make a policy of what Argo Rollouts, Flagger, Kayenta or Keptn was told",
		Long: `Make a policy of documents that another tool reads, and list what could not be carried over, and why.

The policy goes to standard output, or to the file that --out names; the list goes to standard error, with file and
line. Documents that belong together, such as a template and the rollout that uses it, are given together; '-' is
standard input. No secret is copied: the policy names an environment variable for each, which has to be set.

Exits with 0 when something of the source is in the policy, with 1 when there was nothing that could be carried over:
the policy then holds the queries as comments.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, tool := range []struct{ name, short, example string }{
		{"argo", "Read AnalysisTemplates and Rollouts of Argo Rollouts", "adg import argo rollout.yaml analysis.yaml -o guardian.yaml"},
		{"flagger", "Read Canaries and MetricTemplates of Flagger", "kubectl get canary,metrictemplate -o yaml | adg import flagger - -o guardian.yaml"},
		{"kayenta", "Read canary configs of Kayenta (Spinnaker)", "adg import kayenta canary-config.json -o guardian.yaml"},
		{"keptn", "Read SLO and SLI files and AnalysisDefinitions of Keptn", "adg import keptn slo.yaml sli.yaml --service checkout -o guardian.yaml"},
	} {
		cmd.AddCommand(importTool(t, tool.name, tool.short, tool.example))
	}
	return cmd
}

// Private

func importTool(t Terminal, tool, short, example string) *cobra.Command {
	var o importer.Options
	var out, output string
	cmd := &cobra.Command{
		Use: tool + " FILE...", Short: short, Example: "  " + example, Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			if out == "json" || out == "text" {
				return adg.Errorf(adg.Invalid, "-o names the file for the policy here: for the format write --output %s", out)
			}
			files, err := importFiles(t, names)
			if err != nil {
				return err
			}
			result, err := importer.Import(tool, files, o)
			if err != nil {
				return err
			}
			if output == "json" {
				err = showImportJSON(t.Out, result, out)
			} else {
				err = showImport(t, result, out)
			}
			if err == nil && !result.Usable() {
				err = adg.Errorf(adg.Unavailable, "no check and no step could be carried over: what was asked stands in the policy as comments")
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&out, "out", "o", "", "`file` for the policy (default: standard output)")
	flags.StringVar(&o.Service, "service", "", "`name` of the service (default: as the documents name it)")
	flags.StringVar(&o.Environment, "environment", "", "`name` of the environment (default: the documents' namespace, else production)")
	mustBeFile(cmd, "out", "yaml", "yml")
	flags.StringVar(&output, "output", "text", "`format`: text, or json for one object with the policy and the list")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// importFiles reads what the arguments name, '-' for what is typed or piped in; no file is read past what is taken.
func importFiles(t Terminal, names []string) ([]importer.File, error) {
	var files []importer.File
	for _, name := range names {
		text, err := importText(t, name)
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "reading %s: %w", name, err)
		}
		if name == "-" {
			name = "standard input"
		}
		files = append(files, importer.File{Name: name, Text: text})
	}
	return files, nil
}

func importText(t Terminal, name string) ([]byte, error) {
	if name == "-" {
		if t.typed() {
			_, _ = fmt.Fprintln(t.Err, "reading documents from the terminal; end with Ctrl-D")
		}
		return io.ReadAll(io.LimitReader(t.In, manifest.MaxBytes+1))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, manifest.MaxBytes+1))
	return text, errors.Join(err, f.Close())
}

// showImport gives the policy to its place and the list of losses to people.
func showImport(t Terminal, r importer.Result, out string) error {
	if err := writePolicy(t.Out, r.Policy, out); err != nil {
		return err
	}
	for _, l := range r.Losses {
		_, _ = fmt.Fprintln(t.Err, flat(l.String()))
	}
	_, _ = fmt.Fprintf(t.Err, "%d checks carried over; %d things to look at\n", r.Checks, len(r.Losses))
	if out != "" {
		_, _ = fmt.Fprintln(t.Err, "written: "+clean(out))
	}
	return nil
}

// showImportJSON prints one object; the policy is in it, and in its file if one was named.
func showImportJSON(to io.Writer, r importer.Result, out string) error {
	if out != "" {
		if err := writePolicy(nil, r.Policy, out); err != nil {
			return err
		}
	}
	losses := r.Losses
	if losses == nil {
		losses = []importer.Loss{}
	}
	return json.NewEncoder(to).Encode(struct {
		Policy string          `json:"policy"`
		Checks int             `json:"checks"`
		Losses []importer.Loss `json:"losses"`
	}{string(r.Policy), r.Checks, losses})
}

// writePolicy writes to a new file, or to a writer where none is named. A policy that is there is not overwritten: it
// may have been worked on.
func writePolicy(to io.Writer, policy []byte, out string) error {
	if out == "" {
		_, err := to.Write(policy)
		return err
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return adg.Errorf(adg.Conflict, "%s is there already: name another file, or take it away", out)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(policy)
	return errors.Join(err, f.Close())
}
