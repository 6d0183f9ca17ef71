package embedded_test

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

func TestScrapesTheTargetsThatThePolicyNames(t *testing.T) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code"})
	registry.MustRegister(requests)
	requests.WithLabelValues("200").Add(7)
	shop := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer shop.Close()

	s := start(t, scraping(embedded.Job{Job: "shop", Targets: []string{address(shop)}, Labels: map[string]string{"version": "v2"}}))
	if got := s.Targets(); len(got) != 1 || got[0].Job != "shop" || got[0].URL != shop.URL+"/metrics" {
		t.Fatalf("a target that was not scraped yet is not listed: %+v", got)
	}
	var got []adg.Series
	eventually(t, "one series has the value 7", func() bool {
		got = ask(t, s, adg.Query{Text: "http_requests_total"}).Series
		return len(got) == 1 && got[0].Samples[0].Value == 7
	})
	want := map[string]string{"__name__": "http_requests_total", "job": "shop", "instance": address(shop), "version": "v2", "code": "200"}
	if diff := cmp.Diff(want, got[0].Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	eventuallyIs(t, s, `up{job="shop"}`, 1)
	eventually(t, "a target that answers is up", func() bool {
		target := s.Targets()[0]
		return target.Up && target.Err == "" && time.Since(target.LastScrape) < time.Minute
	})
}

func TestPicksUpChangesOfTargetFiles(t *testing.T) {
	one, two := expose(t, "colour 1\n"), expose(t, "colour 2\n")
	dir := t.TempDir()
	list := func(address string) {
		text, err := json.Marshal([]map[string]any{{"targets": []string{address}, "labels": map[string]string{
			"version": "file", "__metrics_path__": "/stats", "__scrape_interval__": "1d", "__scrape_timeout__": "1d",
		}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "shop.json"), string(text))
	}
	list(one.address())
	s := start(t, scraping(embedded.Job{
		Job: "shop", FileSD: []string{filepath.Join(dir, "*.json")}, Labels: map[string]string{"team": "blue", "version": "job"},
	}))
	eventuallyIs(t, s, `colour{team="blue",version="file"}`, 1)

	write(t, filepath.Join(dir, "shop.json"), "{broken")
	list(two.address())
	eventuallyIs(t, s, `sum(colour)`, 2)
	eventually(t, "the old target is gone", func() bool {
		targets := s.Targets()
		return len(targets) == 1 && targets[0].URL == two.URL+"/stats"
	})

	if err := os.Remove(filepath.Join(dir, "shop.json")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is scraped without the file", func() bool { return len(s.Targets()) == 0 })
}

func TestCountersComeRawWithTheirResets(t *testing.T) {
	shop := expose(t, "requests_total 5\n")
	s := start(t, scraping(embedded.Job{Job: "shop", Targets: []string{shop.address()}}))
	for _, n := range []float64{5, 9, 2} {
		shop.set(fmt.Sprintf("requests_total %g\n", n))
		eventuallyIs(t, s, "requests_total", n)
	}
	shop.set("# nothing\n")
	eventually(t, "the series has ended", func() bool { _, found := value(t, s, "requests_total"); return !found })

	answer := ask(t, s, adg.Query{Kind: adg.Counters, Text: `requests_total{job="shop"}`})
	if len(answer.Series) != 1 {
		t.Fatalf("%d series, want 1", len(answer.Series))
	}
	var seen []float64
	var last time.Time
	for _, sample := range answer.Series[0].Samples {
		if math.IsNaN(sample.Value) {
			t.Errorf("the end of the series shows as a sample, at %s", sample.At)
		}
		if !sample.At.After(last) {
			t.Errorf("sample at %s does not come after %s", sample.At, last)
		}
		last = sample.At
		if len(seen) == 0 || seen[len(seen)-1] != sample.Value {
			seen = append(seen, sample.Value)
		}
	}
	if diff := cmp.Diff([]float64{5, 9, 2}, seen); diff != "" {
		t.Errorf("values in their order (-want +got):\n%s", diff)
	}
	if answer.Sent != `requests_total{job="shop"}[1m]` {
		t.Errorf("sent %q", answer.Sent)
	}
}

func TestRatesAndQuantilesAreAnswered(t *testing.T) {
	registry := prometheus.NewRegistry()
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Buckets: []float64{0.1, 0.2, 0.4}})
	registry.MustRegister(latency)
	answers := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		latency.Observe(0.15)
		answers.ServeHTTP(w, r)
	}))
	defer shop.Close()
	s := start(t, scraping(embedded.Job{Job: "shop", Targets: []string{address(shop)}}))
	eventually(t, "the rate is one request per scrape", func() bool {
		rate, found := value(t, s, `rate(latency_seconds_count[$window])`)
		return found && rate > 0
	})
	got, found := value(t, s, `histogram_quantile(0.5, sum by (le) (rate(latency_seconds_bucket[$window])))`)
	if !found || got < 0.1 || got > 0.2 {
		t.Errorf("median latency %g, want one between 0.1 and 0.2", got)
	}
}

