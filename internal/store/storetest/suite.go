// Package storetest is the conformance suite of stores: every implementation runs it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deployguardian/adg"
)

// Opened is a new and empty store with what a test needs to do to it.
type Opened struct {
	Store adg.Store
	// Reopen closes the store and opens the same data again, so that these notifiers are told of every change.
	Reopen func(changes ...string) adg.Store
	// Other opens the same data a second time, as another replica does; nil where one process has the data for itself.
	Other func() adg.Store
	// Advance makes the store's clock go on by at least that much, for all that have the data open.
	Advance func(time.Duration)
}

// Run runs every case of the contract against stores that open makes. What open makes, it also cleans up.
func Run(t *testing.T, open func(t *testing.T) Opened) {
	for _, cases := range [][]scenario{deployments, leases, journal, evidence, history, releases, outbox, line, events, changes, documents, audit, upkeep, concurrency, places} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(newBench(t, open))
			})
		}
	}
	t.Run("random lives of owners, humans and notifiers", func(t *testing.T) { runModel(t, open) })
}

// Private

// scenario is one case of the contract; its name is the sentence that it checks.
type scenario struct {
	name string
	run  func(*bench)
}

// bench is a store under test and short words for what the cases do with it.
type bench struct {
	*testing.T
	Opened
	ctx   context.Context
	other adg.Store // the second handle, or the first where there can be one only
	begun time.Time // in real time, by which some stores go
}

func newBench(t *testing.T, open func(t *testing.T) Opened) *bench {
	b := &bench{T: t, Opened: open(t), ctx: t.Context(), begun: time.Now()}
	b.other = b.Store
	if b.Other != nil {
		b.other = b.Other()
	}
	return b
}

const (
	ttl         = time.Minute
	service     = "shop"
	environment = "production"
)

// newDeployment is one of the shop in production.
func newDeployment(id string) adg.Deployment {
	return adg.Deployment{ID: id, Spec: adg.Spec{
		Release:  adg.Release{Service: service, Version: "v2", Artifact: "registry/shop@sha256:22"},
		LastGood: &adg.Release{Service: service, Version: "v1"},
		Policy: adg.Policy{
			Service: service, Environment: environment, Interval: 15 * time.Second,
			Checks:   []adg.Check{{Name: "errors", Source: "prom", Query: `errors{version="$version"} > 0`, Window: time.Minute, Weight: 1}},
			Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 5, Bake: time.Minute}, {Share: 100}}},
		},
		Actor: "alice", Reason: "ein Grund <&>",
	}}
}

func (b *bench) create(id string, change ...func(*adg.Deployment)) adg.Deployment {
	b.Helper()
	b.must(b.Store.CreateDeployment(b.ctx, with(id, change...)))
	return b.deployment(id)
}

// with is a new deployment that is changed.
func with(id string, change ...func(*adg.Deployment)) adg.Deployment {
	d := newDeployment(id)
	for _, c := range change {
		c(&d)
	}
	return d
}

// keyed is a deployment that was started with a key.
func keyed(key string) func(*adg.Deployment) {
	return func(d *adg.Deployment) { d.Spec.Key = key }
}

// of is a deployment of another service.
func of(service string) func(*adg.Deployment) {
	return func(d *adg.Deployment) { d.Spec.Policy.Service, d.Spec.Release.Service = service, service }
}

func in(environment string) func(*adg.Deployment) {
	return func(d *adg.Deployment) { d.Spec.Policy.Environment = environment }
}

func (b *bench) deployment(id string) adg.Deployment {
	b.Helper()
	d, err := b.Store.Deployment(b.ctx, id)
	b.must(err)
	return d
}

func (b *bench) now() time.Time {
	b.Helper()
	now, err := b.Store.Now(b.ctx)
	b.must(err)
	return now
}

func (b *bench) take(owner string, limit int) []adg.Work {
	b.Helper()
	work, err := b.Store.Take(b.ctx, owner, ttl, limit)
	b.must(err)
	return work
}

// taken is the one deployment that there is to take.
func (b *bench) taken(owner string) adg.Work {
	b.Helper()
	work := b.take(owner, 10)
	if len(work) != 1 {
		b.Fatalf("%s took %d deployments, want one: %v", owner, len(work), ids(work))
	}
	return work[0]
}

func (b *bench) wantTaken(owner string, want ...string) {
	b.Helper()
	b.equal("taken by "+owner, ids(b.take(owner, 100)), want)
}

func ids(work []adg.Work) []string {
	var all []string
	for _, w := range work {
		all = append(all, w.Deployment.ID)
	}
	return all
}

