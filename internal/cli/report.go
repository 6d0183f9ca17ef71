package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/report"
)

// ReportOptions are the arguments of `adg report`.
type ReportOptions struct {
	Deployment string // empty: the newest
	DataDir    string
	Out        string // file or directory; empty: standard output
	Format     string // markdown, html, both, or post-mortem
	Repository string // where the post-mortem finds the commits and files; empty: it does without
}

// Changed tells what lies between two releases in a repository; nil: there was none before.
type Changed func(ctx context.Context, dir string, from *adg.Release, to adg.Release) (report.Change, error)

func reportCommand(t Terminal, calls Calls) *cobra.Command {
	var o ReportOptions
	cmd := &cobra.Command{
		Use:   "report [DEPLOYMENT]",
		Short: "Tell what happened in a deployment: the timeline, the decisions and their evidence, with plots",
		Long: `Tell what happened in a deployment: the timeline, the decisions with their evidence, what was done at the target,
and the measurements as plots. Without a name it is the newest deployment of the data directory.

Markdown goes to standard output unless --out names a file. HTML is one file that opens without a network. A post-mortem is
the draft of one, in Markdown: what happened, the impact, how it was found, what was done, the change, what may be the cause, a
list to follow up; with --repo the commits, files and migrations, too.
A run that is still going on can be reported, too.`,
		Example: `  adg report
  adg report checkout-1.4.2-k3v9x2qa --format html --out report.html
  adg report --format post-mortem --repo . --out post-mortem.md`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", o.Format, "markdown", "html", "both", postMortem); err != nil {
				return err
			}
			if o.Repository != "" && o.Format != postMortem {
				return adg.Errorf(adg.Invalid, "--repo is for --format post-mortem")
			}
			if o.Format == "both" && o.Out == "" {
				return adg.Errorf(adg.Invalid, "--format both writes two files: name the directory with --out")
			}
			if len(args) > 0 {
				o.Deployment = args[0]
			}
			written, err := calls.Report(cmd.Context(), o)
			if err != nil {
				return err
			}
			for _, file := range written {
				_, _ = fmt.Fprintln(t.Err, "written: "+file)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Out, "out", "", "`file` to write, or directory for both")
	cmd.Flags().StringVar(&o.Format, "format", "markdown", "markdown, html, both or post-mortem")
	repositoryFlag(cmd, &o.Repository)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"markdown", "html", "both", postMortem}, cobra.ShellCompDirectiveNoFileComp))
	dataDirFlag(cmd, &o.DataDir)
	return cmd
}

// Private

const postMortem = "post-mortem"

func repositoryFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "repo", "", "`directory` of the git repository, for the commits and files in a post-mortem")
	_ = cmd.MarkFlagDirname("repo")
}
