package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/pipeline/pipelinetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The answers have the form and the fields of the examples on docs.github.com/rest/actions/workflows,
// /rest/actions/workflow-runs and /rest/actions/workflow-jobs, and of the announcement of return_run_details
// (github.blog/changelog/2026-02-19-workflow-dispatch-api-now-returns-run-ids), with the numbers of the stand-in.
const (
	runAnswer = `{"id":%d,"name":"Deploy","node_id":"MDEyOldvcmtmbG93IFJ1bjI2OTI4OQ==","head_branch":"main","path":".github/workflows/deploy.yml@main",
		"display_title":%q,"run_number":562,"event":"workflow_dispatch","status":%q,"conclusion":%s,"workflow_id":159038,"run_attempt":1,
		"html_url":"https://github.com/octo-org/octo-repo/actions/runs/%d"}`
	jobsAnswer = `{"total_count":2,"jobs":[{"id":399444495,"run_id":29679449,"status":"completed","conclusion":"success","name":"build","labels":["ubuntu-latest"],"steps":[]},
		{"id":399444496,"run_id":29679449,"status":%q,"conclusion":%s,"name":"deploy","labels":["self-hosted","production"],
		"steps":[{"name":"Set up job","status":"completed","conclusion":"success","number":1},{"name":"Roll out","status":"completed","conclusion":%s,"number":2}]}]}`
	dispatched = `{"workflow_run_id":%d,"run_url":"https://api.github.com/repos/octo-org/octo-repo/actions/runs/%d","html_url":"https://github.com/octo-org/octo-repo/actions/runs/%d"}`
	workflow   = `{"id":161335,"node_id":"MDg6V29ya2Zsb3cxNjEzMzU=","name":"Deploy","path":".github/workflows/deploy.yml","state":%q}`
)

type words struct{ status, conclusion string }

var statuses = map[pipeline.State]words{
	pipeline.Queued: {"queued", "null"}, pipeline.Running: {"in_progress", "null"}, pipeline.Waiting: {"waiting", "null"}, pipeline.Succeeded: {"completed", `"success"`},
	pipeline.Failed: {"completed", `"failure"`}, pipeline.Cancelled: {"completed", `"cancelled"`},
}

var oneRun = regexp.MustCompile(`^/repos/octo-org/octo-repo/actions/runs/([0-9]+)(/jobs|/cancel)?$`)

// standIn answers as github.com does, or as a GitHub Enterprise Server before return_run_details.
func standIn(old bool) func(*pipelinetest.World, http.ResponseWriter, *http.Request) {
	return func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/storage/log" {
			if r.Header.Get("Authorization") != "" || r.URL.Query().Get("sig") != "s" {
				http.Error(rw, "a credential went to the storage", http.StatusBadRequest)
				return
			}
			_, _ = fmt.Fprint(rw, pipelinetest.LogText)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+targettest.Planted || r.Header.Get("X-Github-Api-Version") == "" {
			http.Error(rw, `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}`, http.StatusUnauthorized)
			return
		}
		parts := oneRun.FindStringSubmatch(r.URL.Path)
		switch path := strings.TrimPrefix(r.URL.Path, "/repos/octo-org/octo-repo/actions"); {
		case r.Method == http.MethodPost && path == "/workflows/deploy.yml/dispatches":
			begin(w, rw, r, old)
		case path == "/workflows/deploy.yml":
			_, _ = fmt.Fprintf(rw, workflow, "active")
		case path == "/workflows/deploy.yml/runs":
			var all []string
			for _, run := range w.Runs() {
				all = append(all, answer(run))
			}
			_, _ = fmt.Fprintf(rw, `{"total_count":%d,"workflow_runs":[%s]}`, len(all), strings.Join(all, ","))
		case path == "/jobs/399444496/logs":
			rw.Header().Set("Location", "http://"+r.Host+"/storage/log?sig=s")
			rw.WriteHeader(http.StatusFound)
		case parts != nil:
			one(w, rw, parts[1], parts[2])
		default:
			http.Error(rw, `{"message":"Not Found"}`, http.StatusNotFound)
		}
	}
}

