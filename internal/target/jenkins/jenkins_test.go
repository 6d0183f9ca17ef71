package jenkins

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/pipeline/pipelinetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The answers are written from documentation: jenkins.io/doc/book/using/remote-access-api, the remote interface of a
// Jenkins at /job/NAME/api and /queue/api, and the description of /wfapi/describe in the Pipeline Stage View plug-in.
const (
	buildAnswer = `{"_class":"org.jenkinsci.plugins.workflow.job.WorkflowRun","actions":[{"_class":"hudson.model.ParametersAction","parameters":%s},{},
		{"_class":"hudson.model.CauseAction"}],"building":%v,"number":%d,"queueId":%d,"result":%s,"url":"https://jenkins.example.com/job/shop/job/deploy/%d/"}`
	itemAnswer = `{"_class":"hudson.model.Queue$BuildableItem","actions":[{"_class":"hudson.model.ParametersAction","parameters":%s}],"blocked":false,"buildable":true,
		"id":%d,"inQueueSince":1700000000000,"stuck":true,"task":{"_class":"org.jenkinsci.plugins.workflow.job.WorkflowJob","name":"deploy",
		"url":"https://jenkins.example.com/job/shop/job/deploy/"},"why":"There are no nodes with the label ‘production’","cancelled":%v}`
	stagesAnswer = `{"id":"7","name":"#7","status":%q,"stages":[{"id":"6","name":"Build","status":"SUCCESS"},{"id":"16","name":"Deploy","status":%q}]}`
)

var results = map[pipeline.State]string{
	pipeline.Running: "null", pipeline.Waiting: "null", pipeline.Succeeded: `"SUCCESS"`, pipeline.Failed: `"FAILURE"`, pipeline.Cancelled: `"ABORTED"`,
}

var oneBuild = regexp.MustCompile(`^/ci/job/shop/job/deploy/([0-9]+)/(api/json|wfapi/describe|logText/progressiveText|stop)$`)

// jenkins stands in for a server below /ci. Runs that were cancelled in the queue never became builds.
type jenkins struct {
	crumbs     bool // its credentials are a password
	undeclared string
	disabled   bool
}

func (j *jenkins) serve(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	cookie, _ := r.Cookie("JSESSIONID.1")
	switch {
	case user != "adg" || password != targettest.Planted:
		http.Error(rw, "Unauthorized", http.StatusUnauthorized)
		return
	case r.URL.Path == "/ci/crumbIssuer/api/json":
		rw.Header().Add("Set-Cookie", "JSESSIONID.1=node0; Path=/; HttpOnly")
		_, _ = fmt.Fprint(rw, `{"_class":"hudson.security.csrf.DefaultCrumbIssuer","crumb":"c0ffee","crumbRequestField":"Jenkins-Crumb"}`)
		return
	case r.Method == http.MethodPost && j.crumbs && (r.Header.Get("Jenkins-Crumb") != "c0ffee" || cookie == nil || cookie.Value != "node0"):
		http.Error(rw, "<title>Error 403 No valid crumb was included in the request</title>", http.StatusForbidden)
		return
	}
	parts := oneBuild.FindStringSubmatch(r.URL.Path)
	switch path := strings.TrimPrefix(r.URL.Path, "/ci"); {
	case r.Method == http.MethodPost && path == "/job/shop/job/deploy/buildWithParameters":
		_ = r.ParseForm()
		variables := map[string]string{}
		for name := range r.PostForm {
			variables[name] = r.PostForm.Get(name)
		}
		rw.Header().Set("Location", fmt.Sprintf("https://jenkins.example.com/queue/item/%d/", w.Begin(variables).ID))
		rw.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPost && path == "/queue/cancelItem":
		w.Cancel(r.URL.Query().Get("id"), "adg")
		rw.WriteHeader(http.StatusNoContent)
	case path == "/queue/api/json", path == "/job/shop/job/deploy/api/json":
		j.list(w, rw, path == "/queue/api/json")
	case strings.HasPrefix(path, "/queue/item/"):
		id := strings.Split(path, "/")[3]
		run, found := w.Run(id)
		if !found || run.Began {
			http.NotFound(rw, r)
			return
		}
		_, _ = fmt.Fprintf(rw, itemAnswer, parameters(run), run.ID, run.State == pipeline.Cancelled)
	case parts != nil:
		j.build(w, rw, r, parts[1], parts[2])
	default:
		http.NotFound(rw, r)
	}
}

