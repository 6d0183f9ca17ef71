package ledger

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func wanted(op, deployment string, fence int64) adg.Desired {
	return adg.Desired{OpID: op, Deployment: deployment, Fence: fence}
}

func begin(t *testing.T, l Ledger, want adg.Desired) *Operation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o, err := l.Begin(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func do(t *testing.T, l Ledger, want adg.Desired, end State) State {
	t.Helper()
	o := begin(t, l, want)
	defer o.End(false)
	if err := o.Set(end); err != nil {
		t.Fatal(err)
	}
	return o.Before
}

func refused(t *testing.T, l Ledger, want adg.Desired) {
	t.Helper()
	o, err := l.Begin(t.Context(), want)
	if err == nil {
		o.End(false)
	}
	if !errors.Is(err, adg.ErrFenced) {
		t.Errorf("%s of fence %d: error %v", want.OpID, want.Fence, err)
	}
}

func TestWhatCameOfAnOperationIsRememberedByTheNextProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "created", "on", "use")
	for _, c := range []struct {
		name   string
		end    State
		before State
	}{
		{"new", Failed, ""},
		{"failed once", Running, Failed},
		{"interrupted", Done, Running},
		{"done", Done, Done},
	} {
		if got := do(t, New(dir), wanted("d/1", "d", 1), c.end); got != c.before {
			t.Errorf("%s: before %q, want %q", c.name, got, c.before)
		}
	}
	begun, done, err := New(dir).Last()
	want := Entry{OpID: "d/1", Deployment: "d", Fence: 1, State: Done}
	if err != nil || begun != want || done != want {
		t.Errorf("last is %+v, %+v, %v", begun, done, err)
	}
}

func TestAnOlderOwnerIsRefusedAndChangesNothing(t *testing.T) {
	l := New(t.TempDir())
	do(t, l, wanted("d/1", "d", 3), Done)
	do(t, l, wanted("other/1", "other", 1), Done) // fences are counted per deployment
	before, _ := os.ReadFile(filepath.Join(l.dir, fileName))
	for _, op := range []string{"d/1", "d/2"} {
		refused(t, l, wanted(op, "d", 2))
	}
	if after, _ := os.ReadFile(filepath.Join(l.dir, fileName)); string(after) != string(before) {
		t.Errorf("the state was changed: %s", after)
	}
	do(t, l, wanted("d/2", "d", 3), Done)
}

func TestANewOwnerThatRepeatsAnOperationFencesTheOldOne(t *testing.T) {
	l := New(t.TempDir())
	do(t, l, wanted("d/1", "d", 1), Done)
	if before := do(t, l, wanted("d/1", "d", 2), Done); before != Done {
		t.Errorf("before %q", before)
	}
	refused(t, l, wanted("d/2", "d", 1))
}

func TestARepeatOfAnOldOperationIsNotTheLatest(t *testing.T) {
	l := New(t.TempDir())
	do(t, l, wanted("d/1", "d", 1), Done)
	do(t, l, wanted("d/2", "d", 1), Done)
	for _, repeat := range []struct {
		op     string
		latest bool
	}{{"d/1", false}, {"d/2", true}, {"d/3", false}} {
		o := begin(t, l, wanted(repeat.op, "d", 1))
		if o.Latest != repeat.latest {
			t.Errorf("%s: latest is %v", repeat.op, o.Latest)
		}
		o.End(false)
	}
}

func TestAnOperationWaitsForTheOneBeforeAndGivesUpWithItsContext(t *testing.T) {
	l := New(t.TempDir())
	first := begin(t, l, wanted("d/1", "d", 1))
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("the lease is over"))
	defer cancel()
	_, err := New(l.dir).Begin(ctx, wanted("d/2", "d", 1))
	if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "d/1") || !strings.Contains(err.Error(), "the lease is over") {
		t.Errorf("error %v", err)
	}
	first.End(false)
	begin(t, l, wanted("d/2", "d", 1)).End(false)
}

func TestALockThatAProgramInheritedLivesAsLongAsTheProgram(t *testing.T) {
	l := New(t.TempDir())
	first := begin(t, l, wanted("d/1", "d", 1))
	stdin, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.Command("/bin/cat")
	program.Stdin, program.ExtraFiles = stdin, []*os.File{first.Lock()}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	first.End(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Begin(ctx, wanted("d/2", "d", 1)); err == nil {
		t.Error("began while the program was running")
	}
	hold.Close()
	begin(t, l, wanted("d/2", "d", 1)).End(false)
	if err := program.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestADaemonThatWasLeftBehindDoesNotKeepTheLock(t *testing.T) {
	l := New(t.TempDir())
	first := begin(t, l, wanted("d/1", "d", 1))
	daemon := exec.Command("/bin/sleep", "600")
	daemon.ExtraFiles = []*os.File{first.Lock()}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	}()
	first.End(false)
	begin(t, l, wanted("d/2", "d", 1)).End(false)
}

func TestADamagedFileIsNeverTakenForAnEmptyOne(t *testing.T) {
	for name, text := range map[string]string{
		"cut off": `{"ops":[{"op_`, "empty": "", "of another kind": `{"releases":[]}`, "huge": `{"ops":[]}` + strings.Repeat(" ", maxFile),
	} {
		l := New(t.TempDir())
		if err := os.WriteFile(filepath.Join(l.dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := l.Begin(t.Context(), wanted("d/1", "d", 1))
		if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestADirectoryThatCannotBeWrittenIsAnErrorAndNothingBegins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		if _, err := New(dir).Begin(t.Context(), wanted("d/1", "d", 1)); err == nil {
			t.Errorf("%q: no error", dir)
		}
	}
}

func TestTheLedgerStaysSmallAndKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b book
		var newest string
		for range rapid.IntRange(1, 200).Draw(rt, "operations") {
			newest = rapid.StringMatching(`[a-z]/[0-9]{1,2}`).Draw(rt, "op")
			done := b.find(newest) >= 0 && b.Ops[b.find(newest)].State == Done
			b.put(wanted(newest, newest[:1], 1), rapid.SampledFrom([]State{Running, Failed, Done}).Draw(rt, "state"))
			if last := b.Ops[len(b.Ops)-1].OpID; last != newest && !done {
				rt.Fatalf("the last is %s, want %s", last, newest)
			}
		}
		seen := map[string]int{}
		for _, e := range b.Ops {
			seen[e.OpID]++
		}
		if len(b.Ops) > kept || len(seen) != len(b.Ops) {
			rt.Fatalf("%d entries, %d operations", len(b.Ops), len(seen))
		}
	})
}

func TestSavedStateComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.json")
	var got book
	if found, err := Load(path, &got); found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	want := book{Ops: []Entry{{OpID: "a", State: Done}}}
	if err := Save(path, want); err != nil {
		t.Fatal(err)
	}
	if found, err := Load(path, &got); !found || err != nil || !cmp.Equal(got, want) {
		t.Errorf("found %v, %v: %s", found, err, cmp.Diff(want, got))
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
