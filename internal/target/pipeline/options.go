package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/witness"
)

// Options are what a policy says about every target of this kind, whatever the platform. Drivers inline them.
type Options struct {
	Variables      map[string]string `yaml:"variables" doc:"What each run is started with, by name, all as strings: $run (which ADG finds its runs again by; one variable must be just this), $operation, $deployment, $fence, $service, $version, $artifact, $config, $commit, $schema, $replaces (the version that goes), $rollback (true or false), $environment."`
	Environment    string            `yaml:"environment" doc:"What $environment is. Targets that share a pipeline tell their runs apart by it, and by their names and the service."`
	Interrupt      bool              `yaml:"interrupt" doc:"Whether a rollback cancels a run that is still under way. Otherwise it waits for its end; one that has not started yet, or waits for a person, is cancelled in any case."`
	Poll           time.Duration     `yaml:"poll" doc:"How often the platform is asked at most how far a run is."`
	Appear         time.Duration     `yaml:"appear" doc:"How long after its start a run may be missing in what the platform lists. A server that takes over from another one waits that long before it starts the run itself."`
	Verify         witness.Options   `yaml:"verify" doc:"Where the version that is live is read. Without it nothing but the pipeline's word proves that a rollback arrived."`
	remote.Options `yaml:",inline"`
}

// Defaults are the options that drivers start from: variables named prefix_NAME in the case of the prefix.
func Defaults(prefix string) Options {
	o := Options{
		Variables: map[string]string{}, Poll: 5 * time.Second, Appear: 10 * time.Second, Options: remote.Defaults(),
		Verify: witness.Defaults(),
	}
	for _, name := range []string{"run", "version", "artifact", "commit", "environment", "rollback", "replaces"} {
		if prefix == strings.ToUpper(prefix) {
			o.Variables[prefix+"_"+strings.ToUpper(name)] = "$" + name
		} else {
			o.Variables[prefix+"_"+name] = "$" + name
		}
	}
	return o
}

// Secrets are the values of the options that must not show up anywhere.
func (o Options) Secrets() []adg.Secret {
	return append(secretsOf(o.Options), o.Verify.Secrets()...)
}

// Validate reports every problem of the options that does not depend on the platform; names says which names its
// variables may have.
func (o Options) Validate(names *regexp.Regexp) error {
	var problems []error
	tagged := 0
	for _, name := range slices.Sorted(maps.Keys(o.Variables)) {
		if !names.MatchString(name) {
			problems = append(problems, fmt.Errorf("variables: %q is no name that the platform takes", name))
		}
		if _, err := adg.Expand(o.Variables[name], values(adg.Desired{}, o.Environment, Tag{}), plain); err != nil {
			problems = append(problems, fmt.Errorf("variables: %s: %w", name, err))
		}
		if text := o.Variables[name]; text == "$run" || text == "${run}" {
			tagged++
		}
	}
	if tagged == 0 {
		problems = append(problems, errors.New("variables: one of them must be $run, by which ADG finds its runs again"))
	}
	if o.Poll <= 0 || o.Appear <= 0 {
		problems = append(problems, errors.New("poll and appear: both must be longer than 0s"))
	}
	problems = append(problems, o.Verify.Validate())
	return errors.Join(problems...)
}

// Private

func secretsOf(o remote.Options) []adg.Secret {
	return slices.AppendSeq([]adg.Secret{o.BearerToken, o.BasicAuth.Password}, maps.Values(o.Headers))
}

func plain(_, value string) string { return value }

// values are what variables can hold.
func values(want adg.Desired, environment string, tag Tag) map[string]string {
	release, replaces := mainRelease(want)
	rollback := "false"
	if want.Rollback {
		rollback = "true"
	}
	return map[string]string{
		"run":       tag.String(),
		"operation": want.OpID, "deployment": want.Deployment, "fence": fmt.Sprint(want.Fence),
		"service": release.Service, "version": release.Version, "artifact": release.Artifact, "config": release.Config,
		"commit": release.Commit, "schema": release.Schema, "replaces": replaces, "rollback": rollback, "environment": environment,
	}
}

// mainRelease is the one with the largest share, and the version that goes, if any.
func mainRelease(want adg.Desired) (release adg.Release, replaces string) {
	share := -1.0
	for _, p := range want.Releases {
		if p.Share > share {
			release, share = p.Release, p.Share
		}
	}
	for _, p := range want.Releases {
		if p.Release.Version != release.Version {
			return release, p.Release.Version
		}
	}
	return release, ""
}

// order is what a run of the target of that name has to be started with to make the state live.
func (o Options) order(want adg.Desired, target string) (Order, error) {
	invalid := func(format string, args ...any) (Order, error) {
		return Order{}, adg.Permanent(adg.Errorf(adg.Invalid, format, args...))
	}
	for _, p := range want.Releases {
		if p.Share > 0.001 && p.Share < 99.999 {
			return invalid("a pipeline makes one release live as a whole, and cannot give %g %% to %s: use a strategy of one step at 100 %%", p.Share, p.Release.Version)
		}
	}
	release, _ := mainRelease(want)
	order := Order{
		Tag:      Tag{Op: want.OpID, Fence: want.Fence, Version: release.Version, Scope: place(target, o.Environment) + scoped(release.Service)},
		Rollback: want.Rollback, Variables: map[string]string{},
	}
	if back, found := ParseTag(order.Tag.String()); !found || back != order.Tag {
		return invalid("operation %q: an id of letters, digits, '.', '_', '+', '-' and '/' is needed to find its run again", want.OpID)
	}
	vars := values(want, o.Environment, order.Tag)
	for name, text := range o.Variables {
		value, err := adg.Expand(text, vars, plain)
		if err != nil {
			return invalid("variables: %s: %w", name, err)
		}
		order.Variables[name] = value
	}
	return order, nil
}