func (j *jenkins) list(w *pipelinetest.World, rw http.ResponseWriter, queue bool) {
	var items, builds []string
	for _, run := range w.Runs() {
		switch {
		case run.State == pipeline.Queued:
			items = append(items, fmt.Sprintf(itemAnswer, parameters(run), run.ID, false))
		case run.Began:
			builds = append(builds, answer(run))
		}
	}
	if queue {
		_, _ = fmt.Fprintf(rw, `{"_class":"hudson.model.Queue","items":[%s]}`, strings.Join(items, ","))
		return
	}
	definitions := ""
	for _, name := range []string{"RUN", "VERSION", "ARTIFACT", "COMMIT", "ENVIRONMENT", "ROLLBACK", "REPLACES"} {
		if "ADG_"+name != j.undeclared {
			definitions += fmt.Sprintf(`,{"_class":"hudson.model.StringParameterDefinition","name":"ADG_%s"}`, name)
		}
	}
	_, _ = fmt.Fprintf(rw, `{"_class":"org.jenkinsci.plugins.workflow.job.WorkflowJob","buildable":%v,"builds":[%s],
		"property":[{},{"_class":"hudson.model.ParametersDefinitionProperty","parameterDefinitions":[%s]}]}`,
		!j.disabled, strings.Join(builds, ","), strings.TrimPrefix(definitions, ","))
}

// A build's number is 100 less than the run's.
func (j *jenkins) build(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request, number, what string) {
	var n int
	_, _ = fmt.Sscan(number, &n)
	id := fmt.Sprint(100 + n)
	run, found := w.Run(id)
	switch {
	case !found:
		http.NotFound(rw, r)
	case what == "stop":
		w.Cancel(id, "adg")
		rw.Header().Set("Location", "https://jenkins.example.com/job/shop/job/deploy/")
		rw.WriteHeader(http.StatusFound)
	case what == "wfapi/describe":
		status := map[pipeline.State]string{pipeline.Running: "IN_PROGRESS", pipeline.Waiting: "PAUSED_PENDING_INPUT", pipeline.Failed: "FAILED"}[run.State]
		_, _ = fmt.Fprintf(rw, stagesAnswer, status, status)
	case what == "logText/progressiveText":
		var start int
		_, _ = fmt.Sscan(r.URL.Query().Get("start"), &start)
		rw.Header().Set("X-Text-Size", fmt.Sprint(len(pipelinetest.LogText)))
		_, _ = fmt.Fprint(rw, pipelinetest.LogText[start:])
	default:
		_, _ = fmt.Fprint(rw, answer(run))
	}
}

func answer(run pipelinetest.Run) string {
	return fmt.Sprintf(buildAnswer, parameters(run), run.State == pipeline.Running || run.State == pipeline.Waiting, run.ID-100, run.ID, results[run.State], run.ID-100)
}

