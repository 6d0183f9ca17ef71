package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
)

func learnCommand(t Terminal, calls Calls) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Build the history of deployments and their outcomes from what a team already has",
		Long: `Build the history of deployments and their outcomes from what a team already has, so that predictions begin with years
of it: a GitOps repository, git tags, what GitHub or GitLab kept, or tables.

The history is a table (CSV): a deployment per row, with its outcome and the sentence that says what the outcome was seen
by. Look at it, correct the column outcome where you know better, and read it again with adg learn csv. A summary goes to
standard error. E-mail addresses are hashed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(learnGitOps(t), learnTags(t),
		learnForge(t, "github", "Read deployments, their statuses and releases as GitHub's API answers them",
			"gh api --paginate repos/acme/shop/deployments > deployments.json\n  adg learn github deployments.json -o history.csv", learn.ReadGitHub),
		learnForge(t, "gitlab", "Read deployments and releases as GitLab's API answers them",
			"glab api --paginate projects/acme%2Fshop/deployments > deployments.json\n  adg learn gitlab deployments.json -o history.csv", learn.ReadGitLab),
		learnCSV(t), learnRecords(t, calls.PredictCalls), learnCorrect(t, calls))
	return cmd
}

// Private

// lesson is what every source of a history takes.
type lesson struct {
	learn.Options
	count  []string
	out    string
	output string
}

func (l *lesson) flags(cmd *cobra.Command) {
	r := learn.Rules{}.WithDefaults()
	flags := cmd.Flags()
	flags.StringVarP(&l.out, "out", "o", "", "`file` for the history (default: standard output)")
	flags.StringVar(&l.output, "output", "text", "`format` of the summary: text, or json")
	flags.StringVar(&l.Service, "service", "", "`name` of the service, of what does not say it")
	flags.StringVar(&l.Environment, "environment", "", "`name` of the environment, of what does not say it")
	flags.DurationVar(&l.Rules.Hotfix, "hotfix-within", r.Hotfix, "a fix that follows within this `time` makes the version before it hotfixed; below zero: never")
	flags.DurationVar(&l.Rules.Superseded, "superseded-within", r.Superseded, "replaced within this `time` without going back: too soon to tell")
	flags.DurationVar(&l.Rules.Matures, "matures", r.Matures, "how long an outcome is waited for: a `time`")
	flags.StringSliceVar(&l.count, "count", nil, "`outcomes` that are failures (default: rolled-back,blocked,hotfixed,incident)")
	mustBeFile(cmd, "out", "csv")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("count", cobra.FixedCompletions([]string{"rolled-back", "blocked", "hotfixed", "incident"}, cobra.ShellCompDirectiveNoFileComp))
}

// begin makes of the flags what the sources take.
func (l *lesson) begin() error {
	if err := oneOf("output", l.output, "text", "json"); err != nil {
		return err
	}
	for _, name := range l.count {
		var o learn.Outcome
		if err := o.UnmarshalText([]byte(name)); err != nil {
			return err
		}
		l.Rules.Count = append(l.Rules.Count, o)
	}
	l.Now = time.Now() //nolint:forbidigo // until then the history was watched
	return l.Rules.Validate()
}

// end gives the history to its place and the summary to people.
func (l *lesson) end(t Terminal, h learn.History) error {
	h = h.Stated()
	var table bytes.Buffer
	if err := learn.Write(&table, h); err != nil {
		return err
	}
	to := t.Err
	if l.out == "" {
		if _, err := t.Out.Write(table.Bytes()); err != nil {
			return fmt.Errorf("writing the history: %w", err)
		}
	} else if err := os.WriteFile(l.out, table.Bytes(), 0o600); err != nil {
		return err
	}
	summary := h.Summary()
	if l.output == "json" {
		return json.NewEncoder(to).Encode(summary)
	}
	for line := range strings.Lines(summary.String()) {
		_, _ = fmt.Fprintln(to, flat(line))
	}
	if l.out != "" {
		_, _ = fmt.Fprintln(to, "written: "+clean(l.out))
	}
	if summary.Deployments == 0 {
		return adg.Errorf(adg.NotFound, "there is nothing to learn from")
	}
	return nil
}

func learnGitOps(t Terminal) *cobra.Command {
	var l lesson
	var o learn.GitOps
	cmd := &cobra.Command{
		Use:   "gitops REPOSITORY",
		Short: "Read the versions that the files of a GitOps repository named over time",
		Long: `Read the versions that the files of a GitOps repository named over time: image tags, chart versions and revisions in
