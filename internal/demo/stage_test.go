package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo"
	"github.com/deployguardian/adg/internal/demo/scrapetest"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/demo/tally"
)

// TestMain makes this binary what the demo starts from its own binary, or a demo that waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "shop":
			if err := demo.Shop(context.Background(), os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "parent":
			parent(os.Args[2])
		}
	}
	goleak.VerifyTestMain(m)
}

// parent runs a demo, says where its processes listen, and waits to be killed.
func parent(options string) {
	var o demo.Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		panic(err)
	}
	s, err := demo.Open(context.Background(), o)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.URL())
	fmt.Println(s.Version(demo.Stable))
	<-make(chan struct{})
}

func options(t *testing.T, o demo.Options) demo.Options {
	t.Helper()
	o.Dir, o.Seed, o.Env = t.TempDir(), 42, []string{"GORACE=atexit_sleep_ms=0"}
	if _, err := exec.LookPath("/usr/sbin/haproxy"); o.HAProxy && err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no HAProxy here: apt install haproxy")
		}
		t.Skip("there is no HAProxy here: apt install haproxy")
	}
	return o
}

func open(t *testing.T, o demo.Options) *demo.Stage {
	t.Helper()
	s, err := demo.Open(t.Context(), options(t, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// desired gives a version a share, beside Stable.
func desired(op int, version string, share float64) adg.Desired {
	place := func(version string, share float64, role adg.Role) adg.Placement {
		if share == 0 {
			role = adg.IdleRole
		}
		return adg.Placement{Release: demo.Release(version), Share: share, Role: role}
	}
	return adg.Desired{
		OpID: fmt.Sprintf("shop-%s/%d", version, op), Deployment: "shop-" + version, Fence: 1,
		Releases: []adg.Placement{place(version, share, adg.CandidateRole), place(demo.Stable, 100-share, adg.StableRole)},
	}
}

func apply(t *testing.T, s *demo.Stage, want adg.Desired) {
	t.Helper()
	seen, err := s.Target().Apply(t.Context(), want)
	if err != nil || !seen.Done {
		t.Fatalf("apply %s: %+v, %v", want.OpID, seen, err)
	}
}

// served waits until a version has served n requests more than in an earlier count, and gives all counts.
func served(t *testing.T, s *demo.Stage, version string, earlier map[string]tally.Count, n int64) map[string]tally.Count {
	t.Helper()
	eventually(t, fmt.Sprintf("%s serves %d", version, n), func() bool {
		return s.Counts()[version].Requests >= earlier[version].Requests+n
	})
	return s.Counts()
}

// agrees checks that what the router has counted for a version is what the version has counted. What the router gave up
// may have been answered after that.
func agrees(t *testing.T, s *demo.Stage, version string) {
	t.Helper()
	metrics := scrapetest.Read(t, "http://"+s.Admin()+"/version/"+version+"/metrics")
	answered := metrics.Sum(t, "http_requests_total", "version", version)
	failed := metrics.Sum(t, "http_requests_total", "version", version, "code", "500")
	var c tally.Count
	eventually(t, "the router has written its log", func() bool {
		c = s.Counts()[version]
		return c.Requests >= int64(answered)
	})
	if int64(answered) < c.Requests-c.Unanswered || int64(answered) > c.Requests {
		t.Errorf("%s has answered %g requests, the router counts %+v", version, answered, c)
	}
	if int64(failed) < c.Bad-c.Unanswered || int64(failed) > c.Bad {
		t.Errorf("%s has answered %g requests with 500, the router counts %+v", version, failed, c)
	}
}

func TestAReleaseIsShiftedInAndBackWithoutAFailedRequest(t *testing.T) {
	for name, haproxy := range map[string]bool{"the router that is built in": false, "a real HAProxy": true} {
		t.Run(name, func(t *testing.T) {
			// Slowly enough that what comes at once after a pause of the machine is neither shed nor missing in HAProxy's log.
			s := open(t, demo.Options{Fault: shop.None, HAProxy: haproxy, Rate: 50, Timeout: time.Minute})
			served(t, s, demo.Stable, nil, 1)
			for step, share := range []float64{5, 25, 50, 100, 0} {
				apply(t, s, desired(step+1, demo.Good, share))
				version := demo.Good
				switch share {
				case 100:
					agrees(t, s, demo.Stable) // its last requests are counted
				case 0:
					version = demo.Stable
					agrees(t, s, demo.Good)
				}
				before := served(t, s, version, s.Counts(), 4) // HAProxy's lines about earlier requests may come late
				after := served(t, s, version, before, 8)
				good, stable := after[demo.Good].Minus(before[demo.Good]), after[demo.Stable].Minus(before[demo.Stable])
				n, p := float64(good.Requests+stable.Requests), share/100
				if slack := 4*math.Sqrt(n*p*(1-p)) + 1; math.Abs(float64(good.Requests)-n*p) > slack {
					t.Errorf("at %g %% %d of %g requests go to the candidate, want %.0f ± %.0f", share, good.Requests, n, n*p, slack)
				}
			}
			s.Quiet()
			agrees(t, s, demo.Good)
			agrees(t, s, demo.Stable)
			customers, total, bad := s.Load(), int64(0), int64(0)
			for version, c := range s.Counts() {
				total, bad = total+c.Requests, bad+c.Bad
				if c.Unanswered+c.Abandoned > 0 {
					t.Errorf("%s left requests without an answer: %+v", version, c)
				}
			}
			if customers.Bad != customers.Failures["http_500"] || customers.Shed > 0 || customers.Bad != bad || customers.Sent != total {
				t.Errorf("the router counts %d requests and %d bad ones, customers %+v", total, bad, customers.Failures)
			}
			if customers.Sent < 200 {
				t.Errorf("%d requests are too few to tell", customers.Sent)
			}
		})
	}
}

func TestEachFaultShowsToCustomersAndInTheMetrics(t *testing.T) {
	for _, c := range []struct {
		fault   shop.Fault
		harmed  float64 // share of the bad release's requests, at least
		answers bool    // all requests are answered
		n       int64
		timeout time.Duration
	}{
		{shop.Errors, .10, true, 80, time.Minute},
		{shop.Latency, .07, true, 80, time.Minute},
		{shop.Crash, 0, false, 320, time.Minute},
		{shop.Silent, 1, false, 30, 2 * time.Second}, // which all of its requests take
		{shop.Leak, 0, true, 80, time.Minute},
		{shop.Log, 0, true, 80, time.Minute},
		{shop.None, 0, true, 80, time.Minute},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			begin := time.Now()
			s := open(t, demo.Options{Fault: c.fault, Backoff: 100 * time.Millisecond, Rate: 100, Timeout: c.timeout})
			apply(t, s, desired(1, demo.Bad, 50))
			counts := served(t, s, demo.Bad, nil, c.n)
			decided := time.Now()
			apply(t, s, desired(2, demo.Bad, 0))
			quiet := s.Counts()[demo.Bad]
			counts = served(t, s, demo.Stable, counts, 10)
			if after := counts[demo.Bad]; after.Requests != quiet.Requests {
				t.Errorf("after the way back the bad release has served %d more", after.Requests-quiet.Requests)
			}
			s.Quiet()
			agrees(t, s, demo.Stable)
			if c.fault != shop.Crash { // it forgets what it had counted
				agrees(t, s, demo.Bad)
			}
			bad := s.Counts()[demo.Bad]
			if got := float64(bad.Harmed()) / float64(bad.Requests); got < c.harmed {
				t.Errorf("%.2f of the requests were bad or slow, want %.2f", got, c.harmed)
			}
			if (bad.Unanswered == 0) != c.answers {
				t.Errorf("%d requests were not answered", bad.Unanswered)
			}
			harm := demo.HarmOf(bad, s.Counts()[demo.Stable], decided)
			// On a machine that is busy every version is slow: of the slow one only the share is asked.
			if above := harm.Above > 0 || c.fault == shop.Latency; c.harmed > 0 && (!above || harm.Detected <= 0 || harm.Restored < harm.Detected || harm.Restored > time.Since(begin).Seconds()) {
				t.Errorf("harm %+v", harm)
			}
			exported := scrapetest.Read(t, "http://"+s.Admin()+"/metrics")
			if n := exported.Sum(t, "router_requests_total", "version", demo.Bad); n != float64(bad.Requests) {
				t.Errorf("the router exports %g requests, and counts %d", n, bad.Requests)
			}
			if c.fault == shop.Silent {
				if got := s.Load().P99; got < c.timeout {
					t.Errorf("customers of a release that never answers have waited for %s, and it has %s", got, c.timeout)
				}
				if n := exported.Sum(t, "router_unanswered_requests_total", "version", demo.Bad); n != float64(bad.Requests) {
					t.Errorf("the router exports %g requests without an answer of %d", n, bad.Requests)
				}
			}
		})
	}
}

func TestVersionsCanBeAskedPastTheRouterWhileTheyRun(t *testing.T) {
	s := open(t, demo.Options{})
	for path, want := range map[string]int{
		"/version/v1/healthz":  http.StatusOK,
		"/version/v1/metrics":  http.StatusOK,
		"/version/v1/nowhere":  http.StatusNotFound,
		"/version/v2/metrics":  http.StatusServiceUnavailable, // not started yet
		"/version/v77/metrics": http.StatusServiceUnavailable,
		"/elsewhere":           http.StatusNotFound,
	} {
		if got := status(t, "http://"+s.Admin()+path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	alone := desired(1, demo.Good, 100)
	alone.Releases = alone.Releases[:1]
	apply(t, s, alone)
	for version, want := range map[string]int{demo.Stable: http.StatusServiceUnavailable, demo.Good: http.StatusOK} {
		if got := status(t, "http://"+s.Admin()+"/version/"+version+"/metrics"); got != want {
			t.Errorf("after the promotion %s: %d, want %d", version, got, want)
		}
	}
}

func TestPreparingIsForHAProxyOnly(t *testing.T) {
	s := open(t, demo.Options{})
	response, err := http.Post("http://"+s.Admin()+"/prepare?slot=blue&version=v1", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("answered %d", response.StatusCode)
	}
}

func TestAKilledDemoLeavesNoProcessBehind(t *testing.T) {
	for name, haproxy := range map[string]bool{"the router that is built in": false, "a real HAProxy": true} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(options(t, demo.Options{HAProxy: haproxy}))
			if err != nil {
				t.Fatal(err)
			}
			short, err := os.MkdirTemp("", "adg") // what is killed cannot clear away, and a socket's path is short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(short) })
			cmd := exec.Command(os.Args[0], "parent", string(text))
			cmd.Env = append(os.Environ(), "TMPDIR="+short)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			var addrs []string
			for len(addrs) < 2 && lines.Scan() {
				addrs = append(addrs, strings.TrimPrefix(lines.Text(), "http://"))
			}
			if len(addrs) != 2 || gone(addrs[0]) || gone(addrs[1]) {
				t.Errorf("the demo does not serve at %v", addrs)
			}
			_ = cmd.Process.Kill() // fails only if it has ended
			_ = cmd.Wait()
			for _, addr := range addrs {
				eventually(t, addr+" is gone", func() bool { return gone(addr) })
			}
		})
	}
}

func TestWhatCannotBeStartedIsSaidAndLeavesNothing(t *testing.T) {
	for _, haproxy := range []bool{false, true} {
		o := options(t, demo.Options{HAProxy: haproxy})
		o.Exe = "/bin/false"
		if s, err := demo.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("HAProxy %v: no error", haproxy)
		}
	}
}

func TestUnknownProcessesAreRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing":                 nil,
		"a program to mind":       {"mind"},
		"prepare without address": {"prepare"},
		"an unknown verb":         {"juggle"},
	} {
		if err := demo.Shop(t.Context(), args); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func gone(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err == nil {
		_ = conn.Close()
	}
	return err != nil
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
