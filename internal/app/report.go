package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/report"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// report tells what happened in a deployment and gives the names of the files that were written.
func (a *App) report(ctx context.Context, o cli.ReportOptions) (written []string, err error) {
	store, err := sqlite.OpenReadOnly(ctx, o.DataDir)
	if err != nil {
		return nil, err
	}
	defer both(&err, store.Close)
	id := o.Deployment
	if id == "" {
		newest, err := store.ListDeployments(ctx, adg.DeploymentFilter{Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(newest) == 0 {
			return nil, adg.Errorf(adg.NotFound, "%s knows no deployment yet", o.DataDir)
		}
		id = newest[0].ID
	}
	story, err := report.Gather(ctx, store, id)
	if err != nil {
		return nil, err
	}
	var appendix []byte
	if o.Repository != "" {
		spec := story.Deployment.Spec
		if spec.LastGood == nil {
			return nil, adg.Errorf(adg.Invalid, "the deployment had no release before it: leave --repo out")
		}
		if appendix, err = changed(ctx, o.Repository, spec.LastGood.Commit, spec.Release.Commit); err != nil {
			return nil, err
		}
	}
	return writeReport(a.terminal.Out, story, appendix, o)
}

// changed is the end of a post-mortem: what a repository says of a release's commits and files.
func changed(ctx context.Context, dir, from, to string) ([]byte, error) {
	if from == "" || to == "" {
		return nil, adg.Errorf(adg.Invalid, "the deployment does not say of which commits its releases are: start the next one with --commit, or leave --repo out")
	}
	r, err := change.Open(ctx, dir, change.Options{})
	if err != nil {
		return nil, err
	}
	l, err := r.List(ctx, from, to)
	if err != nil {
		return nil, err
	}
	c := report.Change{From: l.From, To: l.To, Files: l.Files, Changed: l.Changed, Migrations: l.Migrations}
	for _, one := range l.Commits {
		c.Commits = append(c.Commits, report.Commit(one))
	}
	return report.Appendix(c), nil
}

// Private

// writeReport writes the story in the wanted formats, to out unless a file is named. A post-mortem ends with the appendix.
func writeReport(out io.Writer, story report.Story, appendix []byte, o cli.ReportOptions) ([]string, error) {
	texts := map[string][]byte{}
	switch o.Format {
	case "markdown", "both":
		texts[".md"] = report.Markdown(story)
	case "post-mortem":
		texts[".md"] = append(report.PostMortem(story), appendix...)
	}
	if o.Format == "html" || o.Format == "both" {
		page, err := report.HTML(story)
		if err != nil {
			return nil, err
		}
		texts[".html"] = page
	}
	var written []string
	var errs []error
	for extension, text := range texts {
		if o.Out == "" {
			_, err := out.Write(text)
			errs = append(errs, err)
			continue
		}
		path := o.Out
		if o.Format == "both" {
			path = filepath.Join(o.Out, story.Deployment.ID+extension)
			errs = append(errs, os.MkdirAll(o.Out, 0o750))
		}
		if err := os.WriteFile(path, text, 0o640); err != nil {
			errs = append(errs, fmt.Errorf("writing the report: %w", err))
			continue
		}
		written = append(written, path)
	}
	return written, errors.Join(errs...)
}
