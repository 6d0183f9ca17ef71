package git

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// forgeServer answers as GitHub, GitLab and Gitea do, as far as their documentation says (docs.github.com "REST API
// endpoints for pull requests", docs.gitlab.com "Merge requests API", and Gitea's swagger): the answers are written from
// it, not recorded.
type forgeServer struct {
	*repository
	kind string

	lock     sync.Mutex
	requests []*asked
	merges   bool // at once
	broken   bool // the next request to open something fails
	limited  bool
	forbids  bool // the token may push, and open nothing
	raced    bool // somebody else opens the next request first
}

type asked struct {
	number                     int
	branch, title, body, state string // state: open, closed, merged
	fork                       bool   // it leads from another repository
}

var answers = map[string]string{
	"github": `{"url":"https://api.example.com/repos/team/deploy/pulls/%[1]d","id":1,"number":%[1]d,"state":%[3]q,"locked":false,"title":"t","html_url":"https://example.com/team/deploy/pull/%[1]d","user":{"login":"adg"},"merged_at":%[4]s,"head":{"label":"team:%[2]s","ref":%[2]q,"sha":"c0ffee","repo":{"id":%[7]d}},"base":{"ref":"main","repo":{"id":3}},"draft":false}`,
	"gitea":  `{"id":1,"url":"https://example.com/team/deploy/pulls/%[1]d","number":%[1]d,"title":"t","state":%[3]q,"html_url":"https://example.com/team/deploy/pulls/%[1]d","mergeable":true,"merged":%[5]t,"merged_at":%[4]s,"base":{"label":"main","ref":"main","repo_id":3},"head":{"label":%[2]q,"ref":%[2]q,"repo_id":%[7]d}}`,
	"gitlab": `{"id":7,"iid":%[1]d,"project_id":3,"source_project_id":%[7]d,"target_project_id":3,"title":"t","state":%[6]q,"merged_at":%[4]s,"target_branch":"main","source_branch":%[2]q,"web_url":"https://example.com/team/deploy/-/merge_requests/%[1]d","draft":false}`,
}

func (f *forgeServer) answer(a *asked) string {
	state, at, lab := a.state, "null", map[string]string{"open": "opened", "closed": "closed", "merged": "merged"}[a.state]
	if a.state == "merged" {
		state, at = "closed", `"2026-01-01T00:00:00Z"`
	}
	from := 3
	if a.fork {
		from = 4
	}
	return fmt.Sprintf(answers[f.kind]+"\n", a.number, a.branch, state, at, a.state == "merged", lab, from)
}

func newForge(t *testing.T, kind string) *forgeServer {
	t.Helper()
	f := &forgeServer{repository: newRepository(t), kind: kind}
	base := map[string]string{"github": "/api/v3/repos/team/deploy/pulls", "gitea": "/api/v1/repos/team/deploy/pulls", "gitlab": "/api/v4/projects/team%2Fdeploy/merge_requests"}[kind]
	f.api = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.lock.Lock()
		defer f.lock.Unlock()
		path, found := strings.CutPrefix(req.URL.EscapedPath(), base)
		switch {
		case req.Header.Get("Authorization") != "Bearer "+targettest.Planted:
			http.Error(w, `{"message":"Bad credentials `+targettest.Planted+`"}`, http.StatusUnauthorized)
		case f.limited:
			w.Header().Set("X-RateLimit-Remaining", "0")
			http.Error(w, `{"message":"API rate limit exceeded"}`, http.StatusForbidden)
		case !found:
			http.NotFound(w, req)
		case req.Method == http.MethodGet && path == "":
			f.list(w, req)
		case req.Method == http.MethodPost && path == "":
			f.create(t, w, req)
		case req.Method == http.MethodGet && kind == "gitea":
			f.one(w, strings.TrimPrefix(path, "/main/"))
		case req.Method == dialects[kind].method && strings.HasPrefix(path, "/"):
			f.shut(w, path[1:], req)
		default:
			http.NotFound(w, req)
		}
	})
	return f
}

func (f *forgeServer) list(w http.ResponseWriter, req *http.Request) {
	var listed []string
	for i := len(f.requests) - 1; i >= 0; i-- {
		a := f.requests[i]
		wanted := strings.TrimPrefix(req.FormValue("head")+req.FormValue("source_branch"), "team:")
		if (wanted == "" || wanted == a.branch) && (a.state == "open" || req.FormValue("state") == "all") && len(listed) < f.page(req) {
			listed = append(listed, f.answer(a))
		}
	}
	fmt.Fprintf(w, "[%s]", strings.Join(listed, ","))
}

// page is how many are listed at once.
func (f *forgeServer) page(req *http.Request) int {
	n, err := strconv.Atoi(req.FormValue("per_page") + req.FormValue("limit"))
	if most := map[string]int{"gitea": 50}[f.kind]; err == nil && (most == 0 || n <= most) {
		return n
	}
	return 20
}

