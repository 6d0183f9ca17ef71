package circleci

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/deployguardian/adg/internal/target/pipeline"
)

// Private

// workflow is a part of a pipeline; all of them together tell how far the pipeline is.
type workflow struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

func (w workflow) active() bool {
	return slices.Contains([]string{"running", "failing", "on_hold"}, w.Status)
}

// created is the state of a pipeline whose configuration is final.
const created = "created"

type job struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Number int64  `json:"job_number"`
}

func (p *platform) workflows(ctx context.Context, id string) ([]workflow, error) {
	var found struct {
		Items []workflow `json:"items"`
	}
	_, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/pipeline/" + pipeline.Segment(id) + "/workflow"}, &found)
	return found.Items, err
}

// progress reads how far a pipeline is from its workflows and their jobs.
func (p *platform) progress(ctx context.Context, one started) (pipeline.Run, error) {
	r := pipeline.Run{ID: one.ID}
	if one.State == "errored" {
		r.State, r.Why = pipeline.Failed, "its configuration is in error"
		if len(one.Errors) > 0 {
			r.Why = p.api.Scrub(one.Errors[0].Message)
		}
		return r, nil
	}
	workflows, err := p.workflows(ctx, one.ID)
	if err != nil {
		return r, err
	}
	if len(workflows) == 0 {
		r.Why = "no workflow has begun"
		if one.State == created && time.Since(one.Created) > p.o.Appear { //nolint:forbidigo // how long the platform takes is real time
			r.State, r.Why = pipeline.Failed, "the filters of the configuration leave no workflow over"
		}
		return r, nil
	}
	at, state := stateOf(workflows)
	r.State = state
	if state == pipeline.Succeeded && one.State != created {
		r.State, r.Why = pipeline.Running, "the workflow that makes its configuration succeeded, and what that configuration has has not begun"
	}
	r.URL = p.api.Scrub(p.o.URL + "/pipelines/" + p.project + "/" + fmt.Sprint(one.Number) + "/workflows/" + at.ID)
	var found struct {
		Items []job `json:"items"`
	}
	if _, err := p.api.Ask(ctx, pipeline.Request{Path: "/api/v2/workflow/" + pipeline.Segment(at.ID) + "/job"}, &found); err != nil {
		return r, err
	}
	p.tell(&r, at, found.Items)
	return r, nil
}

// stateOf is the state of all workflows together, and the one that says most about it.
func stateOf(workflows []workflow) (workflow, pipeline.State) {
	find := func(statuses ...string) (workflow, bool) {
		at := slices.IndexFunc(workflows, func(w workflow) bool { return slices.Contains(statuses, w.Status) })
		if at < 0 {
			return workflow{}, false
		}
		return workflows[at], true
	}
	if w, found := find("running", "failing"); found {
		return w, pipeline.Running
	}
	if w, found := find("on_hold"); found {
		return w, pipeline.Waiting
	}
	if w, found := find("canceled"); found {
		return w, pipeline.Cancelled
	}
	at := slices.IndexFunc(workflows, func(w workflow) bool { return w.Status != "success" })
	if at >= 0 {
		return workflows[at], pipeline.Failed
	}
	return workflows[len(workflows)-1], pipeline.Succeeded
}

// tell says what the jobs of the workflow tell.
func (p *platform) tell(r *pipeline.Run, w workflow, jobs []job) {
	wanted := []string{"running", "on_hold", "queued", "not_running", "blocked"}
	switch r.State {
	case pipeline.Failed:
		wanted = []string{"failed", "timedout", "infrastructure_fail", "terminated-unknown", "unauthorized", "canceled"}
	case pipeline.Succeeded, pipeline.Cancelled:
		wanted = []string{"canceled", "success"}
	case pipeline.Queued, pipeline.Running, pipeline.Waiting, pipeline.Gone:
	}
	begun := slices.ContainsFunc(jobs, func(j job) bool {
		return !slices.Contains([]string{"queued", "not_running", "blocked", "not_run"}, j.Status)
	})
	if r.State == pipeline.Running && !begun && w.Status == "running" {
		r.State = pipeline.Queued
	}
	for _, status := range wanted {
		at := slices.IndexFunc(jobs, func(j job) bool { return j.Status == status })
		if at < 0 {
			continue
		}
		j := jobs[at]
		if r.State != pipeline.Succeeded {
			r.Job = p.api.Scrub(j.Name)
		}
		if j.Number > 0 {
			r.Log = fmt.Sprint(j.Number)
		}
		switch status {
		case "queued", "not_running":
			r.Why = "no runner has taken the job yet"
		case "on_hold":
			r.Why = "it waits for an approval"
		case "failed", "running", "success", "canceled", "blocked":
		default:
			r.Why = p.api.Scrub(status)
		}
		return
	}
}
