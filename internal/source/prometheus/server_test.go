package prometheus

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

// shop is scraped by the real server: counters that grow by 10 with each scrape, and one that starts again.
type shop struct{ scrapes atomic.Int64 }

func (s *shop) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := s.scrapes.Add(1)
	for _, pod := range []string{"a", "b"} {
		fmt.Fprintf(w, "shop_requests_total{version=\"1.0.0\",pod=%q,code=\"200\"} %d\n", pod, 10*n)
	}
	fmt.Fprintf(w, "shop_restarting_total{version=\"1.0.0\"} %d\n", 10*(n%3))
	fmt.Fprintf(w, "shop_undefined NaN\nshop_endless +Inf\nshop_odd{text=\"a\\\"b\\\\c\"} 1\n")
	for i := range maxSeries + 1 {
		fmt.Fprintf(w, "shop_many{i=\"%d\"} 1\n", i)
	}
}

// native is a shop that tells its latencies as a native histogram: 40 requests of 0.1 s, 10 of 0.9 s, with each scrape.
func native() http.Handler {
	latency := prom.NewHistogram(prom.HistogramOpts{Name: "shop_latency_seconds", NativeHistogramBucketFactor: 1.1})
	registry := prom.NewRegistry()
	registry.MustRegister(latency)
	told := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 50 {
			latency.Observe([]float64{0.1, 0.1, 0.1, 0.1, 0.9}[i%5])
		}
		told.ServeHTTP(w, r)
	})
}

// realServer starts a Prometheus that scrapes a shop, and waits until it has enough samples.
func realServer(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the program prometheus is not installed, and CI must have it")
		}
		t.Skip("the program prometheus is not installed (Debian: apt-get install prometheus): nothing was tried against a real server")
	}
	metrics := httptest.NewServer(&shop{})
	t.Cleanup(metrics.Close)
	latency := httptest.NewServer(native())
	t.Cleanup(latency.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: shop, static_configs: [{targets: ['" + metrics.Listener.Addr().String() + "']}]},\n" +
		" {job_name: native, static_configs: [{targets: ['" + latency.Listener.Addr().String() + "']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := sourcetest.FreeAddress(t)
	sourcetest.Serve(t, program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--enable-feature=native-histograms")
	source := opened(t, Options{URL: "http://" + address, Options: remote.Defaults()})
	defer source.(io.Closer).Close()
	sourcetest.Until(t, 2*time.Minute, func(ctx context.Context) error {
		requests, err := source.Query(ctx, adg.Query{Kind: adg.Counters, Text: "shop_requests_total", At: time.Now(), Window: time.Minute})
		if err == nil && (len(requests.Series) != 2 || len(requests.Series[0].Samples) < 5) {
			err = fmt.Errorf("only %d series yet", len(requests.Series))
		}
		if err != nil {
			return err
		}
		latency, err := source.Query(ctx, adg.Query{Kind: adg.Counters, Text: "shop_latency_seconds", At: time.Now(), Window: time.Minute})
		if err == nil && (len(latency.Series) != 1 || len(latency.Series[0].Histograms) < 3) {
			err = fmt.Errorf("only %d histograms yet", len(latency.Series))
		}
		return err
	})
	return "http://" + address
}

