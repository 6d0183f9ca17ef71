package haproxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func (p *proxy) kill(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		_ = p.servers[name].Close()
	}
	within(t, "HAProxy finds them down", func() bool {
		v := p.view(t)
		for _, name := range names {
			if v[name].status != "DOWN" {
				return false
			}
		}
		return true
	})
}

func refused(t *testing.T, target adg.Target, want adg.Desired, says ...string) {
	t.Helper()
	seen, err := target.Apply(t.Context(), want)
	if err == nil {
		t.Fatalf("no error, but %+v", seen)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}

func TestNoTrafficMovesToServersThatAreDown(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.UpTimeout = 300 * time.Millisecond
	target := p.open(t, o)
	p.kill(t, "g2")
	refused(t, target, targettest.Want("d/1", 1, 5), "slot green", "of its 2 servers 1 are up", "g2 is DOWN")
	if got := p.Shares(t); got["v1"] != 100 {
		t.Errorf("the traffic has moved: %v", got)
	}
}

func TestARollbackIsContentWithPartOfTheServersButNotWithNone(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.UpTimeout = 300 * time.Millisecond
	target := p.open(t, o)
	apply(t, target, targettest.Want("d/1", 1, 100))
	p.kill(t, "b1")
	apply(t, target, targettest.Rollback("d/2", 1))
	if got := p.Shares(t); got["v1"] != 100 {
		t.Errorf("the traffic has not moved back: %v", got)
	}
	apply(t, target, targettest.Want("d/3", 1, 50))
	if got := p.Shares(t); got["v2"] < 49 || got["v2"] > 51 {
		t.Errorf("with one of two servers down the shares are %v", got)
	}
	apply(t, target, targettest.Want("d/4", 1, 100))
	p.kill(t, "b2")
	refused(t, target, targettest.Rollback("d/5", 1), "slot blue", "b1 is DOWN", "b2 is DOWN")
	if got := p.Shares(t); got["v2"] != 100 {
		t.Errorf("an outage was made worse: %v", got)
	}
}

func TestASlotIsNotEmptiedForTheNextReleaseWhenNobodyCanTakeItsTraffic(t *testing.T) {
	p := startProxy(t)
	o := p.preparing(t)
	o.UpTimeout = 300 * time.Millisecond
	target := p.open(t, o)
	apply(t, target, targettest.Want("d/1", 1, 100))
	p.kill(t, "b1", "b2")
	want := targettest.Want("e/1", 1, 25)
	want.Releases[0].Release.Version = "v3"
	refused(t, target, want, "slot blue", "b1 is DOWN")
	if got := p.Shares(t); got["v2"] != 100 {
		t.Errorf("an outage was caused: %v", got)
	}
}

func TestACommandThatWasTakenButNotDoneIsAnError(t *testing.T) {
	p := startProxy(t)
	relay := startRelay(t, p)
	o := p.options()
	o.Socket = relay.path
	target := p.open(t, o)
	defer relay.Break(t, targettest.Lie)()
	refused(t, target, targettest.Want("d/1", 1, 25), "HAProxy took the commands, but server", "weight")
}

func TestTheSlotNeedsRoomForTheRequestsThatThereAre(t *testing.T) {
	c := change{target: &target{o: Options{RollbackUp: 50}}}
	up := func(name string, sessions, limit int) server {
		return server{name: name, status: "UP", running: true, sessions: sessions, limit: limit}
	}
	for _, test := range []struct {
		name  string
		green []server
		share float64
		says  string
	}{
		{"room for all", []server{up("g1", 0, 50), up("g2", 0, 50)}, 100, ""},
		{"room for half", []server{up("g1", 0, 25), up("g2", 0, 25)}, 50, ""},
		{"too little", []server{up("g1", 0, 25), up("g2", 0, 25)}, 100, "take 50 requests at a time (maxconn), and 100 are needed"},
		{"no limit", []server{up("g1", 0, 0), up("g2", 0, 1)}, 100, ""},
	} {
		v := view{slots: []slot{{name: "blue", servers: []server{up("b1", 100, 0)}}, {name: "green", servers: test.green}}}
		err := c.refusal(v, 1, test.share)
		if (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
}

func TestAfterARestartOfHAProxyCurrentShowsRealityAndTheSameOperationRepairsIt(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.options())
	want := targettest.Want("d/1", 1, 25)
	before := apply(t, target, want)
	p.stop()
	if _, err := target.Current(t.Context()); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("while HAProxy is gone: %v", err)
	}
	if _, err := target.Apply(t.Context(), want); adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) {
		t.Errorf("while HAProxy is gone: %v", err)
	}
	p.start(t)
	seen, err := target.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if share, _ := seen.Share("v1"); share != 100 { // the weights of its configuration
		t.Errorf("Current does not show what HAProxy does: %+v", seen)
	}
	if diff := cmp.Diff(before, apply(t, target, want)); diff != "" {
		t.Errorf("not repaired:\n%s", diff)
	}
}

