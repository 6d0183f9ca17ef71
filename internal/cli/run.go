package cli

import (
	"crypto/rand"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg"
)

// RunOptions are the arguments of `adg run`.
type RunOptions struct {
	File     string
	Release  adg.Release // the service comes from the policy
	Previous string      // version that a rollback goes to; empty: what is known to be good
	DataDir  string      // of this run; a dry run has one of its own
	Known    string      // of the deployments in earnest, for a dry run, which only reads it
	Actor    string
	Reason   string
	DryRun   bool

	Repository string // of git, in which the change is measured for a prediction; empty: none
	Payload    string // file with what a pipeline knows of the change, in place of a repository
	Features   map[string]float64
	Automatic  bool // a pipeline runs it, not a person
}

func runCommand(t Terminal, calls Calls) *cobra.Command {
	var o RunOptions
	var output string
	var features []string
	cmd := &cobra.Command{
		Use:   "run -f POLICY --version VERSION",
		Short: "Guard one deployment in this process, from the first step to its end",
		Long: `Guard one deployment in this process: no server is needed, so it fits into a CI job.

The release is rolled out as the policy says, measured, judged, promoted or rolled back. Progress is shown live on a
terminal and as plain lines elsewhere; --output json prints one event per line. On a terminal commands can be typed:
promote, hold, resume, rollback, cancel, approve, reject. Interrupting asks once what to do.
Started again with the same data directory after a crash or an interrupt, it goes on where it was.`,
		Example: `  adg run -f guardian.yaml --version 1.4.2
  adg run -f guardian.yaml --version 1.4.2 --previous 1.4.1 --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := oneOf("output", output, "text", "json"); err != nil {
				return err
			}
			if o.File == "" || o.Release.Version == "" {
				return adg.Errorf(adg.Invalid, "which policy, and which version? as in: adg run -f guardian.yaml --version 1.4.2")
			}
			if o.Features, err = named(features); err != nil {
				return err
			}
			if o.Repository != "" && o.Payload != "" {
				return adg.Errorf(adg.Invalid, "the change is measured in a repository or told by a payload, not both")
			}
			o.Automatic = inPipeline()
			if o.DryRun { // what did not happen must not count as experience
				o.Known, o.DataDir = o.DataDir, filepath.Join(o.DataDir, "dry-run-"+strings.ToLower(rand.Text()[:8]))
			}
			view := newView(t, output, hint, reported(o.DataDir))
			person, stop := listen(t, view)
			defer stop()
			d, err := calls.Run(cmd.Context(), o, view, person)
			view.Close(d, err)
			if err != nil {
				return err
			}
			if exit := ExitOf(d.Status.State); exit != ExitGood {
				return &endedError{exit}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.File, "file", "f", "", "policy `file`")
	flags.StringVar(&o.Release.Version, "version", "", "`version` to deploy")
	flags.StringVar(&o.Previous, "previous", "", "`version` that a rollback goes to (default: the one known to be good, or the live one if it is healthy)")
	flags.StringVar(&o.Release.Artifact, "artifact", "", "image, digest or path of the release")
	flags.StringVar(&o.Release.Config, "config-revision", "", "revision of the release's configuration")
	flags.StringVar(&o.Release.Commit, "commit", "", "commit that the release was built from")
	flags.StringVar(&o.Release.Schema, "schema", "", "revision of the database schema that the release needs")
	flags.StringVar(&o.Repository, "repo", "", "`directory` of the git repository in which the change is measured, for the prediction of success")
	flags.StringVar(&o.Payload, "payload", "", "`file` with what a pipeline knows of the change, as JSON, for the prediction; GitHub's answer to a comparison is one")
	flags.StringArrayVar(&features, "feature", nil, "what else is known for the prediction, as `name=number`: tests_failed=2; may be repeated")
	flags.StringVar(&o.Reason, "reason", "", "why, for the record")
	flags.BoolVar(&o.DryRun, "dry-run", false, "measure and decide, but change nothing at the target, tell nobody, and keep the records apart")
	actorFlag(cmd, &o.Actor)
	dataDirFlag(cmd, &o.DataDir)
	outputFlag(cmd, &output)
	mustBeFile(cmd, "file", "yaml", "yml")
	_ = cmd.MarkFlagDirname("repo")
	mustBeFile(cmd, "payload", "json")
	return cmd
}

// Private

// pipelines are the variables that systems of continuous integration set.
var pipelines = []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TF_BUILD", "TEAMCITY_VERSION", "BUILDKITE"}

// inPipeline tells by the variables that they set whether a system of continuous integration runs this process.
func inPipeline() bool {
	for _, name := range pipelines {
		if value := os.Getenv(name); value != "" && value != "0" && !strings.EqualFold(value, "false") {
			return true
		}
	}
	return false
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "`format`: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// jsonFlags are --output and, for those who are used to it, --json, which says the same.
func jsonFlags(cmd *cobra.Command, asJSON *bool) {
	var output string
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(asJSON, "json", false, "the same as --output json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		*asJSON = *asJSON || output == "json"
		return oneOf("output", output, "text", "json")
	}
}

func dataDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-dir", defaultDataDir(), "`directory` for decisions, evidence and metrics (or ADG_DATA_DIR)")
	_ = cmd.MarkFlagDirname("data-dir")
}

func defaultDataDir() string {
	if dir := os.Getenv("ADG_DATA_DIR"); dir != "" {
		return dir
	}
	return ".adg"
}

func actorFlag(cmd *cobra.Command, actor *string) {
	def := os.Getenv("ADG_ACTOR")
	if def == "" {
		if u, err := user.Current(); err == nil {
			def = u.Username
		}
	}
	cmd.Flags().StringVar(actor, "actor", def, "`name` of who deploys, for the record (or ADG_ACTOR)")
	cmd.Flags().Lookup("actor").DefValue = "the user's name"
}

func mustBeFile(cmd *cobra.Command, flag string, extensions ...string) {
	_ = cmd.MarkFlagFilename(flag, extensions...)
}
