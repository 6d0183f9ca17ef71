package spinnaker

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/pipeline/pipelinetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var statuses = map[pipeline.State]string{
	pipeline.Queued: "NOT_STARTED", pipeline.Running: "RUNNING", pipeline.Waiting: "PAUSED", pipeline.Succeeded: "SUCCEEDED", pipeline.Failed: "TERMINAL", pipeline.Cancelled: "CANCELED",
}

// gate stands in for Gate. Its answers are written from documentation: spinnaker.io/docs/reference/api and the
// controllers of the public repository spinnaker/gate (PipelineController, ApplicationController).
func gate(disabled bool) func(*pipelinetest.World, http.ResponseWriter, *http.Request) {
	return func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+targettest.Planted {
			http.Error(rw, `{"error":"Unauthorized","status":401}`, http.StatusUnauthorized)
			return
		}
		id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/pipelines/01EXEC"), "/cancel")
		run, found := w.Run(id)
		switch {
		case r.Method == http.MethodPost && r.URL.EscapedPath() == "/pipelines/shop/roll%20out":
			var trigger struct {
				Type        string            `json:"type"`
				Parameters  map[string]string `json:"parameters"`
				Correlation string            `json:"correlationId"`
			}
			if json.NewDecoder(r.Body).Decode(&trigger) != nil || trigger.Type != "manual" || trigger.Correlation == "" {
				http.Error(rw, `{"error":"Unprocessable Entity"}`, http.StatusUnprocessableEntity)
				return
			}
			rw.WriteHeader(http.StatusAccepted)
			_, _ = fmt.Fprintf(rw, `{"ref":"/pipelines/01EXEC%d"}`, w.Begin(trigger.Parameters).ID)
		case r.URL.Path == "/applications/shop/pipelines":
			all := []map[string]any{{"id": "00OTHER", "name": "another pipeline", "status": "RUNNING", "trigger": map[string]any{"parameters": map[string]string{"x": "adg:evil/1:99:v9:shop/production/shop"}}}}
			for _, run := range w.Runs() {
				all = append(all, execute(run))
			}
			_ = json.NewEncoder(rw).Encode(all)
		case r.URL.EscapedPath() == "/applications/shop/pipelineConfigs/roll%20out":
			_, _ = fmt.Fprintf(rw, `{"id":"b0c0","name":"roll out","application":"shop","disabled":%v,"parameterConfig":[{"name":"adg_run"}]}`, disabled)
		case found && r.Method == http.MethodPut:
			w.Cancel(id, "adg")
		case found:
			_ = json.NewEncoder(rw).Encode(execute(run))
		default:
			http.Error(rw, `{"error":"Not Found","message":"Pipeline not found","status":404}`, http.StatusNotFound)
		}
	}
}

func execute(run pipelinetest.Run) map[string]any {
	deploy := map[string]any{"id": "s2", "name": "Deploy", "type": "deployManifest", "status": statuses[run.State], "context": map[string]any{}}
	if run.State == pipeline.Failed {
		deploy["context"] = map[string]any{"exception": map[string]any{"details": map[string]any{"error": "Unexpected Task Failure", "errors": []string{"pods crash", pipelinetest.LogText}}},
			"failureMessage": "using " + targettest.Planted + "\nthe last line of the log\n"}
	}
	return map[string]any{
		"id": fmt.Sprintf("01EXEC%d", run.ID), "name": "roll out", "application": "shop", "status": statuses[run.State], "type": "PIPELINE", "canceledBy": run.By,
		"trigger": map[string]any{"type": "manual", "user": "adg", "parameters": run.Variables},
		"stages":  []any{map[string]any{"id": "s1", "name": "Find Artifact", "type": "findArtifact", "status": "SUCCEEDED", "context": map[string]any{}}, deploy},
	}
}

func openTarget(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
	o := Driver.Options.(Options)
	o.URL, o.Application, o.Pipeline = url, "shop", "roll out"
	o.BearerToken = adg.NewSecret(targettest.Planted)
	frame(&o.Options)
	target, err := Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestSpinnakerRunsPipelines(t *testing.T) {
	pipelinetest.Conform(t, pipelinetest.Case{
		Serve: gate(false), Open: openTarget, Others: true, Job: "Deploy: pods crash", Waits: "holds it back",
		Starts: func(r *http.Request) bool { return r.Method == http.MethodPost },
	})
}

func TestADisabledPipelineIsAnObstacle(t *testing.T) {
	w := pipelinetest.New(t, gate(true))
	target := openTarget(t, w.Server.URL, func(*pipeline.Options) {}, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	found, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("d/1", 1))
	if err != nil || len(found) != 1 || !found[0].Final || !strings.Contains(found[0].Text, "disabled") {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestEveryStatusOfAnExecutionIsAStateOfARun(t *testing.T) {
	for status, want := range map[string]pipeline.State{
		"NOT_STARTED": pipeline.Queued, "BUFFERED": pipeline.Queued, "RUNNING": pipeline.Running, "PAUSED": pipeline.Waiting, "SUSPENDED": pipeline.Running,
		"SOMETHING_NEW": pipeline.Running, "SUCCEEDED": pipeline.Succeeded, "TERMINAL": pipeline.Failed, "STOPPED": pipeline.Failed, "CANCELED": pipeline.Cancelled,
	} {
		if got := stateOf(status); got != want {
			t.Errorf("%s is %v, want %v", status, got, want)
		}
	}
}
