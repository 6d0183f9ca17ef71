// Package command makes releases live with two programs of the user's own: one that applies a state, and one that says
// what is live.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Options are what a policy says about a target of type command.
type Options struct {
	Apply         Program               `yaml:"apply" doc:"The program that makes a state live. It gets the state as JSON on its standard input and in ADG_OP_ID, ADG_FENCE, ADG_DEPLOYMENT, ADG_SERVICE, ADG_VERSION (the release with the largest share), ADG_ARTIFACT, ADG_CONFIG, ADG_COMMIT, ADG_RELEASES (version=share pairs) and ADG_ROLLBACK. It must be able to start again after it was stopped half-way. Runs never overlap; a daemon that it starts must close descriptor 3, the lock."`
	Current       Program               `yaml:"current" doc:"The program that prints what is live: a version, or JSON such as {\"releases\":[{\"version\":\"v1\",\"share\":100}],\"done\":true}. Without it nothing proves that a rollback arrived."`
	Env           map[string]string     `yaml:"env" doc:"Environment variables for both programs, beside PATH, HOME and LANG; nothing else is inherited."`
	Secrets       map[string]adg.Secret `yaml:"secrets" doc:"Environment variables for both programs whose values are secret."`
	PermanentExit []int                 `yaml:"permanent_exit" doc:"Exit statuses of apply that trying again cannot cure; every other one, 75 above all, is temporary."`
	Shares        bool                  `yaml:"shares" doc:"Whether apply can split traffic between two releases, as a canary needs."`
	Idle          bool                  `yaml:"idle" doc:"Whether apply can keep a release running without traffic, as blue-green needs."`
	Drain         bool                  `yaml:"drain" doc:"Whether apply lets requests end before it takes a release away."`
	Migrate       bool                  `yaml:"migrate" doc:"Whether apply moves the schema of the database."`
}

// Program is what to run. It is started directly; no shell reads any of it.
type Program struct {
	Path    string        `yaml:"path" doc:"The program's path, with a slash in it; PATH is not searched."`
	Args    []string      `yaml:"args" doc:"Its arguments, passed as they are."`
	Dir     string        `yaml:"dir" doc:"The directory that it runs in; empty: the one that adg runs in."`
	Timeout time.Duration `yaml:"timeout" doc:"How long it may run before it and its children are stopped."`
}

// Driver opens targets that run programs.
var Driver = adg.NewTargetDriver("command", "Makes releases live with a program of your own, and asks another one what is live.", Options{
	Apply:   Program{Timeout: 5 * time.Minute},
	Current: Program{Timeout: 10 * time.Second},
}, open)

// Private

const (
	grace     = 5 * time.Second // between SIGTERM and SIGKILL
	exitTemp  = 75              // EX_TEMPFAIL of sysexits.h
	maxOutput = 64 << 10        // bytes of output that are read
)

type target struct {
	o      Options
	env    []string
	ledger ledger.Ledger
	log    *slog.Logger
	redact func(string) string // takes out what the programs were given: a script run with "set -x" says all of it
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	if err := o.validate(host); err != nil {
		return nil, err
	}
	t := &target{o: o, ledger: ledger.New(host.Dir), log: host.Log, redact: remote.Redactor(slices.Collect(maps.Values(o.Secrets))...)}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, found := os.LookupEnv(name); found {
			t.env = append(t.env, name+"="+value)
		}
	}
	for name, value := range o.Env {
		t.env = append(t.env, name+"="+value)
	}
	for name, secret := range o.Secrets {
		t.env = append(t.env, name+"="+secret.Reveal())
	}
	return t, nil
}

func (o Options) validate(host adg.Host) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, program := range []string{o.Apply.Path, o.Current.Path} {
		if err := host.MayStart(program); err != nil && (program != "" || !host.Commands) {
			problem("%w", err)
			break
		}
	}
	if host.Dir == "" {
		problem("the target has no directory of its own to keep its operations in")
	}
	o.Apply.check("apply", problem)
	if o.Current.Path != "" {
		o.Current.check("current", problem)
	}
	for _, status := range o.PermanentExit {
		if status < 1 || status > 255 || status == exitTemp {
			problem("permanent_exit: %d: use 1 to 255, and not %d, which means temporary everywhere", status, exitTemp)
		}
	}
	names := slices.Sorted(maps.Keys(o.Env))
	for _, name := range slices.Sorted(maps.Keys(o.Secrets)) {
		if slices.Contains(names, name) {
			problem("%s is both in env and in secrets", name)
		}
		names = append(names, name)
	}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, "ADG_") {
			problem("%q is no name for an environment variable here: no '=', and ADG_ is adg's own", name)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return adg.Permanent(adg.Errorf(adg.Invalid, "%w", errors.Join(problems...)))
}

