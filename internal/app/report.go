package app

import (
	"cmp"
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
	if o.Repository != "" {
		c, err := changed(ctx, o.Repository, story.Deployment.Spec.LastGood, story.Deployment.Spec.Release)
		if err != nil {
			return nil, err
		}
		story.Change = &c
	}
	return writeReport(a.terminal.Out, story, o)
}

// Private

// changed is what a repository says of the commits and files between two releases. A release that does not say of which
// commit it is is looked for by its version, as a tag.
func changed(ctx context.Context, dir string, from *adg.Release, to adg.Release) (report.Change, error) {
	if from == nil {
		return report.Change{}, adg.Errorf(adg.Invalid, "the deployment had no release before it, which its commits could be counted from")
	}
	r, err := change.Open(ctx, dir, change.Options{})
	if err != nil {
		return report.Change{}, err
	}
	l, err := r.List(ctx, cmp.Or(from.Commit, from.Version), cmp.Or(to.Commit, to.Version))
	if adg.CodeOf(err) == adg.NotFound && (from.Commit == "" || to.Commit == "") {
		err = adg.Advised(err, "start deployments with --commit, or tag releases by their version")
	}
	if err != nil {
		return report.Change{}, err
	}
	c := report.Change{From: l.From, To: l.To, Files: l.Files, Changed: l.Changed, Migrations: l.Migrations}
	for _, one := range l.Commits {
		c.Commits = append(c.Commits, report.Commit(one))
	}
	return c, nil
}

// changes are those of the repositories that a server has at hand; nil for the services of the others.
func changes(repositories map[string]string) func(ctx context.Context, spec adg.Spec) *report.Change {
	return func(ctx context.Context, spec adg.Spec) *report.Change {
		dir, found := repositories[spec.Policy.Service]
		if !found {
			return nil
		}
		c, err := changed(ctx, dir, spec.LastGood, spec.Release)
		if err != nil {
			c = report.Change{Unread: err.Error()}
		}
		return &c
	}
}

// writeReport writes the story in the wanted formats, to out unless a file is named.
func writeReport(out io.Writer, story report.Story, o cli.ReportOptions) ([]string, error) {
	texts := map[string][]byte{}
	switch o.Format {
	case "markdown", "both":
		texts[".md"] = report.Markdown(story)
	case "post-mortem":
		texts[".md"] = report.PostMortem(story)
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
