package learn

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// The answers are written from GitHub's and GitLab's documentation.

func githubAt(id int, sha, env string, at time.Duration, more string) string {
	return fmt.Sprintf(`{"url":"https://api.github.com/repos/octo/shop/deployments/%d","id":%d,"node_id":"x","sha":"%s","ref":"main","task":"deploy","payload":{"a":"}["},
"original_environment":"%s","environment":"%s","description":null,"creator":{"login":"Ada","id":1},"created_at":"%s","updated_at":"x",
"statuses_url":"https://api.github.com/repos/octo/shop/deployments/%d/statuses","repository_url":"https://api.github.com/repos/octo/shop","transient_environment":false%s}`,
		id, id, strings.Repeat(sha, 40), env, env, start.Add(at).Format(time.RFC3339), id, more)
}

func githubState(id int, state string, at time.Duration) string {
	return fmt.Sprintf(`{"url":"https://api.github.com/repos/octo/shop/deployments/%d/statuses/1","id":1,"state":"%s","creator":{"login":"x"},"description":"","environment":"production",
"created_at":"%s","updated_at":"x","deployment_url":"https://api.github.com/repos/octo/shop/deployments/%d","repository_url":"https://api.github.com/repos/octo/shop"}`,
		id, state, start.Add(at).Format(time.RFC3339), id)
}

func github(t *testing.T, o Forge, answers ...string) History {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = late
	}
	var readers []io.Reader
	for _, a := range answers {
		readers = append(readers, strings.NewReader(a))
	}
	got, err := ReadGitHub(o, readers...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDeploymentsOfGitHubFailByTheirStatesAndByGoingBack(t *testing.T) {
	const p = "production"
	deployments := "[" + githubAt(1, "a", p, 0, "") + "," + githubAt(2, "b", p, 10*day, "") + "]\n[" + githubAt(3, "a", p, 10*day+hour, "") + "," +
		githubAt(4, "c", p, 20*day, "") + "]" + "[[" + githubAt(5, "c", p, 20*day+5*minute, "") + "]]" + githubAt(6, "d", p, 30*day, "") + "\n" + githubAt(7, "e", p, 40*day, "") +
		githubAt(8, "f", p, 50*day, "") + githubAt(8, "f", p, 50*day, "") + githubAt(9, "9", "pr-7", 50*day, `,"transient_environment":true`)
	states := "[" + strings.Join([]string{
		githubState(1, "success", minute), githubState(1, "inactive", 10*day), githubState(2, "success", 10*day+minute), githubState(3, "success", 10*day+hour+minute),
		githubState(4, "failure", 20*day+minute), githubState(5, "success", 20*day+6*minute), githubState(6, "error", 30*day+minute),
		githubState(7, "success", 40*day+minute), githubState(7, "failure", 40*day+hour), githubState(8, "in_progress", 50*day),
	}, ",") + "]"
	got := github(t, Forge{}, states, deployments)
	v := func(c string) string { return strings.Repeat(c, 12) }
	want(t, got, p+" shop →"+v("a")+" success", p+" shop "+v("a")+"→"+v("b")+" rolled-back", p+" shop "+v("b")+"→"+v("a")+" unknown", p+" shop "+v("a")+"→"+v("c")+" superseded",
		p+" shop "+v("a")+"→"+v("c")+" success", p+" shop "+v("c")+"→"+v("d")+" blocked", p+" shop "+v("c")+"→"+v("e")+" incident", p+" shop "+v("e")+"→"+v("f")+" unknown")
	if got.Deployments[0].Actor != pseudonym(nil, "", "ada@users.noreply.github.com") {
		t.Error("the actor is not the one of the commits")
	}
	if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "told twice") || !strings.Contains(notes, "thrown away") {
		t.Error(notes)
	}
	roundTrip(t, got)
}

func TestReleasesOfGitHubCountWhereThereAreNoDeployments(t *testing.T) {
	release := func(tag, body string, at time.Duration, more string) string {
		return fmt.Sprintf(`{"url":"https://api.github.com/repos/octo/shop/releases/%s","id":1,"tag_name":"%s","target_commitish":"main","name":"%s","body":"%s","draft":false,"prerelease":false,"created_at":"%s","published_at":"%s","author":{"login":"ada"}%s}`,
			tag, tag, tag, body, start.Format(time.RFC3339), start.Add(at).Format(time.RFC3339), more)
	}
	answer := release("v1.1.1", "Fix a crash", 10*day+hour, "") + release("v1.1.0", "news, and a fix", 10*day, "") + release("v1.0.0", "", 0, "") + release("v2.0.0-rc1", "", 20*day, `,"prerelease":true`)
	want(t, github(t, Forge{}, answer), "shop →v1.0.0 success", "shop v1.0.0→v1.1.0 hotfixed", "shop v1.1.0→v1.1.1 success")
}