Kubernetes manifests, Kustomize, Helm values, and resources of Argo CD and Flux. A version that went back was rolled back;
one that was left behind in one environment while a later one was promoted was blocked.`,
		Example: `  adg learn gitops ~/deployments -o history.csv
  adg learn gitops . --paths 'apps/{service}/overlays/{environment}/kustomization.yaml' --order staging,production`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.read(cmd.Context(), t, func(ctx context.Context) (learn.History, error) {
				o.Options = l.Options
				return learn.ReadGitOps(ctx, args[0], o)
			})
		},
	}
	l.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Ref, "ref", "", "`branch` that is deployed (default: HEAD)")
	flags.StringSliceVar(&o.Paths, "paths", nil, "`patterns` of files with {service} and {environment} in them; of several that fit, the last holds")
	flags.StringSliceVar(&o.Order, "order", nil, "`environments` in the order of promotion (default: the usual names, from dev to production)")
	return cmd
}

func learnTags(t Terminal) *cobra.Command {
	var l lesson
	var o learn.Tags
	cmd := &cobra.Command{
		Use:   "tags REPOSITORY",
		Short: "Read a repository's tags as deployments, and what was reverted after them",
		Long: `Read a repository's tags as deployments of their commits. One failed when a commit in it was reverted afterwards, when
the next tag went back behind it, or when a patch version of fixes had to follow at once.`,
		Example: `  adg learn tags . --service checkout -o history.csv
  adg learn tags . --pattern 'release-*'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.read(cmd.Context(), t, func(ctx context.Context) (learn.History, error) {
				o.Options = l.Options
				return learn.ReadTags(ctx, args[0], o)
			})
		},
	}
	l.flags(cmd)
	cmd.Flags().StringVar(&o.Pattern, "pattern", "", "`pattern` of the tags that are deployed, as of git tag --list (default: all)")
	cmd.Flags().BoolVar(&o.PreReleases, "pre-releases", false, "alpha, beta, rc and the like are deployed, too")
	return cmd
}

func learnForge(t Terminal, name, short, example string, read func(learn.Forge, ...io.Reader) (learn.History, error)) *cobra.Command {
	var l lesson
	var o learn.Forge
	cmd := &cobra.Command{
		Use: name + " FILE...", Short: short, Args: cobra.MinimumNArgs(1), Example: "  " + example,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.read(cmd.Context(), t, func(context.Context) (learn.History, error) {
				o.Options = l.Options
				return withFiles(t, args, func(files ...io.Reader) (learn.History, error) { return read(o, files...) })
			})
		},
	}
	l.flags(cmd)
	cmd.Flags().BoolVar(&o.PreReleases, "pre-releases", false, "releases that are marked so are deployed, too")
	cmd.Flags().BoolVar(&o.Transient, "transient", false, "environments that are made for a review and thrown away count, too")
	return cmd
}

