package ssh

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func applied(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// live says that so many percent really run the version.
func (w *world) live(t *testing.T, version string, share float64) {
	t.Helper()
	if got := w.Shares(t)[version]; got != share {
		t.Errorf("%s really has %g %%, want %g %%", version, got, share)
	}
}

func to(op, version string) adg.Desired {
	want := targettest.Want(op, 1, 100)
	want.Releases = want.Releases[:1]
	want.Releases[0].Release.Version = version
	return want
}

// TestAnOwnerLostAtAnyStepIsTakenOverAndEveryHostIsRestartedOnce ends the owner after each request that changes something,
// before its answer: what a host is like then is also what it is like before the next request.
func TestAnOwnerLostAtAnyStepIsTakenOverAndEveryHostIsRestartedOnce(t *testing.T) {
	t.Parallel()
	const requests = 12 // claim, fetch, drain, link, restart, undrain, of two hosts
	for at := 1; at <= requests+1; at++ {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			o := w.options()
			o.Drain, o.Undrain = []string{"true"}, []string{"true"}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			w.cutAt, w.onCut = at, func() { cancel(errors.New("killed")) }
			first := to("shop-v2-abc/1", "v2")
			_, err := w.open(t, o).Apply(ctx, first)
			if killed := at <= requests; killed != (err != nil) {
				t.Errorf("killed: %v, and the error is %v", killed, err)
			}
			w.mu.Lock()
			w.cutAt = 0 // a run that was not cut is followed by the next request
			w.mu.Unlock()
			second := first
			second.Fence = 2
			seen := applied(t, w.open(t, o), second)
			if n := len(w.Effects(t)); !seen.Done || n != 2 {
				t.Errorf("%d restarts, want 2; %+v", n, seen)
			}
			w.live(t, "v2", 100)
			if _, err := w.open(t, o).Apply(t.Context(), first); !errors.Is(err, adg.ErrFenced) {
				t.Errorf("the first owner is let in again: %v", err)
			}
		})
	}
}

func TestAHostThatDoesNotAnswerKeepsAReleaseBackAndNotARollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	o := w.options()
	target := w.open(t, o)
	applied(t, target, to("shop-v2-abc/1", "v2"))
	dead := w.machines[1].name
	w.mu.Lock()
	w.down[dead] = true
	w.mu.Unlock()
	restarts := len(w.Effects(t))
	_, err := target.Apply(t.Context(), to("shop-v3-abc/1", "v3"))
	if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), dead) || len(w.Effects(t)) != restarts {
		t.Errorf("%v, %d restarts", err, len(w.Effects(t))-restarts)
	}
	back := targettest.Rollback("shop-v2-abc/2", 1)
	if _, err := target.Apply(t.Context(), back); adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), dead) {
		t.Errorf("%v", err)
	}
	seen, err := target.Current(t.Context())
	share, _ := seen.Share("v1")
	if err != nil || seen.Done || share < 66 || share > 67 || !strings.Contains(seen.Text, dead) {
		t.Errorf("%+v, %v", seen, err)
	}
	w.mu.Lock()
	w.down[dead] = false
	w.mu.Unlock()
	if seen = applied(t, target, back); !seen.Done || len(w.Effects(t)) != restarts+3 {
		t.Errorf("%+v, %d restarts", seen, len(w.Effects(t))-restarts)
	}
}

func TestAReleaseThatDoesNotStartStopsAtTheFirstHostAndIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	o := w.options()
	o.Wait, o.Settle = 15*time.Second, 5*time.Second
	target := w.open(t, o)
	seen := applied(t, target, to("shop-v2-abc/1", "broken"))
	if !seen.Failed || seen.Done || !strings.Contains(seen.Text, "shop.service") || len(w.Effects(t)) != 1 {
		t.Errorf("%+v", seen)
	}
	again, err := w.open(t, o).Current(t.Context())
	if err != nil || !again.Failed || again.OpID != "shop-v2-abc/1" {
		t.Errorf("%+v, %v", again, err)
	}
	back := targettest.Rollback("shop-v2-abc/2", 1)
	if seen := applied(t, target, back); !seen.Done || seen.Failed || len(w.Effects(t)) != 2 {
		t.Errorf("%d restarts, %+v", len(w.Effects(t)), seen)
	}
	w.live(t, "v1", 100)
}

func TestAServiceThatDidNotStartIsStartedAgainWhenTheOperationIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.options()
	o.Settle = 5 * time.Second
	target := w.open(t, o)
	if seen := applied(t, target, to("shop-v2-abc/1", "broken")); !seen.Failed {
		t.Fatalf("%+v", seen)
	}
	program(t, filepath.Join(w.machines[0].dir, "srv/releases/broken/run"), "echo mended > \"$1\"/running; exec sleep 600")
	if seen := applied(t, target, to("shop-v2-abc/1", "broken")); !seen.Done || seen.Failed || len(w.Effects(t)) != 2 {
		t.Errorf("%d restarts, %+v", len(w.Effects(t)), seen)
	}
	w.live(t, "mended", 100)
}

func TestWhatAProgramPrintedIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	o := w.options()
	program(t, filepath.Join(w.dir, "reload"), "printf 'the port is taken\\033[31m\\n'; exit 4")
	o.Unit, o.Restart = "", []string{w.dir + "/reload"}
	seen := applied(t, w.open(t, o), to("shop-v2-abc/1", "v2"))
	if !seen.Failed || !strings.Contains(seen.Log, "the port is taken·[31m") || !strings.Contains(seen.Text, "status 4") {
		t.Errorf("%+v", seen)
	}
	o.Fetch = []string{"sh", "-c", "echo no such archive; exit 22"}
	_, err := w.open(t, o).Apply(t.Context(), to("shop-v3-abc/1", "v3"))
	if err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "no such archive") || !strings.Contains(err.Error(), "status 22") {
		t.Errorf("%v", err)
	}
}

func TestAFolderThatVanishedIsFetchedAgainOrFoundOutBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	o := w.options()
	target := w.open(t, o)
	applied(t, target, to("shop-v2-abc/1", "v2"))
	if err := os.RemoveAll(filepath.Join(w.machines[0].dir, "srv/releases/v1")); err != nil {
		t.Fatal(err)
	}
	back := targettest.Rollback("shop-v2-abc/2", 1)
	with, err := target.(adg.Rehearser).Rehearse(t.Context(), back)
	if err != nil || len(with) != 0 {
		t.Errorf("it can be fetched: %+v, %v", with, err)
	}
	bare := o
	bare.Fetch = nil
	without, err := w.open(t, bare).(adg.Rehearser).Rehearse(t.Context(), back)
	if err != nil || len(without) != 1 || without[0].Name != "release" || !without[0].Final || !strings.Contains(without[0].Text, w.machines[0].name) {
		t.Errorf("%+v, %v", without, err)
	}
	if _, err := w.open(t, bare).Apply(t.Context(), to("shop-v1-abc/1", "v1")); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.NotFound || len(w.Effects(t)) != 2 {
		t.Errorf("%v", err)
	}
	if _, err := w.open(t, bare).Apply(t.Context(), back); !adg.IsPermanent(err) || !strings.Contains(err.Error(), w.machines[0].name) {
		t.Errorf("%v", err)
	}
	w.live(t, "v1", 50) // the host that can go back has gone back
	back.OpID = "shop-v2-abc/3"
	if seen := applied(t, target, back); !seen.Done {
		t.Errorf("%+v", seen)
	}
	w.live(t, "v1", 100)
}

func TestAnotherOperatorsReleaseIsToldAndNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	target := w.open(t, w.options())
	applied(t, target, targettest.Want("shop-v2-abc/1", 1, 50))
	m := w.machines[0]
	program(t, filepath.Join(m.dir, "srv/releases/hotfix/run"), "echo hotfix > \"$1\"/running; exec sleep 600")
	by := exec.Command("sh", "-c", "ln -sfn releases/hotfix current.new && mv -T current.new current")
	by.Dir = filepath.Join(m.dir, "srv")
	if err := by.Run(); err != nil {
		t.Fatal(err)
	}
	seen, err := target.Current(t.Context())
	if err != nil || seen.Done || !strings.Contains(seen.Text, "somebody else") || !strings.Contains(seen.Text, "hotfix") {
		t.Errorf("%+v, %v", seen, err)
	}
	_, err = target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
	if adg.CodeOf(err) != adg.Conflict || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "hotfix") {
		t.Errorf("%v", err)
	}
	if to, _ := os.Readlink(filepath.Join(m.dir, "srv/current")); to != "releases/hotfix" {
		t.Errorf("current points to %s", to)
	}
}