func TestAReleaseThatIsNotWantedAnyMoreGoesIntoMaintenanceAndComesBack(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.options())
	alone := targettest.Want("d/1", 1, 100)
	alone.Releases = alone.Releases[:1]
	seen := apply(t, target, alone)
	if v := p.view(t); !v["b1"].maint() || !v["b2"].maint() || len(seen.Releases) != 1 {
		t.Errorf("blue is not out of service: %+v, %+v", v, seen)
	}
	seen = apply(t, target, targettest.Rollback("d/2", 1))
	if share, _ := seen.Share("v1"); share != 100 || p.Shares(t)["v1"] != 100 {
		t.Errorf("got %+v", seen)
	}
}

func TestAHumansMaintenanceIsLeftAlone(t *testing.T) {
	p := startProxy(t)
	s := socket{"unix", p.socket, time.Minute}
	if err := s.change(t.Context(), []string{"set server shop/b2 state maint"}); err != nil {
		t.Fatal(err)
	}
	target := p.open(t, p.options())
	apply(t, target, targettest.Want("d/1", 1, 50))
	apply(t, target, targettest.Rollback("d/2", 1))
	if v := p.view(t); !v["b2"].maint() || !v["b1"].ready() {
		t.Errorf("b1 is %s, b2 is %s", v["b1"].status, v["b2"].status)
	}
}

// prepareText is what brings a release into a slot here: the servers' versions are files that the test looks at.
const prepareText = `#!/bin/sh
echo "$ADG_SLOT $ADG_VERSION $ADG_SERVERS" >> "$WORLD/prepared"
while [ -e "$WORLD/hold" ]; do sleep 0.01; done
cat > "$WORLD/input"
[ ! -e "$WORLD/fail" ] || { echo "no such image" >&2; exit 1; }
`

func (p *proxy) preparing(t *testing.T) Options {
	t.Helper()
	o := p.options()
	o.Prepare.Path, o.Prepare.Env = filepath.Join(p.dir, "prepare"), map[string]string{"WORLD": p.dir}
	syscall.ForkLock.RLock() // no process may be forked while a program is open for writing
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(o.Prepare.Path, []byte(prepareText), 0o700); err != nil {
		t.Fatal(err)
	}
	return o
}

func (p *proxy) prepared(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "prepared"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func TestAReleaseIsPreparedOnceInASlotWithoutTraffic(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.preparing(t))
	apply(t, target, targettest.Want("d/1", 3, 0))
	apply(t, target, targettest.Want("d/2", 3, 25))
	apply(t, target, targettest.Want("d/3", 3, 100))
	apply(t, target, targettest.Rollback("d/4", 3))
	if got := p.prepared(t); got != "green v2 g1 g2\n" {
		t.Errorf("prepared: %q", got)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "input"))
	if err != nil {
		t.Fatal(err)
	}
	var got preparation
	want := preparation{OpID: "d/1", Fence: 3, Deployment: "shop-v2-abc", Backend: "shop", Slot: "green", Servers: []string{"g1", "g2"}, Release: targettest.Release("v2")}
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("input: %v %s", err, cmp.Diff(want, got))
	}
}

func TestAPreparationThatFailedMovesNothingAndIsRepeated(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.preparing(t))
	fail := filepath.Join(p.dir, "fail")
	if err := os.WriteFile(fail, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, target, targettest.Want("d/1", 1, 25), "prepare slot green for v2", "status 1: no such image")
	if got := p.Shares(t); got["v1"] != 100 {
		t.Errorf("the traffic has moved: %v", got)
	}
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	apply(t, target, targettest.Want("d/1", 1, 25))
	if got := strings.Count(p.prepared(t), "\n"); got != 2 {
		t.Errorf("prepared %d times, want 2", got)
	}
}

