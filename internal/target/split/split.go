// Package split makes releases live through a feature flag of Split, which is Harness Feature Management and
// Experimentation today: the default rule's percentages, and the kill switch.
package split

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

// Options are what a policy says about a target of type split.
type Options struct {
	URL            string     `yaml:"url" doc:"Address of the Admin API. It gets the Admin API key in bearer_token, or a Harness token in headers as x-api-key."`
	Workspace      string     `yaml:"workspace" doc:"Id of the workspace (project) that the flag is in."`
	Environment    string     `yaml:"environment" doc:"Name or id of the environment in which the flag is moved."`
	Flag           string     `yaml:"flag" doc:"Name of the flag."`
	OnTreatment    string     `yaml:"on_treatment" doc:"The treatment of users who have the flag on. What ADG did is noted at the end of its description."`
	OffTreatment   string     `yaml:"off_treatment" doc:"The treatment of all others. A rollback makes it the default treatment, which a killed flag serves."`
	EvaluatorURL   string     `yaml:"evaluator_url" doc:"Address of a Split Evaluator as applications ask it. With it off and on for everybody are verified there, by one evaluation for the key adg."`
	EvaluatorToken adg.Secret `yaml:"evaluator_token" doc:"Token that the Split Evaluator wants."`
	flag.Versions  `yaml:",inline"`
	remote.Options `yaml:",inline"`
}

// Driver opens targets that are flags of Split.
var Driver = adg.NewTargetDriver("split", "Makes a release live by a feature flag of Split (Harness FME): percentages of the default rule, killed within seconds.", Options{
	URL: "https://api.split.io/internal/api/v2", OnTreatment: "on", OffTreatment: "off", Versions: flag.DefaultVersions(), Options: remote.Defaults(),
}, open)

// Private

type platform struct {
	o         Options
	api       flag.API
	evaluator *flag.API // nil: nobody is asked
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	base, urlErr := remote.BaseURL("url", o.URL)
	client, err := remote.New(o.Options)
	problems := []error{urlErr, flag.Element("workspace", o.Workspace), flag.Element("environment", o.Environment), flag.Element("flag", o.Flag), err}
	if o.OnTreatment == "" || o.OffTreatment == "" || o.OnTreatment == o.OffTreatment {
		problems = append(problems, errors.New("on_treatment and off_treatment name two treatments"))
	}
	p := &platform{o: o, api: flag.API{Client: client, Base: base, Wait: untilReset}}
	if o.EvaluatorURL != "" {
		p.evaluator, err = newEvaluator(o)
		problems = append(problems, err)
	}
	return flag.Open(flag.Shape{Flag: p, Versions: o.Versions, Grain: 1, Dir: host.Dir, Close: p.close}, problems...)
}

// newEvaluator has a client of its own: the credentials of the Admin API are none of the evaluator's business.
func newEvaluator(o Options) (*flag.API, error) {
	base, err := remote.BaseURL("evaluator_url", o.EvaluatorURL)
	own := o.Options
	own.BearerToken, own.BasicAuth, own.Headers = adg.Secret{}, remote.BasicAuth{}, nil
	client, clientErr := remote.New(own, o.EvaluatorToken)
	evaluator := &flag.API{Client: client, Base: base}
	if !o.EvaluatorToken.IsZero() {
		evaluator.Header = http.Header{"Authorization": {o.EvaluatorToken.Reveal()}}
	}
	return evaluator, errors.Join(err, clientErr)
}

func (p *platform) close() error {
	if p.evaluator == nil {
		return p.api.Client.Close()
	}
	return errors.Join(p.api.Client.Close(), p.evaluator.Client.Close())
}

// untilReset reads how long the organization, or this address, has to wait.
func untilReset(h http.Header) (wait time.Duration, told bool) {
	const longest = time.Hour
	for _, name := range []string{"X-Ratelimit-Reset-Seconds-Org", "X-Ratelimit-Reset-Seconds-Ip"} {
		if seconds, err := strconv.ParseUint(h.Get(name), 10, 16); err == nil {
			wait, told = max(wait, min(time.Duration(seconds)*time.Second, longest)), true
		}
	}
	return wait, told
}

