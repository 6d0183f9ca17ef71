package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/report"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

// reportFormats are the formats that a person reads; --output json is for programs.
var reportFormats = map[string]adgv1.ReportFormat{
	"markdown": adgv1.ReportFormat_REPORT_FORMAT_MARKDOWN, "html": adgv1.ReportFormat_REPORT_FORMAT_HTML, postMortem: adgv1.ReportFormat_REPORT_FORMAT_POST_MORTEM,
}

func deployReportCommand(t Terminal, connect Connect, changed Changed) *cobra.Command {
	var format, out, repository string
	cmd := &cobra.Command{
		Use: "report ID", Short: "Tell what happened in a deployment: the timeline, the decisions and their evidence, with plots", Args: cobra.ExactArgs(1),
		Long: `Tell what happened in a deployment of the server: the timeline, the decisions with their evidence, what was done at the
target, and the measurements as plots. One that is still going on can be reported, too.

Markdown goes to standard output unless --out names a file. HTML is one file that opens without a network. A post-mortem
is the draft of one, in Markdown; it names the commits, files and migrations, too, where the server has the service's
repository at hand (its setting repositories), or with --repo from one that is here.`,
		Example: `  adg deploy report checkout-1.4.2-k3v9x2qa
  adg deploy report checkout-1.4.2-k3v9x2qa --format html --out report.html
  adg deploy report checkout-1.4.2-k3v9x2qa --format post-mortem --repo . --out post-mortem.md`,
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write")
	cmd.Flags().StringVar(&format, "format", "markdown", "markdown, html or post-mortem")
	repositoryFlag(cmd, &repository)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"markdown", "html", postMortem}, cobra.ShellCompDirectiveNoFileComp))
	completeDeployment(cmd, t, connect, false)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		if err := oneOf("format", format, "markdown", "html", postMortem); err != nil {
			return err
		}
		if repository != "" && (format != postMortem || s.output == "json") {
			return adg.Errorf(adg.Invalid, "--repo is for --format post-mortem")
		}
		request := &adgv1.GetReportRequest{Deployment: args[0], Format: reportFormats[format]}
		if s.output == "json" {
			request.Format = adgv1.ReportFormat_REPORT_FORMAT_JSON
		}
		answer, err := s.Reports.GetReport(ctx, request)
		if err != nil {
			return err
		}
		text := answer.GetData()
		if repository != "" {
			d, err := s.Deployments.GetDeployment(ctx, &adgv1.GetDeploymentRequest{Id: args[0]})
			if err != nil {
				return err
			}
			c, err := changed(ctx, repository, releaseOf(d.GetLastGood()), *releaseOf(d.GetRelease()))
			if err != nil {
				return err
			}
			text = report.WithAppendix(text, report.Appendix(c))
		}
		return showReport(s, text, out)
	})
}

// releaseOf is which release the server means, as far as a repository is asked for it; nil: none.
func releaseOf(r *adgv1.Release) *adg.Release {
	if r == nil {
		return nil
	}
	return &adg.Release{Service: r.GetService(), Version: r.GetVersion(), Commit: r.GetCommit()}
}

// showReport writes a report to a file, or where people or programs read.
func showReport(s session, text []byte, file string) error {
	if s.output == "json" {
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			return adg.Errorf(adg.Internal, "%s sent a report that is no JSON: %w", s.at.Server, err)
		}
		line.WriteByte('\n')
		text = line.Bytes()
	}
	switch {
	case file != "":
		if err := os.WriteFile(file, text, 0o640); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
		_, err := fmt.Fprintln(s.t.Err, "written: "+file)
		return err
	case s.output == "json":
		_, err := s.t.Out.Write(text)
		return err
	}
	_, err := io.WriteString(s.t.Out, clean(string(text)))
	return err
}

func deployReplayCommand(t Terminal, connect Connect) *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay ID", Short: "Have the server make every decision again from its evidence, and say where the answer would be another one", Args: cobra.ExactArgs(1),
		Long: `Have the server make every decision of a deployment again from what is on record. Either all comes out as it was, or what
would be different with the server's version of adg is shown. Nothing is changed.

Exits with 0 if all is equal, and with 1 if something is not.`,
		Example: "  adg deploy replay checkout-1.4.2-k3v9x2qa",
	}
	completeDeployment(cmd, t, connect, false)
	return online(t, connect, cmd, func(ctx context.Context, s session, args []string) error {
		found, err := s.Evidence.ReplayDecisions(ctx, &adgv1.ReplayDecisionsRequest{Deployment: args[0]})
		if err != nil {
			return err
		}
		if err := s.show(found, func() error { return showReplayed(s, args[0], found) }); err != nil || found.GetEqual() {
			return err
		}
		return adg.Errorf(adg.Conflict, "%s would be decided differently now", args[0])
	})
}

func showReplayed(s session, id string, found *adgv1.ReplayDecisionsResponse) error {
	text := fmt.Sprintf("%s: %d decisions: all equal", id, found.GetDecisions())
	if !found.GetEqual() {
		text = fmt.Sprintf("%s: %d decisions: not all equal", id, found.GetDecisions())
	}
	if found.GetCompacted() {
		text += "; some of the evidence was forgotten since"
	}
	if err := s.line(flat(text)); err != nil {
		return err
	}
	for _, d := range found.GetDifferences() {
		if err := s.line("  " + flat(d)); err != nil {
			return err
		}
	}
	return nil
}
