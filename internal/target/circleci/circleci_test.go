package circleci

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/pipeline/pipelinetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The answers have the form and the fields of the samples on circleci.com/docs/api/v2 (pipeline, workflow, job, project)
// and circleci.com/docs/api/v1 (single job), with the numbers of the stand-in.
const (
	pipelineAnswer = `{"id":%q,"errors":[],"project_slug":"gh/acme/shop","updated_at":"2019-08-24T14:15:22Z","number":%d,"state":"created",
		"created_at":"2019-08-24T14:15:22Z","trigger":{"type":"api","received_at":"2019-08-24T14:15:22Z","actor":{"login":"adg"}},"vcs":{"branch":"main"}}`
	pushed = `{"id":"00000000-0000-0000-0000-000000000001","errors":[],"number":1,"state":"created","trigger":{"type":"webhook"},
		"trigger_parameters":{"webhook":{"body":"adg:evil/1:99:v9:shop/production/shop"}}}`
	workflowAnswer = `{"items":[{"pipeline_id":%q,"id":"w-%s","name":"deploy-it","project_slug":"gh/acme/shop","status":%q,"pipeline_number":25}],"next_page_token":null}`
	jobsAnswer     = `{"items":[{"job_number":7,"id":"497f6eca-6276-4993-bfeb-53cbbbba6f08","name":"deploy","type":"build","status":%q,"dependencies":[]}],"next_page_token":null}`
	stepsAnswer    = `{"build_num":7,"status":"failed","steps":[{"name":"Spin up environment","actions":[{"name":"Spin up environment","failed":null,"has_output":true,"output_url":"http://%s/storage/0"}]},
		{"name":"Roll out","actions":[{"name":"Roll out","failed":true,"has_output":true,"output_url":"http://%s/storage/1?sig=s"}]},
		{"name":"Clean up","actions":[{"name":"Clean up","failed":null,"has_output":true,"output_url":"http://%s/storage/2"}]}]}`
)

type words struct{ workflow, job string }

var statuses = map[pipeline.State]words{
	pipeline.Queued: {"running", "queued"}, pipeline.Running: {"running", "running"}, pipeline.Succeeded: {"success", "success"},
	pipeline.Failed: {"failed", "failed"}, pipeline.Cancelled: {"canceled", "canceled"}, pipeline.Waiting: {"on_hold", "on_hold"},
}

var onePart = regexp.MustCompile(`^/api/v2/(pipeline|workflow)/(?:w-)?uuid-([0-9]+)(/workflow|/config|/job|/cancel)?$`)