func parameters(run pipelinetest.Run) string {
	type parameter struct {
		Class string `json:"_class"`
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	all := []parameter{}
	for name, value := range run.Variables {
		all = append(all, parameter{"hudson.model.StringParameterValue", name, value})
	}
	text, _ := json.Marshal(all)
	return string(text)
}

func openTarget(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
	o := Driver.Options.(Options)
	o.URL, o.Job = url+"/ci/", "shop/deploy"
	o.BasicAuth.Username, o.BasicAuth.Password = "adg", adg.NewSecret(targettest.Planted)
	frame(&o.Options)
	target, err := Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func standing(crumbs bool) pipelinetest.Case {
	return pipelinetest.Case{
		Serve: (&jenkins{crumbs: crumbs}).serve, Open: openTarget, Others: true, Listed: true, Job: "Deploy", Waits: "There are no nodes with the label",
		Starts: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/buildWithParameters") },
	}
}

func TestJenkinsBuilds(t *testing.T) { pipelinetest.Conform(t, standing(false)) }

func TestAPasswordNeedsACrumbAndAnOperationIsStillOneBuild(t *testing.T) {
	pipelinetest.TakenOver(t, standing(true))
}

func TestTheNewestBuildIsTheOneWithTheLargestNumber(t *testing.T) {
	const parameter = `[{"parameters":[{"name":"ADG_RUN","value":"adg:shop-v2-abc/%d:1:v2:_/_/shop"}]}]`
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/queue/") {
			// The job of another folder, and this one; each number of the queue is drawn at random.
			_, _ = fmt.Fprintf(rw, `{"items":[{"id":9000000000000000000,"inQueueSince":3,"task":{"url":"https://jenkins.example.com/job/other/job/shop/job/deploy/"},"actions":`+parameter+`},
				{"id":5,"inQueueSince":2,"task":{"url":"https://jenkins.example.com/ci/job/shop/job/deploy/"},"actions":`+parameter+`}]}`, 9, 3)
			return
		}
		_, _ = fmt.Fprintf(rw, `{"builds":[{"number":7,"queueId":9000000000000000001,"result":"SUCCESS","actions":`+parameter+`},
			{"number":8,"queueId":1,"result":"SUCCESS","actions":`+parameter+`}]}`, 1, 2)
	}))
	defer server.Close()
	base, _ := url.Parse(server.URL)
	api, err := pipeline.NewAPI(pipeline.Defaults("ADG").Options, base, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	runs, err := (&platform{api: api, job: "/job/shop/job/deploy", path: "/job/shop/job/deploy"}).Recent(t.Context())
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.Tag.Op)
	}
	if got := strings.Join(ids, " "); err != nil || got != "shop-v2-abc/3 shop-v2-abc/2 shop-v2-abc/1" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestTheEndOfALongConsoleIsRead(t *testing.T) {
	w := pipelinetest.New(t, (&jenkins{}).serve)
	w.End(pipeline.Failed)
	// The whole console is larger than what is read of it, and the answers of the interface are not.
	target := openTarget(t, w.Server.URL, func(o *pipeline.Options) { o.Poll, o.MaxBytes = 1, int64(len(pipelinetest.LogText)-1) }, adg.Host{Dir: t.TempDir()})
	defer func() { _ = target.(*pipeline.Target).Close() }()
	seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
	for err == nil && !seen.Failed {
		seen, err = target.Current(t.Context())
	}
	if err != nil || !strings.HasSuffix(seen.Log, "the last line of the log") {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestWhatTheJobDoesNotDeclareOrAllowIsAnObstacle(t *testing.T) {
	for _, c := range []struct {
		name  string
		j     jenkins
		final bool
		says  string
	}{
		{"the parameter that finds runs again", jenkins{undeclared: "ADG_RUN"}, true, "ADG_RUN"},
		{"another parameter", jenkins{undeclared: "ADG_COMMIT"}, false, "ADG_COMMIT"},
		{"a job that is disabled", jenkins{disabled: true}, true, "disabled"},
	} {
		w := pipelinetest.New(t, c.j.serve)
		target := openTarget(t, w.Server.URL, func(*pipeline.Options) {}, adg.Host{Dir: t.TempDir()})
		found, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Rollback("d/1", 1))
		if err != nil || len(found) != 1 || found[0].Final != c.final || !strings.Contains(found[0].Text, c.says) {
			t.Errorf("%s: %+v, %v", c.name, found, err)
		}
		_ = target.(*pipeline.Target).Close()
	}
}

func TestAJobIsWrittenWithItsFolders(t *testing.T) {
	for _, job := range []string{"", "/", "shop//deploy", "../deploy", "shop/."} {
		o := Driver.Options.(Options)
		o.URL, o.Job = "https://jenkins.example.com", job
		if _, err := Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()}); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", job, err)
		}
	}
}
