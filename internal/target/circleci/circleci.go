// Package circleci makes releases live by pipelines of CircleCI.
package circleci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Options are what a policy says about a target of type circleci.
type Options struct {
	URL              string     `yaml:"url" doc:"Address of CircleCI."`
	Project          string     `yaml:"project" doc:"The project's slug, such as gh/acme/shop. Its configuration declares every variable as a pipeline parameter of type string, and uses the one that is $run in each workflow that deploys, as an environment variable for example."`
	Branch           string     `yaml:"branch" doc:"Branch whose configuration is run."`
	Definition       string     `yaml:"definition" doc:"Id of the pipeline definition, which projects of the GitHub App have."`
	Token            adg.Secret `yaml:"token" doc:"Personal API token, sent as Circle-Token."`
	pipeline.Options `yaml:",inline"`
}

// Driver opens targets that are pipelines of CircleCI.
var Driver = adg.NewTargetDriver("circleci", "Starts and follows a pipeline of CircleCI.",
	defaults(), open)

// Private

const (
	pages   = 10            // of pipelines that are looked at
	longest = 6 * time.Hour // how long a run may have been under way that is looked for beyond the first page
)

func defaults() Options {
	o := Options{URL: "https://circleci.com", Branch: "main", Options: pipeline.Defaults("adg")}
	o.Appear = 30 * time.Second
	return o
}

type platform struct {
	o       Options
	api     *pipeline.API
	logs    *remote.Client // for the storage that logs are in: no credential goes there
	project string         // slug, escaped

	mu    sync.Mutex
	known map[string]pipeline.Run // tags of pipelines, which keep their parameters for ever, and states that are final
}

