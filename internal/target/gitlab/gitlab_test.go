package gitlab

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// The answers have the form and the fields of the examples on docs.gitlab.com/api/pipelines, /api/jobs,
// /api/pipeline_triggers and /api/projects, with the numbers of the stand-in.
const (
	pipelineAnswer = `{"id":%d,"iid":11,"project_id":7,"name":"Build pipeline","sha":"a91957a858320c0e17f3a0eca7cfacbff50ea29a","ref":"main","status":%q,
		"source":"api","tag":false,"yaml_errors":null,"user":{"name":"Administrator","username":"root","id":1,"state":"active"},
		"created_at":"2016-08-11T11:28:34.085Z","updated_at":"2016-08-11T11:32:35.169Z","started_at":null,"finished_at":null,
		"web_url":"https://gitlab.example.com/shop/deploy/-/pipelines/%d"}`
	jobsAnswer = `[{"commit":{"id":"0ff3ae198f8601a285adcf5c0fff204ee6fba5fd"},"allow_failure":false,"id":7,"name":"build","stage":"build","status":"success",
		"tag_list":["docker runner"],"failure_reason":null,"runner":null},
		{"allow_failure":true,"id":10,"name":"lint","stage":"build","status":%q,"tag_list":[],"failure_reason":"script_failure"},
		{"allow_failure":false,"id":9,"name":"deploy","stage":"deploy","status":%q,"tag_list":["production","linux"],"failure_reason":%s,"runner":null}]`
	refused = `{"message":"404 Not found"}`
)

var statuses = map[pipeline.State]string{
	pipeline.Queued: "pending", pipeline.Running: "running", pipeline.Succeeded: "success", pipeline.Failed: "failed", pipeline.Waiting: "manual", pipeline.Cancelled: "canceled",
}

var (
	onePipeline = regexp.MustCompile(`^/api/v4/projects/shop%2Fdeploy/pipelines/([0-9]+)(/variables|/jobs|/cancel)?$`)
	trigger     = regexp.MustCompile(`^variables\[([A-Z_]+)\]$`)
)

