// Package github makes releases live by workflows of GitHub Actions.
package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Options are what a policy says about a target of type github.
type Options struct {
	URL              string `yaml:"url" doc:"Address of the REST interface; https://HOST/api/v3 for GitHub Enterprise Server."`
	Repository       string `yaml:"repository" doc:"The repository, as owner/name."`
	Workflow         string `yaml:"workflow" doc:"The workflow's file, such as deploy.yml, or its number. It is started by workflow_dispatch, declares every variable as an input, and its run-name ends with [${{ inputs.adg_run }}]."`
	Ref              string `yaml:"ref" doc:"Branch or tag that the workflow is run on."`
	pipeline.Options `yaml:",inline"`
}

// Driver opens targets that are workflows of GitHub Actions.
var Driver = adg.NewTargetDriver("github", "Starts and follows a workflow of GitHub Actions.", defaults(), open)

// Private

const (
	listed     = 100           // runs on a page
	pages      = 3             // that are looked at
	longest    = 6 * time.Hour // how long a run may have been under way that is looked for beyond the first page
	apiVersion = "2022-11-28"
	dispatch   = "workflow_dispatch"
)

func defaults() Options {
	o := Options{URL: "https://api.github.com", Ref: "main", Options: pipeline.Defaults("adg")}
	o.Appear = 30 * time.Second
	return o
}

