package shop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/fleet"
	"github.com/deployguardian/adg/internal/demo/scrapetest"
	"github.com/deployguardian/adg/internal/demo/shop"
)

// TestMain makes this binary a shop if it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "shop" {
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
	goleak.VerifyTestMain(m)
}

// open runs a shop as a process.
func open(t *testing.T, o shop.Options) (url string, versions *fleet.Fleet) {
	t.Helper()
	versions = fleet.New(fleet.Options{Backoff: 20 * time.Millisecond, Command: func(version, addr string, restarts int) *exec.Cmd {
		o.Version, o.Addr, o.Restarts = version, addr, restarts
		cmd := exec.Command(os.Args[0], append([]string{"shop"}, o.Args()...)...)
		cmd.Env = []string{"GORACE=atexit_sleep_ms=0"}
		return cmd
	}})
	t.Cleanup(versions.Close)
	t.Cleanup(client.CloseIdleConnections)
	addr, err := versions.Start(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + addr, versions
}

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func get(ctx context.Context, method, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// customers send n requests, some at once, and count the answers by status; 0 is no answer.
func customers(t *testing.T, url string, n int) map[int]int {
	t.Helper()
	var mu sync.Mutex
	seen := map[int]int{}
	work := make(chan int)
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			for i := range work {
				method, path := http.MethodGet, []string{"/", "/products"}[i%2]
				if i%4 == 3 {
					method, path = http.MethodPost, "/checkout"
				}
				status, _ := get(t.Context(), method, url+path)
				mu.Lock()
				seen[status]++
				mu.Unlock()
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	return seen
}

func TestEachVersionFailsAndWaitsAsItsFaultSays(t *testing.T) {
	const n = 800
	for _, c := range []struct {
		name    string
		fault   shop.Fault
		failing float64
		takes   float64 // seconds in the mean, at least: a machine that is busy adds to it, and takes nothing off
	}{
		{"a healthy version fails 2 in 100", shop.None, .02, .015},
		{"one with ten times the errors fails 20 in 100", shop.Errors, .20, .015},
		{"one that is slow fails no more than a healthy one", shop.Latency, .02, .030},
		{"one that loses payments fails no more than a healthy one", shop.Log, .02, .015},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _ := open(t, shop.Options{Fault: c.fault, Seed: 7})
			answers := customers(t, url, n)
			if answers[200]+answers[500] != n {
				t.Fatalf("answers by status: %v", answers)
			}
			slack := 4 * math.Sqrt(n*c.failing*(1-c.failing))
			if got := float64(answers[500]); math.Abs(got-n*c.failing) > slack {
				t.Errorf("%g of %d failed, want %g ± %.0f", got, n, n*c.failing, slack)
			}
			metrics := scrapetest.Read(t, url+"/metrics")
			for code, seen := range answers {
				if counted := metrics.Sum(t, "http_requests_total", "version", "v1", "code", fmt.Sprint(code)); counted != float64(seen) {
					t.Errorf("%g requests with %d are counted, customers saw %d", counted, code, seen)
				}
			}
			if posts := metrics.Sum(t, "http_requests_total", "route", "/checkout"); posts != n/4 {
				t.Errorf("%g requests to /checkout are counted, want %d", posts, n/4)
			}
			mean, observed := metrics.Mean(t, "http_request_duration_seconds", "version", "v1")
			if observed != n || mean < c.takes {
				t.Errorf("%g latencies of %.4f s in the mean, want at least %g s", observed, mean, c.takes)
			}
			for _, gauge := range []string{"app_heap_bytes", "process_start_time_seconds", "process_resident_memory_bytes"} {
				if metrics.Sum(t, gauge) <= 0 {
					t.Errorf("%s is not above zero", gauge)
				}
			}
		})
	}
}

func TestACrashingVersionIsRefusedUntilItIsRestartedAndSaysHowOften(t *testing.T) {
	url, versions := open(t, shop.Options{Fault: shop.Crash, Seed: 3})
	if got := scrapetest.Read(t, url+"/metrics").Sum(t, "shop_restarts_total", "version", "v1"); got != 0 {
		t.Errorf("%g restarts at the start", got)
	}
	answers := customers(t, url, 450) // it crashes on about every 200th
	if answers[0] == 0 {
		t.Errorf("every request was answered: %v", answers)
	}
	eventually(t, "it was restarted and answers again", func() bool {
		status, err := get(t.Context(), http.MethodGet, url+"/healthz")
		return err == nil && status == 200 && versions.Restarts("v1") > 0
	})
	if got := scrapetest.Read(t, url+"/metrics").Sum(t, "shop_restarts_total", "version", "v1"); got < 1 || got > 10 {
		t.Errorf("%g restarts, want a few", got)
	}
}

// written asks a shop for n orders and as many carts, and gives its log's messages by level.
func written(t *testing.T, o shop.Options, n int) map[string][]string {
	t.Helper()
	url, versions := open(t, o)
	begin := time.Now()
	ok := 0
	for range n {
		for _, path := range []string{"/checkout", "/cart"} {
			if status, err := get(t.Context(), http.MethodPost, url+path); err == nil && status == http.StatusOK {
				ok++
			}
		}
		if status, err := get(t.Context(), http.MethodGet, url+"/products"); err == nil && status != http.StatusOK {
			ok++ // what is only read is written of if it fails
		}
	}
	all := map[string][]string{}
	eventually(t, "all that was asked for is in the log", func() bool {
		lines, _ := versions.Lines("v1", begin, time.Now())
		clear(all)
		seen := 0
		for _, l := range lines {
			var line struct{ Time, Level, Msg, Error, Version string }
			if err := json.Unmarshal([]byte(l.Text), &line); err != nil || line.Version != "v1" || line.Time == "" {
				t.Fatalf("%q: %v", l.Text, err)
			}
			all[line.Level] = append(all[line.Level], strings.TrimSpace(line.Msg+" "+line.Error))
		}
		for _, texts := range all {
			for _, text := range texts {
				if strings.Contains(text, "is accepted") || strings.Contains(text, "has another") || strings.Contains(text, "GET /products failed") {
					seen++
				}
			}
		}
		return seen == ok
	})
	return all
}

func TestAShopWritesALineForEachCartAndOrderAndForWhatFails(t *testing.T) {
	all := written(t, shop.Options{Seed: 3}, 60)
	is := func(level, begin string, least int) {
		n := 0
		for _, text := range all[level] {
			if strings.HasPrefix(text, begin) {
				n++
			}
		}
		if n < least {
			t.Errorf("%d lines of level %s begin with %q, want %d: %q", n, level, begin, least, all[level])
		}
	}
	is("INFO", "order 10001 is accepted", 1)
	is("INFO", "cart 400001 has another product", 1)
	is("WARN", "product ", 1)
	is("ERROR", "", 1) // 2 in 100 fail
	for _, text := range all["ERROR"] {
		if !strings.HasSuffix(text, "failed stock is out of order") {
			t.Errorf("an error is %q", text)
		}
	}
}

func TestAVersionThatLosesPaymentsSaysSoInItsLogAlone(t *testing.T) {
	all := written(t, shop.Options{Fault: shop.Log, Seed: 3}, 20)
	lost, accepted := 0, 0
	for _, text := range all["ERROR"] {
		if strings.HasPrefix(text, "payment of order ") && strings.Contains(text, " is lost, try 1 ledger has no account ") {
			lost++
		}
	}
	for _, text := range all["INFO"] {
		if strings.HasPrefix(text, "order ") {
			accepted++
		}
	}
	if lost < 15 || lost != accepted {
		t.Errorf("%d payments are lost of %d orders that are said to be accepted", lost, accepted)
	}
}

func TestASilentVersionIsHealthyToAsksAndServesNobody(t *testing.T) {
	url, _ := open(t, shop.Options{Fault: shop.Silent})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		path := map[string]string{http.MethodGet: "/products", http.MethodPost: "/cart"}[method]
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		status, err := get(ctx, method, url+path)
		cancel()
		if err == nil {
			t.Errorf("%s %s is answered with %d", method, path, status)
		}
	}
	if status, err := get(t.Context(), http.MethodGet, url+"/healthz"); status != 200 {
		t.Errorf("/healthz answers %d, %v", status, err)
	}
	if n := scrapetest.Read(t, url+"/metrics").Sum(t, "http_requests_total", "version", "v1"); n != 0 {
		t.Errorf("%g requests are counted, and none was served", n)
	}
}