// tick is a tick that goes on as before and wants the next one in 15 seconds.
func (b *bench) tick(w adg.Work, change ...func(*adg.Tick)) adg.Tick {
	b.Helper()
	now := b.now()
	next := w.Deployment.Status
	next.Ticked, next.Due = now, now.Add(15*time.Second)
	t := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Decision: adg.Decision{At: now, From: next.State, Next: next}}
	for _, c := range change {
		c(&t)
	}
	return t
}

// commit commits a tick and brings the work up to date with what is stored.
func (b *bench) commit(w *adg.Work, change ...func(*adg.Tick)) {
	b.Helper()
	stored, err := b.Store.Commit(b.ctx, b.tick(*w, change...))
	b.must(err)
	w.Deployment = stored
}

func giveBack(t *adg.Tick) { t.GiveBack = true }

func enter(s adg.State) func(*adg.Tick) {
	return func(t *adg.Tick) {
		t.Decision.Kind, t.Decision.Next.State, t.Decision.Next.Since = adg.Hold, s, t.Decision.At
		t.Decision.Reasons = []string{"because of the test"}
	}
}

func feel(h adg.Health) func(*adg.Tick) {
	return func(t *adg.Tick) { t.Decision.Next.Health = h }
}

func apply(op string) func(*adg.Tick) {
	return func(t *adg.Tick) {
		t.Decision.Next.Op = op
		t.Decision.Apply = &adg.Desired{OpID: op, Deployment: t.Lease.Deployment, Releases: []adg.Placement{
			{Release: adg.Release{Service: service, Version: "v2"}, Share: 100, Role: adg.CandidateRole},
		}}
	}
}

func concluded(op string) func(*adg.Tick) {
	return func(t *adg.Tick) { t.Input.Outcome = &adg.Outcome{OpID: op, At: t.Decision.At, Took: time.Second} }
}

func tell(ids ...string) func(*adg.Tick) {
	return func(t *adg.Tick) {
		t.Notifiers = []string{"chat"}
		for _, id := range ids {
			t.Decision.Facts = append(t.Decision.Facts, adg.Fact{ID: id, Deployment: t.Lease.Deployment, Kind: adg.FactPage, At: t.Decision.At, Service: service, Text: "fact " + id})
		}
	}
}

func to(notifiers ...string) func(*adg.Tick) {
	return func(t *adg.Tick) { t.Notifiers = notifiers }
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// refused wants an error with a code, and a sentence in it.
func (b *bench) refused(what string, err error, want adg.Code) {
	b.Helper()
	if err == nil || adg.CodeOf(err) != want || err.Error() == "" {
		b.Errorf("%s: got %v (%s), want an error that is %s", what, err, adg.CodeOf(err), want)
	}
}

func (b *bench) is(what string, err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// equal compares values as their users see them: an empty list is like none, and NaN is NaN.
func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// unchanged wants that do leaves no trace of a deployment.
func (b *bench) unchanged(id string, do func()) {
	b.Helper()
	before := b.everything(id)
	do()
	b.equal("what is stored of "+id, b.everything(id), before)
}

// everything is all that a store tells of a deployment.
func (b *bench) everything(id string) map[string]any {
	b.Helper()
	all := map[string]any{}
	for what, read := range map[string]func() (any, error){
		"deployment":   func() (any, error) { return b.Store.Deployment(b.ctx, id) },
		"entries":      func() (any, error) { return b.Store.Entries(b.ctx, id, 0, 1000) },
		"ticks":        func() (any, error) { return b.Store.Ticks(b.ctx, id, 0, 1000) },
		"effects":      func() (any, error) { return b.Store.Effects(b.ctx, id) },
		"assessments":  func() (any, error) { return b.Store.Assessments(b.ctx, id, adg.MeasurementFilter{}) },
		"measurements": func() (any, error) { return b.Store.Measurements(b.ctx, id, adg.MeasurementFilter{}) },
		"baselines":    func() (any, error) { return b.Store.Baselines(b.ctx, id) },
		"facts":        func() (any, error) { return b.Store.Facts(b.ctx, id) },
		"waiting":      func() (any, error) { return b.Store.Waiting(b.ctx, id) },
		"fleet":        func() (any, error) { return b.Store.Fleet(b.ctx, environment, id) },
	} {
		v, err := read()
		if err != nil {
			b.Fatalf("%s of %s: %v", what, id, err)
		}
		all[what] = v
	}
	return all
}

func name(prefix string, i int) string { return fmt.Sprintf("%s-%02d", prefix, i) }