func (p Program) check(name string, problem func(format string, args ...any)) {
	if !strings.Contains(p.Path, "/") {
		problem("%s: path: %q: write the program's path with a slash, such as ./%s", name, p.Path, name)
	}
	if p.Timeout <= 0 {
		problem("%s: timeout: %s: it must be longer than 0s", name, p.Timeout)
	}
}

// Can is what the policy says that the programs can.
func (t *target) Can() adg.Capabilities {
	return adg.Capabilities{Shares: t.o.Shares, Idle: t.o.Idle, Drain: t.o.Drain, Migrate: t.o.Migrate, Reports: t.o.Current.Path != ""}
}

// Check looks whether the programs are there.
func (t *target) Check() error {
	err := process.Startable(t.o.Apply.Path, t.o.Apply.Dir)
	if t.o.Current.Path != "" {
		err = errors.Join(err, process.Startable(t.o.Current.Path, t.o.Current.Dir))
	}
	return err
}

// Current asks the program. It is not done while an operation is under way, or when the last one failed.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	begun, done, err := t.ledger.Last()
	if err != nil {
		return adg.Observed{}, err
	}
	seen := adg.Observed{Done: true}
	if t.o.Current.Path != "" {
		if seen, err = t.ask(ctx); err != nil {
			return adg.Observed{}, err
		}
	}
	if seen.OpID == "" {
		seen.OpID = done.OpID
	}
	if begun.State == ledger.Running || begun.State == ledger.Failed {
		seen.Done = false
		if seen.Text == "" {
			seen.Text = fmt.Sprintf("operation %s has not come to its end", begun.OpID)
		}
	}
	return seen, nil
}

// Apply runs the program, unless the operation was done before, and asks what is live then.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	return t.ledger.Carry(ctx, want, t.do, t.Current)
}

// do brings an operation to its end; stillRuns says that something of the program may have outlived it.
func (t *target) do(ctx context.Context, want adg.Desired, operation *ledger.Operation) (stillRuns bool, err error) {
	if operation.Before == ledger.Done {
		return false, nil
	}
	if operation.Before == ledger.Running && t.arrived(ctx, want) {
		t.log.Info("an operation that was interrupted has come to its end by itself", "op", want.OpID)
		return false, operation.Set(ledger.Done)
	}
	result, err := process.Run(ctx, t.spec(t.o.Apply, t.environment(want), want, operation.Lock()))
	if err == nil {
		err = t.verdict(result)
	} else {
		stillRuns = true
		if said := t.lastLines(result.Stderr); said != "" {
			err = fmt.Errorf("%w; it said last: %s", err, said)
		}
	}
	if err != nil {
		return stillRuns, errors.Join(err, operation.Set(ledger.Failed))
	}
	return false, operation.Set(ledger.Done)
}

// arrived tells whether an operation that was interrupted got all the way. In doubt it did not: to run the program
// again is what it has to stand anyway.
func (t *target) arrived(ctx context.Context, want adg.Desired) bool {
	if t.o.Current.Path == "" {
		return false
	}
	seen, err := t.ask(ctx)
	if err != nil || !seen.Done || seen.Failed {
		return false
	}
	for _, p := range want.Releases {
		at := slices.IndexFunc(seen.Releases, func(s adg.Placement) bool { return s.Release.Version == p.Release.Version })
		if at < 0 {
			if p.Share > 0 || !want.Rollback {
				return false
			}
			continue
		}
		s := seen.Releases[at]
		if diff := s.Share - p.Share; diff > 0.5 || diff < -0.5 || p.Release.Config != "" && s.Release.Config != p.Release.Config {
			return false
		}
	}
	return true
}

// verdict reads the exit status of apply.
func (t *target) verdict(result process.Result) error {
	if result.Exit == 0 {
		return nil
	}
	said := t.lastLines(result.Stderr)
	if said == "" {
		said = "it wrote nothing to its standard error"
	}
	if slices.Contains(t.o.PermanentExit, result.Exit) {
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s ended with status %d, which is permanent: %s", t.o.Apply.Path, result.Exit, said))
	}
	return adg.Errorf(adg.Unavailable, "%s ended with status %d: %s", t.o.Apply.Path, result.Exit, said)
}

// ask runs current and reads its answer.
func (t *target) ask(ctx context.Context) (adg.Observed, error) {
	result, err := process.Run(ctx, t.spec(t.o.Current, nil, nil, nil))
	if err != nil {
		return adg.Observed{}, fmt.Errorf("ask what is live: %w", err)
	}
	if result.Exit != 0 {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "ask what is live: %s ended with status %d: %s",
			t.o.Current.Path, result.Exit, t.lastLines(result.Stderr))
	}
	if result.Truncated && len(result.Stdout) >= maxOutput {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "ask what is live: %s printed more than %d bytes", t.o.Current.Path, maxOutput)
	}
	seen, err := parseReport(result.Stdout)
	if err != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "ask what is live: %s: %w", t.o.Current.Path, t.hide(err))
	}
	seen.Text = t.redact(seen.Text)
	return seen, nil
}
