// Package unleash makes releases live through a feature flag of Unleash: the percentage of a gradual rollout, and the
// switch of an environment.
package unleash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/flag"
)

// Options are what a policy says about a target of type unleash.
type Options struct {
	URL            string     `yaml:"url" doc:"Address of the Unleash server, without /api."`
	Token          adg.Secret `yaml:"token" doc:"Token of a user or service account that may update the flag's strategies and switch it in the environment."`
	Project        string     `yaml:"project" doc:"Id of the project that the flag is in."`
	Environment    string     `yaml:"environment" doc:"Name of the environment in which the flag is moved."`
	Flag           string     `yaml:"flag" doc:"Name of the flag."`
	Stickiness     string     `yaml:"stickiness" doc:"What keeps a user on one side, where ADG has to add the gradual rollout itself: default, userId, sessionId, random, or a field of the context."`
	ClientToken    adg.Secret `yaml:"client_token" doc:"Token of type client (backend) for the same environment: with it every state is verified at the interface that applications read. Without it the admin interface alone is believed."`
	ClientURL      string     `yaml:"client_url" doc:"Address of what applications read from, such as Unleash Edge; empty: url."`
	flag.Versions  `yaml:",inline"`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are flags of Unleash, 5 or later.
var Driver = adg.NewTargetDriver("unleash", "Makes a release live by a feature flag of Unleash: percentage of users, off within seconds.", Options{
	Project: "default", Stickiness: "default", Versions: flag.DefaultVersions(), Options: remote.Defaults(),
}, open)

// Private

type platform struct {
	o      Options
	admin  flag.API
	client *flag.API // nil: applications' side is not asked
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, err := remote.New(o.Options, o.Token, o.ClientToken)
	problems := []error{urlErr, flag.Element("project", o.Project), flag.Element("environment", o.Environment), flag.Element("flag", o.Flag), err}
	if o.Token.IsZero() {
		problems = append(problems, errors.New("token is missing"))
	}
	p := &platform{o: o, admin: flag.API{Client: client, Base: base, Header: http.Header{"Authorization": {o.Token.Reveal()}}}}
	if !o.ClientToken.IsZero() {
		read, err := remote.BaseURL("client_url", cmp.Or(o.ClientURL, o.URL))
		problems = append(problems, err, o.readable())
		p.client = &flag.API{Client: client, Base: read, Header: http.Header{"Authorization": {o.ClientToken.Reveal()}}}
	}
	return flag.Open(flag.Shape{Flag: p, Versions: o.Versions, Grain: 1, Dir: host.Dir, Close: client.Close}, problems...)
}

// readable refuses a client token of another project or environment, which Unleash writes as PROJECT:ENVIRONMENT.SECRET:
// applications' side would be asked about another flag. Tokens of other forms say nothing.
func (o Options) readable() error {
	project, rest, found := strings.Cut(o.ClientToken.Reveal(), ":")
	several := project == "*" || project == "[]"
	switch {
	case !found:
		return nil
	case !several && project != o.Project:
		return fmt.Errorf("client_token is not for the project %s: make one for it", o.Project)
	case !strings.HasPrefix(rest, o.Environment+"."):
		return fmt.Errorf("client_token is not for the environment %s: make one for it", o.Environment)
	}
	return nil
}

// Read looks at the flag's environment.
func (p *platform) Read(ctx context.Context) (flag.State, error) {
	e, err := p.environment(ctx)
	if err != nil {
		return flag.State{}, err
	}
	return e.state(), nil
}

// Write moves the switch and the gradual rollout. Unleash changes one of them at a time and cannot compare.
func (p *platform) Write(ctx context.Context, from flag.State, share float64, text string) error {
	e, err := p.environment(ctx)
	if err != nil {
		return err
	}
	if err := e.state().Since(from); err != nil {
		return err
	}
	dial := flag.Dial{On: e.Enabled, Percent: -1, Switch: p.toggle}
	id := ""
	if ours := e.gradual(); ours != nil {
		dial.Percent, dial.Text, id = float64(ours.Parameters.Rollout), ours.Title, ours.ID
	}
	dial.Set = func(ctx context.Context, percent float64, text string) (err error) {
		id, err = p.set(ctx, id, percent, text)
		return err
	}
	return dial.Turn(ctx, share, text)
}

// Lag compares with what applications get.
func (p *platform) Lag(ctx context.Context, state flag.State) (string, error) {
	if p.client == nil {
		return "", nil
	}
	var answer struct {
		Features []environment `json:"features"`
	}
	_, err := p.client.Do(ctx, flag.Request{
		Method: http.MethodGet, Path: []string{"api", "client", "features"}, Query: url.Values{"namePrefix": {p.o.Flag}}, Out: &answer,
	})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(answer.Features, func(e environment) bool { return e.Name == p.o.Flag })
	if i < 0 {
		return fmt.Sprintf("what applications read does not know the flag %s: check that client_token is of project %s and environment %s, and client_url",
			p.o.Flag, p.o.Project, p.o.Environment), nil
	}
	if served := answer.Features[i].state().Share; served != state.Share {
		return fmt.Sprintf("applications still get it on for %g %%", served), nil
	}
	return "", nil
}

func (p *platform) path(more ...string) []string {
	return append([]string{"api", "admin", "projects", p.o.Project, "features", p.o.Flag}, more...)
}

func (p *platform) environment(ctx context.Context) (environment, error) {
	var feature struct {
		Archived     bool          `json:"archived"`
		Environments []environment `json:"environments"`
	}
	if _, err := p.admin.Do(ctx, flag.Request{Method: http.MethodGet, Path: p.path(), Out: &feature}); err != nil {
		return environment{}, err
	}
	if feature.Archived {
		return environment{}, adg.Permanent(adg.Errorf(adg.NotFound, "the flag %s is archived: revive it in Unleash", p.o.Flag))
	}
	var names []string
	for _, e := range feature.Environments {
		if e.Name == p.o.Environment {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return environment{}, adg.Permanent(adg.Errorf(adg.NotFound, "the flag %s is in no environment %s: there are %s", p.o.Flag, p.o.Environment, strings.Join(names, ", ")))
}

func (p *platform) toggle(ctx context.Context, on bool) error {
	word := "off"
	if on {
		word = "on"
	}
	_, err := p.admin.Do(ctx, flag.Request{Method: http.MethodPost, Path: p.path("environments", p.o.Environment, word)})
	if err != nil {
		return fmt.Errorf("switch the flag %s: %w", word, err)
	}
	return nil
}

// set changes the gradual rollout, or adds one where id is empty.
func (p *platform) set(ctx context.Context, id string, percent float64, text string) (string, error) {
	rollout := fmt.Sprintf("%g", percent)
	r := flag.Request{Method: http.MethodPost, Path: p.path("environments", p.o.Environment, "strategies"), In: map[string]any{
		"name": gradual, "title": text, "parameters": map[string]string{"rollout": rollout, "stickiness": p.o.Stickiness, "groupId": p.o.Flag},
	}}
	if id != "" {
		r.Method, r.Path = http.MethodPatch, append(r.Path, id)
		r.In = []operation{{"add", "/title", text}, {"add", "/parameters/rollout", rollout}}
	}
	var answer struct {
		ID string `json:"id"`
	}
	r.Out = &answer
	if _, err := p.admin.Do(ctx, r); err != nil {
		return "", fmt.Errorf("set the gradual rollout to %s %%: %w", rollout, err)
	}
	return answer.ID, nil
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}
