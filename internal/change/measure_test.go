package change

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

// known is a history whose measures were worked out by hand.
func known(t *testing.T) (h *history, live, next string) {
	h = newHistory(t)
	h.commit("ann", "2020-06-01", "begin", put("api/a.py", numbered(10)), put("web/w.js", numbered(4)), put("README.md", "a\nb\n"))
	h.commit("bob", "2021-03-01", "more", put("api/a.py", numbered(12)))
	live = h.commit("ann", "2021-05-01", "web", put("web/w.js", "first\n"+strings.TrimPrefix(numbered(4), "line 0\n")))
	h.git("tag", "v1")
	h.commit("ann", "2021-05-11", "Fixes a bug", put("api/a.py", "one\ntwo\nthree\n"+strings.TrimPrefix(numbered(12), "line 0\n")))
	next = h.commit("cyd", "2021-05-12", "table", put("db/migrations/1.sql", "create\ntable\nwith\nrows\n"), move("web/w.js", "web/v.js"))
	h.git("tag", "v2")
	return h, live, next
}

func TestTheFourteenMeasuresAreThoseWorkedOutByHand(t *testing.T) {
	h, live, next := known(t)
	c := measure(t, open(t, h.dir, Options{}), live, next)
	expect(t, c, map[string]float64{
		"ns": 3, "nd": 3, "nf": 3, // api/a.py, db/migrations/1.sql and web/v.js, which is a rename
		"la": 7, "ld": 1, // 3 and 1 in a.py, 4 in 1.sql
		"entropy": 1 / math.Log2(3), // 4, 4 and 0 changed lines
		"lt":      (12.0 + 4 + 0) / 3,
		"fix":     0.5,                 // of two commits
		"ndev":    2,                   // ann and bob
		"age":     (72.0 + 11) / 2,     // a.py on March 1, w.js on May 1; now is May 12
		"nuc":     2,                   // the second and the third commit
		"exp":     (2.0 + 0) / 2,       // ann made two, cyd none
		"rexp":    (1 + 1.0/2 + 0) / 2, // one this year, one last year
		"sexp":    (1.0 + 2 + 0) / 2,   // ann: once in api, twice in web
	})
	expect(t, c, map[string]float64{
		"min_exp": 0, "npriorchanges": 4, "newfiles": 1, "renames": 1, "deleted_files": 0, "n_commits": 2, "n_authors": 2, "bot_share": 0,
		"migrations": 1, "oldest_commit_h": 24, "batch_age_h": 11 * 24, "versions_skipped": 0, "commits_undone": 0,
	})
	if want := []string{"api/a.py", "db/migrations/1.sql", "web/v.js"}; !slices.Equal(c.Paths, want) {
		t.Errorf("paths %q, want %q", c.Paths, want)
	}
	if c.From != live || c.To != next || c.Oldest.Format("2006-01-02") != "2021-05-11" || len(c.Authors) != 2 {
		t.Errorf("got %+v", c)
	}
}

func TestOneCommitHasTheMeasuresOfTheLiterature(t *testing.T) {
	h, _, _ := known(t)
	c := measure(t, open(t, h.dir, Options{}), "v2~2", "v2~1")
	expect(t, c, map[string]float64{
		"ns": 1, "nd": 1, "nf": 1, "la": 3, "ld": 1, "entropy": 0, "lt": 12, "fix": 1, "ndev": 2, "age": 71, "nuc": 1, "exp": 2, "rexp": 1.5, "sexp": 1,
	})
}