func standIn(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	triggered := path == "/api/v4/projects/shop%2Fdeploy/trigger/pipeline"
	if !triggered && r.Header.Get("Authorization") != "Bearer "+targettest.Planted || triggered && r.FormValue("token") != targettest.Planted {
		http.Error(rw, `{"message":"401 Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	parts := onePipeline.FindStringSubmatch(path)
	switch {
	case r.Method == http.MethodPost && (triggered || path == "/api/v4/projects/shop%2Fdeploy/pipeline"):
		run := w.Begin(ordered(r))
		rw.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(rw, pipelineAnswer, run.ID, "created", run.ID)
	case path == "/api/v4/projects/shop%2Fdeploy/pipelines":
		var all []string
		for _, run := range w.Runs() {
			all = append(all, fmt.Sprintf(pipelineAnswer, run.ID, statuses[run.State], run.ID))
		}
		_, _ = fmt.Fprintf(rw, "[%s]", strings.Join(all, ","))
	case path == "/api/v4/projects/shop%2Fdeploy", path == "/api/v4/projects/shop%2Fdeploy/repository/commits/main":
		_, _ = fmt.Fprint(rw, `{"id":7,"archived":false,"builds_access_level":"enabled"}`)
	case path == "/api/v4/projects/shop%2Fdeploy/jobs/9/trace":
		_, _ = fmt.Fprint(rw, pipelinetest.LogText)
	case parts != nil:
		one(w, rw, parts[1], parts[2])
	default:
		http.Error(rw, refused, http.StatusNotFound)
	}
}

func ordered(r *http.Request) map[string]string {
	variables := map[string]string{}
	if err := r.ParseForm(); err == nil {
		for name := range r.PostForm {
			if found := trigger.FindStringSubmatch(name); found != nil {
				variables[found[1]] = r.PostForm.Get(name)
			}
		}
	}
	var body struct {
		Variables []struct{ Key, Value string }
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	for _, v := range body.Variables {
		variables[v.Key] = v.Value
	}
	return variables
}

func one(w *pipelinetest.World, rw http.ResponseWriter, id, what string) {
	run, found := w.Run(id)
	if !found {
		http.Error(rw, refused, http.StatusNotFound)
		return
	}
	switch what {
	case "/cancel":
		w.Cancel(id, "root")
	case "/variables":
		type entry struct {
			Type  string `json:"variable_type"`
			Key   string `json:"key"`
			Value string `json:"value"`
		}
		var all []entry
		for key, value := range run.Variables {
			all = append(all, entry{"env_var", key, value})
		}
		_ = json.NewEncoder(rw).Encode(all)
	case "/jobs":
		reason := "null"
		if run.State == pipeline.Failed {
			reason = `"script_failure"`
		}
		_, _ = fmt.Fprintf(rw, jobsAnswer, "failed", statuses[run.State], reason)
	default:
		_, _ = fmt.Fprintf(rw, pipelineAnswer, run.ID, statuses[run.State], run.ID)
	}
}

func opened(triggerToken bool) func(*testing.T, string, func(*pipeline.Options), adg.Host) adg.Target {
	return func(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
		o := Driver.Options.(Options)
		o.URL, o.Project = url, "shop/deploy"
		o.BearerToken = adg.NewSecret(targettest.Planted)
		if triggerToken {
			o.TriggerToken = adg.NewSecret(targettest.Planted)
		}
		frame(&o.Options)
		target, err := Driver.Open(t.Context(), o, host)
		if err != nil {
			t.Fatal(err)
		}
		return target
	}
}

func TestGitLabRunsPipelines(t *testing.T) {
	pipelinetest.Conform(t, pipelinetest.Case{
		Serve: standIn, Open: opened(false), Job: "deploy", Waits: "no runner has taken the job yet, its tags are [production, linux]",
		Starts: func(r *http.Request) bool { return r.Method == http.MethodPost },
	})
}

func TestATriggerTokenStartsPipelines(t *testing.T) {
	w := pipelinetest.New(t, standIn)
	target := opened(true)(t, w.Server.URL, func(o *pipeline.Options) { o.Environment, o.Appear = "production", 1 }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/3", 2)); err != nil {
		t.Fatal(err)
	}
	run := w.Runs()[0]
	for name, want := range map[string]string{
		"ADG_RUN": "adg:shop-v2-abc/3:2:v1:_/production/shop", "ADG_VERSION": "v1", "ADG_REPLACES": "v2", "ADG_ROLLBACK": "true", "ADG_COMMIT": "c0ffee", "ADG_ENVIRONMENT": "production",
	} {
		if run.Variables[name] != want {
			t.Errorf("%s is %q, want %q", name, run.Variables[name], want)
		}
	}
}

func TestATokenThatMayNotReadVariablesIsSaidToLackTheRole(t *testing.T) {
	w := pipelinetest.New(t, standIn)
	w.Begin(map[string]string{"ADG_RUN": "adg:a/1:1:v1"})
	w.Refuse(http.StatusForbidden, nil, `{"message":"403 Forbidden"}`, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/variables") })
	target := opened(false)(t, w.Server.URL, func(*pipeline.Options) {}, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if _, err := target.Current(t.Context()); err == nil || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "Maintainer") {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfATraceIsReadHoweverLongItIs(t *testing.T) {
	w := pipelinetest.New(t, standIn)
	w.End(pipeline.Failed)
	target := opened(false)(t, w.Server.URL, func(o *pipeline.Options) { o.Poll, o.MaxBytes = 1, int64(len(pipelinetest.LogText)-1) }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	for err == nil && !seen.Failed {
		seen, err = target.Current(t.Context())
	}
	if err != nil || !strings.HasSuffix(seen.Log, "the last line of the log") {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestALogThatCannotBeReadIsNotAskedForAtEveryLook(t *testing.T) {
	var asked atomic.Int64
	w := pipelinetest.New(t, func(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/trace") {
			asked.Add(1)
			http.Error(rw, "no", http.StatusBadGateway)
			return
		}
		standIn(w, rw, r)
	})
	w.End(pipeline.Failed)
	target := opened(false)(t, w.Server.URL, func(o *pipeline.Options) { o.Poll = 1 }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	for looks := 0; err == nil && looks < 12; looks++ {
		seen, err = target.Current(t.Context())
	}
	if err != nil || !seen.Failed || !strings.Contains(seen.Log, "could not be read") || asked.Load() != 1 {
		t.Errorf("asked %d times: %+v, %v", asked.Load(), seen, err)
	}
}

func TestPipelinesAreFoundBehindAPageOfOthers(t *testing.T) {
	w := pipelinetest.New(t, func(_ *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
		switch path := r.URL.EscapedPath(); {
		case strings.HasSuffix(path, "/pipelines") && r.URL.Query().Get("page") == "1":
			others := make([]map[string]any, 20)
			for i := range others {
				others[i] = map[string]any{"id": 1000 - i, "status": "success", "created_at": time.Now()}
			}
			_ = json.NewEncoder(rw).Encode(others)
		case strings.HasSuffix(path, "/pipelines") && r.URL.Query().Get("ref") == "main":
			_, _ = fmt.Fprint(rw, `[{"id":7,"status":"pending"}]`)
		case strings.HasSuffix(path, "/pipelines/7/variables"):
			_, _ = fmt.Fprint(rw, `[{"key":"ADG_RUN","value":"adg:shop-v2-abc/1:1:v2:_/_/shop"}]`)
		case strings.HasSuffix(path, "/pipelines/7"):
			_, _ = fmt.Fprint(rw, `{"id":7,"status":"pending"}`)
		default:
			_, _ = fmt.Fprint(rw, `[]`)
		}
	})
	target := opened(false)(t, w.Server.URL, func(*pipeline.Options) {}, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	if seen, err := target.Current(t.Context()); err != nil || seen.OpID != "shop-v2-abc/1" {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestEveryStatusOfAPipelineIsAStateOfARun(t *testing.T) {
	for status, want := range map[string]pipeline.State{
		"created": pipeline.Queued, "waiting_for_resource": pipeline.Queued, "preparing": pipeline.Queued, "pending": pipeline.Queued, "scheduled": pipeline.Queued,
		"running": pipeline.Running, "manual": pipeline.Waiting, "canceling": pipeline.Running, "something new": pipeline.Running,
		"success": pipeline.Succeeded, "failed": pipeline.Failed, "skipped": pipeline.Failed, "canceled": pipeline.Cancelled,
	} {
		if got := stateOf(status); got != want {
			t.Errorf("%s is %v, want %v", status, got, want)
		}
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.URL, o.Poll, o.Variables = "gitlab", 0, map[string]string{"with space": "$run", "X": "$nobody"}
	_, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()})
	for _, part := range []string{"url", "project", "poll", "with space", "$nobody"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}
