package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/source/sourcetest"
)

const prometheusPolicy = `service: shop
environment: test
sources:
  prom: {type: prometheus, url: "http://%s"}
target: {type: command, shares: true, apply: {path: ./apply}, current: {path: ./current}}
checks:
  - name: error-rate
    source: prom
    bad: 'shop_requests_total{version="$version",code="500"}'
    total: 'shop_requests_total{version="$version"}'
    fail: "> baseline +5pp"
    window: 5s
    interval: 500ms
    min_samples: 20
    critical: true
strategy:
  canary: {steps: [50%%, 100%%], bake: 4s}
interval: 500ms
history: 3s
deadline: 5m
verify: [{phase: immediate, for: 1s}]
rollback:
  trust: auto
  rules: [{when: unhealthy, for: 500ms, act: now}]
  verify: {for: 1s, within: 20s}
`

// The target of this story keeps the shares that were asked for, and says that they are so.
const (
	sharesApply = `#!/bin/sh
cat > desired.json
list=
for pair in $ADG_RELEASES; do list="$list,{\"version\":\"${pair%=*}\",\"share\":${pair#*=}}"; done
printf '{"releases":[%s],"done":true}\n' "${list#,}" > live.new
mv live.new live
`
	sharesCurrent = `#!/bin/sh
if [ -s live ]; then cat live; else echo v1; fi
`
)

// TestARelativeCheckOnARealPrometheusCatchesTheBadRelease deploys a good and a bad release beside the old one. All of
// them fail sometimes; only one fails more often than the old one.
func TestARelativeCheckOnARealPrometheusCatchesTheBadRelease(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the program prometheus is not installed, and CI must have it")
		}
		t.Skip("the program prometheus is not installed (Debian: apt-get install prometheus): nothing was tried against a real server")
	}
	address := startPrometheus(t, program)
	for _, c := range []struct {
		name, version string
		exit          int
	}{
		{"as good as the old one is promoted", "good", 0},
		{"worse than the old one is rolled back", "bad", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{"guardian.yaml": fmt.Sprintf(prometheusPolicy, address), "apply": sharesApply, "current": sharesCurrent} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, adg, "run", "-f", "guardian.yaml", "--version", c.version, "--previous", "v1", "--data-dir", "data")
			cmd.Dir = dir
			said, err := cmd.CombinedOutput()
			if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.exit {
				t.Errorf("exit code %d, want %d:\n%s", code, c.exit, said)
			}
			if c.exit == 3 && !strings.Contains(string(said), "v1 is live and verified") {
				t.Errorf("the rollback was not verified:\n%s", said)
			}
		})
	}
}

// startPrometheus starts a server that scrapes the shop's three versions, and waits until it has seen all of them.
func startPrometheus(t *testing.T, program string) (address string) {
	t.Helper()
	var scrapes atomic.Int64
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		for version, failing := range map[string]int64{"v1": 1, "good": 1, "bad": 30} {
			_, _ = fmt.Fprintf(w, "shop_requests_total{version=%q,code=\"200\"} %d\n", version, (100-failing)*n)
			_, _ = fmt.Fprintf(w, "shop_requests_total{version=%q,code=\"500\"} %d\n", version, failing*n)
		}
	}))
	t.Cleanup(shop.Close)
	address = sourcetest.FreeAddress(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: shop, static_configs: [{targets: ['" + shop.Listener.Addr().String() + "']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sourcetest.Serve(t, program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+address)
	sourcetest.Until(t, 2*time.Minute, func(context.Context) error {
		if !seen(address) {
			return errors.New("the server has not scraped the shop")
		}
		return nil
	})
	return address
}

// seen tells whether the server has enough of a past of the shop.
func seen(address string) bool {
	answer, err := http.Get("http://" + address + "/api/v1/query?query=count_over_time(shop_requests_total%5B1m%5D)%20%3E%206")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return err == nil && strings.Contains(string(text), `"version":"bad"`)
}