func TestEveryMeasureIsInTheCatalogueAndNoneIsMissingInAWholeRepository(t *testing.T) {
	h, live, next := known(t)
	c := measure(t, open(t, h.dir, Options{}), live, next)
	if len(c.Missing) > 0 || len(c.Notes) > 0 {
		t.Errorf("missing %q: %q", c.Missing, c.Notes)
	}
	names := map[string]bool{}
	for _, m := range Catalogue() {
		if names[m.Name] || m.Unit == "" || m.Source == "" || m.Text == "" {
			t.Errorf("%+v is there twice, or not described", m)
		}
		names[m.Name] = true
	}
	for name := range c.Features() {
		if !names[name] {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
}

func TestNothingChangedIsMeasuredAsNothing(t *testing.T) {
	h, live, _ := known(t)
	c := measure(t, open(t, h.dir, Options{}), live, live)
	if len(c.Missing) > 0 {
		t.Errorf("missing: %q", c.Missing)
	}
	for name, value := range c.Measures {
		if value != 0 {
			t.Errorf("%s is %v", name, value)
		}
	}
}

func TestGoingBackIsMeasuredAsCommitsUndone(t *testing.T) {
	h, live, next := known(t)
	c := measure(t, open(t, h.dir, Options{}), next, live)
	expect(t, c, map[string]float64{"commits_undone": 2, "n_commits": 0, "la": 1, "ld": 7, "exp": 0, "min_exp": 0, "batch_age_h": 0, "oldest_commit_h": 0})
}

func TestAMergeCountsByItsCommitsOrAsOne(t *testing.T) {
	h := newHistory(t)
	base := h.commit("ann", "2021-01-01", "begin", put("a.go", numbered(3)))
	h.on("side", base)
	h.commit("bob", "2021-01-02", "one", put("b.go", numbered(5)))
	side := h.commit("bob", "2021-01-03", "two", put("b.go", numbered(6)))
	h.on("main", "")
	live := h.merge("ann", "2021-01-04", "Merge side", side, put("b.go", numbered(6)))
	h.commit("bob", "2021-01-05", "next", put("b.go", numbered(7)))
	expect(t, measure(t, open(t, h.dir, Options{}), live, "main"), map[string]float64{"lt": 6, "npriorchanges": 2, "exp": 2, "ndev": 1, "age": 2, "n_commits": 1})
	expect(t, measure(t, open(t, h.dir, Options{FirstParent: true}), live, "main"), map[string]float64{"lt": 6, "npriorchanges": 1, "exp": 0, "ndev": 1, "age": 1})
	expect(t, measure(t, open(t, h.dir, Options{}), base, live), map[string]float64{"n_commits": 2, "la": 6, "nf": 1, "newfiles": 1})
	expect(t, measure(t, open(t, h.dir, Options{FirstParent: true}), base, live), map[string]float64{"n_commits": 1, "la": 6, "n_authors": 1})
}

func TestHistoryFollowsRenamesAndCopiesAndEndsWithTheFile(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "begin", put("old.go", numbered(20)), put("gone.go", numbered(9)))
	h.commit("bob", "2021-01-02", "rename and edit", move("old.go", "new.go"), put("new.go", numbered(21)))
	live := h.commit("ann", "2021-01-03", "remove", drop("gone.go"))
	h.commit("cyd", "2021-01-04", "again", put("new.go", numbered(22)), put("gone.go", "x\n"), put("copy.go", numbered(21)))
	c := measure(t, open(t, h.dir, Options{}), live, "main")
	expect(t, c, map[string]float64{"nf": 3, "ndev": 2, "npriorchanges": 4, "lt": 42.0 / 3, "newfiles": 1, "renames": 1})
}

func TestAFileUnderTheFormerNameOfAnotherStartsWithoutItsHistory(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "begin", put("old", numbered(9)))
	h.commit("ann", "2021-01-02", "move", move("old", "new"))
	live := h.commit("bob", "2021-01-03", "another", put("old", "one\n"))
	next := h.commit("cyd", "2021-01-04", "edit", put("old", "one\ntwo\n"))
	expect(t, measure(t, open(t, h.dir, Options{}), live, next), map[string]float64{"ndev": 1, "npriorchanges": 1, "lt": 1})
}

