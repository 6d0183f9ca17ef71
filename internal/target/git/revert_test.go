package git

import (
	"fmt"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// released is a branch on which somebody released v2 with more than its version.
func released(t *testing.T) *repository {
	t.Helper()
	r := newRepository(t)
	r.commit(t, "shop v2, with more room", map[string]string{
		versionFile:               strings.Replace(values("v2"), "memory: 1Gi", "memory: 2Gi", 1),
		"apps/shop/new.yaml":      "only: v2\n",
		"apps/cart/values.yaml":   "tag: c2\n",
		"apps/shop/sub/more.yaml": "also: v2\n",
	})
	return r
}

func TestARollbackTakesOutAllThatCameWithTheReleaseAndNothingElse(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit(t, "three more replicas", map[string]string{versionFile: strings.Replace(strings.Replace(values("v2"), "memory: 1Gi", "memory: 2Gi", 1), "replicas: 3", "replicas: 6", 1)})
	r.commit(t, "another service", map[string]string{"apps/search/values.yaml": "tag: s1\n"})
	seen := mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1))
	if !seen.Done || seen.Failed || seen.OpID != "shop-v2-abc/1" || seen.Releases[0].Release.Version != "v1" {
		t.Errorf("got %+v", seen)
	}
	if got, want := r.file(t, versionFile)+"\n", strings.Replace(values("v1"), "replicas: 3", "replicas: 6", 1); got != want {
		t.Errorf("the file says\n%s\nwant\n%s", got, want)
	}
	files := r.git(t, nil, "ls-tree", "-r", "--name-only", "refs/heads/main")
	if strings.Contains(files, "new.yaml") || strings.Contains(files, "more.yaml") || !strings.Contains(files, "apps/search") {
		t.Errorf("the branch holds\n%s", files)
	}
	if cart := r.file(t, "apps/cart/values.yaml"); cart != "tag: c2" {
		t.Errorf("the other service is at %q: the rollback went outside of its paths", cart)
	}
	message := r.git(t, nil, "log", "-1", "--format=%an <%ae>%n%B", "refs/heads/main")
	reverted := r.git(t, nil, "log", "-1", "--format=%H", "--grep=more room", "refs/heads/main")
	for _, part := range []string{"ADG <adg@localhost>", "shop: roll back to v1", "This reverts commit " + reverted, "ADG-Deployment: shop-v2-abc", "ADG-Operation: shop-v2-abc/1", "ADG-Fence: 1"} {
		if !strings.Contains(message, part) {
			t.Errorf("%q is missing in\n%s", part, message)
		}
	}
}

func TestARollbackThatConflictsSaysWhereAndLeavesTheBranch(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit(t, "memory once more", map[string]string{versionFile: strings.Replace(values("v2"), "memory: 1Gi", "memory: 4Gi", 1)})
	head := r.head(t)
	target := openAt(t, r.options(t), t.TempDir())
	seen := mustApply(t, target, targettest.Rollback("shop-v2-abc/1", 1))
	again, err := target.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, seen := range map[string]adg.Observed{"Apply": seen, "Current": again} {
		if !seen.Failed || seen.Done || !strings.Contains(seen.Text, versionFile) || seen.Releases[0].Release.Version != "v2" {
			t.Errorf("%s: %+v", name, seen)
		}
	}
	if r.head(t) != head {
		t.Error("the branch was changed")
	}
	r.commit(t, "by hand", map[string]string{versionFile: values("v1")})
	if seen, err := target.Current(t.Context()); err != nil || seen.Failed || !seen.Done {
		t.Errorf("mended by hand: %+v, %v", seen, err)
	}
}

func TestWithTheFallbackOnlyTheVersionIsWrittenWhereNothingCanBeReverted(t *testing.T) {
	t.Parallel()
	r := released(t)
	r.commit(t, "memory once more", map[string]string{versionFile: strings.Replace(values("v2"), "memory: 1Gi", "memory: 4Gi", 1)})
	o := r.options(t)
	o.Fallback = write
	seen := mustApply(t, openAt(t, o, t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1))
	if want := strings.Replace(values("v1"), "memory: 1Gi", "memory: 4Gi", 1); !seen.Done || seen.Failed || r.file(t, versionFile)+"\n" != want {
		t.Errorf("%+v, and the file says\n%s", seen, r.file(t, versionFile))
	}
}

