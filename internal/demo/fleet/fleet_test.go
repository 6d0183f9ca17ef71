package fleet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/fleet"
	"github.com/deployguardian/adg/internal/demo/shop"
)

// TestMain makes this binary a shop, or a parent of shops that waits to be killed, if it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "shop":
			serve()
		case "parent":
			parent()
		}
	}
	goleak.VerifyTestMain(m)
}

func serve() {
	o, err := shop.Parse(os.Args[2:])
	if err == nil {
		o.In, o.Out = os.Stdin, os.Stdout
		err = shop.Serve(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parent() {
	f := fleet.New(fleet.Options{Command: command(shop.None)})
	for _, version := range []string{"v1", "v2"} {
		addr, err := f.Start(context.Background(), version)
		fmt.Println(addr, err)
	}
	<-make(chan struct{})
}

func command(fault shop.Fault) func(string, string, int) *exec.Cmd {
	return func(version, addr string, restarts int) *exec.Cmd {
		o := shop.Options{Version: version, Addr: addr, Restarts: restarts, Fault: fault}
		cmd := exec.Command(os.Args[0], append([]string{"shop"}, o.Args()...)...)
		cmd.Env = []string{"GORACE=atexit_sleep_ms=0"}
		return cmd
	}
}

func open(t *testing.T, o fleet.Options) *fleet.Fleet {
	t.Helper()
	f := fleet.New(o)
	t.Cleanup(f.Close)
	return f
}

func start(t *testing.T, f *fleet.Fleet, version string) string {
	t.Helper()
	addr, err := f.Start(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func answers(addr string) bool {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + addr + "/healthz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func gone(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err == nil {
		_ = conn.Close()
	}
	return err != nil
}

func TestAVersionThatWasStartedAnswersAndIsStartedOnce(t *testing.T) {
	f := open(t, fleet.Options{Command: command(shop.None)})
	addr := start(t, f, "v1")
	if !answers(addr) {
		t.Error("it does not answer")
	}
	if again := start(t, f, "v1"); again != addr {
		t.Errorf("it was started again, at %s", again)
	}
	other := start(t, f, "v2")
	if other == addr {
		t.Error("two versions are one process")
	}
	if known, ok := f.Addr("v2"); !ok || known != other {
		t.Errorf("v2 is said to be at %q", known)
	}
	f.Stop("v1")
	f.Stop("v1")
	if !gone(addr) {
		t.Error("it was stopped, and answers")
	}
	if _, ok := f.Addr("v1"); ok || !answers(other) {
		t.Error("after v1 was stopped, it is still known or v2 is gone")
	}
	if again := start(t, f, "v1"); !answers(again) {
		t.Error("it cannot be started again")
	}
	f.Close()
	if !gone(other) {
		t.Error("a closed fleet leaves v2 behind")
	}
	if _, err := f.Start(t.Context(), "v3"); adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("a closed fleet starts v3: %v", err)
	}
}

func TestAVersionThatDiesIsRestartedAtTheSamePlaceAfterAPause(t *testing.T) {
	const backoff = 600 * time.Millisecond
	f := open(t, fleet.Options{Command: command(shop.Crash), Backoff: backoff})
	addr := start(t, f, "v1")
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	defer client.CloseIdleConnections()
	var answered time.Time // last: it crashed after that
	refused := false
	for n := 0; n < 2000 && !refused; n++ { // it crashes on about every 200th
		response, err := client.Get("http://" + addr + "/")
		if err == nil {
			answered = time.Now()
			_ = response.Body.Close()
		}
		refused = errors.Is(err, syscall.ECONNREFUSED)
	}
	if !refused {
		t.Fatal("it did not crash, or its connections are not refused")
	}
	eventually(t, "it answers again", func() bool { return answers(addr) })
	if f.Restarts("v1") == 0 {
		t.Error("no restart is counted")
	}
	if took := time.Since(answered); took < backoff {
		t.Errorf("it was restarted after %s, want at least %s", took, backoff)
	}
	if known, ok := f.Addr("v1"); !ok || known != addr {
		t.Errorf("it is said to be at %q, and was at %q", known, addr)
	}
}

// talker is a version that says where it listens, writes a log once there is the file, and goes on until its standard
// input ends.
func talker(file, log string) func(string, string, int) *exec.Cmd {
	return func(string, string, int) *exec.Cmd {
		server := command(shop.None)("v1", "127.0.0.1:0", 0)
		script := "exec 3<&0; " + server.Path + " " + strings.Join(server.Args[1:], " ") + " <&3 | { read -r where; echo $where; until [ -e " + file + " ]; do sleep .02; done; " + log + "; cat; }"
		return &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: server.Env}
	}
}

func TestTheEndOfALogIsKeptAndSinceWhenItIsComplete(t *testing.T) {
	for _, c := range []struct {
		name, log   string
		lines       int
		first, last string
		forgets     bool
	}{
		{"a few lines, and one that has no end yet", "echo a; echo b; printf c", 2, "a", "b", false},
		{"more lines than are kept", "seq 1 9000", 8000, "1001", "9000", true},
		{"a line that is very long", "head -c 5000 /dev/zero | tr '\\0' x; echo; echo end", 2, strings.Repeat("x", 1<<10), "end", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin, file := time.Now(), filepath.Join(t.TempDir(), "now")
			f := open(t, fleet.Options{Command: talker(file, c.log)})
			start(t, f, "v1")
			before, started := f.Lines("v1", begin, time.Now())
			if len(before) > 0 || started.Before(begin) {
				t.Fatalf("it has written nothing, and %d lines are there, complete since %s", len(before), started)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var lines []fleet.Line
			var since time.Time
			eventually(t, "the log is there", func() bool {
				lines, since = f.Lines("v1", begin, time.Now())
				return len(lines) == c.lines && lines[len(lines)-1].Text == c.last
			})
			if got := lines[0]; got.Text != c.first || got.At.Before(since) || since.Before(begin) {
				t.Errorf("complete since %s, and the first line is %.80q of %s", since, got.Text, got.At)
			}
			if early, _ := f.Lines("v1", begin, lines[0].At.Add(-1)); len(early) != 0 {
				t.Errorf("%d lines from before the first", len(early))
			}
			if forgot := since.After(started); forgot != c.forgets || since.Before(started) {
				t.Errorf("complete since %s, it was started at %s, the first line is of %s", since, started, lines[0].At)
			}
			f.Stop("v1")
			if after, since := f.Lines("v1", begin, time.Now()); len(after) > 0 || since.Before(begin) {
				t.Errorf("a version that was stopped has %d lines, complete since %s", len(after), since)
			}
		})
	}
}

func TestAVersionThatDiesKeepsItsLog(t *testing.T) {
	f := open(t, fleet.Options{Command: command(shop.Crash), Backoff: 10 * time.Millisecond})
	begin, addr := time.Now(), start(t, f, "v1")
	eventually(t, "it has died, and what it wrote before is there with what it writes now", func() bool {
		response, err := http.Post("http://"+addr+"/checkout", "", nil)
		if err == nil {
			_ = response.Body.Close()
		}
		lines, _ := f.Lines("v1", begin, time.Now())
		orders := 0
		for _, l := range lines {
			if strings.Contains(l.Text, "order 10001 ") {
				orders++ // each life counts from there
			}
		}
		return f.Restarts("v1") > 0 && orders > 1
	})
	http.DefaultClient.CloseIdleConnections()
}

func TestWhatDoesNotComeUpSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name, want string
		command    func() *exec.Cmd
	}{
		{"it complains and ends", "no such colour", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "echo no such colour >&2; exit 3") }},
		{"it ends without a word", "exit status 3", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "exit 3") }},
		{"there is no such program", "no such file", func() *exec.Cmd { return exec.Command("/nonexistent") }},
		{"it talks a lot and never serves", "ended", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "head -c 9999 /dev/zero") }},
		{"nobody is where it says that it is", "refused", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "echo 127.0.0.1:1; exec cat") }},
	} {
		f := open(t, fleet.Options{Command: func(string, string, int) *exec.Cmd { return c.command() }})
		_, err := f.Start(t.Context(), "v1")
		if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		f.Close()
	}
}

