//go:build linux

// Package chaos breaks everything around three real replicas on one real PostgreSQL while they guard hundreds of
// deployments, and counts at the target what came of it.
package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// adgProgram is the real binary, built once.
var adgProgram string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "adg-chaos")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		adgProgram = filepath.Join(dir, "adg")
		build := exec.Command("go", "build", "-o", adgProgram, "../../cmd/adg")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building adg: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// scale is how large a run is.
type scale struct {
	deployments int
	services    int
	lasts       time.Duration // the faults go on for so long
	gap         time.Duration // between two faults
	interval    time.Duration // between two measurements of a deployment
	seed        uint64
	limit       time.Duration // how long a deployment may be without an owner; zero: 15 s, for a machine that does other work, too
}

// sized reads the scale from the environment; what is not said is as in CI.
func sized(t testing.TB) scale {
	t.Helper()
	number := func(name string, otherwise int) int {
		text := os.Getenv("ADG_CHAOS_" + name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		must(t, err)
		return n
	}
	return scale{
		deployments: number("DEPLOYMENTS", 24), services: number("SERVICES", 12),
		lasts: time.Duration(number("SECONDS", 25)) * time.Second, gap: time.Duration(number("GAP_MS", 1500)) * time.Millisecond,
		interval: time.Duration(number("INTERVAL_MS", 1000)) * time.Millisecond, seed: uint64(number("SEED", int(time.Now().UnixNano()%1_000_000))),
		limit: time.Duration(number("LIMIT_SECONDS", 0)) * time.Second,
	}
}

// chaos is one run.
type chaos struct {
	t        testing.TB
	scale    scale
	database *database
	replicas []*replica
	world    *world
	caller   *caller
	sampler  *sampler
	limit    time.Duration // how long a deployment may be without an owner
	over     chan struct{} // closed when every deployment has ended
	postgres sync.Mutex    // one restart at a time

	mu      sync.Mutex
	runs    []*run
	happens map[kind]int
	broken  []error // of the test itself
}

// run is one deployment, as the pipeline that wanted it knows it.
type run struct {
	service, version string
	number           int
	bad              bool
	id, state        string
	err              error
}

// TestNothingIsLostAndNothingIsDoneTwiceWhateverFails is the story of docs/guide.md's promise: kill, stop and cut off
// replicas, crash the database, break sources and targets; every bad release is rolled back once and verified, every
// good one promoted, and everybody is told of it in order.
func TestNothingIsLostAndNothingIsDoneTwiceWhateverFails(t *testing.T) {
	c := assemble(t, sized(t), 3)
	schedule := draw(c.scale.seed, c.scale.lasts, c.scale.gap, len(c.replicas), c.services())
	t.Logf("seed %d (ADG_CHAOS_SEED): %d deployments of %d services, %d faults within %s", c.scale.seed, c.scale.deployments, c.scale.services, len(schedule), c.scale.lasts)
	sampled := make(chan struct{})
	var sampling, faults, pipelines sync.WaitGroup
	sampling.Go(func() { c.sampler.run(sampled) })
	faults.Go(func() { c.follow(schedule, &faults) })
	ctx, cancel := context.WithTimeoutCause(t.Context(), c.scale.lasts+5*time.Minute, errors.New("not every deployment has ended 5 minutes after the last fault"))
	defer cancel()
	for i := range c.scale.services {
		pipelines.Go(func() { c.pipeline(ctx, i) })
	}
	pipelines.Wait()
	close(c.over)
	faults.Wait()
	c.delivered()
	close(sampled)
	sampling.Wait()
	c.judge(t)
}

// assemble starts PostgreSQL, the world and the replicas, and registers what deployments need.
func assemble(t testing.TB, s scale, replicas int) *chaos {
	t.Helper()
	c := &chaos{t: t, scale: s, database: startDatabase(t, 200*time.Millisecond), limit: cmp.Or(s.limit, 15*time.Second), over: make(chan struct{}), happens: map[kind]int{}}
	dir := t.TempDir()
	if kept := os.Getenv("ADG_CHAOS_KEEP"); kept != "" {
		dir = kept
	}
	key := filepath.Join(dir, "seal.key")
	made, err := exec.Command(adgProgram, "key", "new").Output()
	must(t, err)
	must(t, os.WriteFile(key, made, 0o600))
	for i := range replicas {
		l := startLine(t, c.database.Address())
		r := newReplica(t, fmt.Sprintf("r%d", i), c.database.through(l.listener.Addr().String()), dir, key, l)
		c.replicas = append(c.replicas, r)
		must(t, r.start())
		t.Cleanup(r.end)
		must(t, r.await(time.Minute)) // the first one brings the schema
	}
	c.caller = &caller{replicas: c.replicas, client: &http.Client{Timeout: 6 * time.Second}}
	c.caller.admin(t)
	c.world = startWorld(t, c.services(), s.seed)
	c.caller.register(t, c.world.server.URL, c.services(), s.interval)
	c.world.begun = time.Now()
	c.sampler = newSampler(c.database, c.replicas, c.world.begun)
	return c
}

func (c *chaos) services() []string {
	names := make([]string, c.scale.services)
	for i := range names {
		names[i] = fmt.Sprintf("s%d", i)
	}
	return names
}

// follow has each fault begin at its time, until every deployment has ended.
func (c *chaos) follow(schedule []event, under *sync.WaitGroup) {
	for _, e := range schedule {
		select {
		case <-c.over:
			return
		case <-time.After(time.Until(c.world.begun.Add(e.at))):
		}
		c.t.Log(e)
		c.mu.Lock()
		c.happens[e.kind]++
		c.mu.Unlock()
		under.Go(func() { c.inflict(e) })
	}
}

// pipeline deploys one release of a service after the other, and waits for the end of each. Every third is bad.
func (c *chaos) pipeline(ctx context.Context, service int) {
	each := (c.scale.deployments + c.scale.services - 1) / c.scale.services
	for i := range each {
		if i*c.scale.services+service >= c.scale.deployments {
			return
		}
		select { // they are spread over the time of the faults
		case <-ctx.Done():
		case <-time.After(time.Until(c.world.begun.Add(c.scale.lasts * time.Duration(i) / time.Duration(each)).Add(time.Duration(service) * 50 * time.Millisecond))):
		}
		r := &run{service: fmt.Sprintf("s%d", service), number: i, version: fmt.Sprintf("v%d", i+1), bad: (i+service)%3 == 2}
		if r.bad {
			r.version += "-bad"
		}
		c.mu.Lock()
		c.runs = append(c.runs, r)
		c.mu.Unlock()
		if r.err = c.deploy(ctx, r); r.err != nil {
			return
		}
	}
}

// deploy starts a deployment, as often as it takes, and follows it to its end.
func (c *chaos) deploy(ctx context.Context, r *run) error {
	type m = map[string]any
	request := m{
		"idempotencyKey": r.service + "-" + r.version, "environment": environmentOf(r.service), "reason": "chaos",
		"release": m{"service": r.service, "version": r.version},
	}
	if r.number == 0 {
		request["previous"] = "v0"
	}
	var d struct {
		ID     string
		Status struct{ State string }
	}
	if err := c.caller.ask(ctx, http.MethodPost, "/v1/deployments", request, &d); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	r.id = d.ID
	for !ended[d.Status.State] {
		select {
		case <-ctx.Done():
		case <-time.After(c.scale.interval):
		}
		if err := c.caller.ask(ctx, http.MethodGet, "/v1/deployments/"+r.id, nil, &d); err != nil {
			return fmt.Errorf("follow, last seen as %s: %w", d.Status.State, err)
		}
	}
	r.state = d.Status.State
	return nil
}

var ended = map[string]bool{
	"STATE_BLOCKED": true, "STATE_SUCCEEDED": true, "STATE_ROLLED_BACK": true, "STATE_ROLLBACK_FAILED": true,
	"STATE_CANCELLED": true, "STATE_SUPERSEDED": true, "STATE_UNDECIDED": true,
}

// delivered waits until nobody waits for an event any more.
func (c *chaos) delivered() {
	late := time.After(3 * time.Minute)
	for {
		left := c.database.rows("SELECT count(*)::text FROM outbox WHERE NOT dead")
		if len(left) == 1 && left[0] == "0" {
			return
		}
		select {
		case <-late:
			c.check(fmt.Errorf("events are still undelivered: %v", left))
			return
		case <-time.After(sampleEvery):
		}
	}
}

// check notes an error of the test's own doing.
func (c *chaos) check(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, err)
}