// Read looks at the flag's definition in the environment.
func (p *platform) Read(ctx context.Context) (flag.State, error) {
	d, err := p.definition(ctx)
	if err != nil {
		return flag.State{}, err
	}
	return d.state(p.o), nil
}

// Write moves the kill switch and the default rule. Split changes one of them at a time and cannot compare.
func (p *platform) Write(ctx context.Context, from flag.State, share float64, text string) error {
	d, err := p.definition(ctx)
	if err != nil {
		return err
	}
	state := d.state(p.o)
	if err := state.Since(from); err != nil {
		return err
	}
	if share == 0 && d.DefaultTreatment != p.o.OffTreatment { // it is what a killed flag serves, also one that is killed already
		if err := p.do(ctx, "", http.MethodPatch, []operation{{"replace", "/defaultTreatment", p.o.OffTreatment}}); err != nil {
			return err
		}
	}
	return flag.Dial{
		On: !d.Killed, Percent: d.size(p.o.OnTreatment), Text: state.Text,
		Switch: func(ctx context.Context, on bool) error {
			if on {
				return p.do(ctx, "restore", http.MethodPut, nil)
			}
			return p.do(ctx, "kill", http.MethodPut, nil)
		},
		Set: func(ctx context.Context, percent float64, text string) error {
			changes := []operation{{"add", fmt.Sprintf("/treatments/%d/description", d.treatment(p.o.OnTreatment)), text}}
			if percent > 0 || state.Foreign == "" { // what is not ours stays, and the flag is killed
				changes = append(changes, operation{"replace", "/defaultRule", p.o.rule(percent)})
			}
			return p.do(ctx, "", http.MethodPatch, changes)
		},
	}.Turn(ctx, share, text)
}

// Lag asks the evaluator where its answer for one key can be told from the share.
func (p *platform) Lag(ctx context.Context, state flag.State) (string, error) {
	if p.evaluator == nil || state.Share != 0 && state.Share != 100 || state.Share != 0 && state.Rules != "" {
		return "", nil
	}
	var answer struct {
		Treatment string `json:"treatment"`
	}
	_, err := p.evaluator.Do(ctx, flag.Request{
		Method: http.MethodGet, Path: []string{"client", "get-treatment"}, Query: url.Values{"key": {"adg"}, "split-name": {p.o.Flag}}, Out: &answer,
	})
	if err != nil {
		return "", err
	}
	if on := answer.Treatment == p.o.OnTreatment; on != (state.Share == 100) {
		return "applications still get " + p.api.Client.Scrub(answer.Treatment), nil
	}
	return "", nil
}

func (p *platform) path(more ...string) []string {
	return append([]string{"splits", "ws", p.o.Workspace, p.o.Flag, "environments", p.o.Environment}, more...)
}

func (p *platform) definition(ctx context.Context) (definition, error) {
	var d definition
	if _, err := p.api.Do(ctx, flag.Request{Method: http.MethodGet, Path: p.path(), Out: &d}); err != nil {
		return definition{}, err
	}
	for _, name := range []string{p.o.OnTreatment, p.o.OffTreatment} {
		if d.treatment(name) < 0 {
			return definition{}, adg.Permanent(adg.Errorf(adg.NotFound, "the flag %s has no treatment %s: name one in on_treatment or off_treatment", p.o.Flag, name))
		}
	}
	return d, nil
}

func (p *platform) do(ctx context.Context, verb, method string, in any) error {
	r := flag.Request{Method: method, Path: p.path(), In: in}
	if verb != "" {
		r.Path = append(r.Path, verb)
	}
	if _, err := p.api.Do(ctx, r); err != nil {
		return fmt.Errorf("change the flag's definition: %w", err)
	}
	return nil
}