func TestBadTargetsAreDownAndTheOthersGoOn(t *testing.T) {
	var asked, served atomic.Int64
	hang := make(chan struct{})
	handler := func(f http.HandlerFunc) string {
		server := httptest.NewServer(f)
		t.Cleanup(server.Close)
		return address(server)
	}
	const unreachable = "127.0.0.1:1"
	tests := []struct{ name, address, err string }{
		{"unreachable", unreachable, "connection refused"},
		{"link-local", "169.254.169.254:80", "link-local or metadata address"},
		{"failing", handler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), "500"},
		{"elsewhere", handler(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+unreachable, http.StatusFound)
		}), "302"},
		{"garbage", handler(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\x1b[31m down") }), "expected"},
		{"colourful", handler(func(w http.ResponseWriter, _ *http.Request) {
			raw, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer raw.Close()
			_, _ = io.WriteString(raw, "HTTP/1.1 500 \x1b[31m\x1b[2J gone\r\nContent-Length: 0\r\n\r\n")
		}), "gone"},
		{"huge", handler(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			hugeExposition(w, &served)
		}), "body size limit"},
		{"many", handler(func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1_001 {
				fmt.Fprintf(w, "m{i=\"%d\"} 1\n", i)
			}
		}), "sample limit"},
		{"hanging", handler(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}), "deadline exceeded"},
	}
	defer close(hang)
	good := expose(t, "colour 1\n")
	jobs := []embedded.Job{{Job: "good", Targets: []string{good.address()}}}
	for _, test := range tests {
		jobs = append(jobs, embedded.Job{
			Job: test.name, Targets: []string{test.address}, SampleLimit: 1_000, BodySizeLimit: 1 << 20, Interval: time.Second,
		})
	}
	s := start(t, scraping(jobs...))
	eventuallyIs(t, s, "colour", 1)
	for _, test := range tests {
		eventuallyIs(t, s, fmt.Sprintf(`up{job=%q}`, test.name), 0)
		eventually(t, fmt.Sprintf("%s is down and says %q", test.name, test.err), func() bool {
			return slices.ContainsFunc(s.Targets(), func(target embedded.TargetHealth) bool {
				if target.Job != test.name {
					return false
				}
				if strings.ContainsRune(target.Err, '\x1b') {
					t.Errorf("%s: error %q", test.name, target.Err)
				}
				return !target.Up && strings.Contains(target.Err, test.err)
			})
		})
	}
	eventuallyIs(t, s, `up{job="good"}`, 1)
	// What the sockets hold counts as taken, too: it is told from all of the 500 MB, not from 1 MiB.
	if n, times := served.Load(), asked.Load(); n > times*(48<<20) {
		t.Errorf("%d bytes were taken from a target with too long an answer, at 1 MiB a scrape, of which there were %d", n, times)
	}
}

// hugeExposition writes 500 MB, and counts what was taken.
func hugeExposition(w http.ResponseWriter, served *atomic.Int64) {
	line := []byte(strings.Repeat("# "+strings.Repeat("x", 1022), 64) + "\n")
	out := bufio.NewWriter(w)
	for range 500 << 20 / len(line) {
		n, err := out.Write(line)
		if err != nil {
			return
		}
		served.Add(int64(n))
	}
}

func TestTokensGoToTheTargetOverVerifiedTLS(t *testing.T) {
	shop := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.URL.String() != "/stats?format=prometheus" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "colour 3\n")
	}))
	shop.Config.ErrorLog = log.New(io.Discard, "", 0) // one job does not trust it
	shop.StartTLS()
	defer shop.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shop.Certificate().Raw})))
	job := embedded.Job{
		Job: "shop", Targets: []string{address(shop)}, Scheme: "https", Path: "/stats?format=prometheus",
		BearerToken: adg.NewSecret(token), TLS: embedded.TLS{CAFile: ca},
	}
	unverified := job
	unverified.Job, unverified.TLS = "unverified", embedded.TLS{}
	s := start(t, scraping(job, unverified))
	eventuallyIs(t, s, "colour", 3)
	eventuallyIs(t, s, `up{job="unverified"}`, 0)
}

func TestATargetMayWinWithItsOwnLabels(t *testing.T) {
	shop := expose(t, `colour{job="mine"} 1`+"\n")
	s := start(t, scraping(embedded.Job{Job: "shop", Targets: []string{shop.address()}, HonorLabels: true}))
	eventuallyIs(t, s, `colour{job="mine"}`, 1)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}