func gitlabAt(id int, sha, status string, at time.Duration) string {
	return fmt.Sprintf(`{"created_at":"%s","updated_at":"%s","status":"%s","deployable":{"commit":{"author_email":"a@b.c","id":"x","message":"Merge","web_url":"https://gitlab.example.com/group/shop/-/commit/1"},
"created_at":"x","finished_at":null,"id":657,"name":"deploy","ref":"main","stage":"deploy","status":"success","tag":false,"user":{"username":"root"}},
"environment":{"external_url":"https://about.gitlab.com","id":9,"name":"production"},"id":%d,"iid":2,"ref":"main","sha":"%s","user":{"id":1,"name":"Administrator","username":"root"}}`,
		start.Add(at).Format(time.RFC3339Nano), start.Add(at+minute).Format(time.RFC3339Nano), status, id, strings.Repeat(sha, 40))
}

func TestDeploymentsOfGitLabFailByTheirStatusAndByGoingBack(t *testing.T) {
	answer := "[" + strings.Join([]string{
		gitlabAt(1, "a", "success", 0), gitlabAt(2, "b", "success", 10*day), gitlabAt(3, "a", "success", 10*day+hour), gitlabAt(4, "c", "failed", 20*day),
		gitlabAt(5, "d", "canceled", 21*day), gitlabAt(6, "e", "success", 22*day),
	}, ",") + "]"
	got, err := ReadGitLab(Forge{Options: Options{Now: late}}, strings.NewReader(answer))
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, d := range got.Deployments {
		outcomes = append(outcomes, d.Outcome.String())
	}
	if s := strings.Join(outcomes, " "); s != "success rolled-back unknown blocked unknown success" || got.Deployments[0].Service != "shop" || got.Deployments[0].Environment != "production" {
		t.Errorf("%s %+v", s, got.Deployments[0])
	}
	releases := `[{"tag_name":"v0.2","description":"x","name":"b","created_at":"2026-01-05T10:00:00Z","released_at":"2026-01-05T10:00:00Z","author":{"username":"root"},"commit":{"id":"` +
		strings.Repeat("a", 40) + `"},"_links":{"self":"https://gitlab.example.com/group/shop/-/releases/v0.2"}},{"tag_name":"v0.3","released_at":"2027-01-05T10:00:00Z","upcoming_release":true}]`
	if got, err = ReadGitLab(Forge{Options: Options{Now: late}}, strings.NewReader(releases)); err != nil {
		t.Fatal(err)
	}
	want(t, got, "shop →v0.2 success")
}

func TestABadAnswerIsRefusedAndAnEmptyOneIsEmpty(t *testing.T) {
	for name, text := range map[string]string{
		"cut off": `[{"sha":"a"`, "no list": `[1,2]`, "an open list": `[`, "no JSON": `{"sha" 1}`, "a wrong field": `{"sha":[]}`, "HTML": "<html>", "too deep": "[[[[", "a closing sign": "]",
	} {
		if _, err := ReadGitHub(Forge{}, strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error from GitHub", name)
		}
		if _, err := ReadGitLab(Forge{}, strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error from GitLab", name)
		}
	}
	for _, text := range []string{"", "[]", "[][]\n"} {
		if h := github(t, Forge{}, text); len(h.Deployments) != 0 || len(h.Notes) != 1 {
			t.Errorf("%q: %+v", text, h)
		}
	}
}

func FuzzGitHub(f *testing.F) {
	f.Add("[" + githubAt(1, "a", "p", 0, "") + githubState(1, "error", 0) + "]")
	f.Add(`{"tag_name":"v1","published_at":"2026-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t)(ReadGitHub(Forge{}, strings.NewReader(text))) })
}

func FuzzGitLab(f *testing.F) {
	f.Add("[" + gitlabAt(1, "a", "success", 0) + "]")
	f.Fuzz(func(t *testing.T, text string) { fuzzed(t)(ReadGitLab(Forge{}, strings.NewReader(text))) })
}

func fuzzed(t *testing.T) func(History, error) {
	return func(h History, err error) {
		if err == nil {
			_ = h.Summary().String()
			roundTrip(t, h)
		}
	}
}
