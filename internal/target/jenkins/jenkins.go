// Package jenkins makes releases live by builds of a Jenkins job.
package jenkins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Options are what a policy says about a target of type jenkins.
type Options struct {
	URL              string `yaml:"url" doc:"Address of Jenkins."`
	Job              string `yaml:"job" doc:"The job, with its folders, such as shop/deploy. It declares every variable as a string parameter: Jenkins drops others."`
	pipeline.Options `yaml:",inline"`
}

// Driver opens targets that are jobs of Jenkins. Its credentials are a user and an API token in basic_auth.
var Driver = adg.NewTargetDriver("jenkins", "Starts and follows builds of a Jenkins job.", Options{Options: pipeline.Defaults("ADG")}, open)

// Private

const listed = 100

type platform struct {
	o   Options
	api *pipeline.API
	job string // path of the job, escaped
	// path is the same, not escaped.
	path string

	mu    sync.Mutex
	crumb http.Header // where the credentials need one: a password does, an API token does not
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`))}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	path, plain := "", ""
	for _, part := range strings.Split(strings.Trim(o.Job, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			problems = append(problems, fmt.Errorf("job %q: write it with its folders, such as shop/deploy", o.Job))
			break
		}
		path += "/job/" + pipeline.Segment(part)
		plain += "/job/" + part
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	api, err := pipeline.NewAPI(o.Options.Options, base, "", nil)
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Setup{Platform: &platform{o: o, api: api, job: path, path: plain}, Options: o.Options}, host)
}

// Close lets go of idle connections.
func (p *platform) Close() error { return p.api.Close() }

// action is the part of a build or an item of the queue that holds its parameters.
type action struct {
	Parameters []struct {
		Value any `json:"value"`
	} `json:"parameters"`
}

type item struct {
	ID    int64  `json:"id"`
	Since int64  `json:"inQueueSince"` // milliseconds
	Why   string `json:"why"`
	Task  struct {
		URL string `json:"url"`
	} `json:"task"`
	Actions    []action `json:"actions"`
	Cancelled  bool     `json:"cancelled"`
	Executable *struct {
		Number int64 `json:"number"`
	} `json:"executable"`
}

type build struct {
	Number   int64    `json:"number"`
	QueueID  int64    `json:"queueId"`
	Building bool     `json:"building"`
	Result   string   `json:"result"`
	URL      string   `json:"url"`
	Actions  []action `json:"actions"`
}

const (
	itemTree  = "id,inQueueSince,why,task[url],actions[parameters[name,value]]"
	buildTree = "number,queueId,building,result,url,actions[parameters[name,value]]"
)

// Recent lists what waits in the queue and what was built. A run is known by its number in the queue, which it has from
// its start to its end.
func (p *platform) Recent(ctx context.Context) ([]pipeline.Run, error) {
	var queue struct {
		Items []item `json:"items"`
	}
	// The queue comes first: what leaves it meanwhile is among the builds then.
	if _, err := p.get(ctx, "/queue/api/json", "items["+itemTree+"]", &queue); err != nil {
		return nil, err
	}
	var job struct {
		Builds []build `json:"builds"`
	}
	if _, err := p.get(ctx, p.job+"/api/json", fmt.Sprintf("builds[%s]{0,%d}", buildTree, listed), &job); err != nil {
		return nil, err
	}
	// What waits is newer than what was built. The numbers of the queue say nothing about the order: where several
	// controllers share the work they are drawn at random.
	slices.SortStableFunc(queue.Items, func(a, b item) int { return cmp.Compare(b.Since, a.Since) })
	slices.SortStableFunc(job.Builds, func(a, b build) int { return cmp.Compare(b.Number, a.Number) })
	var runs []pipeline.Run
	for _, i := range queue.Items {
		built := slices.ContainsFunc(job.Builds, func(b build) bool { return b.QueueID == i.ID })
		if p.isJob(i.Task.URL) && !built {
			runs = append(runs, pipeline.Run{ID: fmt.Sprint(i.ID), Tag: tagOf(i.Actions), State: pipeline.Queued, Why: p.api.Scrub(i.Why)})
		}
	}
	for _, b := range job.Builds {
		runs = append(runs, p.run(b))
	}
	return runs, nil
}

// isJob tells whether an address is that of the job. Jenkins writes it with the address that it has for people, which
// may not be the one that it is asked at.
func (p *platform) isJob(address string) bool {
	task, err := url.Parse(address)
	if err != nil {
		return false
	}
	_, folders, found := strings.Cut(strings.TrimSuffix(task.Path, "/"), "/job/")
	return found && "/job/"+folders == p.path
}

func (p *platform) run(b build) pipeline.Run {
	r := pipeline.Run{ID: fmt.Sprint(b.QueueID), Tag: tagOf(b.Actions), URL: p.api.Scrub(b.URL), Log: fmt.Sprint(b.Number)}
	switch {
	case b.Building, b.Result == "":
		r.State = pipeline.Running
	case b.Result == "SUCCESS":
		r.State = pipeline.Succeeded
	case b.Result == "ABORTED":
		r.State = pipeline.Cancelled
	default:
		r.State = pipeline.Failed
		if b.Result != "FAILURE" {
			r.Why = p.api.Scrub("the result is " + b.Result)
		}
	}
	return r
}

func tagOf(actions []action) pipeline.Tag {
	for _, a := range actions {
		for _, parameter := range a.Parameters {
			if text, is := parameter.Value.(string); is {
				if tag, found := pipeline.ParseTag(text); found {
					return tag
				}
			}
		}
	}
	return pipeline.Tag{}
}

// Start puts a build into the queue.
func (p *platform) Start(ctx context.Context, order pipeline.Order) (pipeline.Run, error) {
	form := url.Values{}
	for name, value := range order.Variables {
		form.Set(name, value)
	}
	answer, err := p.post(ctx, pipeline.Request{Path: p.job + "/buildWithParameters", Form: form})
	if err != nil {
		return pipeline.Run{}, err
	}
	place := strings.Split(strings.TrimSuffix(answer.Header.Get("Location"), "/"), "/")
	id := place[len(place)-1]
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return pipeline.Run{}, nil // a proxy may have dropped the header: the build is found by its parameter
	}
	return pipeline.Run{ID: id}, nil
}

// Follow finds the build, or the item of the queue that has not become one.
func (p *platform) Follow(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	runs, err := p.Recent(ctx)
	if err != nil {
		return r, err
	}
	at := slices.IndexFunc(runs, func(now pipeline.Run) bool { return now.ID == r.ID })
	if at < 0 {
		return p.queued(ctx, r)
	}
	now := runs[at]
	now.Tag = r.Tag
	if now.State == pipeline.Running || now.State == pipeline.Failed {
		var asks bool
		if now.Job, asks = p.stage(ctx, now); asks {
			now.State, now.Why = pipeline.Waiting, "it waits for input"
		}
	}
	return now, nil
}

// queued reads an item that is not in the queue any more: cancelled there, or built so long ago that it is not listed.
func (p *platform) queued(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	var i item
	_, err := p.get(ctx, "/queue/item/"+pipeline.Segment(r.ID)+"/api/json", "id,why,cancelled,executable[number]", &i)
	switch {
	case pipeline.IsNotFound(err):
		r.State = pipeline.Gone
	case err != nil:
		return r, err
	case i.Cancelled:
		r.State, r.Why = pipeline.Cancelled, "somebody took it out of the queue"
	case i.Executable != nil:
		var b build
		if _, err := p.get(ctx, fmt.Sprintf("%s/%d/api/json", p.job, i.Executable.Number), buildTree, &b); err != nil {
			return r, err
		}
		now := p.run(b)
		now.ID, now.Tag = r.ID, r.Tag
		return now, nil
	default:
		r.State, r.Why = pipeline.Queued, p.api.Scrub(i.Why)
	}
	return r, nil
}

// stage is the stage of a Pipeline job that runs or failed, and whether it asks a person; empty where Jenkins cannot tell:
// it takes a plug-in.
func (p *platform) stage(ctx context.Context, r pipeline.Run) (name string, asks bool) {
	const paused = "PAUSED_PENDING_INPUT"
	var found struct {
		Status string `json:"status"`
		Stages []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"stages"`
	}
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: p.job + "/" + r.Log + "/wfapi/describe"}, &found); err != nil {
		return "", false
	}
	asks = r.State == pipeline.Running && found.Status == paused
	for _, s := range found.Stages {
		if s.Status == "FAILED" || r.State == pipeline.Running && (s.Status == "IN_PROGRESS" || s.Status == paused) {
			return p.api.Scrub(s.Name), asks
		}
	}
	return "", asks
}