// one answers as Gitea does: with any request from a branch of its own, whatever has become of it.
func (f *forgeServer) one(w http.ResponseWriter, branch string) {
	for _, a := range f.requests {
		if a.branch == branch && !a.fork {
			fmt.Fprint(w, f.answer(a))
			return
		}
	}
	http.Error(w, `{"message":"pull request does not exist"}`, http.StatusNotFound)
}

func (f *forgeServer) create(t *testing.T, w http.ResponseWriter, req *http.Request) {
	var fields map[string]string
	if json.NewDecoder(req.Body).Decode(&fields) != nil || f.broken {
		f.broken = false
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if f.forbids {
		http.Error(w, `{"message":"Resource not accessible by personal access token"}`, http.StatusForbidden)
		return
	}
	branch := fields["head"] + fields["source_branch"]
	if f.raced {
		f.raced = false
		f.requests = append(f.requests, &asked{number: len(f.requests) + 1, branch: branch, state: "open"})
	}
	for _, a := range f.requests {
		if a.branch == branch && a.state == "open" {
			refusal := map[string]int{"github": http.StatusUnprocessableEntity, "gitea": http.StatusConflict, "gitlab": http.StatusConflict}
			http.Error(w, `{"message":"A pull request already exists"}`, refusal[f.kind])
			return
		}
	}
	if f.tip(branch) == "" {
		http.Error(w, `{"message":"head is invalid"}`, http.StatusUnprocessableEntity)
		return
	}
	a := &asked{len(f.requests) + 1, branch, fields["title"], fields["body"] + fields["description"], "open", false}
	f.requests = append(f.requests, a)
	if f.merges {
		f.merge(t, a)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, f.answer(a))
}

func (f *forgeServer) shut(w http.ResponseWriter, number string, req *http.Request) {
	var fields map[string]string
	_ = json.NewDecoder(req.Body).Decode(&fields)
	for _, a := range f.requests {
		if fmt.Sprint(a.number) == number && a.state == "open" && (fields["state"] == "closed" || fields["state_event"] == "close") {
			a.state = "closed"
			fmt.Fprint(w, f.answer(a))
			return
		}
	}
	http.Error(w, `{"message":"cannot be closed"}`, http.StatusUnprocessableEntity)
}

// tip is where a branch is; empty: there is none.
func (f *forgeServer) tip(branch string) string {
	cmd := exec.Command("git", "--git-dir", f.dir, "rev-parse", "--verify", "--quiet", "refs/heads/"+branch)
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

// merge squashes the branch into main, as many teams have it: the commit that ADG made is not there afterwards.
func (f *forgeServer) merge(t *testing.T, a *asked) {
	f.git(t, nil, "update-ref", "refs/heads/main", f.git(t, nil, "-c", "user.name=forge", "-c", "user.email=forge@example.com",
		"commit-tree", a.branch+"^{tree}", "-p", "main", "-m", a.title+"\n\n"+a.body))
	a.state = "merged"
}

func (f *forgeServer) Break(t *testing.T, fault targettest.Fault) func() {
	if fault != targettest.Halfway {
		return f.repository.Break(t, fault)
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.broken = true
	return func() {}
}

func (f *forgeServer) options(t *testing.T) Options {
	o := f.repository.options(t)
	o.Mode, o.Forge.Type = pullRequest, f.kind
	return o
}

// state is what became of a request.
func (f *forgeServer) state(number int) string {
	f.lock.Lock()
	defer f.lock.Unlock()
	if number > len(f.requests) {
		return "none"
	}
	return f.requests[number-1].state
}

func TestTheGitTargetKeepsTheContractByRequestsThatAreMerged(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			f := newForge(t, "github")
			f.merges = true
			o := f.options(t)
			return targettest.Fixture{
				Target: openAt(t, o, t.TempDir()), World: f, Reopen: func(t *testing.T) adg.Target { return openAt(t, o, t.TempDir()) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway},
	})
}

func TestAReleaseIsLiveWhenItsRequestIsMerged(t *testing.T) {
	t.Parallel()
	for kind := range dialects {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, kind)
			o := f.options(t)
			target := openAt(t, o, t.TempDir())
			want := targettest.Want("shop-v2-abc/1", 2, 100)
			for range 2 { // the second time by another machine
				seen := mustApply(t, target, want)
				if seen.Done || seen.OpID != want.OpID || !strings.Contains(seen.Text, "https://example.com/team/deploy/") || f.Shares(t)["v1"] != 100 {
					t.Errorf("got %+v", seen)
				}
				target = openAt(t, o, t.TempDir())
			}
			if f.state(1) != "open" || f.state(2) != "none" {
				t.Fatalf("requests: %s, %s", f.state(1), f.state(2))
			}
			late := want
			late.OpID, late.Fence = "shop-v2-abc/2", 1
			if _, err := target.Apply(t.Context(), late); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("an owner whose time is over: %v", err)
			}
			f.merge(t, f.requests[0])
			if seen, err := target.Current(t.Context()); err != nil || !seen.Done || seen.Releases[0].Release.Version != "v2" {
				t.Errorf("merged: %+v, %v", seen, err)
			}
			back := targettest.Rollback("shop-v2-abc/2", 3)
			seen := mustApply(t, target, back)
			if seen.Done || f.state(2) != "open" || !strings.Contains(f.requests[1].body, "This reverts commit") {
				t.Errorf("the way back: %+v, %s, %+v", seen, f.state(2), f.requests[1])
			}
			f.requests[1].state = "closed"
			if seen, err := target.Current(t.Context()); err != nil || !seen.Failed || !strings.Contains(seen.Text, "closed and not merged") {
				t.Errorf("closed: %+v, %v", seen, err)
			}
		})
	}
}