func standIn(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/storage/") {
		if r.URL.Path != "/storage/1" || r.Header.Get("Circle-Token") != "" {
			http.Error(rw, "another step, or a credential went to the storage", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(rw).Encode([]map[string]string{{"type": "out", "message": pipelinetest.LogText[:50]}, {"type": "err", "message": pipelinetest.LogText[50:]}})
		return
	}
	if r.Header.Get("Circle-Token") != targettest.Planted {
		http.Error(rw, `{"message":"You must log in first."}`, http.StatusUnauthorized)
		return
	}
	parts := onePart.FindStringSubmatch(r.URL.Path)
	switch {
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/v2/project/gh/acme/shop/pipeline"):
		var body struct {
			Parameters map[string]string `json:"parameters"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		run := w.Begin(body.Parameters)
		rw.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(rw, `{"id":"uuid-%d","state":"pending","number":%d,"created_at":"2019-08-24T14:15:22Z"}`, run.ID, run.ID)
	case r.URL.Path == "/api/v2/project/gh/acme/shop/pipeline":
		all := []string{pushed}
		for _, run := range w.Runs() {
			all = append(all, fmt.Sprintf(pipelineAnswer, fmt.Sprintf("uuid-%d", run.ID), run.ID))
		}
		_, _ = fmt.Fprintf(rw, `{"items":[%s],"next_page_token":null}`, strings.Join(all, ","))
	case r.URL.Path == "/api/v2/project/gh/acme/shop":
		_, _ = fmt.Fprint(rw, `{"slug":"gh/acme/shop","name":"shop","id":"497f6eca-6276-4993-bfeb-53cbbbba6f08","organization_name":"acme"}`)
	case r.URL.Path == "/api/v1.1/project/gh/acme/shop/7":
		_, _ = fmt.Fprintf(rw, stepsAnswer, r.Host, r.Host, r.Host)
	case parts != nil:
		one(w, rw, parts[1], parts[2], parts[3])
	default:
		http.Error(rw, `{"message":"Not found."}`, http.StatusNotFound)
	}
}

func one(w *pipelinetest.World, rw http.ResponseWriter, kind, id, what string) {
	run, found := w.Run(id)
	uuid := "uuid-" + id
	switch {
	case !found:
		http.Error(rw, `{"message":"Not found."}`, http.StatusNotFound)
	case kind == "workflow" && what == "/cancel":
		w.Cancel(id, "adg")
		rw.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(rw, `{"message":"Accepted."}`)
	case kind == "workflow":
		_, _ = fmt.Fprintf(rw, jobsAnswer, statuses[run.State].job)
	case what == "/workflow":
		_, _ = fmt.Fprintf(rw, workflowAnswer, uuid, uuid, statuses[run.State].workflow)
	case what == "/config":
		compiled := "jobs:\n  deploy:\n    environment:\n      ADG_RUN: " + run.Variables["adg_run"] + "\n"
		_ = json.NewEncoder(rw).Encode(map[string]string{"source": "version: 2.1\n", "compiled": compiled})
	default:
		_, _ = fmt.Fprintf(rw, pipelineAnswer, uuid, run.ID)
	}
}

func openTarget(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
	o := Driver.Options.(Options)
	o.URL, o.Project, o.Token = url, "gh/acme/shop", adg.NewSecret(targettest.Planted)
	frame(&o.Options)
	target, err := Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestCircleCIRunsPipelines(t *testing.T) {
	pipelinetest.Conform(t, pipelinetest.Case{
		Serve: standIn, Open: openTarget, Job: "deploy", Waits: "no runner has taken the job yet",
		Starts: func(r *http.Request) bool { return r.Method == http.MethodPost },
	})
}

func TestAProjectOfTheGitHubAppIsStartedByItsDefinition(t *testing.T) {
	var body map[string]any
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			standIn(w, rw, r)
			return
		}
		if r.URL.Path != "/api/v2/project/gh/acme/shop/pipeline/run" || json.NewDecoder(r.Body).Decode(&body) != nil {
			http.Error(rw, "another request", http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprint(rw, `{"message":"Your project has no workflow for this."}`)
	})
	o := Driver.Options.(Options)
	o.URL, o.Project, o.Token, o.Definition = w.Server.URL, "gh/acme/shop", adg.NewSecret(targettest.Planted), "2338d0ae-5541-4bbf-88a2-55e9f7281f80"
	target, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100)); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "no workflow for this") {
		t.Errorf("nothing was started: %v", err)
	}
	if body["definition_id"] != o.Definition || body["config"].(map[string]any)["branch"] != "main" {
		t.Errorf("sent %v", body)
	}
}

// single answers with one pipeline in a state, with workflows, behind a page of pushes.
func single(state, created, workflows string) func(*pipelinetest.World, http.ResponseWriter, *http.Request) {
	const tag = `,"trigger":{"type":"api"},"trigger_parameters":{"adg_run":"adg:shop-v2-abc/1:1:v2:shop/production/shop"}}`
	return func(_ *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		body := fmt.Sprintf(`{"id":"one","state":%q,"created_at":%q`, state, created) + tag
		switch path := r.URL.Path; {
		case path == "/api/v2/project/gh/acme/shop/pipeline" && r.URL.Query().Get("page-token") == "":
			_, _ = fmt.Fprintf(rw, `{"items":[{"id":"push","created_at":%q,"trigger":{"type":"webhook"}}],"next_page_token":"more"}`, time.Now().UTC().Format(time.RFC3339))
		case path == "/api/v2/project/gh/acme/shop/pipeline" && r.URL.Query().Get("branch") == "main":
			_, _ = fmt.Fprintf(rw, `{"items":[%s],"next_page_token":null}`, body)
		case path == "/api/v2/pipeline/one":
			_, _ = fmt.Fprint(rw, body)
		case path == "/api/v2/pipeline/one/workflow":
			_, _ = fmt.Fprintf(rw, `{"items":[%s]}`, workflows)
		case strings.HasSuffix(path, "/job"):
			_, _ = fmt.Fprint(rw, `{"items":[]}`)
		default:
			http.NotFound(rw, r)
		}
	}
}

func TestAPipelineIsJudgedByItsStateAndItsWorkflows(t *testing.T) {
	now := time.Now().UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name, state, created, workflows string
		done, failed                    bool
	}{
		{"filters that leave no workflow over", "created", "2019-08-24T14:15:22Z", "", false, true},
		{"no workflow yet", "created", now, "", false, false},
		{"no configuration yet", "pending", "2019-08-24T14:15:22Z", "", false, false},
		{"all workflows succeeded", "created", now, `{"id":"w","status":"success"}`, true, false},
		{"the workflow that makes the configuration succeeded", "setup", now, `{"id":"w","status":"success"}`, false, false},
	} {
		w := pipelinetest.New(t, single(c.state, c.created, c.workflows))
		target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Environment = "production" }, adg.Host{Name: "shop", Dir: t.TempDir()})
		seen, err := target.Current(t.Context())
		if err != nil || seen.OpID != "shop-v2-abc/1" || seen.Done != c.done || seen.Failed != c.failed {
			t.Errorf("%s: %+v, %v", c.name, seen, err)
		}
		_ = target.(*pipeline.Target).Close()
	}
}

func TestAPipelineThatIsNotCompiledYetIsWaitedForAndThenFoundOrCancelled(t *testing.T) {
	var asked atomic.Int64 // for the configuration
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/config") && asked.Add(1) < 4:
			http.NotFound(rw, r)
		case r.URL.Path == "/api/v2/project/gh/acme/shop/pipeline" && r.Method == http.MethodGet:
			recorder := httptest.NewRecorder()
			standIn(w, recorder, r)
			_, _ = fmt.Fprint(rw, strings.ReplaceAll(recorder.Body.String(), "2019-08-24T14:15:22Z", time.Now().UTC().Format(time.RFC3339)))
		default:
			standIn(w, rw, r)
		}
	})
	w.Begin(map[string]string{"adg_run": "adg:shop-v2-abc/1:1:v2:shop/_/shop"})
	target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Poll = 1 }, adg.Host{Name: "shop", Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); err != nil || len(w.Effects(t)) != 1 {
		t.Errorf("%d runs, %v", len(w.Effects(t)), err)
	}
}

func TestAPipelineIsCancelledOnceItsWorkflowShows(t *testing.T) {
	var asked atomic.Int64 // for the workflows of the first pipeline
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/pipeline/uuid-101/workflow" && asked.Add(1) < 5 {
			_, _ = fmt.Fprint(rw, `{"items":[]}`)
			return
		}
		recorder := httptest.NewRecorder()
		standIn(w, recorder, r)
		_, _ = fmt.Fprint(rw, strings.ReplaceAll(recorder.Body.String(), "2019-08-24T14:15:22Z", time.Now().UTC().Format(time.RFC3339)))
	})
	w.End(pipeline.Queued)
	w.Begin(map[string]string{"adg_run": "adg:shop-v2-abc/1:1:v2:shop/_/shop"})
	target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Poll = 1 }, adg.Host{Name: "shop", Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1)); err != nil {
		t.Fatal(err)
	}
	if run, _ := w.Run("101"); run.State != pipeline.Cancelled {
		t.Errorf("the run is %v", run.State)
	}
}

func TestWorkflowsTogetherAreAState(t *testing.T) {
	for _, c := range []struct {
		statuses string
		want     pipeline.State
	}{
		{"success", pipeline.Succeeded}, {"success success", pipeline.Succeeded}, {"success running", pipeline.Running}, {"failed running", pipeline.Running},
		{"failing", pipeline.Running}, {"on_hold success", pipeline.Waiting}, {"success failed", pipeline.Failed}, {"error", pipeline.Failed},
		{"unauthorized", pipeline.Failed}, {"not_run", pipeline.Failed}, {"canceled success", pipeline.Cancelled}, {"something-new", pipeline.Failed},
	} {
		var all []workflow
		for _, status := range strings.Fields(c.statuses) {
			all = append(all, workflow{Status: status})
		}
		if _, got := stateOf(all); got != c.want {
			t.Errorf("%s is %v, want %v", c.statuses, got, c.want)
		}
	}
}

func TestTheEndOfALongOutputIsRead(t *testing.T) {
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/storage/1" {
			standIn(w, rw, r)
			return
		}
		noise := strings.Repeat(`a path C:\new, a "quote"`+"\n", adg.MaxLog)
		_ = json.NewEncoder(rw).Encode([]map[string]string{{"type": "out", "message": noise}, {"type": "err", "message": "the last line of the log\n"}})
	})
	w.End(pipeline.Failed)
	target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Poll = 1 }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	for err == nil && !seen.Failed {
		seen, err = target.Current(t.Context())
	}
	if err != nil || !strings.HasSuffix(seen.Log, "a path C:\\new, a \"quote\"\nthe last line of the log") {
		t.Errorf("got %.300s, %v", seen.Log, err)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add([]byte(`[{"message":"a\n","type":"out"}]`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, cut := range []bool{false, true} {
			if text, err := output(body, cut); err == nil && len(text) > 3*len(body) {
				t.Errorf("%d bytes of %d", len(text), len(body))
			}
		}
	})
}
