package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// In these tests something happens at every command of a move, while requests are served: what counts is what HAProxy
// does then, and that none of them fails.

// how a connection to HAProxy ends badly.
type how uint8

const (
	cut     how = iota // the command does not arrive
	lost               // it is done, and nobody hears of it
	stalled            // nobody answers, and the deployment is cancelled
	killed             // the process of the owner is killed before the command arrives
)

var hows = map[how]string{cut: "cut", lost: "lost", stalled: "cancelled", killed: "killed"}

// breakOff has the n-th connection from now on end badly, and every one after it until mended: the dead ask for nothing.
func (r *relay) breakOff(n int, end how, then func()) (seen func() int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	r.script = func() (how, bool) {
		if count++; count == n {
			then()
			return end, true
		}
		return cut, count > n
	}
	return func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return count
	}
}

func TestBrokenOffAtAnyCommandAnotherOwnerGoesOnAndNoRequestFails(t *testing.T) {
	p := startProxy(t)
	relay := startRelay(t, p)
	o := p.options()
	o.Socket, o.Timeout = relay.path, time.Minute
	l := startLoad(t, p, 100)
	op, fence := 0, int64(0)
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	hits := map[how]int{}
	for _, journey := range []struct {
		name   string
		before float64
		ends   []how
		want   func(op string, fence int64) adg.Desired
	}{
		{"forward", 0, []how{lost, stalled}, func(op string, fence int64) adg.Desired { return targettest.Want(op, fence, 50) }},
		{"back", 100, []how{cut, lost, stalled, killed}, targettest.Rollback},
	} {
		for _, end := range journey.ends {
			for n, reached := 1, true; reached; n++ {
				fence += 2
				apply(t, p.open(t, o), targettest.Want(next(), fence, journey.before))
				want := journey.want(next(), fence)
				reached = p.brokenOff(t, relay, o, want, n, end)
				what := fmt.Sprintf("%s, %s at command %d", journey.name, hows[end], n)
				if now := p.Shares(t); now["v1"]+now["v2"] < 99.9 {
					t.Fatalf("%s: the shares are %v", what, now)
				}
				want.Fence++
				share, _ := adg.Observed{Releases: want.Releases}.Share("v2")
				if seen := apply(t, p.open(t, o), want); !seen.Done || p.Shares(t)["v2"] != share {
					t.Errorf("%s, then taken over: %+v, really %v", what, seen, p.Shares(t))
				}
				if reached {
					hits[end]++
				}
			}
		}
	}
	l.end()
	l.agrees(t, p)
	for end, name := range hows {
		if hits[end] < 15 {
			t.Errorf("%s %d times: the test has gone blind", name, hits[end])
		}
	}
}

// brokenOff is an attempt that is broken off; it tells whether it came so far.
func (p *proxy) brokenOff(t *testing.T, r *relay, o Options, want adg.Desired, n int, end how) (reached bool) {
	t.Helper()
	defer r.mend()
	if end == killed {
		cmd := p.owner(t, o, want)
		started := make(chan struct{})
		seen := r.breakOff(n, end, func() {
			<-started
			_ = cmd.Process.Kill()
		})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		close(started)
		err := cmd.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); seen() < n && err != nil || seen() >= n && (!ok || exit.Exited()) {
			t.Errorf("command %d of %d: the owner ended with %v", n, seen(), err)
		}
		return seen() >= n
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := r.breakOff(n, end, func() {
		if end == stalled {
			cancel()
		}
	})
	_, err := p.open(t, o).Apply(ctx, want)
	if reached = seen() >= n; (err != nil) != reached || adg.IsPermanent(err) {
		t.Errorf("%s at command %d: %v", hows[end], n, err)
	}
	return reached
}

const (
	ownerDir = "ADG_TEST_OWNER_DIR"
	ownerOp  = "ADG_TEST_OWNER_OP"
)

// owner is an adg that has the test binary's name, not yet started.
func (p *proxy) owner(t *testing.T, o Options, want adg.Desired) *exec.Cmd {
	t.Helper()
	share, _ := adg.Observed{Releases: want.Releases}.Share("v2")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerDir+"="+p.dir, ownerOp+"="+fmt.Sprintf("%s %d %g %s %v %s", want.OpID, want.Fence, share, o.Socket, want.Rollback, o.Prepare.Path))
	return cmd
}