// Tail reads the end of the console.
func (p *platform) Tail(ctx context.Context, r pipeline.Run) (string, error) {
	if r.Log == "" {
		return "", nil
	}
	enough := min(64<<10, cmp.Or(p.o.MaxBytes, remote.Defaults().MaxBytes)/2)
	path := p.job + "/" + r.Log + "/logText/progressiveText"
	answer, err := p.api.Ask(ctx, pipeline.Request{Path: path, Query: url.Values{"start": {"0"}}}, nil)
	size, sizeErr := strconv.ParseInt(answer.Header.Get("X-Text-Size"), 10, 64)
	if !answer.Truncated || sizeErr != nil {
		return string(answer.Body), err
	}
	return p.api.Text(ctx, pipeline.Request{Path: path, Query: url.Values{"start": {fmt.Sprint(max(size-enough, 0))}}})
}

// Stop takes the item out of the queue, or aborts the build.
func (p *platform) Stop(ctx context.Context, r pipeline.Run) error {
	request := pipeline.Request{Path: "/queue/cancelItem", Query: url.Values{"id": {r.ID}}}
	if r.State != pipeline.Queued {
		request = pipeline.Request{Path: p.job + "/" + pipeline.Segment(r.Log) + "/stop"}
	}
	// Jenkins answers with a redirect to a page for people, and 404 where the item is not in the queue any more.
	answer, err := p.post(ctx, request)
	if answer.Status == http.StatusFound || answer.Status == http.StatusSeeOther || answer.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// Check looks at the job and its parameters.
func (p *platform) Check(ctx context.Context, order pipeline.Order) ([]adg.Obstacle, error) {
	var job struct {
		Buildable bool `json:"buildable"`
		Property  []struct {
			Definitions []struct {
				Name string `json:"name"`
			} `json:"parameterDefinitions"`
		} `json:"property"`
	}
	if _, err := p.get(ctx, p.job+"/api/json", "buildable,property[parameterDefinitions[name]]", &job); err != nil {
		return nil, err
	}
	var found []adg.Obstacle
	if !job.Buildable {
		found = append(found, adg.Obstacle{Name: "access", Final: true, Text: "the job " + p.o.Job + " is disabled: enable it"})
	}
	declared := map[string]bool{}
	for _, property := range job.Property {
		for _, d := range property.Definitions {
			declared[d.Name] = true
		}
	}
	for name, value := range order.Variables {
		if !declared[name] {
			found = append(found, adg.Obstacle{Name: "access", Final: value == order.Tag.String(),
				Text: "the job " + p.o.Job + " does not declare the parameter " + name + ", so Jenkins drops it: declare it as a string parameter, or take it out of variables"})
		}
	}
	slices.SortFunc(found, func(a, b adg.Obstacle) int { return strings.Compare(a.Text, b.Text) })
	return found, nil
}

func (p *platform) get(ctx context.Context, path, tree string, v any) (remote.Response, error) {
	return p.api.Ask(ctx, pipeline.Request{Path: path, Query: url.Values{"tree": {tree}}}, v)
}