type platform struct {
	o    Options
	api  *pipeline.API
	logs *remote.Client // for the storage that logs are in: no credential goes there
	repo string         // path of the repository in the interface
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,99}$`))}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	owner, name, found := strings.Cut(o.Repository, "/")
	if !found || owner == "" || name == "" || strings.Contains(name, "/") {
		problems = append(problems, fmt.Errorf("repository %q: write it as owner/name", o.Repository))
	}
	if o.Workflow == "" || o.Ref == "" {
		problems = append(problems, errors.New("workflow and ref: both are needed, such as deploy.yml and main"))
	}
	if len(o.Variables) > 25 {
		problems = append(problems, errors.New("variables: GitHub takes 25 inputs at most"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	api, err := pipeline.NewAPI(o.Options.Options, base, "application/vnd.github+json", remote.GitHubLimit)
	if err != nil {
		return nil, err
	}
	logs, err := remote.New(remote.Options{Timeout: o.Timeout, Proxy: o.Proxy, MaxBytes: o.MaxBytes, TLS: remote.TLS{CAFile: o.TLS.CAFile}}, o.Secrets()...)
	if err != nil {
		return nil, err
	}
	p := &platform{o: o, api: api, logs: logs, repo: "/repos/" + pipeline.Segment(owner) + "/" + pipeline.Segment(name)}
	return pipeline.New(pipeline.Setup{Platform: p, Options: o.Options}, host)
}

// Close lets go of idle connections.
func (p *platform) Close() error { return errors.Join(p.api.Close(), p.logs.Close()) }

// run is a workflow run as GitHub tells of it.
type run struct {
	ID         int64  `json:"id"`
	Title      string `json:"display_title"`
	Status     string `json:"status"`
	Conclusion string `json:"conclusion"`
	HTMLURL    string `json:"html_url"`
	Event      string `json:"event"`

	Created time.Time `json:"created_at"`
}

type job struct {
	ID         int64    `json:"id"`
	Name       string   `json:"name"`
	Status     string   `json:"status"`
	Conclusion string   `json:"conclusion"`
	Labels     []string `json:"labels"`
	Steps      []struct {
		Name       string `json:"name"`
		Conclusion string `json:"conclusion"`
	} `json:"steps"`
}

func (p *platform) ask(ctx context.Context, r pipeline.Request, v any) (remote.Response, error) {
	r.Header = http.Header{"X-Github-Api-Version": {apiVersion}}
	r.Path = p.repo + r.Path
	return p.api.Ask(ctx, r, v)
}

func (p *platform) workflow() string { return "/actions/workflows/" + pipeline.Segment(p.o.Workflow) }

// Recent lists the runs of the workflow that were dispatched, with the tags from their titles. What is pushed or proposed
// gives its runs a title of its own.
func (p *platform) Recent(ctx context.Context) ([]pipeline.Run, error) {
	var runs []pipeline.Run
	for page := 1; page <= pages; page++ {
		var found struct {
			Runs []run `json:"workflow_runs"`
		}
		query := url.Values{"event": {dispatch}, "per_page": {fmt.Sprint(listed)}, "page": {fmt.Sprint(page)}}
		if _, err := p.ask(ctx, pipeline.Request{Path: p.workflow() + "/runs", Query: query}, &found); err != nil {
			return nil, err
		}
		for _, r := range found.Runs {
			run := pipeline.Run{ID: fmt.Sprint(r.ID), State: r.state(), URL: p.api.Scrub(r.HTMLURL)}
			if r.Event == dispatch {
				run.Tag = titled(r.Title)
			}
			runs = append(runs, run)
		}
		if n := len(found.Runs); n < listed || time.Since(found.Runs[n-1].Created) > longest { //nolint:forbidigo // only how far back is looked
			break
		}
	}
	return runs, nil
}

// titled is the tag at the end of a title, in brackets or not: what comes before may be anybody's words.
func titled(title string) pipeline.Tag {
	words := strings.FieldsFunc(title, func(r rune) bool { return strings.ContainsRune(" []()", r) })
	if len(words) == 0 {
		return pipeline.Tag{}
	}
	tag, found := pipeline.ParseTag(words[len(words)-1])
	if !found {
		return pipeline.Tag{}
	}
	return tag
}

// Start dispatches the workflow. Where GitHub does not tell the run, its title will.
func (p *platform) Start(ctx context.Context, order pipeline.Order) (pipeline.Run, error) {
	body := map[string]any{"ref": p.o.Ref, "inputs": order.Variables, "return_run_details": true}
	request := pipeline.Request{Method: http.MethodPost, Path: p.workflow() + "/dispatches", JSON: body}
	answer, err := p.ask(ctx, request, nil)
	if err != nil && answer.Status == http.StatusUnprocessableEntity && strings.Contains(string(answer.Body), "return_run_details") {
		delete(body, "return_run_details") // a GitHub Enterprise Server that does not know it yet
		answer, err = p.ask(ctx, request, nil)
	}
	if err != nil || answer.Status == http.StatusNoContent {
		return pipeline.Run{}, err
	}
	started, err := startedRun(answer.Body)
	started.URL = p.api.Scrub(started.URL)
	return started, err
}

// Follow reads the run, and its jobs for what is said about them.
func (p *platform) Follow(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	var now run
	path := "/actions/runs/" + pipeline.Segment(r.ID)
	_, err := p.ask(ctx, pipeline.Request{Path: path}, &now)
	if pipeline.IsNotFound(err) {
		r.State = pipeline.Gone
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.State, r.URL, r.Job, r.Why = now.state(), p.api.Scrub(now.HTMLURL), "", ""
	var found struct {
		Jobs []job `json:"jobs"`
	}
	if _, err := p.ask(ctx, pipeline.Request{Path: path + "/jobs", Query: url.Values{"per_page": {"100"}}}, &found); err != nil {
		return r, err
	}
	if now.Conclusion != "failure" && now.Conclusion != "success" && now.Conclusion != "cancelled" {
		r.Why = strings.ReplaceAll(now.Conclusion, "_", " ")
	}
	if now.Status == "waiting" {
		r.Why = "it waits for a protection rule of its environment, such as a review"
	}
	if j, is := telling(r.State, found.Jobs); is {
		r.Log = fmt.Sprint(j.ID)
		if r.State != pipeline.Succeeded {
			r.Job = p.api.Scrub(j.Name)
		}
		if r.Why == "" {
			r.Why = p.api.Scrub(j.why())
		}
	}
	return r, nil
}

// telling is the job that says most about the state: the one that failed, the one at work, the one that is waited for,
// or the last one.
func telling(state pipeline.State, jobs []job) (best job, found bool) {
	rank := func(j job) int {
		switch {
		case state == pipeline.Failed && (j.Conclusion == "failure" || j.Conclusion == "timed_out"):
			return 3
		case j.Status == "in_progress", j.Conclusion == "cancelled" && state == pipeline.Cancelled:
			return 2
		case state.Ended() == (j.Status == "completed") && j.Conclusion != "skipped":
			return 1
		}
		return 0
	}
	for _, j := range jobs {
		if r := rank(j); r > 0 && (!found || r >= rank(best)) {
			best, found = j, true
		}
	}
	return best, found
}

func (j job) why() string {
	if j.Status == "queued" || j.Status == "pending" || j.Status == "waiting" {
		return "no runner has taken the job yet, its labels are [" + strings.Join(j.Labels, ", ") + "]"
	}
	for _, step := range j.Steps {
		if step.Conclusion == "failure" {
			return "step " + step.Name
		}
	}
	return ""
}

// Tail reads the log of the job from where GitHub keeps it.
func (p *platform) Tail(ctx context.Context, r pipeline.Run) (string, error) {
	if r.Log == "" {
		return "", nil
	}
	answer, err := p.ask(ctx, pipeline.Request{Path: "/actions/jobs/" + pipeline.Segment(r.Log) + "/logs"}, nil)
	if answer.Status != http.StatusFound {
		return string(answer.Body), err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, answer.Header.Get("Location"), http.NoBody)
	if err != nil {
		return "", adg.Permanent(adg.Errorf(adg.Invalid, "GitHub answers with no address of the log"))
	}
	stored, err := pipeline.ReadLog(ctx, p.logs, req)
	return string(stored.Body), err
}

// Stop cancels the run.
func (p *platform) Stop(ctx context.Context, r pipeline.Run) error {
	answer, err := p.ask(ctx, pipeline.Request{Method: http.MethodPost, Path: "/actions/runs/" + pipeline.Segment(r.ID) + "/cancel"}, nil)
	if answer.Status == http.StatusConflict { // it has ended meanwhile
		return nil
	}
	return err
}

// Check looks at the workflow.
func (p *platform) Check(ctx context.Context, _ pipeline.Order) ([]adg.Obstacle, error) {
	var workflow struct {
		State string `json:"state"`
	}
	if _, err := p.ask(ctx, pipeline.Request{Path: p.workflow()}, &workflow); err != nil {
		return nil, err
	}
	if workflow.State != "active" {
		return []adg.Obstacle{{Name: "access", Final: true, Text: fmt.Sprintf("the workflow %s of %s is %s: enable it", p.o.Workflow, p.o.Repository, p.api.Scrub(workflow.State))}}, nil
	}
	return nil, nil
}

// state reads status and conclusion. What we do not know is not taken for an end, or not for a good one.
func (r run) state() pipeline.State {
	switch r.Status {
	case "completed":
	case "queued", "requested", "pending":
		return pipeline.Queued
	case "waiting":
		return pipeline.Waiting
	default:
		return pipeline.Running
	}
	switch r.Conclusion {
	case "success":
		return pipeline.Succeeded
	case "cancelled":
		return pipeline.Cancelled
	default:
		return pipeline.Failed
	}
}