func TestAHostIsDrainedWhileItIsChangedAndGetsItsTrafficOnceItIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.options()
	said := filepath.Join(w.dir, "order")
	o.Drain = []string{"sh", "-c", `echo drain $ADG_OP_ID $0 >> "` + said + `"; readlink /srv/shop/current >> "` + said + `"`, "{version}"}
	o.Undrain = []string{"sh", "-c", `echo undrain >> "` + said + `"; readlink /srv/shop/current >> "` + said + `"`}
	var asked atomic.Int32
	health := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 4 {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if text, _ := os.ReadFile(said); asked.Load() == 4 && strings.Contains(string(text), "undrain") {
			t.Error("it got traffic before it was well")
		}
	}))
	defer health.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(health.URL, "http://"))
	o.Health = "http://{host}:" + port + "/healthz"
	target := w.open(t, o)
	defer target.(interface{ Close() error }).Close()
	if seen := applied(t, target, to("shop-v2-abc/1", "v2")); !seen.Done {
		t.Errorf("%+v", seen)
	}
	text, _ := os.ReadFile(said)
	if string(text) != "drain shop-v2-abc/1 v2\nreleases/v1\nundrain\nreleases/v2\n" {
		t.Errorf("%s", text)
	}
	health.Close()
	if seen, err := target.Current(t.Context()); err != nil || seen.Done || !strings.Contains(seen.Text, w.machines[0].name) {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestAServiceThatRunsFromBeforeTheLinkIsNotBelieved(t *testing.T) {
	t.Parallel()
	v := view{link: &link{t: &target{o: Options{Unit: "shop.service", Action: "restart"}}}, current: "releases/v2", version: "v2",
		now: time.Unix(1000, 0), uptime: 500 * time.Second, linked: time.Unix(900, 0),
		unit: map[string]string{"LoadState": "loaded", "ActiveState": "active", "ExecMainStartTimestampMonotonic": "0"}}
	v.unit["ExecMainStartTimestampMonotonic"] = "300000000"
	if !strings.Contains(v.trouble(), "another release") {
		t.Errorf("started at 800, linked at 900: %q", v.trouble())
	}
	v.unit["ExecMainStartTimestampMonotonic"] = "401000000"
	if v.trouble() != "" {
		t.Errorf("started at 901, linked at 900: %q", v.trouble())
	}
}

func TestAServerOrAKeyThatIsNotTheRightOneIsAPermanentError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	other, stranger := newKey(t)
	for name, c := range map[string]struct {
		spoil func(*Options)
		says  string
	}{
		"another server": {func(o *Options) {
			o.KnownHosts = strings.Fields(o.KnownHosts)[0] + " " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))
		}, "known_hosts"},
		"a server that nobody knows": {func(o *Options) {
			o.KnownHosts = "example.org " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))
		}, "known_hosts"},
		"a key that is not let in": {func(o *Options) { o.Key = adg.NewSecret(string(stranger)) }, "refused the key"},
	} {
		o := w.options()
		c.spoil(&o)
		target := w.open(t, o)
		_, err := target.Current(t.Context())
		if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		found, err := target.(adg.Rehearser).Rehearse(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
		if err != nil || len(found) != 1 || !found[0].Final || found[0].Name != "access" {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

func TestARehearsalFindsWhatIsMissingOnTheHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	o := w.options()
	if err := os.RemoveAll(filepath.Join(w.machines[0].dir, "srv")); err != nil {
		t.Fatal(err)
	}
	program(t, filepath.Join(w.machines[0].dir, "bin/systemctl"), "echo LoadState=not-found; echo ActiveState=inactive")
	o.Fetch = nil
	found, err := w.open(t, o).(adg.Rehearser).Rehearse(t.Context(), to("shop-v2-abc/1", "v2"))
	var names []string
	for _, f := range found {
		if f.Final {
			names = append(names, f.Name)
		}
	}
	if err != nil || strings.Join(names, " ") != "access access release" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnceAndNoSecret(t *testing.T) {
	t.Parallel()
	o := Driver.Options.(Options)
	o.Hosts, o.User, o.Root = []string{"-oProxyCommand=id", "web 1"}, "-l", "srv/../etc"
	o.Key, o.Drain, o.Batch, o.Health = adg.NewSecret("nonsense "+targettest.Planted), []string{"-x"}, 0, "http://169.254.169.254/"
	_, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Dir: t.TempDir()})
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || strings.Contains(err.Error(), targettest.Planted) {
		t.Fatal(err)
	}
	for _, says := range []string{"-oProxyCommand", "web 1", "user:", "root:", "key:", "drain:", "batch:", "health:", "unit, restart"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s is missing in %v", says, err)
		}
	}
}

func TestACanaryOnTwentyHostsFollowsItsSharesExactly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	o := w.options()
	o.Batch = 10
	target := w.open(t, o)
	for i, share := range []float64{5, 25, 50, 100} {
		if seen := applied(t, target, targettest.Want("shop-v2-abc/"+string(rune('1'+i)), 1, share)); !seen.Done {
			t.Fatalf("%+v", seen)
		}
		if got := w.Shares(t)["v2"]; got < share-0.01 || got > share+0.01 {
			t.Errorf("%g %% are %g %%", share, got)
		}
	}
	if n := len(w.Effects(t)); n != 20 {
		t.Errorf("%d restarts, want one of each host", n)
	}
}
