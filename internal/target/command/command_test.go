package command

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestTheProgramGetsTheWholeStateInItsEnvironmentAndOnItsInput(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Apply.Path = write(t, filepath.Join(w.dir, "apply"), "#!/bin/sh\ncd \"$WORLD\"; env | sort > env; cat > stdin; printf '<%s>' \"$@\" > args; pwd > pwd")
	o.Apply.Args, o.Apply.Dir = []string{"$(id)", "a b"}, "/"
	t.Setenv("ADG_TEST_CANARY", "must not be inherited")
	want := targettest.Want("shop-v2-abc/7", 42, 25)
	want.Releases[0].Release.Artifact = "registry/shop@sha256:1"
	want.Releases[0].Release.Config = "c7"
	if _, err := w.open(t, o).Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var got adg.Desired
	if err := json.Unmarshal([]byte(read("stdin")), &got); err != nil || !cmp.Equal(got, want) {
		t.Errorf("the input is not the desired state: %v\n%s", err, cmp.Diff(want, got))
	}
	if read("args") != "<$(id)><a b>" {
		t.Errorf("arguments %s", read("args"))
	}
	env := read("env")
	for _, line := range []string{"ADG_OP_ID=shop-v2-abc/7", "ADG_FENCE=42", "ADG_DEPLOYMENT=shop-v2-abc", "ADG_SERVICE=shop", "ADG_VERSION=v1",
		"ADG_COMMIT=c0ffee", "ADG_RELEASES=v2=25 v1=75", "ADG_ROLLBACK=false", "TOKEN=" + targettest.Planted} {
		if !strings.Contains("\n"+env, "\n"+line+"\n") {
			t.Errorf("%s is missing in\n%s", line, env)
		}
	}
	if strings.Contains(env, "CANARY") {
		t.Error("the environment of adg was inherited")
	}
}

func TestTheExitStatusSaysWhetherTryingAgainHelps(t *testing.T) {
	for _, c := range []struct {
		name, script, says string
		permanent          bool
	}{
		{"temporary failure", "echo busy >&2; exit 75", "status 75: busy", false},
		{"any other status", "echo one >&2; echo two >&2; exit 1", "status 1: one | two", false},
		{"declared permanent", "echo no such image >&2; exit 3", "status 3, which is permanent: no such image", true},
		{"nothing said", "exit 4", "wrote nothing", false},
		{"ended by a signal", "kill -9 $$", "status 137", false},
		{"only the last lines", "seq 100 >&2; exit 1", "status 1: 96 | 97 | 98 | 99 | 100", false},
		{"terminal escapes", `printf '\033[31mred\033[0m\n' >&2; exit 1`, "·[31mred·[0m", false},
		{"secrets", "set -x; : $TOKEN; exit 1", "[redacted]", false},
		{"secrets in disguise", `printf %s "$TOKEN" | base64 >&2; exit 1`, "[redacted]", false},
		{"too slow", "echo waiting >&2; exec sleep 600", "timeout of 300ms", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			o.Apply = Program{Path: write(t, filepath.Join(w.dir, "apply"), "#!/bin/sh\n"+c.script), Timeout: 5 * time.Minute}
			if c.name == "too slow" {
				o.Apply.Timeout = 300 * time.Millisecond
			}
			o.PermanentExit = []int{3}
			_, err := w.open(t, o).Apply(t.Context(), targettest.Want("d/1", 1, 100))
			if err == nil || !strings.Contains(err.Error(), c.says) || adg.IsPermanent(err) != c.permanent {
				t.Fatalf("got %v, want %q, permanent: %v", err, c.says, c.permanent)
			}
			if strings.Contains(err.Error(), targettest.Planted) {
				t.Errorf("a secret shows: %v", err)
			}
		})
	}
}

func TestAFailedRunIsRunAgainForTheSameOperation(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Apply.Path = write(t, filepath.Join(w.dir, "apply"), `#!/bin/sh
cd "$WORLD"; echo x >> runs; [ $(wc -l < runs) -ge 3 ] || exit 1; echo "$ADG_RELEASES" > live`)
	target, want := w.open(t, o), targettest.Want("d/1", 1, 100)
	for range 2 {
		if _, err := target.Apply(t.Context(), want); err == nil {
			t.Fatal("no error")
		}
	}
	for range 3 {
		if seen, err := target.Apply(t.Context(), want); err != nil || !seen.Done {
			t.Fatalf("%+v, %v", seen, err)
		}
	}
	if runs, _ := os.ReadFile(filepath.Join(w.dir, "runs")); len(runs) != 2*3 {
		t.Errorf("%d runs, want 3", len(runs)/2)
	}
}

