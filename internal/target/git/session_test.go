package git

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// plant writes files into the directory of a target, each as if something had left it there.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func there(t *testing.T, dir, name string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func TestABrokenCloneIsMadeAnewThoughTheServerWasAwayAtFirst(t *testing.T) {
	t.Parallel()
	r, dir := newRepository(t), t.TempDir()
	o := r.options(t)
	mustApply(t, openAt(t, o, dir), targettest.Want("shop-v2-abc/1", 1, 100))
	plant(t, dir, map[string]string{"unclean": "", "clone/refs/adg/branch": "", "clone/refs/adg/branch.lock": ""}) // a loss of power

	away := o
	away.Repository = "http://127.0.0.1:1/team/deploy.git"
	if _, err := openAt(t, away, dir).Current(t.Context()); err == nil {
		t.Fatal("there is a server at port 1")
	}
	if seen, err := openAt(t, o, dir).Current(t.Context()); err != nil || !seen.Done {
		t.Errorf("the server is back: %+v, %v", seen, err)
	}
}

// TestWhatAProcessLeftThatWasKilledIsCleanedAndTheCloneIsKept has a file in the clone that a new one would not hold.
func TestWhatAProcessLeftThatWasKilledIsCleanedAndTheCloneIsKept(t *testing.T) {
	t.Parallel()
	if len(boot()) == 0 {
		t.Skip("this system does not name its boots, so every clone that was left is made anew")
	}
	r, dir := newRepository(t), t.TempDir()
	target := openAt(t, r.options(t), dir)
	mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	plant(t, dir, map[string]string{
		"unclean": string(boot()), "clone/same": "", "clone/shallow.lock": "", "clone/config.lock": "", "clone/refs/adg/branch.lock": "",
		"clone/objects/pack/tmp_pack_x": "",
	})
	if seen := mustApply(t, target, targettest.Rollback("shop-v2-abc/2", 1)); !seen.Done || r.Shares(t)["v1"] != 100 {
		t.Errorf("got %+v", seen)
	}
	if !there(t, dir, "clone/same") || there(t, dir, "clone/objects/pack/tmp_pack_x") || there(t, dir, "unclean") {
		t.Error("the clone was thrown away, or not cleaned")
	}
}

func TestACallThatIsCutShortKeepsTheClone(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*repository, context.CancelCauseFunc){
		"before git was started": func(_ *repository, cancel context.CancelCauseFunc) { cancel(errors.New("too slow")) },
		"in a fetch": func(r *repository, cancel context.CancelCauseFunc) {
			r.on(func(_ int, _ http.ResponseWriter, req *http.Request) bool {
				cancel(errors.New("too slow"))
				<-req.Context().Done()
				return true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir := newRepository(t), t.TempDir()
			target := openAt(t, r.options(t), dir)
			mustApply(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
			plant(t, dir, map[string]string{"clone/same": ""})
			r.commit(t, "the rival", map[string]string{"apps/rival/values.yaml": "n: 1\n"})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			cut(r, cancel)
			if _, err := target.Current(ctx); err == nil || !strings.Contains(err.Error(), "too slow") {
				t.Fatalf("it was not cut short: %v", err)
			}
			r.on(nil)
			if seen, err := target.Current(t.Context()); err != nil || !seen.Done || !there(t, dir, "clone/same") {
				t.Errorf("%+v, %v, the same clone: %v", seen, err, there(t, dir, "clone/same"))
			}
		})
	}
}

func TestASessionThatCannotReachTheServerLeavesTheMarkOfAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &session{target: &target{dir: dir, turn: make(chan struct{}, 1)}}
	s.turn <- struct{}{}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	s.lock, s.scratch = lock, filepath.Join(dir, "scratch")
	plant(t, dir, map[string]string{"unclean": ""})
	s.end()
	if !there(t, dir, "unclean") {
		t.Error("the mark of another session is gone")
	}
}

func TestAnOldGitIsRefusedBeforeItTalksToAnybody(t *testing.T) {
	t.Parallel()
	for says, fits := range map[string]bool{
		"git version 2.37.0": true, "git version 2.39.5 (Apple Git-154)": true, "git version 3.0.1": true,
		"git version 2.36.6": false, "git version 1.99.0": false, "hello": false,
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			r, dir := newRepository(t), t.TempDir()
			o := r.options(t)
			script := "#!/bin/sh\n[ \"$2\" = version ] && echo '" + says + "' && exit\nexec " + o.Git + " \"$@\"\n"
			o.Git = filepath.Join(dir, "git")
			syscall.ForkLock.RLock() // a child of another test that holds the file while it is run would be "text file busy"
			err := os.WriteFile(o.Git, []byte(script), 0o700)
			syscall.ForkLock.RUnlock()
			if err != nil {
				t.Fatal(err)
			}
			_, err = openAt(t, o, filepath.Join(dir, "state")).Current(t.Context())
			if fits != (err == nil) || !fits && (adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "2.37 or later")) {
				t.Errorf("got %v", err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if !fits && r.seen > 0 {
				t.Errorf("%d requests", r.seen)
			}
		})
	}
}
