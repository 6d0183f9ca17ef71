package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api/wire"
	"github.com/deployguardian/adg/internal/change"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/forecast"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/rehearsal"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// lint reads a policy and gives what is doubtful; what is wrong is the error.
func (a *App) lint(ctx context.Context, path string) (found cli.Linted, err error) {
	dir, err := os.MkdirTemp("", "adg-lint-")
	if err != nil {
		return found, fmt.Errorf("making a folder for what is opened: %w", err)
	}
	defer both(&err, func() error { return os.RemoveAll(dir) })
	file, err := config.Lint(path, drivers(), a.env, func(file config.File, seam, name string) error {
		return worksHere(ctx, file, dir, seam, name)
	})
	if err != nil {
		return found, err
	}
	found.Promise = file.Promise
	for _, w := range file.Warnings {
		found.Warnings = append(found.Warnings, w.String())
	}
	return found, nil
}

// try asks every check of a policy once, and the target whether it could go back. It changes nothing.
func (a *App) try(ctx context.Context, o cli.TestOptions) (tested cli.Tested, err error) {
	file, err := a.load(o.File)
	if err != nil {
		return tested, err
	}
	w, err := newWorld(file, o.DataDir, a.log, true)
	if err != nil {
		return tested, err
	}
	defer both(&err, w.Close)
	return tryPolicy(ctx, w, file.Policy, o)
}

// Private

// worksHere opens an instance of a policy and closes it. A source that begins to collect when it is opened is left alone.
func worksHere(ctx context.Context, file config.File, dir, seam, name string) (err error) {
	if i := slices.IndexFunc(file.Sources, func(s config.Instance) bool { return s.Name == name }); seam == "source" && file.Sources[i].Type == "embedded" {
		return nil
	}
	w, err := newWorld(file, dir, slog.New(slog.DiscardHandler), true)
	if err != nil {
		return err
	}
	defer both(&err, w.Close)
	return w.works(ctx, seam, name)
}

func tryPolicy(ctx context.Context, w guard.World, p adg.Policy, o cli.TestOptions) (tested cli.Tested, err error) {
	spec := adg.Spec{Policy: p.WithDefaults(), Release: adg.Release{Service: p.Service, Version: o.Version, Schema: o.Schema}}
	if err := spec.Release.Validate(); err != nil {
		return tested, err
	}
	recorded, err := onRecord(ctx, o, p)
	if err != nil {
		return tested, err
	}
	if o.Previous != "" {
		spec.LastGood = recorded
	}
	if err := spec.ValidWayBack(); err != nil {
		return tested, err
	}
	for _, t := range guard.Try(ctx, w, spec) {
		tested.Checks = append(tested.Checks, cli.TestedCheck{Measurements: t.Measurements, Judgement: t.Judgement, Unit: p.CountedIn(t.Judgement.Check)})
	}
	if recorded != nil && recorded.Version != o.Version {
		spec.LastGood = recorded
	}
	doubt := ""
	plan := adg.Deployment{ID: p.Service + "-plan", Spec: spec}
	obstacles, err := rehearsal.Of(ctx, w.Target, plan)
	if err != nil {
		doubt = err.Error()
	} else if err := missing(ctx, w, plan); err != nil {
		obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: err.Error()})
	}
	tested.Rollback = wire.RollbackOf(spec, obstacles, doubt)
	return tested, nil
}

// missing is what a target needs on this machine and does not find.
func missing(ctx context.Context, w guard.World, d adg.Deployment) error {
	t, err := w.Target(ctx, d)
	if err != nil {
		return err
	}
	if c, can := adg.PowerOf[adg.Checker](t); can {
		return c.Check()
	}
	return nil
}

// onRecord is the release that a rollback would go to, as whole as the data directory knows it: the one that is named, else
// the last good one; nil: there is none.
func onRecord(ctx context.Context, o cli.TestOptions, p adg.Policy) (good *adg.Release, err error) {
	named := adg.Release{Service: p.Service, Version: o.Previous}
	if o.Previous != "" {
		if err := named.Validate(); err != nil {
			return nil, err
		}
		good = &named
	}
	store, err := sqlite.OpenReadOnly(ctx, o.DataDir)
	if adg.CodeOf(err) == adg.NotFound {
		return good, nil
	}
	if err != nil {
		return nil, err
	}
	defer both(&err, store.Close)
	if o.Previous != "" {
		named, err = guard.Recall(ctx, store, p, named)
		return good, err
	}
	record, err := store.LastGood(ctx, p.Service, p.Environment)
	if adg.CodeOf(err) == adg.NotFound {
		return nil, nil
	}
	return &record.Release, err
}

// reference writes the generated pages: the policy file, its schema, and the commands.
func (a *App) reference(dir string, root *cobra.Command) error {
	page, err := config.Reference(drivers())
	if err != nil {
		return err
	}
	schema, err := config.Schema(drivers())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"policy.md": page, "policy.schema.json": append(schema, '\n'), "features.md": features()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("writing the reference: %w", err)
		}
	}
	root.DisableAutoGenTag = true
	return doc.GenMarkdownTreeCustom(root, dir, func(string) string { return "" }, func(link string) string { return strings.ToLower(link) })
}

// features is the page of what predictions are made from.
func features() []byte {
	var page bytes.Buffer
	page.WriteString("# What predictions are made from\n\n" +
		"A missing feature is normal. What changes is measured with `--repo` or told with `--payload`; of the deployment `adg run` finds most\n" +
		"by itself, and what is from the pipeline comes with `--feature`, or under `features` in a payload. Other numbers are learned, too:\n" +
		"names that stand on neither list are noted. [Predicting](../predicting.md) says what they are for.\n")
	for _, list := range []struct {
		title string
		all   []change.Measure
	}{
		{"The change", change.Catalogue()},
		{"The deployment", forecast.Catalogue()},
	} {
		fmt.Fprintf(&page, "\n## %s\n\n| name | unit | from | |\n|---|---|---|---|\n", list.title)
		for _, m := range list.all {
			fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", m.Name, m.Unit, m.Source, m.Text)
		}
	}
	return page.Bytes()
}
