// Package launchdarkly makes releases live through a feature flag of LaunchDarkly: the percentage rollout of the default
// rule, and the flag's targeting.
package launchdarkly

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/flag"
)

// Options are what a policy says about a target of type launchdarkly.
type Options struct {
	URL            string     `yaml:"url" doc:"Address of LaunchDarkly; another one for the federal or the European instance."`
	Token          adg.Secret `yaml:"token" doc:"API access token that may read the flag, and change its targeting in the environment and its custom properties."`
	Project        string     `yaml:"project" doc:"Key of the project that the flag is in."`
	Environment    string     `yaml:"environment" doc:"Key of the environment in which the flag is moved."`
	Flag           string     `yaml:"flag" doc:"Key of the flag."`
	OnVariation    string     `yaml:"on_variation" doc:"The variation for users with the flag on: its name, or its value as JSON."`
	OffVariation   string     `yaml:"off_variation" doc:"The variation for all others: its name, or its value as JSON. A rollback makes it the one that is served while targeting is off."`
	ContextKind    string     `yaml:"context_kind" doc:"Kind of context by which a new percentage rollout tells users apart. A rollout that is there keeps its own."`
	SDKKey         adg.Secret `yaml:"sdk_key" doc:"SDK key of the environment: with it every state is verified at the service that applications read. Without it the API alone is believed."`
	EvaluationURL  string     `yaml:"evaluation_url" doc:"Address of the service that applications read: LaunchDarkly's own, or a Relay Proxy."`
	flag.Versions  `yaml:",inline"`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are flags of LaunchDarkly.
var Driver = adg.NewTargetDriver("launchdarkly", "Makes a release live by a feature flag of LaunchDarkly: percentage rollout, off within seconds.", Options{
	URL: "https://app.launchdarkly.com", EvaluationURL: "https://sdk.launchdarkly.com", OnVariation: "true", OffVariation: "false", ContextKind: "user",
	Versions: flag.DefaultVersions(), Options: remote.Defaults(),
}, open)

// Private

// apiVersion is the version of the API that this was written for: without it, it is the token's.
const apiVersion = "20240415"

// semanticPatch has instructions instead of paths.
const semanticPatch = "application/json; domain-model=launchdarkly.semanticpatch"

type platform struct {
	o          Options
	api        flag.API
	evaluation *flag.API // nil: applications' side is not asked
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, err := remote.New(o.Options, o.Token, o.SDKKey)
	problems := []error{urlErr, flag.Element("project", o.Project), flag.Element("environment", o.Environment), flag.Element("flag", o.Flag), err}
	if o.Token.IsZero() {
		problems = append(problems, errors.New("token is missing"))
	}
	if o.OnVariation == "" || o.OnVariation == o.OffVariation {
		problems = append(problems, errors.New("on_variation and off_variation name two variations"))
	}
	p := &platform{o: o, api: flag.API{Client: client, Base: base, Wait: untilReset, Header: http.Header{
		"Authorization": {o.Token.Reveal()}, "Ld-Api-Version": {apiVersion},
	}}}
	if !o.SDKKey.IsZero() {
		read, err := remote.BaseURL("evaluation_url", o.EvaluationURL)
		problems = append(problems, err)
		p.evaluation = &flag.API{Client: client, Base: read, Header: http.Header{"Authorization": {o.SDKKey.Reveal()}}}
	}
	return flag.Open(flag.Shape{Flag: p, Versions: o.Versions, Grain: 0.001, Dir: host.Dir, Close: client.Close}, problems...)
}

// untilReset reads when the window ends in which there were too many requests.
func untilReset(h http.Header) (time.Duration, bool) {
	const longest = time.Minute // windows are of ten seconds
	reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	now, dateErr := http.ParseTime(h.Get("Date"))
	if err != nil || dateErr != nil {
		return 0, false
	}
	return min(max(time.UnixMilli(reset).Sub(now), 0), longest), true
}

// Read looks at the flag's configuration in the environment.
func (p *platform) Read(ctx context.Context) (flag.State, error) {
	v, err := p.look(ctx)
	if err != nil {
		return flag.State{}, err
	}
	return v.state(), nil
}

// Write changes targeting, the default rule and the note by one patch: all of it or nothing.
func (p *platform) Write(ctx context.Context, from flag.State, share float64, text string) error {
	v, err := p.look(ctx)
	if err != nil {
		return err
	}
	if err := v.state().Since(from); err != nil {
		return err
	}
	_, err = p.api.Do(ctx, flag.Request{
		Method: http.MethodPatch, Path: p.path(), Header: http.Header{"Content-Type": {semanticPatch}},
		In: patch{
			Comment: fmt.Sprintf("adg: on for %g %% of the users", share), EnvironmentKey: p.o.Environment,
			Instructions: v.instructions(share, text, p.o.ContextKind),
		},
	})
	if err != nil {
		return fmt.Errorf("patch the flag: %w", err)
	}
	return nil
}

// Lag compares with what applications' SDKs get.
func (p *platform) Lag(ctx context.Context, state flag.State) (string, error) {
	if p.evaluation == nil {
		return "", nil
	}
	var served configuration
	if _, err := p.evaluation.Do(ctx, flag.Request{Method: http.MethodGet, Path: []string{"sdk", "flags", p.o.Flag}, Out: &served}); err != nil {
		return "", err
	}
	on, err := strconv.Atoi(state.Handle)
	if err != nil {
		return "", adg.Errorf(adg.Internal, "the index of a variation: %w", err)
	}
	if share := served.share(on); share != state.Share {
		return fmt.Sprintf("applications still get it on for %g %%", share), nil
	}
	return "", nil
}

func (p *platform) path() []string { return []string{"api", "v2", "flags", p.o.Project, p.o.Flag} }

func (p *platform) look(ctx context.Context) (view, error) {
	var f feature
	if _, err := p.api.Do(ctx, flag.Request{Method: http.MethodGet, Path: p.path(), Query: url.Values{"env": {p.o.Environment}}, Out: &f}); err != nil {
		return view{}, err
	}
	return p.o.view(f)
}
