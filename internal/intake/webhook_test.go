package intake_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/remote"
)

const planted = "planted-secret-4711"

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// memory is a Once of a few lines.
type memory map[string]time.Time

func (m memory) Once(_ context.Context, kind, id string, until time.Time) (bool, error) {
	_, found := m[kind+" "+id]
	m[kind+" "+id] = until
	return !found, nil
}

var anywhere = intake.Binding{Service: "*", Environment: "*", Ref: "*"}

func generic() intake.Webhook {
	return intake.Webhook{Kind: intake.KindCloudEvents, Secret: adg.NewSecret(planted), Binding: anywhere}
}

func signed(secret string, at time.Time, body string) http.Header {
	return http.Header{http.CanonicalHeaderKey(intake.SignatureHeader): {remote.Sign(secret, at, []byte(body))}}
}

func TestSignedEventIsAdmittedOnce(t *testing.T) {
	seen := memory{}
	body := event(good)
	a, found, err := generic().Admit(t.Context(), now, signed(planted, now, body), []byte(body), seen)
	if err != nil || !found || a.Service != "shop" || a.Origin != "/ci" {
		t.Fatalf("%+v %t %v", a, found, err)
	}
	for _, until := range seen {
		if until != now.Add(30*24*time.Hour) {
			t.Errorf("remembered until %s", until)
		}
	}
	later := now.Add(time.Minute)
	if _, found, err := generic().Admit(t.Context(), later, signed(planted, later, body), []byte(body), seen); found || adg.CodeOf(err) != adg.Conflict {
		t.Errorf("a repeat: %t %v", found, err)
	}
}

