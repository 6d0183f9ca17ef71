// Package command asks a program of the user's own: for a number, for series of numbers, for yes and no, or for lines.
package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
	"github.com/deployguardian/adg/internal/remote"
)

// Options is which program is run, and what its answer means.
type Options struct {
	Path      string                `yaml:"path" doc:"The program, with its path; no shell is involved."`
	Args      []string              `yaml:"args" doc:"Its arguments, passed as they are. The query comes as ADG_QUERY, each variable as ADG_NAME (ADG_VERSION, ADG_BASELINE and so on), the window as ADG_WINDOW in the form 300s, the time as ADG_AT."`
	Dir       string                `yaml:"dir" doc:"Directory to run it in."`
	Env       map[string]string     `yaml:"env" doc:"Further environment variables. Of its own environment ADG passes on PATH, HOME and LANG only."`
	SecretEnv map[string]adg.Secret `yaml:"secret_env" doc:"Further environment variables whose values are secrets."`
	As        string                `yaml:"as" doc:"value: the program prints a number, or {\"value\": 1.5}, or {\"series\": [{\"labels\": {}, \"samples\": [[UNIX, VALUE]]}]}, or nothing where there is no data. probe: exit status 0 is good, everything else is bad, with the last line of stderr as the reason. lines: the program prints lines of a log, each after its time (RFC 3339) or as JSON of journald, for compare: logs."`
	Timeout   time.Duration         `yaml:"timeout" doc:"How long it may run."`
	Grace     time.Duration         `yaml:"grace" doc:"How long it and its children may go on after SIGTERM, before SIGKILL."`
}

// Driver opens sources of type command.
var Driver = adg.NewSourceDriver("command", "Runs a program: its output is the value, or lines of a log, or its exit status the result of a probe.",
	Options{As: "value", Timeout: 15 * time.Second, Grace: 2 * time.Second}, open)

// Private

const (
	maxOutput = 1 << 20
	maxLog    = 8 << 20 // of lines
)

type source struct {
	o             Options
	scrub, redact func(string) string
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	if err := host.MayStart(o.Path); err != nil {
		return nil, fmt.Errorf("source %s: %w", host.Name, err)
	}
	var problems []error
	if !strings.Contains(o.Path, "/") {
		problems = append(problems, adg.Errorf(adg.Invalid, "path %q: write the program with its full path, PATH is not searched", o.Path))
	}
	if !slices.Contains([]string{"value", "probe", "lines"}, o.As) {
		problems = append(problems, adg.Errorf(adg.Invalid, "as %q: choose one of value, probe, lines", o.As))
	}
	if o.Timeout <= 0 || o.Grace <= 0 {
		problems = append(problems, adg.Errorf(adg.Invalid, "timeout and grace must be positive"))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		if _, twice := o.SecretEnv[name]; twice || !envName.MatchString(name) || strings.ContainsRune(o.Env[name], 0) {
			problems = append(problems, adg.Errorf(adg.Invalid, "env: %q is no variable, or is in secret_env too", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.SecretEnv)) {
		if !envName.MatchString(name) || strings.ContainsRune(o.SecretEnv[name].Reveal(), 0) {
			problems = append(problems, adg.Errorf(adg.Invalid, "secret_env: %q is no variable", name))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(fmt.Errorf("source %s: %w", host.Name, err))
	}
	secrets := slices.Collect(maps.Values(o.SecretEnv))
	return &source{o, remote.Scrubber(secrets...), remote.Redactor(secrets...)}, nil
}

// Check looks whether the program is there.
func (s *source) Check() error { return process.Startable(s.o.Path, s.o.Dir) }

// Query runs the program once.
func (s *source) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	if q.Kind > adg.Counters {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "a query of the unknown kind %s", q.Kind))
	}
	if s.o.As == "lines" {
		return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "the program prints lines of a log: the check needs compare: logs"))
	}
	text, err := s.expand(q)
	if err != nil {
		return adg.Answer{}, adg.Permanent(err)
	}
	sent := strings.TrimSpace(strings.Join(append([]string{s.o.Path}, s.o.Args...), " ") + " " + text)
	if s.o.As == "probe" {
		if q.Kind == adg.Range {
			return adg.Answer{}, adg.Permanent(adg.Errorf(adg.Invalid, "a probe tells how it is now, and cannot tell how it was"))
		}
		_, err := s.run(ctx, q, text)
		return remote.ProbeAnswer(ctx, q, sent, err)
	}
	output, err := s.run(ctx, q, text)
	if err != nil {
		return adg.Answer{}, err
	}
	series, err := parse(output, q, s.scrub)
	if err != nil {
		return adg.Answer{}, fmt.Errorf("%s: %w; it printed %q", s.o.Path, err, s.scrub(string(output)))
	}
	return adg.Answer{Series: series, Sent: sent}, nil
}

func (s *source) expand(q adg.Query) (string, error) {
	vars := maps.Clone(q.Vars)
	if vars == nil {
		vars = map[string]string{}
	}
	vars["window"] = window(q)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if strings.ContainsRune(vars[name], 0) {
			return "", adg.Errorf(adg.Invalid, "the value of $%s cannot be passed on: it holds a zero byte", name)
		}
	}
	if strings.ContainsRune(q.Text, 0) {
		return "", adg.Errorf(adg.Invalid, "the query cannot be passed on: it holds a zero byte")
	}
	return adg.Expand(q.Text, vars, func(_, value string) string { return value }) // nobody parses it on the way
}

// run returns what the program printed if it ended well.
func (s *source) run(ctx context.Context, q adg.Query, text string) ([]byte, error) {
	result, err := process.Run(ctx, process.Spec{
		Path: s.o.Path, Args: s.o.Args, Dir: s.o.Dir, Env: s.environment(q, text),
		Timeout: s.o.Timeout, Grace: s.o.Grace, MaxOutput: s.most(),
	})
	why := s.scrub(result.Complaint())
	switch {
	case err != nil && why != "":
		return nil, fmt.Errorf("%w (it said: %s)", err, why)
	case err != nil:
		return nil, err
	case result.Exit != 0 && why != "":
		return nil, adg.Errorf(adg.Unavailable, "%s ended with status %d: %s", s.o.Path, result.Exit, why)
	case result.Exit != 0:
		return nil, adg.Errorf(adg.Unavailable, "%s ended with status %d and said nothing on stderr", s.o.Path, result.Exit)
	case s.o.As != "probe" && result.Truncated && len(result.Stdout) == s.most():
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%s prints more than %d bytes: let it print less", s.o.Path, s.most()))
	}
	return result.Stdout, nil
}

// most is how many bytes the program may print.
func (s *source) most() int {
	if s.o.As == "lines" {
		return maxLog
	}
	return maxOutput
}

// environment is all that the program sees; what comes later wins.
func (s *source) environment(q adg.Query, text string) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range s.o.Env {
		env = append(env, name+"="+value)
	}
	for name, value := range s.o.SecretEnv {
		env = append(env, name+"="+value.Reveal())
	}
	for _, name := range slices.Sorted(maps.Keys(q.Vars)) {
		if envName.MatchString(name) {
			env = append(env, "ADG_"+strings.ToUpper(name)+"="+q.Vars[name])
		}
	}
	return append(env, "ADG_QUERY="+text, "ADG_WINDOW="+window(q), "ADG_KIND="+q.Kind.String(), "ADG_AT="+q.At.UTC().Format(time.RFC3339Nano))
}

// window is in a form that shells, date and most tools take.
func window(q adg.Query) string { return strconv.FormatFloat(q.Window.Seconds(), 'f', -1, 64) + "s" }