func TestAProgramThatLiesIsOverruledByCurrent(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Current.Path = write(t, filepath.Join(w.dir, "current"), "#!/bin/sh\necho v3\n")
	seen, err := w.open(t, o).Apply(t.Context(), targettest.Want("d/1", 1, 100))
	if share, _ := seen.Share("v3"); err != nil || share != 100 || len(seen.Releases) != 1 {
		t.Errorf("got %+v, %v, want what current says", seen, err)
	}
}

func TestWhatIsSaidToHaveFailedHasFailed(t *testing.T) {
	for _, done := range []string{"", `,"done":true`, `,"done":false`} {
		w := newWorld(t)
		o := w.options()
		o.Current.Path = write(t, filepath.Join(w.dir, "current"), `#!/bin/sh
echo '{"releases":[{"version":"v2","share":100}],"failed":true,"text":"v1 does not start"`+done+`}'`)
		target := w.open(t, o)
		for range 2 { // asked for once more, it is not run again
			seen, err := target.Apply(t.Context(), targettest.Rollback("d/1", 1))
			if err != nil || !seen.Failed || seen.Done || seen.Text != "v1 does not start" {
				t.Errorf("with %q: %+v, %v", done, seen, err)
			}
		}
		if n := len(w.Effects(t)); n != 1 {
			t.Errorf("with %q: %d runs, want 1", done, n)
		}
	}
}

func TestAnUnreadableStateAfterApplyIsNotBelievedAndNotRepeated(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Current.Path = write(t, filepath.Join(w.dir, "current"), "#!/bin/sh\necho '{'\n")
	target := w.open(t, o)
	for range 2 {
		seen, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
		if err != nil || seen.Done || seen.Text == "" || seen.OpID != "d/1" {
			t.Errorf("got %+v, %v", seen, err)
		}
	}
	if n := len(w.Effects(t)); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// interrupt leaves behind what an adg that was killed during an operation does.
func (w world) interrupt(t *testing.T, op string) {
	t.Helper()
	text := `{"ops":[{"op_id":"` + op + `","deployment":"shop-v2-abc","fence":1,"state":"running"}]}`
	if err := os.MkdirAll(w.host().Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.host().Dir, "applied.json"), text)
}

func TestAnInterruptedOperationIsRunAgainOnlyIfItDidNotArrive(t *testing.T) {
	rollback := targettest.Rollback("d/1", 2)
	config := targettest.Want("d/1", 2, 100)
	config.Releases[0].Release.Config = "c7"
	for _, c := range []struct {
		name, live string
		want       adg.Desired
		runs       int
	}{
		{"it arrived", "v2=25 v1=75", targettest.Want("d/1", 2, 25), 0},
		{"it did not begin", "v1=100", targettest.Want("d/1", 2, 25), 1},
		{"it came half the way", "v2=10 v1=90", targettest.Want("d/1", 2, 25), 1},
		{"a rollback arrived, the bad release is gone", "v1=100", rollback, 0},
		{"a rollback did not arrive", "v2=100", rollback, 1},
		{"a staged release is not reported", "v1=100", targettest.Want("d/1", 2, 0), 1},
		{"a staged release is reported", "v1=100 v2=0", targettest.Want("d/1", 2, 0), 0},
		{"the configuration is not reported", "v2=100 v1=0", config, 1},
	} {
		w := newWorld(t)
		w.interrupt(t, "d/1")
		write(t, filepath.Join(w.dir, "live"), c.live+"\n")
		target := w.open(t, w.options())
		if seen, err := target.Current(t.Context()); err != nil || seen.Done {
			t.Errorf("%s: before: %+v, %v, want not done", c.name, seen, err)
		}
		seen, err := target.Apply(t.Context(), c.want)
		if err != nil || !seen.Done || seen.OpID != "d/1" {
			t.Errorf("%s: %+v, %v", c.name, seen, err)
		}
		if n := len(w.Effects(t)); n != c.runs {
			t.Errorf("%s: %d runs, want %d", c.name, n, c.runs)
		}
	}
}

func TestADaemonThatApplyStartsDoesNotBlockTheNextOperation(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Apply.Path = write(t, filepath.Join(w.dir, "apply"), "#!/bin/sh\nsleep 600 >/dev/null 2>&1 & echo $! >> \"$WORLD/daemons\"\n")
	target := w.open(t, o)
	for _, op := range []string{"d/1", "d/2"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := target.Apply(ctx, targettest.Want(op, 1, 100)); err != nil {
			t.Error(err)
		}
		cancel()
	}
	daemons, err := os.ReadFile(filepath.Join(w.dir, "daemons"))
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.FieldsSeq(string(daemons)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Options{
		Apply: Program{Path: "apply"}, Current: Program{Path: "current", Timeout: time.Second}, PermanentExit: []int{0, 75},
		Env: map[string]string{"ADG_OP_ID": "x", "TWICE": "x"}, Secrets: map[string]adg.Secret{"TWICE": adg.NewSecret(targettest.Planted)},
	}
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"has to allow them", "directory", `apply: path: "apply"`, "apply: timeout: 0s", `current: path: "current"`,
		"permanent_exit: 0", "permanent_exit: 75", "ADG_OP_ID", "TWICE is both"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), targettest.Planted) {
		t.Errorf("error %v", err)
	}
}