func TestEventThatProvesNothingIsRefusedAndNotRemembered(t *testing.T) {
	body := event(good)
	right := remote.Sign(planted, now, []byte(body))
	given := func(values ...string) http.Header {
		return http.Header{http.CanonicalHeaderKey(intake.SignatureHeader): values}
	}
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		bound  intake.Binding
	}{
		{"no signature", http.Header{}, body, anywhere},
		{"two signatures", given(right, right), body, anywhere},
		{"an empty signature", given(""), body, anywhere},
		{"another secret", signed("another-secret-0815", now, body), body, anywhere},
		{"another body", given(right), body + " ", anywhere},
		{"another time", given(strings.Replace(right, "t=1", "t=2", 1)), body, anywhere},
		{"a time with a sign", given(strings.Replace(right, "t=", "t=+", 1)), body, anywhere},
		{"no time", given(right[strings.Index(right, ",")+1:]), body, anywhere},
		{"signed too long ago", signed(planted, now.Add(-5*time.Minute-time.Second), body), body, anywhere},
		{"signed in the future", signed(planted, now.Add(5*time.Minute+time.Second), body), body, anywhere},
		{"the right one behind five", given(strings.Replace(right, "v1=", strings.Repeat("v1=0,", 5)+"v1=", 1)), body, anywhere},
		{"outside of the binding", given(right), body, intake.Binding{Service: "bank", Environment: "*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := memory{}
			w := generic()
			w.Binding = c.bound
			_, found, err := w.Admit(t.Context(), now, c.header, []byte(c.body), seen)
			if found || adg.CodeOf(err) != adg.Unauthorized || len(seen) > 0 {
				t.Errorf("%t %v, remembered %v", found, err, seen)
			}
			if strings.Contains(fmt.Sprint(err), planted) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestOldAndNewSignatureMayStandSideBySideAndTheClockMayBeOff(t *testing.T) {
	body := event(good)
	at := now.Add(-4 * time.Minute)
	header := signed(planted, at, body)
	name := http.CanonicalHeaderKey(intake.SignatureHeader)
	header[name][0] = strings.Replace(header[name][0], "v1=", "v1=00,v1=", 1)
	if _, found, err := generic().Admit(t.Context(), now, header, []byte(body), memory{}); !found || err != nil {
		t.Errorf("%t %v", found, err)
	}
}

// The forges' events below are written from the documentation of their webhooks, cut down to what matters.
const (
	gitHubRelease = `{"action":"published","release":{"id":9,"tag_name":"v1.2.0","draft":false,"prerelease":false,"target_commitish":"main"},"repository":{"id":1,"full_name":"acme/shop"},"sender":{"login":"alice"}}`
	gitHubDeploy  = `{"action":"created","deployment":{"id":7,"sha":"f0e1","ref":"main","task":"deploy","environment":"prod"},"repository":{"full_name":"acme/shop"},"sender":{"login":"alice"}}`
	gitHubRun     = `{"action":"completed","workflow_run":{"id":5,"name":"build","head_branch":"main","head_sha":"f0e1","event":"push","conclusion":"success","head_repository":{"full_name":"acme/shop"}},"repository":{"full_name":"acme/shop"},"sender":{"login":"bob"}}`
	gitHubPush    = `{"ref":"refs/tags/v3","before":"0000","after":"aaaa","created":true,"deleted":false,"head_commit":{"id":"f0e1"},"repository":{"full_name":"acme/shop"},"sender":{"login":"bob"}}`

	gitLabPipeline = `{"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","tag":false,"sha":"bcbb5ec3","status":"success","source":"push"},"merge_request":null,"user":{"username":"root"},"project":{"path_with_namespace":"acme/team/shop"}}`
	gitLabDeploy   = `{"object_kind":"deployment","status":"success","deployment_id":15,"environment":"prod","ref":"v4","short_sha":"279484c0","user":{"username":"root"},"project":{"path_with_namespace":"acme/team/shop"}}`
	gitLabTag      = `{"object_kind":"tag_push","before":"0000000000000000000000000000000000000000","after":"82b3d5ae55f7080f1e6022629cdb57bfae7cccc7","ref":"refs/tags/v1.0.0","checkout_sha":"82b3d5ae","user_username":"jsmith","project":{"path_with_namespace":"acme/team/shop"}}`
	gitLabRelease  = `{"object_kind":"release","action":"create","id":1,"tag":"v1.1","name":"one","commit":{"id":"ee0a3fb3"},"project":{"path_with_namespace":"acme/team/shop"}}`
)

func forge(kind string) intake.Webhook {
	w := intake.Webhook{Kind: kind, Secret: adg.NewSecret(planted), Binding: anywhere}
	for event, repository := range map[string]string{"deployment": "", "release": "", "workflow_run": "acme/shop", "push": "acme/shop", "pipeline": "acme/team/shop", "tag_push": "acme/team/shop"} {
		if repository == "" {
			repository = map[string]string{intake.KindGitHub: "acme/shop", intake.KindGitLab: "acme/team/shop"}[kind]
		}
		r := intake.Rule{Event: event, Repository: repository, Service: "shop", Environment: "production", Artifact: "registry/shop:{version}"}
		if event == "workflow_run" {
			r.Workflow = "build"
		}
		if event == "deployment" {
			r.From = "prod"
		}
		w.Rules = append(w.Rules, r)
	}
	return w
}

func request(kind, event, id, body string) http.Header {
	h := http.Header{}
	if kind == intake.KindGitLab {
		h.Set("X-Gitlab-Token", planted)
		h.Set("X-Gitlab-Event-UUID", id)
		return h
	}
	mac := hmac.New(sha256.New, []byte(planted))
	mac.Write([]byte(body))
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	h.Set("X-GitHub-Event", event)
	h.Set("X-GitHub-Delivery", id)
	return h
}

const uuid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

func TestForgesEventsBecomeAnnouncements(t *testing.T) {
	for _, c := range []struct {
		name, kind, event, body string
		version, commit, ref    string
		actor                   string
	}{
		{"a release of GitHub", intake.KindGitHub, "release", gitHubRelease, "v1.2.0", "", "refs/tags/v1.2.0", "alice"},
		{"a deployment of GitHub", intake.KindGitHub, "deployment", gitHubDeploy, "main", "f0e1", "main", "alice"},
		{"a workflow of GitHub", intake.KindGitHub, "workflow_run", gitHubRun, "f0e1", "f0e1", "refs/heads/main", "bob"},
		{"a tag of GitHub", intake.KindGitHub, "push", gitHubPush, "v3", "f0e1", "refs/tags/v3", "bob"},
		{"a pipeline of GitLab", intake.KindGitLab, "", gitLabPipeline, "bcbb5ec3", "bcbb5ec3", "refs/heads/main", "root"},
		{"a pipeline of GitLab for a tag", intake.KindGitLab, "", strings.NewReplacer(`"tag":false`, `"tag":true`, `"main"`, `"v9"`).Replace(gitLabPipeline), "v9", "bcbb5ec3", "refs/tags/v9", "root"},
		{"a deployment of GitLab", intake.KindGitLab, "", gitLabDeploy, "v4", "279484c0", "v4", "root"},
		{"a tag of GitLab", intake.KindGitLab, "", gitLabTag, "v1.0.0", "82b3d5ae", "refs/tags/v1.0.0", "jsmith"},
		{"a release of GitLab", intake.KindGitLab, "", gitLabRelease, "v1.1", "ee0a3fb3", "refs/tags/v1.1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := memory{}
			got, found, err := forge(c.kind).Admit(t.Context(), now, request(c.kind, c.event, uuid, c.body), []byte(c.body), seen)
			want := intake.Announcement{
				Service: "shop", Environment: "production", Version: c.version, Commit: c.commit, Ref: c.ref, Actor: c.actor, Artifact: "registry/shop:" + c.version,
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(intake.Announcement{}, "Reason", "Origin", "IdempotencyKey")); err != nil || !found || diff != "" {
				t.Fatalf("%t %v %s", found, err, diff)
			}
			if len(seen) != 2 {
				t.Errorf("remembered %v", seen)
			}
			if _, _, err := forge(c.kind).Admit(t.Context(), now, request(c.kind, c.event, uuid, c.body), []byte(c.body), seen); adg.CodeOf(err) != adg.Conflict {
				t.Errorf("a repeat: %v", err)
			}
			other := strings.Replace(uuid, "7", "8", 1)
			if _, _, err := forge(c.kind).Admit(t.Context(), now, request(c.kind, c.event, other, c.body), []byte(c.body), seen); adg.CodeOf(err) != adg.Conflict {
				t.Errorf("a repeat under another id, which nobody signed: %v", err)
			}
		})
	}
}

func TestForgesEventsThatAskForNothingAreNoErrors(t *testing.T) {
	for _, c := range []struct{ name, kind, event, body string }{
		{"a ping", intake.KindGitHub, "ping", `{"zen":"x"}`},
		{"a draft", intake.KindGitHub, "release", strings.Replace(gitHubRelease, `"draft":false`, `"draft":true`, 1)},
		{"a release that is deleted", intake.KindGitHub, "release", strings.Replace(gitHubRelease, "published", "deleted", 1)},
		{"a release of another repository", intake.KindGitHub, "release", strings.Replace(gitHubRelease, "acme/shop", "acme/bank", 1)},
		{"a deployment elsewhere", intake.KindGitHub, "deployment", strings.Replace(gitHubDeploy, `"prod"`, `"qa"`, 1)},
		{"a workflow that failed", intake.KindGitHub, "workflow_run", strings.Replace(gitHubRun, "success", "failure", 1)},
		{"another workflow", intake.KindGitHub, "workflow_run", strings.Replace(gitHubRun, `"build"`, `"lint"`, 1)},
		{"a workflow for a fork with a branch called main", intake.KindGitHub, "workflow_run", strings.Replace(gitHubRun, `"head_repository":{"full_name":"acme/shop"}`, `"head_repository":{"full_name":"mallory/shop"}`, 1)},
		{"a workflow for a pull request", intake.KindGitHub, "workflow_run", strings.Replace(gitHubRun, `"event":"push"`, `"event":"pull_request_target"`, 1)},
		{"a push to a branch", intake.KindGitHub, "push", strings.Replace(gitHubPush, "refs/tags/", "refs/heads/", 1)},
		{"a tag that is moved", intake.KindGitHub, "push", strings.Replace(gitHubPush, `"created":true`, `"created":false`, 1)},
		{"a job", intake.KindGitLab, "", `{"object_kind":"build","ref":["x"]}`},
		{"a pipeline that runs", intake.KindGitLab, "", strings.Replace(gitLabPipeline, "success", "running", 1)},
		{"a pipeline of a merge request", intake.KindGitLab, "", strings.Replace(gitLabPipeline, `"source":"push"`, `"source":"merge_request_event"`, 1)},
		{"a deployment that begins", intake.KindGitLab, "", strings.Replace(gitLabDeploy, "success", "running", 1)},
		{"a tag that is deleted", intake.KindGitLab, "", strings.Replace(gitLabTag, "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", strings.Repeat("0", 40), 1)},
		{"a release that is changed", intake.KindGitLab, "", strings.Replace(gitLabRelease, `"create"`, `"update"`, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := memory{}
			a, found, err := forge(c.kind).Admit(t.Context(), now, request(c.kind, c.event, uuid, c.body), []byte(c.body), seen)
			if found || err != nil || len(seen) > 0 {
				t.Errorf("%+v %v %v", a, err, seen)
			}
		})
	}
}

func TestForgesRequestsThatProveNothingAreRefused(t *testing.T) {
	hub, lab := request(intake.KindGitHub, "release", uuid, gitHubRelease), request(intake.KindGitLab, "", uuid, gitLabRelease)
	change := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		if h.Del(name); value != "" {
			h.Set(name, value)
		}
		return h
	}
	for _, c := range []struct {
		name, kind string
		header     http.Header
		body       string
		want       adg.Code
	}{
		{"another body", intake.KindGitHub, hub, gitHubRelease + " ", adg.Unauthorized},
		{"no signature", intake.KindGitHub, change(hub, "X-Hub-Signature-256", ""), gitHubRelease, adg.Unauthorized},
		{"the old kind of signature", intake.KindGitHub, change(hub, "X-Hub-Signature-256", "sha1=00"), gitHubRelease, adg.Unauthorized},
		{"no delivery", intake.KindGitHub, change(hub, "X-GitHub-Delivery", ""), gitHubRelease, adg.Invalid},
		{"a delivery that is a path", intake.KindGitHub, change(hub, "X-GitHub-Delivery", "../../../etc"), gitHubRelease, adg.Invalid},
		{"a tag that is no version", intake.KindGitHub, request(intake.KindGitHub, "release", uuid, strings.Replace(gitHubRelease, "v1.2.0", "-rf", 1)), strings.Replace(gitHubRelease, "v1.2.0", "-rf", 1), adg.Invalid},
		{"a form", intake.KindGitHub, request(intake.KindGitHub, "release", uuid, "payload=1"), "payload=1", adg.Invalid},
		{"another token", intake.KindGitLab, change(lab, "X-Gitlab-Token", "another-secret-0815"), gitLabRelease, adg.Unauthorized},
		{"no token", intake.KindGitLab, change(lab, "X-Gitlab-Token", ""), gitLabRelease, adg.Unauthorized},
		{"no event id", intake.KindGitLab, change(lab, "X-Gitlab-Event-UUID", ""), gitLabRelease, adg.Invalid},
		{"no JSON", intake.KindGitLab, lab, "release", adg.Invalid},
		{"fields of other types", intake.KindGitLab, lab, `{"object_kind":"release","tag":7}`, adg.Invalid},
		{"a body as large as a film", intake.KindGitLab, lab, gitLabRelease + strings.Repeat(" ", intake.MaxBody), adg.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, found, err := forge(c.kind).Admit(t.Context(), now, c.header, []byte(c.body), memory{})
			if found || adg.CodeOf(err) != c.want || strings.Contains(fmt.Sprint(err), planted) {
				t.Errorf("%t %v", found, err)
			}
		})
	}
	bound := forge(intake.KindGitHub)
	bound.Binding.Ref = "refs/heads/main"
	if _, found, err := bound.Admit(t.Context(), now, hub, []byte(gitHubRelease), memory{}); found || adg.CodeOf(err) != adg.Unauthorized {
		t.Errorf("a tag where a branch is wanted: %t %v", found, err)
	}
}