func begin(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request, old bool) {
	var body struct {
		Inputs  map[string]string `json:"inputs"`
		Details *bool             `json:"return_run_details"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(rw, `{"message":"Problems parsing JSON"}`, http.StatusBadRequest)
		return
	}
	if old && body.Details != nil {
		http.Error(rw, `{"message":"Invalid request.\n\n\"return_run_details\" is not a permitted key."}`, http.StatusUnprocessableEntity)
		return
	}
	run := w.Begin(body.Inputs)
	if body.Details == nil {
		rw.WriteHeader(http.StatusNoContent)
		return
	}
	_, _ = fmt.Fprintf(rw, dispatched, run.ID, run.ID, run.ID)
}

func answer(run pipelinetest.Run) string {
	title := "Deploy"
	if tag := run.Tag(); !tag.IsZero() {
		title = "Deploy " + tag.Version + " [" + tag.String() + "]"
	}
	return fmt.Sprintf(runAnswer, run.ID, title, statuses[run.State].status, statuses[run.State].conclusion, run.ID)
}

func one(w *pipelinetest.World, rw http.ResponseWriter, id, what string) {
	run, found := w.Run(id)
	switch now := statuses[run.State]; {
	case !found:
		http.Error(rw, `{"message":"Not Found"}`, http.StatusNotFound)
	case what == "/cancel" && run.State.Ended():
		http.Error(rw, `{"message":"Cannot cancel a workflow run that is completed."}`, http.StatusConflict)
	case what == "/cancel":
		w.Cancel(id, "octocat")
		rw.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(rw, "{}")
	case what == "/jobs":
		_, _ = fmt.Fprintf(rw, jobsAnswer, now.status, now.conclusion, now.conclusion)
	default:
		_, _ = fmt.Fprint(rw, answer(run))
	}
}

func openTarget(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
	o := Driver.Options.(Options)
	o.URL, o.Repository, o.Workflow = url, "octo-org/octo-repo", "deploy.yml"
	o.BearerToken = adg.NewSecret(targettest.Planted)
	o.Appear = 20 * time.Millisecond
	frame(&o.Options)
	target, err := Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func standing(old bool) pipelinetest.Case {
	return pipelinetest.Case{
		Serve: standIn(old), Open: openTarget, Others: true, Job: "deploy: step Roll out",
		Waits:  "no runner has taken the job yet, its labels are [self-hosted, production]",
		Starts: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/dispatches") },
	}
}

func TestGitHubRunsWorkflows(t *testing.T) { pipelinetest.Conform(t, standing(false)) }

func TestAServerThatDoesNotTellTheRunStartsOneRunAnOperation(t *testing.T) {
	pipelinetest.TakenOver(t, standing(true))
}

func TestARunThatShowsLateIsFoundAndNotStartedAgain(t *testing.T) {
	for name, old := range map[string]bool{"github.com": false, "a server that does not tell the run": true} {
		w := pipelinetest.New(t, standIn(old))
		w.Lag(4)
		dir := t.TempDir()
		late := func(o *pipeline.Options) { o.Poll, o.Appear = time.Millisecond, time.Minute }
		first, second := openTarget(t, w.Server.URL, late, adg.Host{Dir: dir}), openTarget(t, w.Server.URL, late, adg.Host{Dir: dir})
		lost := w.Break(t, targettest.Halfway)
		if _, err := first.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100)); err == nil {
			t.Errorf("%s: the answer was lost, and there is no error", name)
		}
		lost()
		if _, err := second.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 2, 100)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(w.Effects(t)); n != 1 {
			t.Errorf("%s: %d runs", name, n)
		}
		_, _ = first.(*pipeline.Target).Close(), second.(*pipeline.Target).Close()
	}
}

func TestAWorkflowWhoseRunsCannotBeToldApartIsSaidToLackItsName(t *testing.T) {
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/runs") {
			_, _ = fmt.Fprint(rw, `{"total_count":0,"workflow_runs":[]}`)
			return
		}
		standIn(true)(w, rw, r)
	})
	target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Poll = time.Millisecond }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100)); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "$run") {
		t.Errorf("got %v", err)
	}
}

func TestATagIsReadAtTheEndOfATitleOnly(t *testing.T) {
	const tag = "adg:shop-v2-abc/2:7:v1:shop/production/shop"
	for _, c := range []struct {
		name, title string
		ours        bool
	}{
		{"in brackets", "deploy v1 [" + tag + "]", true},
		{"alone", tag, true},
		{"in the words of somebody else", "revert " + tag + " [adg:shop-v3-x/1:1:v3:shop/production/shop]", false},
		{"before other words", tag + " is stuck", false},
		{"as a part of a word", "x" + tag, false},
		{"nowhere", "", false},
	} {
		got := titled(c.title)
		if ours := got.String() == tag; ours != c.ours {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestARequestToMergeIsNoRunOfADG(t *testing.T) {
	const body = `{"workflow_runs":[{"id":7,"event":"pull_request","status":"queued","display_title":"adg:shop-v2-abc/1:99:v2:shop/_/shop"}]}`
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("event") != "workflow_dispatch" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		_, _ = fmt.Fprint(rw, body)
	}))
	defer server.Close()
	target := openTarget(t, server.URL, func(*pipeline.Options) {}, adg.Host{Name: "shop", Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if seen, err := target.Current(t.Context()); err != nil || seen.OpID != "none" {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestRunsAreFoundBehindAPageOfOthers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var all []string
		for i := range 100 {
			all = append(all, fmt.Sprintf(`{"id":%d,"event":"workflow_dispatch","status":"completed","conclusion":"success","display_title":"by hand","created_at":%q}`,
				1000-i, time.Now().UTC().Format(time.RFC3339)))
		}
		if r.URL.Query().Get("page") == "2" {
			all = []string{`{"id":7,"event":"workflow_dispatch","status":"queued","display_title":"[adg:shop-v2-abc/1:1:v2:shop/_/shop]"}`}
		}
		if strings.HasSuffix(r.URL.Path, "/runs/7") {
			_, _ = fmt.Fprint(rw, `{"id":7,"status":"queued"}`)
			return
		}
		_, _ = fmt.Fprintf(rw, `{"workflow_runs":[%s],"jobs":[]}`, strings.Join(all, ","))
	}))
	defer server.Close()
	target := openTarget(t, server.URL, func(*pipeline.Options) {}, adg.Host{Name: "shop", Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if seen, err := target.Current(t.Context()); err != nil || seen.OpID != "shop-v2-abc/1" {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestADisabledWorkflowIsAnObstacle(t *testing.T) {
	w := pipelinetest.New(t, func(_ *pipelinetest.World, rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(rw, workflow, "disabled_manually")
	})
	target := openTarget(t, w.Server.URL, func(*pipeline.Options) {}, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	found, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("d/1", 1))
	if err != nil || len(found) != 1 || !found[0].Final || !strings.Contains(found[0].Text, "disabled_manually") {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestStatusAndConclusionAreAState(t *testing.T) {
	for _, c := range []struct {
		status, conclusion string
		want               pipeline.State
	}{
		{"queued", "", pipeline.Queued}, {"requested", "", pipeline.Queued}, {"pending", "", pipeline.Queued}, {"in_progress", "", pipeline.Running},
		{"waiting", "", pipeline.Waiting}, {"something new", "", pipeline.Running}, {"completed", "success", pipeline.Succeeded},
		{"completed", "cancelled", pipeline.Cancelled}, {"completed", "timed_out", pipeline.Failed}, {"completed", "startup_failure", pipeline.Failed},
		{"completed", "neutral", pipeline.Failed}, {"completed", "skipped", pipeline.Failed}, {"completed", "", pipeline.Failed},
	} {
		if got := (run{Status: c.status, Conclusion: c.conclusion}).state(); got != c.want {
			t.Errorf("%s/%s is %v, want %v", c.status, c.conclusion, got, c.want)
		}
	}
}

func FuzzStartedRun(f *testing.F) {
	f.Add([]byte(`{"workflow_run_id":1,"html_url":"https://github.com/o/r/actions/runs/1"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if run, err := startedRun(body); err == nil && (run.ID == "" || strings.HasPrefix(run.ID, "-")) {
			t.Errorf("accepted %+v", run)
		}
	})
}