func TestTheNextReleaseTakesTheSlotOfTheOneThatNobodyWants(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.preparing(t))
	apply(t, target, targettest.Want("d/1", 1, 50))
	l := startLoad(t, p, 400)
	l.share(t, 50)
	// v3 supersedes v2, which has half the traffic: v1 takes it over until v3 is ready.
	want := targettest.Want("e/1", 1, 25)
	want.Deployment, want.Releases[0].Release.Version = "shop-v3-def", "v3"
	seen := apply(t, target, want)
	for version, share := range map[string]float64{"v1": 75, "v2": 0, "v3": 25} {
		if got, _ := seen.Share(version); got < share-0.3 || got > share+0.3 {
			t.Errorf("%s has %.1f %%, want %g", version, got, share)
		}
	}
	l.end()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed: %s", len(l.failed), l.sent, l.failed[0])
	}
	if got := p.prepared(t); got != "green v2 g1 g2\ngreen v3 g1 g2\n" {
		t.Errorf("prepared: %q", got)
	}
}

func TestAnotherConfigurationOfTheSameVersionIsPreparedElsewhere(t *testing.T) {
	p := startProxy(t)
	target := p.open(t, p.preparing(t))
	for i, config := range []string{"c1", "c2"} {
		want := targettest.Want("d/"+config, 1, 100)
		want.Releases = want.Releases[:1]
		want.Releases[0].Release.Config = config
		apply(t, target, want)
		if got := strings.Count(p.prepared(t), "\n"); got != i+1 {
			t.Errorf("%s: prepared %d times, want %d", config, got, i+1)
		}
	}
	if !strings.HasSuffix(p.prepared(t), "blue v2 b1 b2\n") {
		t.Errorf("prepared: %q", p.prepared(t))
	}
}

func TestWhatTheServersSayWinsOverWhatIsOnRecord(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.VersionPath, o.Initial, o.UpTimeout = "/version", nil, 500*time.Millisecond
	target := p.open(t, o)
	seen, err := target.Current(t.Context())
	if share, _ := seen.Share("v1"); err != nil || share != 100 {
		t.Fatalf("%+v, %v", seen, err)
	}
	// Nobody deployed v2 to green: no traffic goes there.
	refused(t, target, targettest.Want("d/1", 1, 25), "slot green", "says that it runs v0, not v2")
	if got := p.Shares(t); got["v1"] != 100 {
		t.Errorf("the traffic has moved: %v", got)
	}
	p.servers["g1"].runs("v2")
	p.servers["g2"].runs("v2")
	apply(t, target, targettest.Want("d/1", 1, 50))
	p.servers["g2"].runs("v9") // half of green is something else
	if seen, err = target.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]float64{"v1": 50, "v2": 25, "v9": 25} {
		if got, _ := seen.Share(version); got != want {
			t.Errorf("%s has %g %%, want %g: %s", version, got, want, seen.Text)
		}
	}
	if !strings.Contains(seen.Text, "g2 of slot green runs v9") {
		t.Errorf("text %q", seen.Text)
	}
}

func TestAServerThatDoesNotAnswerIsNotSaidToRunNothing(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.VersionPath, o.UpTimeout = "/version", 500*time.Millisecond
	opened := p.open(t, o)
	p.servers["g1"].runs("<html>")
	p.servers["g2"].runs("<html>")
	refused(t, opened, targettest.Want("d/1", 1, 25), "slot green: whether g1 runs v2 is not known: it answers at /version, and not with a version")
	const closed = "127.0.0.1:1"
	heard := opened.(*target).versions(t.Context(), []server{{name: "g1", addr: closed}, {name: "g2", addr: closed, status: "DOWN", check: "L4CON"}})
	if heard[0].version != "" || !strings.HasPrefix(heard[0].silence, "did not answer: ") || heard[1].silence != "was not asked, as HAProxy finds it down: L4CON" {
		t.Errorf("%+v", heard)
	}
}