// own is the owner's process.
func own() {
	p := &proxy{dir: os.Getenv(ownerDir)}
	o := p.options()
	var op, socket, prepare string
	var fence int64
	var share float64
	var back bool
	_, _ = fmt.Sscan(os.Getenv(ownerOp), &op, &fence, &share, &socket, &back, &prepare) // the last one may be missing
	want := targettest.Want(op, fence, share)
	if back {
		want = targettest.Rollback(op, fence)
	}
	o.Socket, o.Timeout, o.Prepare.Path, o.Prepare.Env = socket, time.Minute, prepare, map[string]string{"WORLD": p.dir}
	target, err := Driver.Open(context.Background(), o, adg.Host{Name: "shop", Dir: filepath.Join(p.dir, "state"), Commands: true})
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err = target.Apply(ctx, want)
		cancel()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestWhoTakesOverWaitsForTheProgramOfAnOwnerThatWasKilled(t *testing.T) {
	p := startProxy(t)
	o := p.preparing(t)
	hold := filepath.Join(p.dir, "hold")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.owner(t, o, targettest.Want("d/1", 1, 25))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "the program runs", func() bool { return p.prepared(t) != "" })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	target := p.open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := target.Apply(ctx, targettest.Want("d/1", 2, 25)); err == nil || !strings.Contains(err.Error(), "operation d/1 may still be running") {
		t.Errorf("while the program runs: %v", err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	apply(t, target, targettest.Want("d/1", 2, 25))
	if got := p.prepared(t); got != "green v2 g1 g2\ngreen v2 g1 g2\n" {
		t.Errorf("prepared: %q", got)
	}
	if share := p.Shares(t)["v2"]; share < 24.7 || share > 25.3 {
		t.Errorf("v2 has %g %%", share)
	}
}

func TestWeightsThatSomebodyElseSetsAreSeenAndSetRight(t *testing.T) {
	p := startProxy(t)
	relay := startRelay(t, p)
	o := p.options()
	o.Socket = relay.path
	target := p.open(t, o)
	byHand := func() {
		if err := (socket{"unix", p.socket, time.Minute}).change(t.Context(), []string{"set server shop/g1 weight 200", "set server shop/g2 weight 200"}); err != nil {
			t.Error(err)
		}
	}
	apply(t, target, targettest.Want("d/1", 1, 25))
	byHand()
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share("v2"); err != nil || share < 40 {
		t.Errorf("afterwards: %+v, %v", seen, err)
	}
	apply(t, target, targettest.Want("d/2", 1, 50))
	if share := p.Shares(t)["v2"]; share != 50 {
		t.Errorf("the next step: v2 has %g %%", share)
	}
	relay.meanwhile(byHand)
	if seen, err := target.Apply(t.Context(), targettest.Rollback("d/3", 1)); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("in the middle: %+v, %v", seen, err)
	}
	apply(t, target, targettest.Rollback("d/3", 1))
	if share := p.Shares(t)["v1"]; share != 100 {
		t.Errorf("back: v1 has %g %%", share)
	}
}

func TestWhatStandsAgainstAMoveIsSaidBefore(t *testing.T) {
	p := startProxy(t)
	plain, preparing := p.options(), p.preparing(t)
	level := plain
	level.Socket = p.socket + "r"
	asking := plain
	asking.VersionPath = "/version"
	wrong := plain
	wrong.Slots = map[string][]string{"blue": {"b1"}, "green": {"nope"}}
	other := targettest.Rollback("d/2", 1)
	other.Releases[0].Release.Version = "v9"
	apply(t, p.open(t, plain), targettest.Want("d/1", 1, 25))
	before := p.view(t)
	rehearse := func(name string, o Options, want adg.Desired, obstacle string, final bool, says string) {
		t.Helper()
		rehearser, _ := adg.PowerOf[adg.Rehearser](p.open(t, o))
		found, err := rehearser.Rehearse(t.Context(), want)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case obstacle == "" && len(found) > 0:
			t.Errorf("%s: %+v", name, found)
		case obstacle != "" && (len(found) != 1 || found[0].Name != obstacle || found[0].Final != final || !strings.Contains(found[0].Text, says)):
			t.Errorf("%s: %+v", name, found)
		}
	}
	back := targettest.Rollback("d/2", 1)
	rehearse("nothing", plain, back, "", false, "")
	rehearse("nothing, as the servers say", asking, back, "", false, "")
	rehearse("a socket for readers", level, back, "access", true, "level user and needs admin")
	rehearse("a server that is not there", wrong, back, "release", true, "has no server nope")
	rehearse("a release that was never in a slot", plain, other, "release", true, "no slot has v9")
	rehearse("one that could be deployed to a slot by others", asking, other, "release", false, "no slot has v9")
	rehearse("one that would be prepared", preparing, other, "release", false, "prepared again")
	p.kill(t, "b1")
	rehearse("half of the servers are down, going back", plain, back, "", false, "")
	rehearse("half of the servers are down, going forward", plain, targettest.Want("d/2", 1, 50), "capacity", false, "b1 is DOWN")
	p.kill(t, "b2")
	rehearse("all are down", plain, back, "capacity", false, "of its 2 servers 0 are up")
	if now := p.view(t); now["g1"].weight != before["g1"].weight || now["b1"].weight != before["b1"].weight || now["b1"].admin != before["b1"].admin {
		t.Errorf("the rehearsal changed something: %+v, before %+v", now, before)
	}
	p.stop()
	rehearser, _ := adg.PowerOf[adg.Rehearser](p.open(t, plain))
	if found, err := rehearser.Rehearse(t.Context(), back); err == nil || adg.IsPermanent(err) {
		t.Errorf("without HAProxy: %+v, %v", found, err)
	}
}
