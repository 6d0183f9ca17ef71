//go:build linux

package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// judge asserts what must hold however the faults fell, and prints the figures.
func (c *chaos) judge(t *testing.T) {
	t.Helper()
	t.Log(c.figures())
	if path := os.Getenv("ADG_CHAOS_REPORT"); path != "" {
		must(t, os.WriteFile(path, []byte(c.figures()), 0o600))
	}
	if a := c.sampler.longest; a.lasted > 0 {
		t.Logf("who had %s, which was without an owner from %s on:\n%s", a.deployment, stamp(a.at.Sub(c.world.begun)), joined(c.sampler.owners[a.deployment]))
	}
	for _, err := range c.broken {
		t.Error(err)
	}
	last := map[string]*run{}
	good := map[string]string{}
	for _, r := range c.runs {
		c.judgeRun(t, r)
		if last[r.service] == nil || last[r.service].number < r.number {
			last[r.service] = r
		}
	}
	for _, r := range slices.SortedFunc(slices.Values(c.runs), func(a, b *run) int { return a.number - b.number }) {
		if !r.bad {
			good[r.service] = r.version
		}
	}
	for name, s := range c.world.services {
		for _, met := range s.met {
			t.Errorf("two owners were at %s at the same time: %s\n%s", name, met, c.story(last[name]))
		}
		if want := good[name]; want != "" && s.live != want {
			t.Errorf("%s is live at %s, and the last good release is %s\n%s", s.live, name, want, c.story(last[name]))
		}
	}
	if len(c.runs) != c.scale.deployments {
		t.Errorf("%d deployments were begun, want %d", len(c.runs), c.scale.deployments)
	}
	if a := c.sampler.longest; a.lasted > c.limit {
		t.Errorf("nobody had %s for %s since %s\n%s", a.deployment, a.lasted, stamp(a.at.Sub(c.world.begun)), c.story(c.runOf(a.deployment)))
	}
	if slowest := quantile(c.sampler.takeovers, 1); slowest > c.limit {
		t.Errorf("after a SIGKILL another replica had the deployment after %s, want %s at most", slowest, c.limit)
	}
	if dead := c.database.rows("SELECT n::text || ' ' || why FROM outbox WHERE dead"); len(dead) > 0 {
		t.Errorf("events were given up: %v", dead)
	}
	c.audited(t)
	if t.Failed() {
		for _, r := range c.replicas {
			t.Logf("%s said last:\n%s", r.name, joined(r.said(30)))
		}
	}
}

// judgeRun looks at one deployment: how it ended, what was done at the target, and what was told.
func (c *chaos) judgeRun(t *testing.T, r *run) {
	t.Helper()
	want, back := "STATE_SUCCEEDED", 0
	if r.bad {
		want, back = "STATE_ROLLED_BACK", 1
	}
	s := c.world.services[r.service]
	var wrong []string
	if r.err != nil || r.state != want {
		wrong = append(wrong, fmt.Sprintf("it ended as %q, want %s (%v)", r.state, want, r.err))
	}
	if done := s.back[r.id]; done != back {
		wrong = append(wrong, fmt.Sprintf("%d rollbacks were done at the target, want %d", done, back))
	}
	facts := c.database.rows("SELECT f.id FROM facts f JOIN deployments d ON d.n = f.deployment WHERE d.id = $1 ORDER BY f.n", r.id)
	var first []string // each fact when it came for the first time
	for _, id := range c.world.told[r.id] {
		if !slices.Contains(first, id) {
			first = append(first, id)
		}
	}
	if !slices.Equal(first, facts) {
		wrong = append(wrong, fmt.Sprintf("told in the order %v, want %v", first, facts))
	}
	if len(wrong) > 0 {
		t.Errorf("%s %s: %s\n%s", r.service, r.version, strings.Join(wrong, "; "), c.story(r))
	}
}

// audited has the server check its own audit log.
func (c *chaos) audited(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var answer struct {
		Intact  bool
		Entries string
		Problem string
	}
	if err := c.caller.ask(ctx, http.MethodGet, "/v1/audit:verify", nil, &answer); err != nil || !answer.Intact {
		t.Errorf("the audit log: %+v, %v", answer, err)
	}
	t.Logf("the audit log is whole: %s entries", answer.Entries)
}