func TestWhatLedToAReleaseIsReverted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		history func(r *repository, t *testing.T)
		failed  string // what a rollback that is given up says
		reverts int
	}{
		"two releases one after the other": {func(r *repository, t *testing.T) {
			r.commit(t, "v1.5", map[string]string{versionFile: values("v1.5")})
			r.commit(t, "v2", map[string]string{versionFile: values("v2")})
		}, "", 2},
		"a release that was rolled back once before": {func(r *repository, t *testing.T) {
			r.commit(t, "v2", map[string]string{versionFile: values("v2")})
			r.commit(t, "back", map[string]string{versionFile: values("v1")})
			r.commit(t, "v2 again", map[string]string{versionFile: values("v2")})
		}, "", 1},
		"a merge": {func(r *repository, t *testing.T) {
			r.git(t, nil, "branch", "feature", "main")
			r.commitTo(t, "feature", "prepare", map[string]string{"apps/shop/new.yaml": "only: v2\n"})
			r.commitTo(t, "feature", "v2", map[string]string{versionFile: values("v2")})
			r.commit(t, "elsewhere", map[string]string{"README": "changed\n"})
			tree := r.git(t, nil, "merge-tree", "--write-tree", "main", "feature")
			env := []string{"-c", "user.name=Rita", "-c", "user.email=rita@example.com", "commit-tree", tree, "-p", "main", "-p", "feature", "-m", "merge"}
			r.git(t, nil, "update-ref", "refs/heads/main", r.git(t, nil, env...))
		}, "", 1},
		"a file that was not there before": {func(r *repository, t *testing.T) {
			r.commit(t, "away", map[string]string{versionFile: ""})
			r.commit(t, "v2", map[string]string{versionFile: values("v2")})
		}, "", 2},
		"a version that never was": {func(r *repository, t *testing.T) {
			r.git(t, nil, "update-ref", "-d", "refs/heads/main")
			r.commit(t, "v2 at once", map[string]string{versionFile: values("v2")})
		}, "never had version v1", 0},
		"somebody else's release": {func(r *repository, t *testing.T) {
			r.commit(t, "v2", map[string]string{versionFile: values("v2")})
			r.commit(t, "v3, which mends it", map[string]string{versionFile: values("v3")})
		}, "version v3, which is none of this deployment's: somebody else has put it there (the newest commit is by Rita Rival)", 0},
		"a file that somebody deleted and one that somebody changed": {func(r *repository, t *testing.T) {
			r.commit(t, "v2", map[string]string{versionFile: values("v2"), "apps/shop/new.yaml": "only: v2\n"})
			r.commit(t, "use it", map[string]string{"apps/shop/new.yaml": "only: v3\n"})
		}, "apps/shop/new.yaml", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			c.history(r, t)
			head := r.head(t)
			seen := mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1))
			if c.failed != "" {
				if !seen.Failed || !strings.Contains(seen.Text, c.failed) || r.head(t) != head {
					t.Errorf("got %+v", seen)
				}
				return
			}
			if !seen.Done || seen.Failed || r.Shares(t)["v1"] != 100 {
				t.Errorf("got %+v, and the file says\n%s", seen, r.file(t, versionFile))
			}
			if files := r.git(t, nil, "ls-tree", "-r", "--name-only", "refs/heads/main"); strings.Contains(files, "new.yaml") {
				t.Errorf("what came with the release is still there:\n%s", files)
			}
			if got := strings.Count(r.git(t, nil, "log", "-1", "--format=%B", "refs/heads/main"), "This reverts commit "); got != c.reverts {
				t.Errorf("%d commits are reverted, want %d", got, c.reverts)
			}
		})
	}
}

func TestFilesWithHostileNamesAreFilesLikeAnyOther(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	names := []string{
		"apps/shop/--upload-pack=touch x", "apps/shop/-rf", "apps/shop/$(touch x)", "apps/shop/a\tb", "apps/shop/a\nb", "apps/shop/:(glob)**",
		"apps/shop/\"quoted\"", "apps/shop/ünïcode", "apps/shop/.gitattributes", "apps/shop/ leading and trailing ",
	}
	files := map[string]string{versionFile: values("v2")}
	for _, name := range names {
		files[name] = "* filter=evil diff=evil merge=evil\n"
	}
	r.commit(t, "v2", files)
	before := r.git(t, nil, "rev-parse", "main^:")
	seen := mustApply(t, openAt(t, r.options(t), t.TempDir()), targettest.Rollback("shop-v2-abc/1", 1))
	if after := r.git(t, nil, "rev-parse", "main:"); after != before || !seen.Done {
		t.Errorf("%+v, and what is there is not what was there before the release:\n%s", seen, r.git(t, nil, "diff", "--stat", before, after))
	}
}

func TestAMessageCannotForgeTrailers(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	target := openAt(t, r.options(t), t.TempDir())
	for name, spoil := range map[string]func(*adg.Desired){
		"a line's end in the operation": func(d *adg.Desired) { d.OpID = "x/1\nADG-Fence: 99" },
		"a space in the deployment":     func(d *adg.Desired) { d.Deployment = "x y" },
		"no deployment":                 func(d *adg.Desired) { d.Deployment = "" },
	} {
		want := targettest.Want("shop-v2-abc/1", 1, 100)
		spoil(&want)
		if _, err := target.Apply(t.Context(), want); adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := len(r.messages(t)); got != 1 {
		t.Errorf("%d commits", got)
	}
}

func TestALongHistoryIsNotFetchedWhole(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	var in strings.Builder
	for i := range 600 {
		from := ""
		if i == 0 {
			from = "from refs/heads/main^0\n"
		}
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Rita Rival <rita@example.com> %d +0000\ndata 1\nx\n%sM 100644 inline big/%d\ndata 10\n%010d\n", 1_700_000_000+i, from, i, i)
	}
	r.git(t, []byte(in.String()), "fast-import", "--quiet")
	r.commit(t, "v2", map[string]string{versionFile: values("v2")})
	o, dir := r.options(t), t.TempDir()
	o.History = 50
	target := openAt(t, o, dir)
	if seen := mustApply(t, target, targettest.Rollback("shop-v2-abc/1", 1)); !seen.Done || seen.Failed {
		t.Errorf("got %+v", seen)
	}
	clone := &repository{dir: dir + "/clone"}
	if got := clone.git(t, nil, "rev-list", "--count", branchRef); got != "51" {
		t.Errorf("%s commits were fetched, want 50 and the new one", got)
	}
	if got := strings.Count(clone.git(t, nil, "cat-file", "--batch-all-objects", "--batch-check", "--unordered"), " blob "); got > 10 {
		t.Errorf("%d files were fetched", got)
	}
}
