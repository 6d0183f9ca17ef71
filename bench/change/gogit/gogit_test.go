package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGitAndTheLibraryCountTheSame(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := history{}
	commit := func(c change) {
		t.Helper()
		git("add", "--all")
		git("commit", "--quiet", "--allow-empty", "--message", "a change")
		want[git("rev-parse", "HEAD")] = c
	}
	git("init", "--quiet", "--initial-branch=main")
	write("kept", "one\ntwo\nthree\nfour\n")
	write("gone", "a\nb")
	write("binary", "\x00\x01")
	commit(change{files: 3, added: 6})
	git("mv", "kept", "moved => here, and there")
	write("moved => here, and there", "one\ntwo\nthree\nfour\nfive\n")
	commit(change{files: 1, renames: 1, added: 1})
	write("binary", "\x00\x02")
	git("rm", "--quiet", "gone")
	commit(change{files: 2, deleted: 2})
	commit(change{})

	byGit, err := gitHistory(t.Context(), filepath.Join(dir, ".git"), 10)
	if err != nil {
		t.Fatal(err)
	}
	byLibrary, err := libraryHistory(t.Context(), filepath.Join(dir, ".git"), 10, 96)
	if err != nil {
		t.Fatal(err)
	}
	if d := compare(want, byGit); d != (differences{}) {
		t.Errorf("git counted %v, want %v", byGit, want)
	}
	if d := compare(want, byLibrary); d != (differences{}) {
		t.Errorf("the library counted %v, want %v", byLibrary, want)
	}
	if two, err := libraryHistory(t.Context(), filepath.Join(dir, ".git"), 2, 96); err != nil || len(two) != 2 {
		t.Errorf("of the last two commits: %v, %v", two, err)
	}
}

func TestEachKindOfDifferenceIsCounted(t *testing.T) {
	git := history{"same": {1, 0, 3, 4}, "lines": {1, 0, 3, 4}, "renamed": {1, 1, 0, 0}, "net": {1, 0, 2, 0}, "missing": {}}
	library := history{"same": {1, 0, 3, 4}, "lines": {1, 0, 5, 6}, "renamed": {2, 0, 7, 7}, "net": {1, 0, 1, 0}, "more": {}}
	want := differences{Commits: 5, Missing: 2, Files: 1, Renames: 1, Lines: 3, Net: 1, More: 18, Fewer: 1}
	if got := compare(git, library); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzWhatGitSaysIsReadOrRefused(f *testing.F) {
	f.Add("\x01abc\x00\x01def\x00\n-\t-\tbin\x001\t0\t\x00f\x00g\x00")
	f.Add("1\t0\tx\x00")
	f.Add("\x01abc\x00\n1\t0\t\x00f\x00")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parse(strings.NewReader(text))
		for hash, c := range all {
			if err == nil && (c.renames > c.files || c.files < 0) {
				t.Errorf("%s: %+v", hash, c)
			}
		}
	})
}