const maxKnown = 1000

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[a-z][a-z0-9_-]{0,127}$`))}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	parts := strings.Split(o.Project, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		problems = append(problems, fmt.Errorf("project %q: write its slug, such as gh/acme/shop", o.Project))
	}
	if o.Branch == "" {
		problems = append(problems, errors.New("branch: it is needed, such as main"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	for i := range parts {
		parts[i] = pipeline.Segment(parts[i])
	}
	reach := o.Options.Options
	if !o.Token.IsZero() {
		reach.Headers = maps.Clone(reach.Headers)
		if reach.Headers == nil {
			reach.Headers = map[string]adg.Secret{}
		}
		reach.Headers["Circle-Token"] = o.Token
	}
	api, err := pipeline.NewAPI(reach, base, "", nil)
	if err != nil {
		return nil, err
	}
	logs, err := remote.New(remote.Options{Timeout: o.Timeout, Proxy: o.Proxy, MaxBytes: o.MaxBytes, TLS: remote.TLS{CAFile: o.TLS.CAFile}}, o.Secrets()...)
	if err != nil {
		return nil, err
	}
	p := &platform{o: o, api: api, logs: logs, project: strings.Join(parts, "/"), known: map[string]pipeline.Run{}}
	return pipeline.New(pipeline.Setup{Platform: p, Options: o.Options, Secrets: []adg.Secret{o.Token}}, host)
}

// Close lets go of idle connections.
func (p *platform) Close() error { return errors.Join(p.api.Close(), p.logs.Close()) }

// started is a pipeline as CircleCI tells of it.
type started struct {
	ID      string `json:"id"`
	Number  int64  `json:"number"`
	State   string `json:"state"`
	Message string `json:"message"`

	Created time.Time `json:"created_at"`

	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
	Trigger struct {
		Type string `json:"type"`
	} `json:"trigger"`
	Parameters json.RawMessage `json:"trigger_parameters"`
}

// Recent lists the pipelines of the project that were not started by a push or a schedule and hold a tag. Those of others
// are left out: they may do anything.
func (p *platform) Recent(ctx context.Context) ([]pipeline.Run, error) {
	items, err := p.items(ctx)
	if err != nil {
		return nil, err
	}
	var runs []pipeline.Run
	for _, one := range items {
		if one.Trigger.Type == "webhook" || one.Trigger.Type == "scheduled_pipeline" {
			continue
		}
		run, err := p.recall(ctx, one)
		if err != nil {
			return nil, err
		}
		switch {
		case run.Untold:
			runs = append(runs, run)
			continue
		case run.Tag.IsZero():
			continue
		}
		if !run.State.Ended() {
			tag := run.Tag
			if run, err = p.progress(ctx, one); err != nil {
				return nil, err
			}
			run.Tag = tag
			p.keep(run)
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// items are the pipelines of the branch, the newest first: as far back as one may still be under way.
func (p *platform) items(ctx context.Context) ([]started, error) {
	var all []started
	query := url.Values{"branch": {p.o.Branch}}
	for range pages {
		var found struct {
			Items []started `json:"items"`
			Next  string    `json:"next_page_token"`
		}
		if _, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/project/" + p.project + "/pipeline", Query: query}, &found); err != nil {
			return nil, err
		}
		all = append(all, found.Items...)
		if n := len(found.Items); found.Next == "" || n == 0 || time.Since(found.Items[n-1].Created) > longest { //nolint:forbidigo // only how far back is looked
			break
		}
		query.Set("page-token", found.Next)
	}
	return all, nil
}

// recall finds the tag of a pipeline: CircleCI shows the parameters themselves to some projects only, but to every one the
// configuration that came of them.
func (p *platform) recall(ctx context.Context, one started) (pipeline.Run, error) {
	p.mu.Lock()
	run, known := p.known[one.ID]
	p.mu.Unlock()
	if known {
		return run, nil
	}
	run = pipeline.Run{ID: one.ID}
	if tag, found := pipeline.FindTag(string(one.Parameters)); found {
		run.Tag = tag
		p.keep(run)
		return run, nil
	}
	var config struct {
		Compiled string `json:"compiled"`
	}
	_, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/pipeline/" + pipeline.Segment(one.ID) + "/config"}, &config)
	switch {
	case pipeline.IsNotFound(err), err == nil && config.Compiled == "": // it is not compiled yet, or never will be
		run.Untold = one.State != "errored" && time.Since(one.Created) < p.o.Appear //nolint:forbidigo // how long the platform takes is real time
		return run, nil
	case err != nil:
		return run, err
	}
	run.Tag, _ = pipeline.FindTag(config.Compiled)
	p.keep(run)
	return run, nil
}

// keep remembers what does not change: the tag, and a state that is final.
func (p *platform) keep(run pipeline.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[run.ID] = run
}

// Start triggers a pipeline.
func (p *platform) Start(ctx context.Context, order pipeline.Order) (pipeline.Run, error) {
	request := pipeline.Request{
		Method: http.MethodPost, Path: "/api/v2/project/" + p.project + "/pipeline",
		JSON: map[string]any{"branch": p.o.Branch, "parameters": order.Variables},
	}
	if p.o.Definition != "" {
		from := map[string]string{"branch": p.o.Branch}
		request.Path += "/run"
		request.JSON = map[string]any{"definition_id": p.o.Definition, "config": from, "checkout": from, "parameters": order.Variables}
	}
	var one started
	if _, err := p.api.Ask(ctx, request, &one); err != nil {
		return pipeline.Run{}, err
	}
	if one.ID == "" {
		return pipeline.Run{}, adg.Permanent(adg.Errorf(adg.Invalid, "CircleCI started nothing: %s", p.api.Scrub(one.Message)))
	}
	p.keep(pipeline.Run{ID: one.ID, Tag: order.Tag})
	return pipeline.Run{ID: one.ID}, nil
}

// Follow reads the pipeline, its workflows and their jobs.
func (p *platform) Follow(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	var one started
	_, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/pipeline/" + pipeline.Segment(r.ID)}, &one)
	if pipeline.IsNotFound(err) {
		r.State = pipeline.Gone
		return r, nil
	}
	if err != nil {
		return r, err
	}
	one.ID = r.ID
	now, err := p.progress(ctx, one)
	now.Tag = r.Tag
	return now, err
}

// Tail reads what the steps of the job printed: what failed, or came last.
func (p *platform) Tail(ctx context.Context, r pipeline.Run) (string, error) {
	if r.Log == "" {
		return "", nil
	}
	var job struct {
		Steps []struct {
			Actions []struct {
				Failed    *bool  `json:"failed"`
				HasOutput bool   `json:"has_output"`
				OutputURL string `json:"output_url"`
			} `json:"actions"`
		} `json:"steps"`
	}
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v1.1/project/" + p.project + "/" + pipeline.Segment(r.Log)}, &job); err != nil {
		return "", err
	}
	last, failed := "", ""
	for _, step := range job.Steps {
		for _, a := range step.Actions {
			if a.HasOutput && a.OutputURL != "" {
				last = a.OutputURL
				if a.Failed != nil && *a.Failed {
					failed = a.OutputURL
				}
			}
		}
	}
	if failed != "" {
		last = failed
	}
	if last == "" {
		return "", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, last, http.NoBody)
	if err != nil {
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "CircleCI answers with no address of the log"))
	}
	const enough = 16 * adg.MaxLog
	answer, err := p.logs.DoTail(ctx, req, enough)
	if err != nil {
		return "", err
	}
	return output(answer.Body, len(answer.Body) == enough)
}

// output joins the messages of a step's output. Where it was cut it begins within a message, and the first line of that
// is left out: it could begin with half of a secret.
func output(body []byte, cut bool) (string, error) {
	if cut {
		_, whole, _ := bytes.Cut(body, []byte(`\n`))
		body = append([]byte(`[{"message":"`), whole...)
	}
	var messages []struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &messages); err != nil {
		return "", adg.Errorf(adg.Unavailable, "the output of the step is not as CircleCI stores it")
	}
	var all strings.Builder
	for _, m := range messages {
		all.WriteString(m.Message)
	}
	return all.String(), nil
}

// Stop cancels the workflows of the pipeline.
func (p *platform) Stop(ctx context.Context, r pipeline.Run) error {
	workflows, err := p.workflows(ctx, r.ID)
	if err != nil {
		return err
	}
	if len(workflows) == 0 {
		return pipeline.ErrNotYet
	}
	for _, w := range workflows {
		if w.active() {
			_, cancelErr := p.api.Ask(ctx, pipeline.Request{Method: http.MethodPost, Path: "/api/v2/workflow/" + pipeline.Segment(w.ID) + "/cancel"}, nil)
			err = errors.Join(err, cancelErr)
		}
	}
	return err
}

// Check looks at the project.
func (p *platform) Check(ctx context.Context, _ pipeline.Order) ([]adg.Obstacle, error) {
	_, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/project/" + p.project}, nil)
	return nil, err
}
