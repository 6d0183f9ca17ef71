//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/identity/firstadmin"
)

// caller asks the API, one replica after the other until one answers.
type caller struct {
	replicas []*replica
	client   *http.Client
	token    string
	next     atomic.Int64
	again    atomic.Int64 // tries that came to nothing
}

// refused is an answer that trying again does not change.
type refused struct {
	status int
	text   string
}

func (r refused) Error() string { return fmt.Sprintf("%d: %s", r.status, r.text) }

// ask sends a request until it is answered. It can be repeated: it reads, or has an idempotency key.
func (c *caller) ask(ctx context.Context, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for {
		r := c.replicas[int(c.next.Add(1))%len(c.replicas)]
		err := errNowhere
		if address := r.at(); address != "" {
			err = c.once(ctx, method, address+path, text, answer)
		}
		if _, final := err.(refused); err == nil || final { //nolint:errorlint // it is returned bare
			return err
		}
		c.again.Add(1)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w: %w", method, path, context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

var errNowhere = fmt.Errorf("the replica does not serve")

func (c *caller) once(ctx context.Context, method, address string, text []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	got, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	said, err := io.ReadAll(got.Body)
	switch {
	case err != nil:
		return err
	case got.StatusCode == http.StatusOK:
		if answer == nil {
			return nil
		}
		return json.Unmarshal(said, answer)
	case got.StatusCode == http.StatusTooManyRequests || got.StatusCode >= 500:
		return fmt.Errorf("%s: %s", got.Status, said)
	default:
		return refused{got.StatusCode, string(said)}
	}
}

// admin makes the first admin with what the first replica printed, and gives an API token.
func (c *caller) admin(t testing.TB) {
	t.Helper()
	first := ""
	again := time.NewTicker(20 * time.Millisecond) // a server in another process has no other way to say when
	defer again.Stop()
	for began := time.Now(); first == ""; <-again.C {
		said, err := os.ReadFile(filepath.Join(c.replicas[0].dir, "out"))
		must(t, err)
		first = string(firstadmin.Token.Find(said))
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the server did not say how to begin: %s", said)
		}
	}
	var err error
	c.token, err = firstadmin.Make(t.Context(), c.replicas[0].at(), first)
	must(t, err)
}

// register puts the connections and the policies that the deployments go by.
func (c *caller) register(t testing.TB, world string, services []string, interval time.Duration) {
	t.Helper()
	type m = map[string]any
	connect := func(name, seam, kind string, options m) {
		t.Helper()
		k := m{"name": name, "seam": seam, "type": kind, "options": options, "services": []string{"*"}, "environments": []string{"*"}}
		must(t, c.ask(t.Context(), http.MethodPost, "/v1/connections", m{"connection": k, "idempotencyKey": name, "reason": "chaos"}, nil))
	}
	connect("prom", "SEAM_SOURCE", "prometheus", m{"url": world + "/source/$service", "timeout": "2s"})
	connect("target", "SEAM_TARGET", "webhook", m{"url": world + "/target/$service", "current_url": world + "/target/$service", "timeout": "3s"})
	connect("receiver", "SEAM_NOTIFIER", "webhook", m{"url": world + "/told", "timeout": "3s"})
	for _, s := range services {
		text := strings.NewReplacer("SERVICE", s, "INTERVAL", interval.String(), "TWICE", (2 * interval).String()).Replace(policy)
		path := "/v1/policies/" + s + "/" + environmentOf(s)
		must(t, c.ask(t.Context(), http.MethodPut, path, m{"text": text, "idempotencyKey": s, "reason": "chaos"}, nil))
	}
}

// Each service has an environment of its own: three that turn bad in one within five minutes would rightly be left to a
// human.
const policy = `service: SERVICE
environment: of-SERVICE
target: target
checks:
  - {name: error-rate, source: prom, query: 'errors{service="$service",version="$version"}', fail: "> 10%", window: 2s, interval: INTERVAL, critical: true}
strategy: {recreate: {bake: INTERVAL}}
interval: INTERVAL
history: 10s
verify: [{phase: immediate, for: TWICE, interval: INTERVAL}]
rollback:
  trust: auto
  per_hour: 1000000
  rules: [{when: unhealthy, for: 100ms, act: now}]
  verify: {for: INTERVAL, within: 10m}
notify: [receiver]
`

func environmentOf(service string) string { return "of-" + service }

func splitLines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }
