// Package gitlab makes releases live by pipelines of GitLab CI.
package gitlab

import (
	"context"
	"errors"
	"fmt"
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

// Options are what a policy says about a target of type gitlab.
type Options struct {
	URL              string     `yaml:"url" doc:"Address of GitLab."`
	Project          string     `yaml:"project" doc:"The project, as group/name or by its number."`
	Ref              string     `yaml:"ref" doc:"Branch or tag whose .gitlab-ci.yml is run."`
	TriggerToken     adg.Secret `yaml:"trigger_token" doc:"Pipeline trigger token to start with. Otherwise bearer_token starts, as it reads."`
	pipeline.Options `yaml:",inline"`
}

// Driver opens targets that are pipelines of GitLab.
var Driver = adg.NewTargetDriver("gitlab", "Starts and follows a pipeline of GitLab CI.",
	Options{URL: "https://gitlab.com", Ref: "main", Options: pipeline.Defaults("ADG")}, open)

// Private

const (
	listed  = 20            // pipelines on a page, as many as GitLab lists by itself
	pages   = 5             // that are looked at
	longest = 6 * time.Hour // how long a run may have been under way that is looked for beyond the first page
)

type platform struct {
	o       Options
	api     *pipeline.API
	project string // path of the project in the interface

	mu   sync.Mutex
	tags map[int64]pipeline.Tag // of pipelines, which keep their variables for ever
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`))}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	if o.Project == "" || o.Ref == "" {
		problems = append(problems, errors.New("project and ref: both are needed, such as shop/deploy and main"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	api, err := pipeline.NewAPI(o.Options.Options, base, "", nil, o.TriggerToken)
	if err != nil {
		return nil, err
	}
	p := &platform{o: o, api: api, project: "/api/v4/projects/" + pipeline.Segment(o.Project), tags: map[int64]pipeline.Tag{}}
	return pipeline.New(pipeline.Setup{Platform: p, Options: o.Options, Secrets: []adg.Secret{o.TriggerToken}}, host)
}

// Close lets go of idle connections.
func (p *platform) Close() error { return p.api.Close() }

// run is a pipeline as GitLab tells of it.
type run struct {
	ID     int64  `json:"id"`
	Status string `json:"status"`
	WebURL string `json:"web_url"`
	// Created is when it was made.
	Created time.Time `json:"created_at"`
	User    struct {
		Username string `json:"username"`
	} `json:"user"`
	YAMLErrors string `json:"yaml_errors"`
}

type variable struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type job struct {
	ID            int64    `json:"id"`
	Name          string   `json:"name"`
	Status        string   `json:"status"`
	AllowFailure  bool     `json:"allow_failure"`
	FailureReason string   `json:"failure_reason"`
	TagList       []string `json:"tag_list"`
}

// Recent lists the pipelines that were started as ours are, with the tags from their variables. Those of others are left
// out: they may do anything.
func (p *platform) Recent(ctx context.Context) ([]pipeline.Run, error) {
	source := "api"
	if !p.o.TriggerToken.IsZero() {
		source = "trigger"
	}
	var found []run
	for page := 1; page <= pages; page++ {
		var some []run
		query := url.Values{
			"source": {source}, "ref": {p.o.Ref}, "order_by": {"id"}, "sort": {"desc"}, "per_page": {fmt.Sprint(listed)}, "page": {fmt.Sprint(page)},
		}
		if _, err := p.api.Ask(ctx, pipeline.Request{Path: p.project + "/pipelines", Query: query}, &some); err != nil {
			return nil, err
		}
		found = append(found, some...)
		if len(some) < listed || time.Since(some[len(some)-1].Created) > longest { //nolint:forbidigo // only how far back is looked
			break
		}
	}
	var runs []pipeline.Run
	for _, r := range found {
		tag, err := p.tag(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if !tag.IsZero() {
			runs = append(runs, pipeline.Run{ID: fmt.Sprint(r.ID), Tag: tag, State: stateOf(r.Status), URL: p.api.Scrub(r.WebURL)})
		}
	}
	return runs, nil
}

func (p *platform) tag(ctx context.Context, id int64) (pipeline.Tag, error) {
	p.mu.Lock()
	tag, known := p.tags[id]
	p.mu.Unlock()
	if known {
		return tag, nil
	}
	var variables []variable
	_, err := p.api.Ask(ctx, pipeline.Request{Path: fmt.Sprintf("%s/pipelines/%d/variables", p.project, id)}, &variables)
	switch {
	case pipeline.IsNotFound(err): // deleted since
		return pipeline.Tag{}, nil
	case adg.CodeOf(err) == adg.Unauthorized && err != nil:
		return tag, fmt.Errorf("read the variables of pipeline %d, by which runs are found again: a token with the scope api of a Maintainer is needed: %w", id, err)
	case err != nil:
		return tag, err
	}
	for _, v := range variables {
		if found, is := pipeline.ParseTag(v.Value); is {
			tag = found
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tags) > 50*listed {
		clear(p.tags)
	}
	p.tags[id] = tag
	return tag, nil
}

// Start creates a pipeline.
func (p *platform) Start(ctx context.Context, order pipeline.Order) (pipeline.Run, error) {
	request := pipeline.Request{Method: http.MethodPost, Path: p.project + "/pipeline"}
	if p.o.TriggerToken.IsZero() {
		var variables []variable
		for key, value := range order.Variables {
			variables = append(variables, variable{key, value})
		}
		request.JSON = map[string]any{"ref": p.o.Ref, "variables": variables}
	} else {
		request.Path = p.project + "/trigger/pipeline"
		request.Form = url.Values{"token": {p.o.TriggerToken.Reveal()}, "ref": {p.o.Ref}}
		for key, value := range order.Variables {
			request.Form.Set("variables["+key+"]", value)
		}
	}
	var started run
	if _, err := p.api.Ask(ctx, request, &started); err != nil {
		return pipeline.Run{}, err
	}
	if started.ID == 0 {
		return pipeline.Run{}, adg.Errorf(adg.Unavailable, "GitLab answers without the number of the pipeline")
	}
	return pipeline.Run{ID: fmt.Sprint(started.ID), State: stateOf(started.Status), URL: p.api.Scrub(started.WebURL)}, nil
}

// Follow reads the pipeline, and its jobs for what is said about them.
func (p *platform) Follow(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	var now run
	_, err := p.api.Ask(ctx, pipeline.Request{Path: p.project + "/pipelines/" + pipeline.Segment(r.ID)}, &now)
	if pipeline.IsNotFound(err) {
		r.State = pipeline.Gone
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.State, r.URL, r.Why, r.Job = stateOf(now.Status), p.api.Scrub(now.WebURL), p.api.Scrub(now.YAMLErrors), ""
	var jobs []job
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: p.project + "/pipelines/" + pipeline.Segment(r.ID) + "/jobs", Query: url.Values{"per_page": {"100"}}}, &jobs); err != nil {
		return r, err
	}
	j, found := telling(r.State, now.Status, jobs)
	if !found {
		return r, nil
	}
	r.Log = fmt.Sprint(j.ID)
	if r.State != pipeline.Succeeded {
		r.Job = p.api.Scrub(j.Name)
	}
	switch {
	case r.Why != "":
	case now.Status == "manual":
		r.Why = "it waits for somebody to start the manual job"
	case j.Status == "pending":
		r.Why = p.api.Scrub("no runner has taken the job yet, its tags are [" + strings.Join(j.TagList, ", ") + "]")
	case r.State == pipeline.Failed:
		r.Why = p.api.Scrub(j.FailureReason)
	}
	return r, nil
}

// telling is the job that says most about the state: the one that failed, the one at work, the one that is waited for,
// or the last one.
func telling(state pipeline.State, status string, jobs []job) (job, bool) {
	wanted := []string{"running", "pending", "waiting_for_resource", "preparing", "created"}
	switch {
	case status == "manual":
		wanted = []string{"manual"}
	case state == pipeline.Failed:
		wanted = []string{"failed"}
	case state.Ended():
		wanted = []string{"canceled", "success"}
	}
	for _, status := range wanted {
		var best job
		for _, j := range jobs {
			if j.Status == status && (status != "failed" || !j.AllowFailure) && j.ID > best.ID {
				best = j
			}
		}
		if best.ID != 0 {
			return best, true
		}
	}
	return job{}, false
}

// Tail reads the trace of the job.
func (p *platform) Tail(ctx context.Context, r pipeline.Run) (string, error) {
	if r.Log == "" {
		return "", nil
	}
	return p.api.Text(ctx, pipeline.Request{Path: p.project + "/jobs/" + pipeline.Segment(r.Log) + "/trace"})
}

// Stop cancels the jobs of the pipeline.
func (p *platform) Stop(ctx context.Context, r pipeline.Run) error {
	_, err := p.api.Ask(ctx, pipeline.Request{Method: http.MethodPost, Path: p.project + "/pipelines/" + pipeline.Segment(r.ID) + "/cancel"}, nil)
	return err
}

// Check looks at the project and the branch.
func (p *platform) Check(ctx context.Context, _ pipeline.Order) ([]adg.Obstacle, error) {
	var project struct {
		Archived     bool   `json:"archived"`
		BuildsAccess string `json:"builds_access_level"`
	}
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: p.project}, &project); err != nil {
		return nil, err
	}
	var found []adg.Obstacle
	if project.Archived || project.BuildsAccess == "disabled" {
		found = append(found, adg.Obstacle{Name: "access", Final: true, Text: "the project " + p.o.Project + " is archived, or its CI/CD is switched off: no pipeline starts there"})
	}
	_, err := p.api.Ask(ctx, pipeline.Request{Path: p.project + "/repository/commits/" + pipeline.Segment(p.o.Ref)}, nil)
	if pipeline.IsNotFound(err) {
		return append(found, adg.Obstacle{Name: "release", Final: true, Text: "the project " + p.o.Project + " has no branch or tag " + p.o.Ref + " to run the pipeline of: correct ref"}), nil
	}
	return found, err
}

// stateOf reads the status of a pipeline. A new status that we do not know is not taken for an end.
func stateOf(status string) pipeline.State {
	switch {
	case status == "success":
		return pipeline.Succeeded
	case status == "failed", status == "skipped":
		return pipeline.Failed
	case status == "canceled":
		return pipeline.Cancelled
	case status == "manual":
		return pipeline.Waiting
	case slices.Contains([]string{"created", "waiting_for_resource", "preparing", "pending", "scheduled"}, status):
		return pipeline.Queued
	default:
		return pipeline.Running
	}
}