func TestAProgramThatDoesNotExistIsPermanent(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Apply.Path = "/no/such/program"
	_, err := w.open(t, o).Apply(t.Context(), targettest.Want("d/1", 1, 100))
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("error %v", err)
	}
}

const (
	ownerDir = "ADG_TEST_OWNER_DIR"
	ownerOp  = "ADG_TEST_OWNER_OP"
)

// owner is an adg that has the test binary's name: it applies one operation and may be killed meanwhile.
func owner(dir string) {
	w := world{dir}
	n, err := strconv.ParseInt(os.Getenv(ownerOp), 10, 64)
	if err == nil {
		o := w.options()
		o.Env["PAUSE"] = "0.1"
		var target adg.Target
		if target, err = Driver.Open(context.Background(), o, w.host()); err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			_, err = target.Apply(ctx, ownersWant(n))
			cancel()
		}
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// ownersWant is what the n-th owner wants: every second one repeats the operation of the owner before, as one that
// takes over does.
func ownersWant(n int64) adg.Desired {
	op := n / 2
	return targettest.Want("shop-v2-abc/"+strconv.FormatInt(op, 10), n, []float64{5, 25, 50, 100}[op%4])
}

// TestKilledOwnersNeverOverlap kills the process that applies, at random moments, and starts the next owner at once,
// while the program of the one before still runs. It counts in the program's own log.
func TestKilledOwnersNeverOverlap(t *testing.T) {
	w := newWorld(t)
	dice := rand.New(rand.NewPCG(7, 2026))
	kills, orphans := 0, 0
	spread := 150 * time.Millisecond // follows the time that an owner takes on this machine
	const owners = 40
	for n := range int64(owners) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), ownerDir+"="+w.dir, ownerOp+"="+strconv.FormatInt(n, 10))
		said := &strings.Builder{}
		cmd.Stderr = said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var killer sync.WaitGroup
		if n < owners-1 {
			moment, begun := time.Duration(dice.Int64N(int64(spread))), w.logged(t, "begin")
			killer.Go(func() {
				if n%4 == 2 { // it has a program to start: that runs when its owner is killed
					for w.logged(t, "begin") == begun && wait(over, time.Millisecond) {
						continue
					}
				} else if !wait(over, moment) {
					return
				}
				_ = cmd.Process.Kill()
			})
		}
		err := cmd.Wait()
		close(over)
		killer.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
			kills++
			orphans += w.unended(t)
			spread += spread / 4
		} else if err != nil {
			t.Fatalf("owner %d: %v: %s", n, err, said)
		} else {
			spread = max(spread-spread/4, 20*time.Millisecond)
		}
	}
	newest, runs := int64(-1), map[string]int{}
	for _, e := range w.Effects(t) {
		if e.Overlapped {
			t.Errorf("%s began while another was running", e.OpID)
		}
		if e.Fence < newest {
			t.Errorf("%s of fence %d came after fence %d", e.OpID, e.Fence, newest)
		}
		newest = max(newest, e.Fence)
		runs[e.OpID]++
	}
	for op, n := range runs {
		if n > 1 { // every run came to its end here: nothing but adg was killed
			t.Errorf("%s ran %d times", op, n)
		}
	}
	if diff := cmp.Diff(map[string]float64{"v2": 100, "v1": 0}, w.Shares(t)); diff != "" {
		t.Errorf("the last owner's state is not live:\n%s", diff)
	}
	t.Logf("%d owners, %d killed, %d of them while their program ran, %d runs", owners, kills, orphans, len(runs))
	if kills < owners/4 || orphans == 0 {
		t.Errorf("%d kills, %d while the program ran: the test has gone blind", kills, orphans)
	}
}

// unended is 1 while a program runs that nobody waits for.
func (w world) unended(t *testing.T) int {
	t.Helper()
	return w.logged(t, "begin") - w.logged(t, "end")
}

// logged is how often a word is in the program's log.
func (w world) logged(t *testing.T, word string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return strings.Count(string(text), word)
}

// wait waits, unless it is over before.
func wait(over <-chan struct{}, d time.Duration) (waited bool) {
	select {
	case <-over:
		return false
	case <-time.After(d):
		return true
	}
}
