package change

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

// The same change as in known, as a pipeline tells it.
const knownPayload = `{
	"from": "v1", "to": "v2", "live_at": "2021-05-01T00:00:00Z", "at": "2021-05-12T00:00:00Z",
	"files": [
		{"path": "api/a.py", "added": 3, "deleted": 1, "lines": 12},
		{"path": "db/migrations/1.sql", "status": "added", "added": 4},
		{"path": "web/v.js", "old_path": "web/w.js", "status": "renamed", "lines": 4}
	],
	"commits": [
		{"id": "1", "author": "ann", "email": "ann@example.org", "message": "Fixes a bug", "at": "2021-05-11T00:00:00Z"},
		{"id": "2", "author": "cyd", "email": "cyd@example.org", "message": "table", "at": "2021-05-12T00:00:00Z"}
	],
	"versions_skipped": 0
}`

// The same, in the shape of GitHub's documentation of "compare two commits", cut to what matters.
const knownGitHub = `{
	"url": "https://api.github.com/x", "status": "ahead", "ahead_by": 2, "behind_by": 0, "total_commits": 2,
	"base_commit": {"sha": "v1", "commit": {"committer": {"date": "2021-05-01T00:00:00Z"}}},
	"commits": [
		{"sha": "1", "parents": [{}], "commit": {"message": "Fixes a bug", "author": {"name": "ann", "email": "ann@example.org"}, "committer": {"date": "2021-05-11T00:00:00Z"}}},
		{"sha": "2", "parents": [{}], "commit": {"message": "table", "author": {"name": "cyd", "email": "cyd@example.org"}, "committer": {"date": "2021-05-12T00:00:00Z"}}}
	],
	"files": [
		{"filename": "api/a.py", "status": "modified", "additions": 3, "deletions": 1, "changes": 4},
		{"filename": "db/migrations/1.sql", "status": "added", "additions": 4},
		{"filename": "web/v.js", "previous_filename": "web/w.js", "status": "renamed"}
	]
}`

func TestAPayloadGivesTheSameMeasuresAsTheRepository(t *testing.T) {
	h, live, next := known(t)
	whole := measure(t, open(t, h.dir, Options{}), live, next)
	for name, c := range map[string]struct {
		json  string
		blind []string // measures that this payload cannot have
	}{
		"our own shape":    {knownPayload, nil},
		"GitHub's compare": {knownGitHub, []string{"lt", "versions_skipped"}},
	} {
		got, err := FromPayload([]byte(c.json), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := map[string]float64{}
		for _, m := range Catalogue() {
			if m.Source != fromHistory && m.Source != fromContent || m.Name == "lt" {
				want[m.Name] = whole.Measures[m.Name]
			}
		}
		for _, blind := range c.blind {
			delete(want, blind)
		}
		if diff := cmp.Diff(want, got.Measures); diff != "" {
			t.Errorf("%s (-repository +payload):\n%s", name, diff)
		}
		if diff := cmp.Diff(whole.Authors, got.Authors); diff != "" {
			t.Errorf("%s: authors (-repository +payload):\n%s", name, diff)
		}
	}
}

func TestAPayloadSaysWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		name, json string
		know, miss []string
	}{
		{"files only", `{"files":[{"path":"a.go","added":1}]}`, []string{"nf", "la"}, []string{"n_commits", "fix", "lt", "exp", "oldest_commit_h"}},
		{"commits only", `{"commits":[{"author":"x","message":"fix"}]}`, []string{"n_commits", "fix"}, []string{"nf", "la", "entropy", "migrations", "oldest_commit_h", "ndev"}},
		{"nothing", `{}`, nil, []string{"nf", "la", "n_commits", "lt"}},
		{"a list that was cut", `{"incomplete":true,"files":[{"path":"a.go","added":1}],"versions_skipped":3}`, []string{"versions_skipped"}, []string{"nf", "la"}},
	} {
		got, err := FromPayload([]byte(c.json), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, name := range c.know {
			if _, found := got.Measures[name]; !found {
				t.Errorf("%s: %s is missing", c.name, name)
			}
		}
		expectMissing(t, got, c.miss...)
		if len(got.Measures)+len(got.Missing) != len(Catalogue()) {
			t.Errorf("%s: %d measures and %d missing are not all of them", c.name, len(got.Measures), len(got.Missing))
		}
	}
}

func TestABadPayloadIsRefusedWithAReason(t *testing.T) {
	for _, c := range []struct{ name, json, says string }{
		{"no JSON", `x`, "invalid character"},
		{"a word that is not known", `{"file":[]}`, `"file"`},
		{"two objects", `{}{}`, "after top-level value"},
		{"a file without a path", `{"files":[{"added":1}]}`, "needs a path"},
		{"lines below zero", `{"files":[{"path":"a\u001b[0m","added":-1}]}`, `"a\u001b[0m"`},
		{"a feature that is no number", `{"features":{"tests_failed":"two"}}`, "cannot unmarshal string"},
		{"a feature that is infinite", `{"features":{"tests_failed":1e999}}`, "cannot unmarshal number"},
		{"too many features", `{"features":{` + strings.TrimSuffix(manyFeatures(), ",") + `}}`, "201 features"},
		{"a status that is not known", `{"files":[{"path":"a","status":"eaten"}]}`, "status"},
	} {
		_, err := FromPayload([]byte(c.json), nil)
		if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func manyFeatures() string {
	var out strings.Builder
	for i := range 201 {
		fmt.Fprintf(&out, `"f%d":1,`, i)
	}
	return out.String()
}

func TestWhatElseAPipelineKnowsGoesWithItsMeasures(t *testing.T) {
	got, err := FromPayload([]byte(`{"files":[{"path":"a.go","added":1}],"features":{"tests_failed":2,"exp":40}}`), nil)
	if err != nil || got.Measures["tests_failed"] != 2 || got.Measures["exp"] != 40 || got.Measures["la"] != 1 {
		t.Errorf("%v %v", got.Measures, err)
	}
	for _, name := range got.Missing {
		if name == "exp" {
			t.Error("what the pipeline tells is missing")
		}
	}
}
