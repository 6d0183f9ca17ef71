package git

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// TestAnOwnerWhoPushesTooLateTakesItsBranchBack has another owner do everything between one's fetch and its push.
func TestAnOwnerWhoPushesTooLateTakesItsBranchBack(t *testing.T) {
	t.Parallel()
	f := newForge(t, "github")
	o := f.options(t)
	early, late := targettest.Want("shop-v2-abc/1", 1, 100), targettest.Want("shop-v2-abc/2", 2, 100)
	newer := openAt(t, o, t.TempDir())
	var came atomic.Bool
	f.on(func(_ int, _ http.ResponseWriter, req *http.Request) bool {
		isPush := req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "git-receive-pack")
		if isPush && came.CompareAndSwap(false, true) {
			if _, err := newer.Apply(t.Context(), late); err != nil {
				t.Errorf("the newer owner: %v", err)
			}
		}
		return false
	})
	if _, err := openAt(t, o, t.TempDir()).Apply(t.Context(), early); !errors.Is(err, adg.ErrFenced) {
		t.Errorf("the older owner: %v", err)
	}
	if branches := f.git(t, nil, "branch", "--list", "adg/*"); strings.Count(branches, "adg/") != 1 || !strings.Contains(branches, "abc-2") {
		t.Errorf("branches: %q", branches)
	}
	seen, err := newer.Current(t.Context())
	if err != nil || seen.OpID != late.OpID || seen.Done || f.state(1) != "open" || f.state(2) != "none" {
		t.Errorf("%+v, %v, requests: %s, %s", seen, err, f.state(1), f.state(2))
	}
}

func TestABranchOfAnOwnerWhoseTimeIsOverIsWaitedForByNobody(t *testing.T) {
	t.Parallel()
	f := newForge(t, "github")
	target := openAt(t, f.options(t), t.TempDir())
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	stale := f.requests[0].branch
	commit := f.tip(stale)
	late := targettest.Want("shop-v2-abc/2", 2, 100)
	mustApply(t, target, late)
	f.git(t, nil, "update-ref", "refs/heads/"+stale, commit) // its owner pushed it, and was killed
	if seen, err := target.Current(t.Context()); err != nil || seen.Done || seen.OpID != late.OpID || !strings.Contains(seen.Text, "pull/2") {
		t.Errorf("before the merge: %+v, %v", seen, err)
	}
	f.merge(t, f.requests[1])
	if seen, err := target.Current(t.Context()); err != nil || !seen.Done || seen.OpID != "" || seen.Releases[0].Release.Version != "v2" {
		t.Errorf("after the merge: %+v, %v", seen, err)
	}
}
