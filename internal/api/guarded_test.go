package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// guarded is a server whose deployments a real guard takes care of, with a source and a target of a few lines.
type guarded struct {
	*bench
	guard *guard.Guard

	mu   sync.Mutex
	live adg.Observed
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{bench: newBench(t), live: adg.Observed{Done: true, Releases: []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v1"}, Share: 100}}}}
	g.guard = guard.New(g.store, g, guard.Options{Owner: "one", Poll: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.guard.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return g
}

// spec is a canary of a version; versions that end with "bad" have errors.
func spec(service, version string) adg.Spec {
	return adg.Spec{
		Release: adg.Release{Service: service, Version: version}, LastGood: &adg.Release{Service: service, Version: "v1"}, Actor: "ann",
		Reason: "<script>alert(1)</script> **release day**", PolicyVersion: 7,
		Prediction: &adg.Prediction{Success: 0.9, Low: 0.8, High: 0.95, Base: 0.85, Standing: "good enough", Model: "m"},
		Policy: adg.Policy{
			Service: service, Environment: "production", Target: "hook", Interval: 10 * time.Millisecond, History: 100 * time.Millisecond,
			Checks: []adg.Check{
				{Name: "errors", Source: "metrics", Query: "errors", Critical: true, Window: time.Second, Fail: adg.Condition{Operator: adg.Above, Value: 10, Unit: adg.Percent}},
				{Name: "slow", Source: "metrics", Query: "slow", Compare: adg.Relative, Window: time.Second, Fail: adg.Condition{Operator: adg.Above, Relative: true, Value: 900, Unit: adg.Percent}},
				{Name: "up", Source: "metrics", Compare: adg.Probe},
			},
			Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 50, Bake: 150 * time.Millisecond}, {Share: 100, Bake: 100 * time.Millisecond}}},
			Verify:   []adg.Phase{{Name: "immediate", For: 100 * time.Millisecond, Interval: 10 * time.Millisecond}},
			Rollback: adg.RollbackPolicy{
				Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy, For: 30 * time.Millisecond}},
				VerifyFor: 50 * time.Millisecond, VerifyMax: time.Minute,
			},
			Notify: []string{"chat"},
		},
	}
}

// begin starts a deployment.
func (g *guarded) begin(s adg.Spec) string {
	g.Helper()
	d, err := g.guard.Start(g.Context(), s)
	g.must(err)
	return d.ID
}

// until watches a deployment until it is as wanted.
func (g *guarded) until(id string, want func(*adgv1.Deployment) bool) *adgv1.Deployment {
	g.Helper()
	ctx, cancel := context.WithTimeout(as(g.Context(), g.admin), 2*time.Minute)
	defer cancel()
	stream, err := adgv1.NewDeploymentServiceClient(g.grpc()).WatchDeployment(ctx, &adgv1.WatchDeploymentRequest{Id: id})
	g.must(err)
	var last *adgv1.Deployment
	for {
		seen, err := stream.Recv()
		if err != nil {
			g.Fatalf("%v; it was %v", err, last.GetStatus())
		}
		if seen.GetDeployment() == nil {
			continue
		}
		if last = seen.GetDeployment(); want(last) {
			return last
		}
	}
}

func in(state adgv1.State) func(*adgv1.Deployment) bool {
	return func(d *adgv1.Deployment) bool { return d.GetStatus().GetState() == state }
}

// promoted is a deployment that went well.
func (g *guarded) promoted() string {
	g.Helper()
	id := g.begin(spec("shop", "v2"))
	g.until(id, in(adgv1.State_STATE_SUCCEEDED))
	return id
}

// rolledBack is one that did not.
func (g *guarded) rolledBack() (string, *adgv1.Deployment) {
	g.Helper()
	id := g.begin(spec("shop", "v2-bad"))
	return id, g.until(id, in(adgv1.State_STATE_ROLLED_BACK))
}

// text is the answer to a GET as it came.
func (g *guarded) text(token, path string) (code int, kind, body string) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), http.MethodGet, "http://"+g.address+path, nil)
	g.must(err)
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	g.must(err)
	defer func() { _ = answer.Body.Close() }()
	all, err := io.ReadAll(answer.Body)
	g.must(err)
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(all)
}

func (g *guarded) Source(context.Context, adg.Deployment, string) (adg.Source, error) { return g, nil }
func (g *guarded) Target(context.Context, adg.Deployment) (adg.Target, error)         { return g, nil }
func (g *guarded) Notifier(context.Context, string) (adg.Notifier, error)             { return g, nil }
func (g *guarded) Notify(context.Context, adg.Fact) error                             { return nil }
func (g *guarded) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Reports: true}
}

// Query answers with errors for versions that are called bad.
func (g *guarded) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	value := 0.01
	if version := q.Vars["version"]; len(version) > 3 && version[len(version)-3:] == "bad" {
		value = 0.5
	}
	if q.Text == "" {
		value = 1
	}
	series := adg.Series{Labels: map[string]string{"pod": "a"}}
	first := q.At
	if q.Kind != adg.Instant {
		first = q.At.Add(-max(q.Span, q.Window))
	}
	for at := first; !at.After(q.At); at = at.Add(max(q.Step, 50*time.Millisecond)) {
		series.Samples = append(series.Samples, adg.Sample{At: at, Value: value})
	}
	return adg.Answer{Sent: q.Text + " as sent", Series: []adg.Series{series}}, nil
}

// Current is what was applied last.
func (g *guarded) Current(context.Context) (adg.Observed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live, nil
}

// Apply converges at once.
func (g *guarded) Apply(_ context.Context, want adg.Desired) (adg.Observed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	return g.live, nil
}