func TestRevertsRelandsAndFixesAreToldByTheirMessages(t *testing.T) {
	for _, c := range []struct {
		name, message string
		want          word
	}{
		{"a revert as git writes it", "Revert \"add x\"\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.", word{revert: true}},
		{"a revert in one's own words", "reverting the cache", word{revert: true}},
		{"a revert of a revert brings it back", "Revert \"Revert \"add x\"\"\n\nThis reverts commit 0123456.", word{reland: true}},
		{"git's own word for bringing back", "Reapply \"add x\"", word{reland: true}},
		{"a re-land", "Re-land: add x", word{reland: true}},
		{"a fix", "hotfix for the login", word{fix: true}},
		{"a prefix is no fix", "prefixed suffixes of dispatchers and debugging", word{}},
		{"reverting is spoken of later", "Explain how to revert", word{}},
	} {
		if got := read(c.message); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestBotsAreToldFromPeople(t *testing.T) {
	for _, who := range []string{"dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>", "Renovate Bot <renovate@whitesourcesoftware.com>",
		"github-actions <github-actions@github.com>", "some-thing[bot] <x@y>", "release <deploy-bot@corp.example>", "GitHub Actions <a@b>"} {
		name, email, _ := strings.Cut(strings.TrimSuffix(who, ">"), " <")
		if !isBot(name, email) {
			t.Errorf("%s is a bot", who)
		}
	}
	for _, who := range []string{"Abbott <abbott@example.org>", "Jenkinson <j@example.org>", "Bob Otter <bot.ter@example.org>", "Travisa <t@x>"} {
		name, email, _ := strings.Cut(strings.TrimSuffix(who, ">"), " <")
		if isBot(name, email) {
			t.Errorf("%s is no bot", who)
		}
	}
}

func TestBotsDoNotDiluteTheExperienceOfPeople(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "1", put("a", "1\n"))
	h.commit("ann", "2021-01-02", "2", put("a", "2\n"))
	live := h.commit("renovate[bot] <bot@renovateapp.com>", "2021-01-03", "bump", put("go.sum", "x\n"))
	h.commit("ann", "2021-01-04", "3", put("a", "3\n"))
	h.commit("renovate[bot] <bot@renovateapp.com>", "2021-01-05", "bump", put("go.sum", "y\n"))
	c := measure(t, open(t, h.dir, Options{}), live, "main")
	expect(t, c, map[string]float64{"exp": 2, "bot_share": 0.5, "n_authors": 1, "n_commits": 2})
	expect(t, measure(t, open(t, h.dir, Options{}), "main~1", "main"), map[string]float64{"exp": 1, "bot_share": 1, "n_authors": 0})
}

func TestAMailmapMakesTwoAddressesOnePerson(t *testing.T) {
	h := newHistory(t)
	h.commit("Ann <ann@home>", "2021-01-01", "1", put("a", "1\n"), put(".mailmap", "Ann <ann@work> <ann@home>\n"))
	live := h.commit("Ann <ann@work>", "2021-01-02", "2", put("a", "2\n"))
	h.commit("Ann <ANN@work>", "2021-01-03", "3", put("a", "3\n"))
	expect(t, measure(t, open(t, h.dir, Options{}), live, "main"), map[string]float64{"exp": 2, "ndev": 1})
}

func TestSubsystemsAreTheRootsOfServicesWhereTheyAreConfigured(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "1", put("svc/a/x", "1\n"), put("svc/b/x", "1\n"), put("top", "1\n"))
	live := h.commit("ann", "2021-01-02", "2", put("svc/a/x", "2\n"))
	h.commit("ann", "2021-01-03", "3", put("svc/a/x", "3\n"), put("svc/b/y", "3\n"), put("svc/ab", "3\n"))
	expect(t, measure(t, open(t, h.dir, Options{}), live, "main"), map[string]float64{"ns": 1, "sexp": 2})
	expect(t, measure(t, open(t, h.dir, Options{Roots: []string{"./svc/a/", "svc/b"}}), live, "main"), map[string]float64{"ns": 3, "sexp": 3})
}