func TestACallerWhoseTimeIsOverStopsOnlyWhatDidNotServeYet(t *testing.T) {
	why := errors.New("the lease is over")
	f := open(t, fleet.Options{Grace: 50 * time.Millisecond, Command: func(version, addr string, restarts int) *exec.Cmd {
		if version == "hangs" {
			return exec.Command("/bin/sleep", "60") // and its standard input does not interest it
		}
		return command(shop.None)(version, addr, restarts)
	}})
	addr := start(t, f, "v1")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, why)
	defer cancel()
	if _, err := f.Start(ctx, "hangs"); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if _, ok := f.Addr("hangs"); ok {
		t.Error("it is said to be somewhere")
	}
	if _, err := f.Start(ctx, "v1"); err == nil {
		t.Error("a context that has ended is no error")
	}
	if !answers(addr) {
		t.Error("the version that served was stopped")
	}
}

func TestAParentThatIsKilledLeavesNoOrphan(t *testing.T) {
	cmd := exec.Command(os.Args[0], "parent")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addrs []string
	lines := bufio.NewScanner(out)
	for len(addrs) < 2 && lines.Scan() {
		addr, _, _ := strings.Cut(lines.Text(), " ")
		addrs = append(addrs, addr)
	}
	for _, addr := range addrs {
		if !answers(addr) {
			t.Errorf("%s does not answer", addr)
		}
	}
	if len(addrs) != 2 {
		t.Errorf("the parent started %v", addrs)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for _, addr := range addrs {
		eventually(t, "the shop at "+addr+" is gone", func() bool { return gone(addr) })
	}
}

// eventually waits for a condition, for a minute at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-ticker.C:
		}
	}
}