// TestARequestIsFoundAmongThoseOfOthers has many newer requests, one of them from a fork's branch of the same name.
func TestARequestIsFoundAmongThoseOfOthers(t *testing.T) {
	t.Parallel()
	for kind := range dialects {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, kind)
			target := openAt(t, f.options(t), t.TempDir())
			want := targettest.Want("shop-v2-abc/1", 2, 100)
			mustApply(t, target, want)
			f.lock.Lock()
			for i := range 60 {
				f.requests = append(f.requests, &asked{number: len(f.requests) + 1, branch: fmt.Sprint("other-", i), state: "open"})
			}
			f.requests = append(f.requests, &asked{number: len(f.requests) + 1, branch: f.requests[0].branch, state: "closed", fork: true},
				&asked{number: len(f.requests) + 2, branch: f.requests[0].branch, state: "open", fork: true})
			f.lock.Unlock()
			seen, err := target.Current(t.Context())
			if err != nil || seen.Failed || seen.OpID != want.OpID || !strings.HasSuffix(seen.Text, "/1") {
				t.Errorf("got %+v, %v", seen, err)
			}
			f.merge(t, f.requests[0])
			if seen, err := target.Current(t.Context()); err != nil || !seen.Done || seen.OpID != "" {
				t.Errorf("merged: %+v, %v", seen, err)
			}
		})
	}
}

// TestARequestThatAPersonOpenedAgainCounts has a closed request and a newer one from the same branch.
func TestARequestThatAPersonOpenedAgainCounts(t *testing.T) {
	t.Parallel()
	for kind := range dialects {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, kind)
			target := openAt(t, f.options(t), t.TempDir())
			mustApply(t, target, targettest.Want("shop-v2-abc/1", 2, 100))
			f.lock.Lock()
			f.requests[0].state = "closed"
			f.requests = append(f.requests, &asked{number: 2, branch: f.requests[0].branch, state: "open"})
			f.lock.Unlock()
			if seen, err := target.Current(t.Context()); err != nil || seen.Failed || !strings.HasSuffix(seen.Text, "/2") {
				t.Errorf("got %+v, %v", seen, err)
			}
		})
	}
}

func TestARequestThatIsOutOfDateIsClosed(t *testing.T) {
	t.Parallel()
	f := newForge(t, "github")
	target := openAt(t, f.options(t), t.TempDir())
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	seen := mustApply(t, target, targettest.Rollback("shop-v2-abc/2", 1)) // the branch says v1 all the time
	if f.state(1) != "closed" || f.state(2) != "none" || !seen.Done || seen.Failed {
		t.Errorf("%+v, requests: %s, %s", seen, f.state(1), f.state(2))
	}
	if branches := f.git(t, nil, "branch", "--list", "adg/*"); branches != "" {
		t.Errorf("left behind: %s", branches)
	}
}

func TestALimitOfTheForgeIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newForge(t, "github")
	f.limited = true
	_, err := openAt(t, f.options(t), t.TempDir()).Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
	if _, asked := adg.RetryAfter(err); !asked || adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestTheAddressOfTheAPIFollowsFromTheRepository(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, repository, api, project string }{
		{"github", "https://github.com/team/deploy.git", "https://api.github.com", "/repos/team/deploy"},
		{"github", "https://git.example.com/team/deploy", "https://git.example.com/api/v3", "/repos/team/deploy"},
		{"gitlab", "ssh://git@git.example.com:2222/group/team/deploy.git", "https://git.example.com/api/v4", "/projects/group%2Fteam%2Fdeploy"},
		{"gitea", "https://git.example.com:3000/team/deploy.git", "https://git.example.com:3000/api/v1", "/repos/team/deploy"},
	} {
		o := Driver.Options.(Options)
		o.Repository, o.Forge.Type, o.Token, o.Key, o.KnownHosts = c.repository, c.kind, adg.NewSecret("x"), adg.NewSecret("x"), "x"
		at, err := parseAddress(o)
		if err != nil {
			t.Fatal(err)
		}
		f, err := openForge(o, at)
		if err != nil || f.api != c.api || f.project != c.project {
			t.Errorf("%s: %+v, %v", c.repository, f, err)
		}
	}
}