func TestWebhookThatCannotWorkIsRefusedWithAllThatIsWrong(t *testing.T) {
	w := intake.Webhook{Kind: intake.KindGitHub, Secret: adg.NewSecret("short"), Rules: []intake.Rule{
		{Event: "issues", Repository: "shop", Workflow: "x", From: "y", Service: "a b", Environment: "e"},
	}}
	err := w.Check()
	for _, want := range []string{"secret:", "service: say", "rules[0]", `event "issues"`, "owner/name", "workflow", "from", `"a b"`} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	for _, w := range []intake.Webhook{generic(), {Kind: intake.KindGitHub, Secret: adg.NewSecret(planted), Binding: anywhere, Rules: []intake.Rule{
		{Event: "release", Repository: "acme/shop", Service: "shop", Environment: "production", Artifact: "r/shop:{version}-{commit}"},
	}}} {
		if err := w.Check(); err != nil {
			t.Error(err)
		}
	}
	if err := (intake.Webhook{Kind: "gitea", Secret: adg.NewSecret(planted), Binding: anywhere}).Check(); !strings.Contains(fmt.Sprint(err), "github or gitlab") {
		t.Error(err)
	}
}

func FuzzAdmit(f *testing.F) {
	for _, body := range []string{gitHubRelease, gitHubDeploy, gitHubRun, gitHubPush} {
		f.Add(intake.KindGitHub, "release", "", body)
		f.Add(intake.KindGitHub, "push", "", body)
	}
	for _, body := range []string{gitLabPipeline, gitLabDeploy, gitLabTag, gitLabRelease, `{"object_kind":"release","merge_request":1}`} {
		f.Add(intake.KindGitLab, "", "", body)
	}
	f.Add(intake.KindCloudEvents, "", "t=1,v1=0,,", event(good))
	f.Fuzz(func(t *testing.T, kind, event, signature, body string) {
		header := request(kind, event, uuid, body)
		if kind == intake.KindCloudEvents {
			header = signed(planted, now, body)
			if signature != "" {
				header.Set(intake.SignatureHeader, signature)
			}
		}
		a, found, err := forge(kind).Admit(t.Context(), now, header, []byte(body), memory{})
		if found && (err != nil || a.Validate() != nil) {
			t.Errorf("%+v came through: %v", a, err)
		}
		if found && kind == intake.KindCloudEvents && signature != "" && signature != remote.Sign(planted, now, []byte(body)) && !strings.Contains(signature, ",v1=") {
			t.Errorf("forged: %s", signature)
		}
	})
}