func TestServersThatSayForAMomentThatTheyRunSomethingElseAreAskedAgain(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.VersionPath, o.Initial, o.UpTimeout = "/version", nil, 500*time.Millisecond
	target := p.open(t, o)
	p.servers["g1"].runs("v2")
	p.servers["g2"].runs("v2")
	apply(t, target, targettest.Want("d/1", 1, 50))
	say := func(blue, green string) {
		for name, s := range p.servers {
			s.runs(map[byte]string{'b': blue, 'g': green}[name[0]])
		}
	}
	say("v8", "v9")
	_, err := target.Apply(t.Context(), targettest.Rollback("d/2", 1))
	if err == nil || adg.IsPermanent(err) || !strings.Contains(err.Error(), "its servers say that they run v8 and v8") {
		t.Errorf("%v", err)
	}
	say("v1", "v2")
	if seen := apply(t, target, targettest.Rollback("d/2", 1)); !seen.Done || p.Shares(t)["v1"] != 100 {
		t.Errorf("%+v", seen)
	}
}

func TestTrafficOfAnUnknownVersionIsAnErrorAndNoGuess(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.Initial = nil
	target := p.open(t, o)
	if seen, err := target.Current(t.Context()); err == nil || !strings.Contains(err.Error(), "initial: {blue: VERSION}") {
		t.Errorf("got %+v, %v", seen, err)
	}
	refused(t, target, targettest.Want("d/1", 1, 25), "slot blue has traffic", "initial: {blue: v1}")
	if v := p.view(t); v["b1"].weight != 1 || v["g1"].weight != 0 {
		t.Error("the weights were changed")
	}
}

func TestADeadSocketSaysWhatToCheck(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "adg-haproxy-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hang := filepath.Join(dir, "hang")
	l, err := net.Listen("unix", hang)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct{ name, network, address, says string }{
		{"no such path", "unix", filepath.Join(dir, "none"), "no such file"},
		{"nobody answers", "unix", hang, "no answer within 100ms"},
		{"nobody listens", "tcp", "127.0.0.1:1", "refused"},
	} {
		_, err := socket{c.network, c.address, 100 * time.Millisecond}.servers(t.Context(), "shop")
		if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.address) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the operator went home"))
	if _, err := (socket{"unix", hang, time.Second}).ask(ctx, "show stat"); err == nil || !strings.Contains(err.Error(), "went home") {
		t.Errorf("cancelled: %v", err)
	}
}

func TestASocketWithoutTheRightLevelIsRefusedWithAHint(t *testing.T) {
	p := startProxy(t)
	s := socket{"unix", p.socket, time.Minute}
	err := s.change(t.Context(), []string{"set server shop/none weight 1"})
	if err == nil || !strings.Contains(err.Error(), "No such server") {
		t.Errorf("error %v", err)
	}
	o := p.options()
	o.Socket = p.socket + "r" // where its level is user
	target := p.open(t, o)
	refused(t, target, targettest.Want("d/1", 1, 25), "Permission denied", "level admin")
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 25)); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
	if got := p.Shares(t); got["v1"] != 100 {
		t.Errorf("the traffic has moved: %v", got)
	}
	apply(t, p.open(t, p.options()), targettest.Want("d/1", 1, 25)) // with the right one it goes on
	o = p.options()
	o.Slots = map[string][]string{"blue": {"b1"}, "green": {"nope"}}
	refused(t, p.open(t, o), targettest.Want("d/1", 1, 25), "backend shop has no server nope")
	o = p.options()
	o.Backend = "nope"
	refused(t, p.open(t, o), targettest.Want("d/1", 1, 25), "Can't find backend")
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Options{
		Socket: "haproxy", Backend: "shop; quit", Slots: map[string][]string{"blue": {"a", "a b"}, "green": {"a"}, "red": nil},
		Initial: map[string]string{"pink": "v 1"}, VersionPath: "version", Prepare: Program{Path: "prepare", Env: map[string]string{"ADG_X": ""}},
	}
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{`socket: "haproxy"`, `backend: "shop; quit"`, `"a b" is no name`, "server a is in blue and in green", "red has no servers",
		"there is no slot pink", `version "v 1"`, `version_path: "version"`, "programs may not be started", `prepare: path: "prepare"`, "prepare: timeout",
		`"ADG_X" is no name`, "timeout: 0s", "up_timeout: 0s", "drain_timeout: 0s", "rollback_up: 0", "no directory"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if adg.CodeOf(err) != adg.Invalid {
		t.Errorf("code %s", adg.CodeOf(err))
	}
}