func TestALeakingVersionGrowsFromItsFirstRequestOn(t *testing.T) {
	url, _ := open(t, shop.Options{Fault: shop.Leak})
	heap := func() float64 { return scrapetest.Read(t, url+"/metrics").Sum(t, "app_heap_bytes") }
	runtime.GC() // what other tests left
	before := heap()
	if before > 16<<20 {
		t.Errorf("%.0f bytes before the first request", before)
	}
	if _, err := get(t.Context(), http.MethodGet, url+"/"); err != nil {
		t.Fatal(err)
	}
	// How fast is the bubble's to say (TestALeakTakesTenMiBPerSecondUpToItsLimit): the heap here is all of this process's.
	eventually(t, "8 MiB are leaked", func() bool { return heap() > before+8<<20 })
}

func TestAShopEndsWithWhoeverStartedIt(t *testing.T) {
	in, keep := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- shop.Serve(t.Context(), shop.Options{Version: "v1", In: in, Out: said}) }()
	addr := make([]byte, 64)
	n, err := out.Read(addr)
	if err != nil {
		t.Fatal(err)
	}
	taken := strings.TrimSpace(string(addr[:n]))
	if err := shop.Serve(t.Context(), shop.Options{Version: "v2", Addr: taken}); adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("an address that is taken gives %v", err)
	}
	if status, err := get(t.Context(), http.MethodGet, "http://"+taken+"/healthz"); status != 200 {
		t.Errorf("it answers %d, %v", status, err)
	}
	_ = keep.Close()
	if err := <-ended; err != nil {
		t.Errorf("its end is an error: %v", err)
	}
}

func TestOptionsSurviveTheWayThroughArguments(t *testing.T) {
	for _, o := range []shop.Options{
		{Version: "v1"},
		{Version: "1.2.3-rc.1", Addr: "127.0.0.1:8080", Fault: shop.Leak, Seed: math.MaxUint64, Restarts: 12},
	} {
		got, err := shop.Parse(o.Args())
		if diff := cmp.Diff(o, got); diff != "" || err != nil {
			t.Errorf("%v: %s", err, diff)
		}
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"no version":               {},
		"a hostile version":        {"--version=a b"},
		"an unknown fault":         {"--version=v1", "--fault=gremlins"},
		"an unknown flag":          {"--version=v1", "--colour=red"},
		"an argument too many":     {"--version=v1", "more"},
		"a negative restart count": {"--version=v1", "--restarts=-1"},
	} {
		if _, err := shop.Parse(args); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("--version=v1\n--fault=crash\n--seed=18446744073709551615")
	f.Add("--version=v1\n--\n-")
	f.Add("--restarts\n9999999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := shop.Parse(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		if again, err := shop.Parse(o.Args()); err != nil || again != o {
			t.Errorf("%+v comes back as %+v, %v", o, again, err)
		}
	})
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