func learnCSV(t Terminal) *cobra.Command {
	var l lesson
	var o learn.CSV
	cmd := &cobra.Command{
		Use:   "csv FILE...",
		Short: "Read tables: a deployment per row, with its time and its outcome",
		Example: `  adg learn csv corrected.csv -o history.csv
  adg learn csv jira.csv --time deployed_at --label failed --group app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.read(cmd.Context(), t, func(context.Context) (learn.History, error) {
				o.Options = l.Options
				return withFiles(t, args, func(files ...io.Reader) (learn.History, error) {
					var all []learn.History
					for i, f := range files {
						h, err := learn.ReadCSV(f, o)
						if err != nil {
							return learn.History{}, fmt.Errorf("%s: %w", clean(args[i]), err)
						}
						all = append(all, h)
					}
					return learn.Join(all...), nil
				})
			})
		},
	}
	l.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Time, "time", "", "`column` of the time (default: at, ts, time, timestamp, commit_ts or date)")
	flags.StringVar(&o.Group, "group", "", "`column` of the service (default: service, app or group)")
	flags.StringVar(&o.Label, "label", "", "`column` with 1 for failed, where none says the outcome (default: failed, failure or label)")
	flags.StringSliceVar(&o.Ignore, "ignore", nil, "`columns` that are known only afterwards, or mean nothing")
	return cmd
}

func learnRecords(t Terminal, calls PredictCalls) *cobra.Command {
	var l lesson
	var dir string
	cmd := &cobra.Command{
		Use:   "records",
		Short: "Read the deployments that were guarded from this data directory",
		Long: `Read the deployments that were guarded from this data directory, with what was known before each. What counts as a failure
is said by the policy that each ran under (risk: labels), unless a flag says it: rolled back, not restored, or hotfixed,
if neither does. What was never tried to its end, or taken back without blame, is not known. Outcomes that somebody
corrected count as corrected.`,
		Example: `  adg learn records -o own.csv && adg predict train history.csv own.csv`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.read(cmd.Context(), t, func(ctx context.Context) (learn.History, error) {
				all, corrections, err := calls.Records(ctx, dir)
				if err != nil {
					return learn.History{}, err
				}
				return learn.ReadRecords(all, corrections, l.said(cmd))
			})
		},
	}
	l.flags(cmd)
	dataDirFlag(cmd, &dir)
	return cmd
}

// said are the options without what no flag says: that is the policies' to say.
func (l *lesson) said(cmd *cobra.Command) learn.Options {
	o := l.Options
	for name, rule := range map[string]*time.Duration{"hotfix-within": &o.Rules.Hotfix, "superseded-within": &o.Rules.Superseded, "matures": &o.Rules.Matures} {
		if !cmd.Flags().Changed(name) {
			*rule = 0
		}
	}
	return o
}

// word is what `adg learn correct` is told.
type word struct {
	learn.Correction
	outcome string
	failed  bool
}

// correction makes of the flags what goes on record. An incident is a failure unless somebody says otherwise.
func (w word) correction() (learn.Correction, error) {
	c := w.Correction
	switch {
	case w.failed && w.outcome != "":
		return c, adg.Errorf(adg.Invalid, "--failed says that it came out as an incident: take it or --outcome, not both")
	case w.outcome != "":
		if err := c.Outcome.UnmarshalText([]byte(w.outcome)); err != nil {
			return c, err
		}
	case w.failed, c.Incident != "":
		c.Outcome = learn.Incident
	default:
		return c, adg.Errorf(adg.Invalid, "how did it come out? say --outcome, or --failed, or link the --incident")
	}
	switch {
	case c.Reason != "":
	case c.Incident != "":
		c.Reason = "an incident was linked"
	default:
		return c, adg.Errorf(adg.Invalid, "why? --reason puts it on record")
	}
	c.At = time.Now().UTC() //nolint:forbidigo // when somebody said so
	return c, nil
}

func learnCorrect(t Terminal, calls Calls) *cobra.Command {
	var w word
	var dir string
	cmd := &cobra.Command{
		Use:   "correct DEPLOYMENT --outcome OUTCOME --reason WHY | --incident LINK",
		Short: "Put on record how a deployment really came out",
		Long: `Put on record how a deployment of this data directory really came out: an incident that showed later, a rollback that had
another cause. The last word counts for what is learned; all of them stay, with who said so and why.`,
		Example: `  adg learn correct shop-1.4.2-x7k2 --incident https://pager.example.com/311 --failed
  adg learn correct shop-1.4.2-x7k2 --outcome success --reason "the network failed, not the release"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := w.correction()
			if err != nil {
				return err
			}
			c.Deployment = args[0]
			id, err := calls.Correct(cmd.Context(), dir, c)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(t.Out, "%s counts as %s from now on\n", id, c.Outcome)
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			ids, _ := calls.Deployments(cmd.Context(), dir, prefix)
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := cmd.Flags()
	outcomes := []string{"success", "rolled-back", "blocked", "hotfixed", "incident", "superseded", "unknown"}
	flags.StringVar(&w.outcome, "outcome", "", "`outcome`: "+strings.Join(outcomes, ", "))
	flags.BoolVar(&w.failed, "failed", false, "it failed: the outcome is incident")
	flags.StringVar(&w.Incident, "incident", "", "`link` to an incident that the deployment caused, or its name")
	flags.StringVar(&w.Reason, "reason", "", "why, for the record")
	actorFlag(cmd, &w.Actor)
	dataDirFlag(cmd, &dir)
	_ = cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(outcomes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (l *lesson) read(ctx context.Context, t Terminal, source func(context.Context) (learn.History, error)) error {
	if err := l.begin(); err != nil {
		return err
	}
	if folder := filepath.Dir(l.out); l.out != "" {
		if _, err := os.Stat(folder); err != nil {
			return err // better said before the work than after it
		}
	}
	h, err := source(ctx)
	if err != nil {
		return err
	}
	return l.end(t, h)
}

// withFiles opens what the arguments name, '-' for what is typed or piped in.
func withFiles(t Terminal, names []string, read func(...io.Reader) (learn.History, error)) (learn.History, error) {
	readers := make([]io.Reader, len(names))
	for i, name := range names {
		if name == "-" {
			readers[i] = t.In
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return learn.History{}, err
		}
		defer func() { _ = f.Close() }() // nothing was written
		readers[i] = f
	}
	return read(readers...)
}