func TestOnlyWhatTheServiceIsBuiltFromCountsInItsScope(t *testing.T) {
	h := newHistory(t)
	live := h.commit("ann", "2021-01-01", "1", put("svc/a/x", "1\n"), put("svc/b/x", "1\n"))
	h.commit("ann", "2021-01-02", "fix a", put("svc/a/x", "2\n"))
	h.commit("bob", "2021-01-03", "b", put("svc/b/x", "2\n"), put("svc/ab/x", "2\n"))
	h.commit("cyd", "2021-01-04", "leave a", move("svc/a/x", "svc/b/z"))
	c := measure(t, open(t, h.dir, Options{Scope: []string{"svc/a"}}), live, "main")
	expect(t, c, map[string]float64{"nf": 1, "n_commits": 2, "n_authors": 2, "fix": 0.5})
}

func TestVersionsBetweenTheTwoReleasesWereSkipped(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "1", put("a", "1\n"))
	h.git("tag", "v1")
	h.commit("ann", "2021-01-02", "2", put("a", "2\n"))
	h.git("tag", "-a", "-m", "annotated", "v2")
	h.git("tag", "v2-same")
	h.commit("ann", "2021-01-03", "3", put("a", "3\n"))
	h.git("tag", "other-3")
	h.commit("ann", "2021-01-04", "4", put("a", "4\n"))
	h.git("tag", "-a", "-m", "annotated", "v4")
	expect(t, measure(t, open(t, h.dir, Options{}), "v1", "v4"), map[string]float64{"versions_skipped": 2})
	expect(t, measure(t, open(t, h.dir, Options{Tags: "v*"}), "v1", "v4"), map[string]float64{"versions_skipped": 1})
	expect(t, measure(t, open(t, h.dir, Options{}), "v2", "other-3"), map[string]float64{"versions_skipped": 0})
	expectMissing(t, measure(t, open(t, h.dir, Options{Tags: "none-*"}), "v1", "v4"), "versions_skipped")
}

