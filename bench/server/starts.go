package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// started is how fast deployments begin.
type started struct {
	Starts speed `json:"starts"`
	// Commits are transactions of one small row, by the same number of clients on the same database.
	Commits *speed  `json:"commits_of_one_row,omitempty"`
	Ratio   float64 `json:"starts_per_commit,omitempty"`
}

// starts begins deployments of as many services as fast as the server takes them; their policies are there before.
func starts(ctx context.Context, r *rig, l load) (started, error) {
	if l.Postgres {
		if err := r.startPostgres(); err != nil {
			return started{}, err
		}
	}
	if err := r.start(ctx, 1); err != nil {
		return started{}, err
	}
	var took []time.Duration
	var mu sync.Mutex
	wall, err := r.launched(ctx, l, func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		took = append(took, d)
	})
	if err != nil {
		return started{}, err
	}
	result := started{Starts: speedOf(took, wall)}
	if r.database != nil {
		result.Commits, err = r.database.commits(ctx, l)
		if err != nil {
			return result, err
		}
		result.Ratio = result.Starts.PerSecond / result.Commits.PerSecond
	}
	return result, nil
}

// launch puts a policy for each service, and starts a deployment of each.
func (r *rig) launch(ctx context.Context, l load, saw func(time.Duration)) error {
	_, err := r.launched(ctx, l, saw)
	return err
}

// Private

func (r *rig) launched(ctx context.Context, l load, saw func(time.Duration)) (time.Duration, error) {
	var clients []*apiClient
	for i := range r.replicas {
		c, err := r.client(i)
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.Close() }()
		clients = append(clients, &apiClient{c.Policies, c.Deployments})
	}
	if err := each(l, func(i int) error { return clients[i%len(clients)].policy(ctx, i, l) }); err != nil {
		return 0, err
	}
	begin := time.Now()
	err := each(l, func(i int) error {
		at := time.Now()
		err := clients[i%len(clients)].start(ctx, i)
		if saw != nil {
			saw(time.Since(at))
		}
		return err
	})
	return time.Since(begin), err
}

type apiClient struct {
	policies    adgv1.PolicyServiceClient
	deployments adgv1.DeploymentServiceClient
}

// each does something for every deployment, by as many clients as the load has, and gives the first error.
func each(l load, do func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Value
	var parts sync.WaitGroup
	for range max(1, l.Clients) {
		parts.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= l.Deployments {
					return
				}
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, err)
				}
			}
		})
	}
	parts.Wait()
	err, _ := failed.Load().(error)
	return err
}

func (c *apiClient) policy(ctx context.Context, i int, l load) error {
	var text strings.Builder
	fmt.Fprintf(&text, "service: s%05d\nenvironment: e%05d\ntarget: platform\ninterval: %s\nhistory: 1m\nchecks:\n", i, i, l.Interval)
	for n := range l.Checks {
		fmt.Fprintf(&text, "  - {name: check-%d, source: metrics, query: 'check_%d{service=\"$service\",version=\"$version\"}', fail: '> 5', window: 1m, critical: %t}\n", n, n, n == 0)
	}
	text.WriteString("strategy:\n  canary: {steps: [50%, 100%], bake: 24h}\nrollback:\n  trust: auto\n  rules: [{when: unhealthy, act: now}]\n")
	_, err := c.policies.PutPolicy(ctx, &adgv1.PutPolicyRequest{Service: fmt.Sprintf("s%05d", i), Environment: fmt.Sprintf("e%05d", i), Reason: "bench", Text: text.String()})
	return err
}

func (c *apiClient) start(ctx context.Context, i int) error {
	_, err := c.deployments.StartDeployment(ctx, &adgv1.StartDeploymentRequest{
		Environment: fmt.Sprintf("e%05d", i), Release: &adgv1.Release{Service: fmt.Sprintf("s%05d", i), Version: "v2"}, Previous: "v1", Reason: "bench", IdempotencyKey: fmt.Sprint(i),
	})
	return err
}

// commits measures what the database does when it does little.
func (d *database) commits(ctx context.Context, l load) (*speed, error) {
	if err := d.exec(ctx, "CREATE TABLE bench (n bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, text text)"); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(d.dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(l.Clients) //nolint:gosec // a flag
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	took, wall, err := repeat(ctx, l.Clients, 10*time.Second, func(ctx context.Context) error {
		_, err := pool.Exec(ctx, "INSERT INTO bench (text) VALUES ($1)", "a deployment")
		return err
	})
	if err != nil {
		return nil, err
	}
	s := speedOf(took, wall)
	return &s, nil
}
