package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/deployguardian/adg"
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
	return writeReport(a.terminal.Out, story, o)
}

// Private

// writeReport writes the story in the wanted formats, to out unless a file is named.
func writeReport(out io.Writer, story report.Story, o cli.ReportOptions) ([]string, error) {
	texts := map[string][]byte{}
	if o.Format != "html" {
		texts[".md"] = report.Markdown(story)
	}
	if o.Format != "markdown" {
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
