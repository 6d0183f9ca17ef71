package haproxy

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// load sends requests at a constant rate, GET and POST in turn, and never repeats one.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	sent   int
	failed []string
	by     map[string]int // answers by version
	mark   time.Time
	since  map[string]int       // answers by version to what was sent since the mark
	last   map[string]time.Time // when the last request was sent that a version answered
}

func startLoad(t testing.TB, p *proxy, rate int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{}), by: map[string]int{}, since: map[string]int{}, last: map[string]time.Time{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	l.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				l.wg.Go(func() { l.request(client, p.front, n) })
			}
		}
	})
	t.Cleanup(func() { l.end(); transport.CloseIdleConnections() })
	return l
}

func (l *load) request(client *http.Client, addr string, n int) {
	method, body := http.MethodGet, io.Reader(nil)
	if n%2 == 1 {
		// A body that cannot be read twice keeps net/http from sending the request again by itself.
		method, body = http.MethodPost, io.MultiReader(strings.NewReader("order"), strings.NewReader(fmt.Sprint(n)))
	}
	req, err := http.NewRequest(method, "http://"+addr+"/", body)
	if err != nil {
		l.note("", err, time.Time{})
		return
	}
	if method == http.MethodGet {
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
	sent := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		l.note("", err, sent)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	l.note(strings.TrimSpace(string(answer)), err, sent)
}

func (l *load) note(version string, err error, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failed = append(l.failed, err.Error())
		return
	}
	l.by[version]++
	if !sent.Before(l.mark) {
		l.since[version]++
	}
	if sent.After(l.last[version]) {
		l.last[version] = sent
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

// share is the part of v2 among at least so many requests that are sent from now on.
func (l *load) share(t testing.TB, requests int) (share float64, counted int) {
	t.Helper()
	l.mu.Lock()
	l.mark, l.since = time.Now(), map[string]int{}
	l.mu.Unlock()
	within(t, fmt.Sprintf("%d requests", requests), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		counted = l.since["v1"] + l.since["v2"]
		share = 100 * float64(l.since["v2"]) / float64(max(counted, 1))
		return counted >= requests
	})
	return share, counted
}

func TestNotOneRequestFailsWhileTrafficMovesUpAndBack(t *testing.T) {
	p := startProxy(t)
	for _, name := range slotServers["green"] {
		p.servers[name].runs("v2")
	}
	target := p.open(t, p.options())
	l := startLoad(t, p, 400)
	op := 0
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	for _, up := range [][]float64{{5, 25, 50, 100}, {0, 5}, {25, 50}, {100}} {
		for _, want := range up {
			seen := apply(t, target, targettest.Want(next(), 1, want))
			if got, _ := seen.Share("v2"); math.Abs(got-want) > 0.3 {
				t.Errorf("%g %% wanted, weights for %.2f %%", want, got)
			}
			share, n := l.share(t, 300)
			// Five standard deviations: round robin is far closer than chance.
			if bound := 100*5*math.Sqrt(want/100*(1-want/100)/float64(n)) + 0.5; math.Abs(share-want) > bound {
				t.Errorf("%g %% wanted, %.1f %% of %d requests came, more than %.1f off", want, share, n, bound)
			}
		}
		apply(t, target, targettest.Rollback(next(), 1))
		if share, n := l.share(t, 100); share > 100*3/float64(n) { // requests that were under way
			t.Errorf("after the rollback %.1f %% of %d requests still went to v2", share, n)
		}
	}
	l.end()
	if len(l.failed) > 0 {
		t.Errorf("the client counts %d failed requests of %d: %s", len(l.failed), l.sent, l.failed[0])
	}
	l.agrees(t, p)
}

// agrees compares the client's count with those of HAProxy's log and of the servers.
func (l *load) agrees(t testing.TB, p *proxy) {
	t.Helper()
	logged := 0
	var by map[string]int
	var bad []string
	within(t, "the log has every request", func() bool {
		by, bad = p.logs.requests()
		logged = 0
		for _, n := range by {
			logged += n
		}
		return logged >= l.sent
	})
	served := 0
	for name, s := range p.servers {
		served += s.count()
		if by[name] != s.count() {
			t.Errorf("HAProxy's log has %d requests for %s, which counts %d", by[name], name, s.count())
		}
	}
	if len(bad) > 0 || logged != l.sent || served != l.sent {
		t.Errorf("%d sent, %d logged, %d served, %d bad in HAProxy's log: %v", l.sent, logged, served, len(bad), bad[:min(len(bad), 3)])
	}
	t.Logf("%d requests, none failed: %v", l.sent, by)
}

// slowRequest sends a request that the server holds until release is called, and waits until it is there.
func slowRequest(t *testing.T, p *proxy) (ended func() error) {
	t.Helper()
	result := make(chan error, 1)
	transport := &http.Transport{DisableKeepAlives: true}
	go func() {
		resp, err := (&http.Client{Transport: transport}).Post("http://"+p.front+"/slow", "text/plain", strings.NewReader("order"))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if err == nil && resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		result <- err
	}()
	return func() error {
		select {
		case err := <-result:
			return err
		case <-time.After(time.Minute):
			return fmt.Errorf("no answer after a minute")
		}
	}
}

func TestASlotIsIdleWhenItsLongRequestsHaveEnded(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.DrainTimeout = time.Hour
	target := p.open(t, o)
	ended := slowRequest(t, p)
	within(t, "the long request is in blue", func() bool { v := p.view(t); return v["b1"].sessions+v["b2"].sessions == 1 })
	applied := make(chan error, 1)
	go func() {
		_, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 100))
		applied <- err
	}()
	within(t, "the traffic has moved", func() bool { return p.Shares(t)["v2"] == 100 })
	select {
	case err := <-applied:
		t.Fatalf("Apply did not wait for the request: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if v := p.view(t); !v["b1"].drain() || !v["b2"].drain() {
		t.Errorf("blue does not drain: %+v", v)
	}
	for _, s := range p.servers {
		close(s.slow)
	}
	if err := ended(); err != nil {
		t.Errorf("the long request failed: %v", err)
	}
	if err := <-applied; err != nil {
		t.Error(err)
	}
}

func TestARollbackDoesNotWaitForTheStragglersOfTheBadRelease(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.DrainTimeout = time.Hour // apply gives up long before
	target := p.open(t, o)
	apply(t, target, targettest.Want("d/1", 1, 100))
	ended := slowRequest(t, p)
	within(t, "the long request is in green", func() bool { v := p.view(t); return v["g1"].sessions+v["g2"].sessions == 1 })
	apply(t, target, targettest.Rollback("d/2", 1))
	for _, s := range p.servers {
		close(s.slow)
	}
	if err := ended(); err != nil {
		t.Errorf("the long request failed: %v", err)
	}
}

func TestDrainingEndsAtItsTimeout(t *testing.T) {
	p := startProxy(t)
	o := p.options()
	o.DrainTimeout = 200 * time.Millisecond
	target := p.open(t, o)
	ended := slowRequest(t, p)
	within(t, "the long request is in blue", func() bool { v := p.view(t); return v["b1"].sessions+v["b2"].sessions == 1 })
	seen := apply(t, target, targettest.Want("d/1", 1, 100))
	if share, _ := seen.Share("v2"); !seen.Done || share != 100 {
		t.Errorf("got %+v", seen)
	}
	for _, s := range p.servers {
		close(s.slow)
	}
	if err := ended(); err != nil {
		t.Errorf("the long request failed: %v", err)
	}
}
