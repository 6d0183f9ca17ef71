// Package spinnaker makes releases live by pipelines of Spinnaker.
package spinnaker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Options are what a policy says about a target of type spinnaker.
type Options struct {
	URL              string `yaml:"url" doc:"Address of Gate, Spinnaker's interface, such as https://gate.example.com:8084."`
	Application      string `yaml:"application" doc:"The application."`
	Pipeline         string `yaml:"pipeline" doc:"Name of the pipeline."`
	pipeline.Options `yaml:",inline"`
}

// Driver opens targets that are pipelines of Spinnaker.
var Driver = adg.NewTargetDriver("spinnaker", "Starts and follows a pipeline of Spinnaker.", Options{Options: pipeline.Defaults("adg")}, open)

// Private

const listed = 30

type platform struct {
	o   Options
	api *pipeline.API
}

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	problems := []error{o.Validate(regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`))}
	base, err := remote.BaseURL("url", o.URL)
	problems = append(problems, err)
	if o.Application == "" || o.Pipeline == "" {
		problems = append(problems, errors.New("application and pipeline: both are needed, such as shop and deploy"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	api, err := pipeline.NewAPI(o.Options.Options, base, "", nil)
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Setup{Platform: &platform{o: o, api: api}, Options: o.Options}, host)
}

// Close lets go of idle connections.
func (p *platform) Close() error { return p.api.Close() }

// execution is one of a pipeline.
type execution struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Trigger struct {
		Parameters map[string]any `json:"parameters"`
	} `json:"trigger"`
	Stages       []stage `json:"stages"`
	CanceledBy   string  `json:"canceledBy"`
	CancelReason string  `json:"cancellationReason"`
}

type stage struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Context struct {
		FailureMessage string `json:"failureMessage"`
		Exception      struct {
			Details struct {
				Error  string   `json:"error"`
				Errors []string `json:"errors"`
			} `json:"details"`
		} `json:"exception"`
	} `json:"context"`
}

// Recent lists the executions of the pipeline, with the tags from their parameters.
func (p *platform) Recent(ctx context.Context) ([]pipeline.Run, error) {
	var found []execution
	query := url.Values{"limit": {fmt.Sprint(listed)}, "expand": {"false"}}
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: "/applications/" + pipeline.Segment(p.o.Application) + "/pipelines", Query: query}, &found); err != nil {
		return nil, err
	}
	var runs []pipeline.Run
	for _, e := range found {
		if e.Name != p.o.Pipeline {
			continue
		}
		r := pipeline.Run{ID: e.ID, State: stateOf(e.Status)}
		for _, value := range e.Trigger.Parameters {
			if tag, is := pipeline.ParseTag(fmt.Sprint(value)); is {
				r.Tag = tag
			}
		}
		runs = append(runs, r)
	}
	// The ids are ULIDs, which sort by time; the order of the answer is not promised.
	slices.SortStableFunc(runs, func(a, b pipeline.Run) int { return strings.Compare(b.ID, a.ID) })
	return runs, nil
}

// Start triggers the pipeline. Its correlation id keeps Orca from executing it twice at once.
func (p *platform) Start(ctx context.Context, order pipeline.Order) (pipeline.Run, error) {
	var answer struct {
		Ref string `json:"ref"`
	}
	_, err := p.api.Ask(ctx, pipeline.Request{
		Method: http.MethodPost, Path: "/pipelines/" + pipeline.Segment(p.o.Application) + "/" + pipeline.Segment(p.o.Pipeline),
		JSON: map[string]any{"type": "manual", "parameters": order.Variables, "correlationId": "adg:" + order.Tag.Op},
	}, &answer)
	if err != nil {
		return pipeline.Run{}, err
	}
	return pipeline.Run{ID: answer.Ref[strings.LastIndexByte(answer.Ref, '/')+1:]}, nil
}

// Follow reads the execution and its stages.
func (p *platform) Follow(ctx context.Context, r pipeline.Run) (pipeline.Run, error) {
	e, err := p.read(ctx, r.ID)
	if pipeline.IsNotFound(err) {
		r.State = pipeline.Gone
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.State, r.Job, r.Why = stateOf(e.Status), "", ""
	for _, s := range e.Stages {
		if s.Status == e.Status && r.State != pipeline.Succeeded {
			r.Job, r.Why = p.api.Scrub(s.Name), p.api.Scrub(strings.Join(s.errors(), "; "))
			if r.State == pipeline.Running && s.Type == "manualJudgment" {
				r.Why = "it waits for a manual judgment"
				r.State = e.judged()
			}
			break
		}
	}
	switch {
	case r.State == pipeline.Queued:
		r.Why = "Spinnaker holds it back (" + p.api.Scrub(e.Status) + "): another execution of the pipeline may be under way"
	case r.State == pipeline.Cancelled && e.CanceledBy != "":
		r.Why = p.api.Scrub("by " + e.CanceledBy + " " + e.CancelReason)
	}
	return r, nil
}

func (p *platform) read(ctx context.Context, id string) (execution, error) {
	var e execution
	_, err := p.api.Ask(ctx, pipeline.Request{Path: "/pipelines/" + pipeline.Segment(id)}, &e)
	return e, err
}

// judged is the state of an execution with a manual judgment under way: other stages may run beside it.
func (e execution) judged() pipeline.State {
	if slices.ContainsFunc(e.Stages, func(s stage) bool { return s.Status == "RUNNING" && s.Type != "manualJudgment" }) {
		return pipeline.Running
	}
	return pipeline.Waiting
}

func (s stage) errors() []string {
	all := slices.Clone(s.Context.Exception.Details.Errors)
	for _, text := range []string{s.Context.Exception.Details.Error, s.Context.FailureMessage} {
		if text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// Tail is what the stages say: Spinnaker keeps no log of its own.
func (p *platform) Tail(ctx context.Context, r pipeline.Run) (string, error) {
	e, err := p.read(ctx, r.ID)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, s := range e.Stages {
		fmt.Fprintf(&all, "stage %s: %s\n", s.Name, s.Status)
		for _, text := range s.errors() {
			fmt.Fprintln(&all, text)
		}
	}
	return all.String(), nil
}

// Stop cancels the execution.
func (p *platform) Stop(ctx context.Context, r pipeline.Run) error {
	_, err := p.api.Ask(ctx, pipeline.Request{
		Method: http.MethodPut, Path: "/pipelines/" + pipeline.Segment(r.ID) + "/cancel", Query: url.Values{"reason": {"adg rolls back"}},
	}, nil)
	return err
}

// Check looks at the pipeline's definition.
func (p *platform) Check(ctx context.Context, _ pipeline.Order) ([]adg.Obstacle, error) {
	var config struct {
		Disabled bool `json:"disabled"`
	}
	path := "/applications/" + pipeline.Segment(p.o.Application) + "/pipelineConfigs/" + pipeline.Segment(p.o.Pipeline)
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: path}, &config); err != nil {
		return nil, err
	}
	if config.Disabled {
		return []adg.Obstacle{{Name: "access", Final: true, Text: "the pipeline " + p.o.Pipeline + " of " + p.o.Application + " is disabled: enable it"}}, nil
	}
	return nil, nil
}

// stateOf reads the status of an execution. A new status that we do not know is not taken for an end.
func stateOf(status string) pipeline.State {
	switch status {
	case "NOT_STARTED", "BUFFERED":
		return pipeline.Queued
	case "PAUSED":
		return pipeline.Waiting
	case "SUCCEEDED":
		return pipeline.Succeeded
	case "TERMINAL", "STOPPED", "FAILED_CONTINUE", "SKIPPED":
		return pipeline.Failed
	case "CANCELED":
		return pipeline.Cancelled
	default:
		return pipeline.Running
	}
}