func TestWhatToolsWroteIsLeftOutAndCountedApart(t *testing.T) {
	h := newHistory(t)
	live := h.commit("ann", "2021-01-01", "1", put("a.go", "package a\n"),
		put(".gitattributes", "gen/** linguist-generated\n*.lib linguist-vendored=true\nvendor/ours/** -linguist-vendored\n*.psd filter=lfs diff=lfs\n"),
		put("sub/.gitattributes", "*.tpl linguist-generated\n"))
	h.commit("ann", "2021-01-02", "2", put("a.go", "package a\n\nvar x int\n"),
		put("gen/x.go", numbered(100)), put("sub/x.tpl", numbered(100)), put("x.lib", numbered(100)), put("vendor/x.go", numbered(100)),
		put("api.pb.go", numbered(100)), put("b.go", "// Code generated by x. DO NOT EDIT.\n"+numbered(100)),
		put("go.sum", numbered(100)), put("vendor/ours/y.txt", numbered(3)),
		put("art.psd", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"), put("logo.png", "\x89PNG\x00\x01"))
	expect(t, measure(t, open(t, h.dir, Options{}), live, "main"), map[string]float64{
		"nf": 4, "la": 5, "generated": 4, "vendored": 2, "deps": 1, "binaries": 2, "newfiles": 3,
	})
}

func TestChangedDependenciesAreCountedFromTheirFiles(t *testing.T) {
	h := newHistory(t)
	live := h.commit("ann", "2021-01-01", "1", put("go.mod", "module m\n\nrequire (\n\ta.b/c v1.2.0\n\ta.b/d v1.0.0 // indirect\n)\n"),
		put("web/package.json", `{"dependencies":{"x":"^1.0.0"}}`), put("web/package-lock.json", `{"packages":{"":{"version":"1"},"node_modules/x":{"version":"1.0.0"},"node_modules/y":{"version":"2.0.0"}}}`),
		put("Gemfile.lock", "GEM\n  specs:\n    rails (6.0.0)\n      rack (>= 2)\n"))
	h.commit("ann", "2021-01-02", "2", put("go.mod", "module m\n\nrequire (\n\ta.b/c/v2 v2.0.1\n\ta.b/d v1.0.1 // indirect\n)\n"),
		put("web/package.json", `{"dependencies":{"x":"^3.0.0"}}`), put("web/package-lock.json", `{"packages":{"":{"version":"1"},"node_modules/x":{"version":"3.0.0"},"node_modules/z":{"version":"2.0.0"}}}`),
		put("Gemfile.lock", "GEM\n  specs:\n    rails (6.0.1)\n      rack (>= 2)\n"), pointTo("lib/theirs", strings.Repeat("1", 40)))
	c := measure(t, open(t, h.dir, Options{}), live, "main")
	expect(t, c, map[string]float64{"deps": 4, "deps_changed": 2 + 3 + 1 + 1, "deps_major": 2, "submodules": 1, "nf": 2})
	h.commit("ann", "2021-01-03", "3", put("web/package-lock.json", `{"packages": [`))
	expectMissing(t, measure(t, open(t, h.dir, Options{}), "main~1", "main"), "deps_changed", "deps_major")
}

func TestComplexityIsOfTheFunctionsThatChanged(t *testing.T) {
	h := newHistory(t)
	same := "func same(x int) { if x > 0 { for { } } }\n"
	live := h.commit("ann", "2021-01-01", "1", put("a.go", "package a\n"+same+"func f(x int) { if x > 0 { } }\nfunc gone() {}\n"), put("b.py", "if a:\n  pass\n"))
	h.commit("ann", "2021-01-02", "2", put("a.go", "package a\n"+same+"func f(x int) { if x > 0 && x < 9 { } else if x == 3 { } }\n"), put("b.py", "if a or b:\n  for x in y: pass\n"),
		put("a_test.go", "package a\nfunc TestX() { if true { } }\n"), put("broken.go", "package (\n"))
	expect(t, measure(t, open(t, h.dir, Options{}), live, "main"), map[string]float64{
		"functions_touched": 2, "complexity_delta": (4 - 2) + (0 - 1), "complexity_max": 4, "branches_delta": 2,
	})
}

func TestACommitThatIsNotThereIsNotFoundAndNoOptionIsTakenForOne(t *testing.T) {
	h, live, _ := known(t)
	r := open(t, h.dir, Options{})
	planted := filepath.Join(t.TempDir(), "planted")
	for _, c := range []struct {
		name, from, to string
		code           adg.Code
	}{
		{"no such tag", live, "v99", adg.NotFound},
		{"no such live release", "v99", live, adg.NotFound},
		{"an option", live, "--output=" + planted, adg.NotFound},
		{"an option in front", "--all", live, adg.NotFound},
		{"nothing", live, "", adg.Invalid},
		{"two words", live, "v1 v2", adg.Invalid},
		{"a control character", live, "v1\x1b[0m", adg.Invalid},
		{"a file", live, "v1:README.md", adg.NotFound},
	} {
		_, err := r.Measure(t.Context(), &Index{}, c.from, c.to)
		if adg.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	if _, err := os.Stat(planted); err == nil {
		t.Error("git took a release for an option")
	}
}

func TestAFolderWithoutARepositoryIsRefused(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir(), Options{}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), ".", Options{Git: "/no/such/git"}); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

func TestACancelledMeasureChangesNothing(t *testing.T) {
	h, live, next := known(t)
	r := open(t, h.dir, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := &Index{}
	if _, err := r.Measure(ctx, x, live, next); err == nil {
		t.Error("a cancelled measure gave an answer")
	}
	if err := r.Advance(ctx, x, next); err == nil || x.Head() != "" || x.Commits() != 0 {
		t.Errorf("the index moved: %v", err)
	}
}