func (c *chaos) runOf(id string) *run {
	for _, r := range c.runs {
		if r.id == id {
			return r
		}
	}
	return &run{id: id}
}

// story is all that is known of one deployment.
func (c *chaos) story(r *run) string {
	if r == nil {
		return "it was never begun"
	}
	at := fmt.Sprintf("to_char((x.at - %d) / 1e9, '9990.99') || 's '", c.world.begun.UnixNano())
	ticks := c.database.rows(`SELECT `+at+` || (x.tick::json->'decision'->'next'->>'state') || ' ' || (x.tick::json->'decision'->>'reasons')
		FROM ticks x JOIN deployments d ON d.n = x.deployment WHERE d.id = $1 AND x.keep ORDER BY x.seq`, r.id)
	effects := c.database.rows(`SELECT x.effect || ' → ' || coalesce(x.outcome, 'open') FROM effects x JOIN deployments d ON d.n = x.deployment WHERE d.id = $1 ORDER BY x.n`, r.id)
	row := c.database.rows(`SELECT d.state || ' version ' || d.version || ' fence ' || d.fence || ' ' || t.status FROM deployments d JOIN statuses t ON t.deployment = d.n WHERE d.id = $1`, r.id)
	outbox := c.database.rows(`SELECT o.n || ' tries ' || o.tries || ' due ' || coalesce(o.due::text, 'null') || ' ' || o.why FROM outbox o JOIN deployments d ON d.n = o.deployment WHERE d.id = $1 ORDER BY o.n`, r.id)
	c.sampler.mu.Lock()
	owners := slices.Clone(c.sampler.owners[r.id])
	c.sampler.mu.Unlock()
	var log []string
	if s := c.world.services[r.service]; s != nil {
		for _, line := range s.log {
			if strings.Contains(line, r.id+"/") {
				log = append(log, line)
			}
		}
	}
	return fmt.Sprintf("story of %s (seed %d):\n state\n%s\n decisions\n%s\n effects\n%s\n outbox\n%s\n at the target\n%s\n owners\n%s", r.id, c.scale.seed,
		joined(row), joined(ticks), joined(effects), joined(outbox), joined(log), joined(owners))
}

// figures is the run in numbers.
func (c *chaos) figures() string {
	var b strings.Builder
	bad := 0
	for _, r := range c.runs {
		if r.bad {
			bad++
		}
	}
	w, s := c.world.counts, c.sampler
	_, _ = fmt.Fprintf(&b, "seed %d; %d deployments of %d services, %d of them bad; %s\n", c.scale.seed, len(c.runs), c.scale.services, bad, time.Since(c.world.begun).Round(time.Second))
	for _, k := range slices.Sorted(maps.Keys(c.happens)) {
		_, _ = fmt.Fprintf(&b, "fault: %-28s %4d\n", k, c.happens[k])
	}
	_, _ = fmt.Fprintf(&b, "at the target: %d operations done, %d of them rollbacks; %d came again when done, %d while under way, %d while another one was; %d refused by their fence\n",
		w.Applied, w.Rollbacks, w.Repeated, w.Busy, w.BusyOther, w.Stale)
	_, _ = fmt.Fprintf(&b, "events: %d came in, %d of them repeats; the first time after p50 %s, p99 %s, max %s\n", w.Told, w.ToldAgain,
		quantile(c.world.delays, 0.5).Round(time.Millisecond), quantile(c.world.delays, 0.99).Round(time.Millisecond), quantile(c.world.delays, 1).Round(time.Millisecond))
	_, _ = fmt.Fprintf(&b, "takeovers after SIGKILL: %d, p50 %s, max %s\n", len(s.takeovers), quantile(s.takeovers, 0.5).Round(time.Millisecond), quantile(s.takeovers, 1).Round(time.Millisecond))
	_, _ = fmt.Fprintf(&b, "longest without an owner: %s (%s)\n", s.longest.lasted.Round(time.Millisecond), s.longest.deployment)
	_, _ = fmt.Fprintf(&b, "samples: %d, of them %d while PostgreSQL did not answer, %d while no replica was well; at most %d deployments at once\n", s.samples, s.blind, s.idle, s.live)
	_, _ = fmt.Fprintf(&b, "requests to the API that were tried again: %d\n", c.caller.again.Load())
	return b.String()
}
