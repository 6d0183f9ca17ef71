package change

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clone makes a bare clone over git's own protocol, as a pipeline does.
func (h *history) clone(options ...string) string {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "clone.git")
	h.git("config", "uploadpack.allowFilter", "true")
	args := append([]string{"-c", "protocol.file.allow=always", "clone", "--quiet", "--bare"}, options...)
	plain(h.t, "", "", append(args, "file://"+h.dir, dir)...)
	return dir
}

func TestAShallowCloneSaysWhatItCannotKnow(t *testing.T) {
	h, live, next := known(t)
	dir := h.clone("--depth=3")
	c := measure(t, open(t, dir, Options{}), live, next)
	expect(t, c, map[string]float64{"nf": 3, "la": 7, "ld": 1, "n_commits": 2, "fix": 0.5, "lt": 16.0 / 3})
	expectMissing(t, c, "ndev", "age", "nuc", "exp", "rexp", "sexp", "min_exp", "npriorchanges")
	if !slices.Contains(c.Missing, "exp") || !strings.Contains(strings.Join(c.Notes, " "), "shallow") {
		t.Errorf("missing %q, notes %q", c.Missing, c.Notes)
	}
	if _, err := open(t, h.clone("--depth=1"), Options{}).Measure(t.Context(), &Index{}, live, next); err == nil || !strings.Contains(err.Error(), "fetch-depth") {
		t.Errorf("a live release outside of the clone: %v", err)
	}
}

func TestAShallowCloneThatTearsTheReleasesApartCountsNoCommits(t *testing.T) {
	h, live, next := known(t)
	dir := h.clone("--depth=1")
	plain(t, dir, "", "-c", "protocol.file.allow=always", "fetch", "--quiet", "--depth=1", "file://"+h.dir, "refs/tags/v1:refs/tags/v1")
	c := measure(t, open(t, dir, Options{}), live, next)
	expect(t, c, map[string]float64{"nf": 3, "la": 7, "ld": 1})
	expectMissing(t, c, "n_commits", "fix", "commits_undone", "versions_skipped", "exp", "oldest_commit_h")
}

func TestAnIndexOfAShallowCloneIsReadAgainWhenTheCloneIsWhole(t *testing.T) {
	h, live, next := known(t)
	dir := h.clone("--depth=3")
	x := &Index{}
	if err := open(t, dir, Options{}).Advance(t.Context(), x, live); err != nil {
		t.Fatal(err)
	}
	plain(t, dir, "", "-c", "protocol.file.allow=always", "fetch", "--quiet", "--unshallow", "file://"+h.dir)
	expect(t, measureWith(t, open(t, dir, Options{}), x, live, next), map[string]float64{"exp": 1, "ndev": 2})
}

func TestAPartialCloneIsMeasuredWithoutFetching(t *testing.T) {
	h, live, next := known(t)
	for name, filter := range map[string]string{"without content": "--filter=blob:none", "without trees": "--filter=tree:0"} {
		t.Run(name, func(t *testing.T) {
			dir := h.clone(filter)
			objects := plain(t, dir, "", "count-objects", "-v")
			r := open(t, dir, Options{})
			c, err := r.Measure(t.Context(), &Index{}, live, next)
			if filter == "--filter=tree:0" {
				if err == nil || !strings.Contains(err.Error(), "missing in this clone") {
					t.Errorf("got %v", err)
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				expect(t, c, map[string]float64{"nf": 3, "nd": 3, "ns": 3, "ndev": 2, "nuc": 2, "exp": 1, "n_commits": 2, "renames": 1, "migrations": 1})
				expectMissing(t, c, "la", "ld", "entropy", "lt", "functions_touched")
			}
			if now := plain(t, dir, "", "count-objects", "-v"); now != objects {
				t.Errorf("objects were fetched:\n%s\n%s", objects, now)
			}
		})
	}
}

func TestALostObjectCostsOneCommitAndNotTheHistory(t *testing.T) {
	h := newHistory(t)
	for i := range 9 {
		h.commit("ann", "2021-01-01", "x", put("a", strings.Repeat(fmt.Sprintln("content", i), 20)))
	}
	lost := h.git("rev-parse", "main~4:a")
	h.loosen()
	if err := os.Remove(filepath.Join(h.dir, "objects", lost[:2], lost[2:])); err != nil {
		t.Fatal(err)
	}
	c := measure(t, open(t, h.dir, Options{}), "main~1", "main")
	expect(t, c, map[string]float64{"la": 20, "exp": 8, "npriorchanges": 8, "nuc": 1})
	expectMissing(t, c, "lt")
}

// loosen takes the objects out of their packs.
func (h *history) loosen() {
	h.t.Helper()
	packs, err := filepath.Glob(filepath.Join(h.dir, "objects/pack/*.pack"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, pack := range packs {
		text, err := os.ReadFile(pack)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, end := range []string{".pack", ".idx", ".rev"} {
			_ = os.Remove(strings.TrimSuffix(pack, ".pack") + end)
		}
		plain(h.t, h.dir, string(text), "unpack-objects", "-q")
	}
}

func TestHostileNamesAndMessagesAreOnlyText(t *testing.T) {
	h := newHistory(t)
	names := []string{"new\nline", "tab\tbed", "-rf", "--output=x", "quo\"te\\", "\x01" + strings.Repeat("a", 40), ":100644 100644 x", "esc\x1b[31m", "1\t1\tpath", "invalid\xff\xfe", "…/ünï"}
	message := "x\n\n\x03\n\x01" + strings.Repeat("b", 40) + "\n:000000 100644 " + strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " A\n1\t1\tfake\n"
	who := "\x01ev\til\x1b[0m <a\x01@b\tc>"
	var edits []edit
	for _, name := range names {
		edits = append(edits, put(name, "1\n"+name+"\n"))
	}
	h.commit(who, "2021-01-01", message, edits...)
	edits = nil
	for _, name := range names {
		edits = append(edits, put(name, "2\n"+name+"\n"))
	}
	h.commit(who, "2021-01-02", "", edits...)
	c := measure(t, open(t, h.dir, Options{}), "main~1", "main")
	n := float64(len(names))
	expect(t, c, map[string]float64{"nf": n, "la": n, "ld": n, "exp": 1, "ndev": 1, "npriorchanges": n, "n_commits": 1, "newfiles": 0})
	slices.Sort(names)
	slices.Sort(c.Paths)
	if !slices.Equal(c.Paths, names) {
		t.Errorf("paths %q, want %q", c.Paths, names)
	}
}

func TestNothingThatTheRepositoryConfiguresIsRun(t *testing.T) {
	h := newHistory(t)
	h.commit("ann", "2021-01-01", "1", put("a.bin", "1\n"), put(".gitattributes", "*.bin diff=evil filter=evil\n"))
	h.commit("ann", "2021-01-02", "2", put("a.bin", "2\n"))
	dir := filepath.Join(t.TempDir(), "work")
	plain(t, "", "", "-c", "protocol.file.allow=always", "clone", "--quiet", h.dir, dir)
	planted := filepath.Join(t.TempDir(), "planted")
	evil := filepath.Join(t.TempDir(), "evil")
	if err := os.WriteFile(evil, []byte("#!/bin/sh\necho \"$0 $*\" >> "+planted+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.smudge", "filter.evil.clean", "core.fsmonitor",
		"core.pager", "pager.log", "gpg.program", "core.sshCommand", "core.editor", "core.askPass", "credential.helper", "alias.log", "core.gitProxy"} {
		plain(t, dir, "", "config", key, evil)
	}
	for key, value := range map[string]string{"log.showSignature": "true", "diff.renames": "false", "log.follow": "true", "diff.noprefix": "true", "color.ui": "always",
		"format.pretty": "oneline", "log.date": "relative", "core.quotePath": "true", "diff.orderFile": evil, "core.hooksPath": filepath.Dir(evil), "diff.ignoreSubmodules": "all"} {
		plain(t, dir, "", "config", key, value)
	}
	c := measure(t, open(t, dir, Options{}), "HEAD~1", "HEAD")
	expect(t, c, map[string]float64{"nf": 1, "la": 1, "ld": 1, "exp": 1})
	if said, err := os.ReadFile(planted); err == nil {
		t.Errorf("these were run:\n%s", said)
	}
}

func TestWorkTreesAndFoldersInsideAreAsGoodAsTheRepository(t *testing.T) {
	h, live, next := known(t)
	dir := filepath.Join(t.TempDir(), "work")
	plain(t, "", "", "-c", "protocol.file.allow=always", "clone", "--quiet", h.dir, dir)
	linked := filepath.Join(t.TempDir(), "linked")
	plain(t, dir, "", "worktree", "add", "--quiet", "--detach", linked)
	for _, at := range []string{dir, filepath.Join(dir, "api"), linked} {
		// What is not committed is no part of a release.
		if err := os.WriteFile(filepath.Join(at, ".gitattributes"), []byte("* linguist-generated\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, measure(t, open(t, at, Options{}), live, next), map[string]float64{"nf": 3, "exp": 1})
	}
}

func TestLargeAndBinaryFilesAreMeasuredByWhatIsKnown(t *testing.T) {
	h := newHistory(t)
	live := h.commit("ann", "2021-01-01", "1", put("big.txt", numbered(10)), put("x.dat", "a\x00b"))
	h.commit("ann", "2021-01-02", "2", put("big.txt", numbered(300_000)), put("x.dat", "a\x00c"), put("long.py", strings.Repeat("if ", 1<<19)+"\n"))
	c := measure(t, open(t, h.dir, Options{}), live, "main")
	expect(t, c, map[string]float64{"nf": 3, "la": 300_000 - 10 + 1, "ld": 0, "binaries": 1})
	expectMissing(t, c, "branches_delta")
}

func TestNoAddressIsKept(t *testing.T) {
	h, live, next := known(t)
	for name, key := range map[string][]byte{"without a key": nil, "with a key": []byte("secret")} {
		x := &Index{}
		r := open(t, h.dir, Options{Key: key})
		if err := r.Advance(t.Context(), x, next); err != nil {
			t.Fatal(err)
		}
		plainText := &writer{}
		plainText.files(x.files)
		if bytes.Contains(plainText.out, []byte("ann")) || strings.Contains(fmt.Sprint(x, measure(t, r, live, next)), "example.org") {
			t.Errorf("%s: an address is in the index", name)
		}
	}
	a := measure(t, open(t, h.dir, Options{}), live, next)
	b := measure(t, open(t, h.dir, Options{Key: []byte("secret")}), live, next)
	if slices.Equal(a.Authors, b.Authors) {
		t.Error("the key does not change the pseudonyms")
	}
}
