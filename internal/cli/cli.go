// Package cli is the command line: it turns arguments into calls and answers into text, lines or JSON and an exit
// code. It knows no store, no source and no target: the calls are handed in.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/deployguardian/adg"
)

// The exit codes.
const (
	ExitGood           = 0
	ExitError          = 1
	ExitUsage          = 2
	ExitRolledBack     = 3
	ExitBlocked        = 4
	ExitRollbackFailed = 5
	ExitUndecided      = 6
)

// Terminal is what a command reads from and writes to.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
}

// Interactive tells whether a person looks at Out.
func (t Terminal) Interactive() bool {
	f, ok := t.Out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// typed tells whether a person types into In.
func (t Terminal) typed() bool {
	f, ok := t.In.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width is the number of columns that fit on Out; 100 where that is not known.
func (t Terminal) Width() int {
	if f, ok := t.Out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 100
}

// ErrLeft ends a run whose deployment a person left as it is: it has not ended, and the next run goes on with it.
var ErrLeft = adg.Errorf(adg.Conflict, "left as it is, and nobody guards it now: start the same command again to go on")

// Calls is what the verbs do once their arguments are understood.
type Calls struct {
	Run          func(context.Context, RunOptions, View, Person) (adg.Deployment, error)
	Demo         func(context.Context, DemoOptions, Terminal) error
	Report       func(context.Context, ReportOptions) ([]string, error)
	Changed      Changed
	PolicyLint   func(ctx context.Context, file string) (Linted, error)
	PolicySchema func() ([]byte, error)
	PolicyTest   func(context.Context, TestOptions) (Tested, error)
	Reference    func(dir string, root *cobra.Command) error
	Shop         func(context.Context, []string) error
	Connect      Connect // to a server
	// LiftHold ends a hold that the deployments of a data directory put on a release; the entry says whose word it is.
	LiftHold func(ctx context.Context, dataDir, identity string, entry adg.AuditEntry) error
	PastCalls
	PredictCalls
	ServerCalls
	StoreCalls
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, version string, args []string, t Terminal, calls Calls) int {
	root := New(version, t, calls)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitGood
	}
	var ended *endedError
	if errors.As(err, &ended) {
		return ended.exit
	}
	_, _ = fmt.Fprintln(t.Err, "adg: "+strings.TrimRight(err.Error(), "\n"))
	return exitOf(err)
}

// New is the tree of commands.
func New(version string, t Terminal, calls Calls) *cobra.Command {
	root := &cobra.Command{
		Use:   "adg",
		Short: "Guard deployments: judge their health, roll back what is bad, verify that service is restored",
		Long: `adg stands beside a deployment: it measures the new release with what you already have, judges its health
against limits, against its own past and against the release beside it, promotes what is good, rolls back
what is bad, verifies that service is restored, and tells everybody.

Exit codes: 0 the deployment is good; 1 error; 2 usage or configuration; 3 rolled back; 4 blocked by a gate;
5 the rollback failed and a human is needed; 6 ended undecided, or left by who ran it.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(t.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	root.SetVersionTemplate("adg {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return adg.Errorf(adg.Invalid, "%w\nsee '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(runCommand(t, calls), demoCommand(t, calls), reportCommand(t, calls), policyCommand(t, calls), importCommand(t),
		replayCommand(t, calls.PastCalls), backtestCommand(t, calls.PastCalls, calls.Connect), judgeCommand(t), learnCommand(t, calls), predictCommand(t, calls.PredictCalls),
		serverCommand(t, calls.ServerCalls, calls.Connect), configCommand(t, calls.ServerCalls), keyCommand(t, calls.ServerCalls), storeCommand(t, calls.StoreCalls), versionCommand(version, t), referenceCommand(calls), shopCommand(calls))
	root.AddGroup(&cobra.Group{ID: localGroup, Title: "On this machine:"}, &cobra.Group{ID: serverGroup, Title: "On a server:"})
	for _, cmd := range root.Commands() {
		cmd.GroupID = localGroup
	}
	root.AddCommand(onlineVerbs(t, calls, version)...)
	refuseStray(root)
	return root
}

// Private

// endedError carries the exit code of a deployment that ended; everything was said already.
type endedError struct{ exit int }

// Error is never shown.
func (e *endedError) Error() string { return fmt.Sprintf("ended with exit code %d", e.exit) }

// exitOf maps an error's code.
func exitOf(err error) int {
	if errors.Is(err, ErrLeft) {
		return ExitUndecided
	}
	switch adg.CodeOf(err) {
	case adg.Invalid:
		return ExitUsage
	case adg.Internal, adg.NotFound, adg.Conflict, adg.Unauthorized, adg.Unavailable:
		return ExitError
	}
	return ExitError
}

// ExitOf maps the state that a deployment ended in, or was left in.
func ExitOf(s adg.State) int {
	switch s {
	case adg.Succeeded:
		return ExitGood
	case adg.RolledBack:
		return ExitRolledBack
	case adg.Blocked:
		return ExitBlocked
	case adg.RollbackFailed:
		return ExitRollbackFailed
	case adg.Pending, adg.Gated, adg.Rolling, adg.Verifying, adg.Held, adg.RollbackPending, adg.RollingBack,
		adg.VerifyingRollback, adg.Cancelled, adg.Superseded, adg.Undecided:
		return ExitUndecided
	}
	return ExitError
}

// refuseStray makes wrong arguments, and flags that are missing or exclude each other, usage errors that say what to type, in
// every command below too.
func refuseStray(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			var problem string
			switch err := check(cmd, args); {
			case err != nil && cmd.HasSubCommands():
				return adg.Errorf(adg.Invalid, "%w%s\nsee '%s --help'", err, meant(cmd, args), cmd.CommandPath())
			case err != nil && len(args) == 0:
				problem = "something is missing"
			case err != nil:
				problem = fmt.Sprintf("%q does not fit", strings.Join(args, " "))
			default:
				if err = cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err == nil {
					return nil
				}
				problem = err.Error()
			}
			written := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
			return adg.Errorf(adg.Invalid, "%s: %s%s\nsee '%s --help'", problem, written, asIn(cmd), cmd.CommandPath())
		}
	}
	for _, below := range cmd.Commands() {
		refuseStray(below)
	}
}

// meant names the verb that a word which is none is near to.
func meant(cmd *cobra.Command, args []string) string {
	cmd.SuggestionsMinimumDistance = 2
	if len(args) == 0 {
		return ""
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Sprintf(" — did you mean %q?", near[0])
	}
	return ""
}

// asIn is the first example of a command's help.
func asIn(cmd *cobra.Command) string {
	first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	if first == "" {
		return ""
	}
	return "; as in: " + first
}

// oneOf refuses a value outside the choices.
func oneOf(flag, value string, choices ...string) error {
	for _, c := range choices {
		if value == c {
			return nil
		}
	}
	return adg.Errorf(adg.Invalid, "--%s %q: choose one of %s", flag, value, strings.Join(choices, ", "))
}

func versionCommand(version string, t Terminal) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { _, _ = fmt.Fprintln(t.Out, "adg "+version) },
	}
}

// referenceCommand writes the generated pages of the reference; `go generate` calls it.
func referenceCommand(calls Calls) *cobra.Command {
	return &cobra.Command{
		Use: "reference DIR", Short: "Write the reference pages", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return calls.Reference(args[0], cmd.Root()) },
	}
}

// shopCommand is one process of the demo's shop; its arguments are between the demo and itself.
func shopCommand(calls Calls) *cobra.Command {
	return &cobra.Command{
		Use: "shop", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error { return calls.Shop(cmd.Context(), args) },
	}
}