func TestAgainstARealServer(t *testing.T) {
	address := realServer(t)
	source := opened(t, Options{URL: address, Options: remote.Defaults()})
	t.Cleanup(func() { source.(io.Closer).Close() })
	vars := map[string]string{"version": "1.0.0", "odd": `a"b\c`}
	ask := func(t *testing.T, q adg.Query) adg.Answer {
		t.Helper()
		q.Vars, q.At, q.Window = vars, time.Now(), time.Minute
		answer, err := source.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}

	t.Run("the conformance suite", func(t *testing.T) {
		sourcetest.Run(t, sourcetest.Case{
			Open:      func(t *testing.T) adg.Source { return opened(t, Options{URL: address, Options: remote.Defaults()}) },
			Good:      adg.Query{Text: `sum by (pod) (last_over_time(shop_requests_total{version="$version"}[1m]))`, Vars: map[string]string{"version": "1.0.0"}, At: time.Now(), Window: time.Minute},
			Empty:     adg.Query{Text: `shop_requests_total{version="9.9.9"}`, At: time.Now(), Window: time.Minute},
			Bad:       adg.Query{Text: `sum by (`, At: time.Now(), Window: time.Minute},
			Faulty:    faulty,
			ErrorBody: `{"status":"error","errorType":"timeout","error":"query timed out"}`,
			TooMany:   tooMany(),
		})
	})
	t.Run("counters are raw samples at the times of their scrapes", func(t *testing.T) {
		answer := ask(t, adg.Query{Kind: adg.Counters, Text: `shop_requests_total{version="$version"}`})
		if len(answer.Series) != 2 {
			t.Fatalf("%d series", len(answer.Series))
		}
		for _, s := range answer.Series {
			for i, sample := range s.Samples[1:] {
				step := sample.Value - s.Samples[i].Value // more than 10 where the server lost a scrape
				if step <= 0 || math.Mod(step, 10) != 0 || !sample.At.After(s.Samples[i].At) {
					t.Errorf("pod %s: %v after %v", s.Labels["pod"], sample, s.Samples[i])
				}
			}
		}
	})
	t.Run("native histograms are raw buckets at the times of their scrapes", func(t *testing.T) {
		answer := ask(t, adg.Query{Kind: adg.Counters, Text: `shop_latency_seconds`})
		if len(answer.Series) != 1 || len(answer.Series[0].Histograms) < 3 {
			t.Fatalf("got %+v", answer.Series)
		}
		for _, h := range answer.Series[0].Histograms {
			n := h.Count / 50
			if len(h.Buckets) != 2 || h.Buckets[0].Count != 40*n || h.Buckets[1].Count != 10*n || h.Buckets[0].Lower >= 0.1 || h.Buckets[0].Upper < 0.1 ||
				h.Buckets[1].Lower >= 0.9 || h.Buckets[1].Upper < 0.9 {
				t.Errorf("after %g scrapes: %+v", n, h)
			}
		}
	})
	t.Run("a counter that starts again is seen to do so", func(t *testing.T) {
		samples := ask(t, adg.Query{Kind: adg.Counters, Text: `shop_restarting_total`}).Series[0].Samples
		if !slices.ContainsFunc(samples, func(s adg.Sample) bool { return s.Value == 0 }) || slices.IsSortedFunc(samples, func(a, b adg.Sample) int { return int(a.Value - b.Value) }) {
			t.Errorf("no reset in %v", samples)
		}
	})
	t.Run("a range ends at the time that was asked for", func(t *testing.T) {
		answer := ask(t, adg.Query{Kind: adg.Range, Text: "vector(1)", Step: 7 * time.Second})
		samples := answer.Series[0].Samples
		if last := samples[len(samples)-1].At; len(samples) != 9 || time.Since(last) > 10*time.Second || samples[1].At.Sub(samples[0].At) != 7*time.Second {
			t.Errorf("%d samples, the last at %s", len(samples), last)
		}
	})
	t.Run("values that are no numbers, and scalars", func(t *testing.T) {
		for text, want := range map[string]string{"shop_undefined": "NaN", "shop_endless": "+Inf", "scalar(vector(2))": "2", `shop_odd{text="$odd"}`: "1", `shop_odd{text=~'$odd'}`: "1"} {
			if strings.HasPrefix(text, "shop_") {
				text = "last_over_time(" + text + "[1m])" // also where the server has just lost a scrape
			}
			answer := ask(t, adg.Query{Text: text})
			if len(answer.Series) != 1 || fmt.Sprint(answer.Series[0].Samples[0].Value) != want {
				t.Errorf("%s: %v, want %s", text, answer.Series, want)
			}
		}
	})
	t.Run("too many series are refused", func(t *testing.T) {
		_, err := source.Query(t.Context(), adg.Query{Text: "last_over_time(shop_many[1m])", At: time.Now()})
		if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "more than 1000 series") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a range vector where values are wanted", func(t *testing.T) {
		_, err := source.Query(t.Context(), adg.Query{Text: "shop_undefined[1m]", At: time.Now()})
		if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "[range]") {
			t.Errorf("error %v", err)
		}
	})
}
