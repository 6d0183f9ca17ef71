package oracle_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/learn"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/predict/models"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// counting is a real store that counts what is read of deployments.
type counting struct {
	*sqlite.Store
	mu   sync.Mutex
	read int
	fail error
}

func (c *counting) ListDeployments(ctx context.Context, f adg.DeploymentFilter) ([]adg.Deployment, error) {
	list, err := c.Store.ListDeployments(ctx, f)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += len(list)
	return list, errors.Join(err, c.fail)
}

func (c *counting) reads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.read
	c.read = 0
	return n
}

type bench struct {
	*testing.T
	*oracle.Oracle
	store *counting
}

func newBench(t *testing.T, change ...func(*oracle.Options)) *bench {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	b := &bench{T: t, store: &counting{Store: opened}}
	o := oracle.Options{Store: b.store, Fresh: time.Nanosecond}
	for _, c := range change {
		c(&o)
	}
	b.Oracle = oracle.New(o)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) now() time.Time {
	b.Helper()
	now, err := b.store.Now(b.Context())
	b.must(err)
	return now
}

func specOf(service string, at time.Time) adg.Spec {
	return adg.Spec{Release: adg.Release{Service: service, Version: "v1"}, Created: at, Actor: "ann", Policy: adg.Policy{Service: service, Environment: "production"}}
}

// live puts so many deployments on record, one a day, the last of them a month ago, of which every fourth failed.
func (b *bench) lived(name string, n int) {
	b.Helper()
	begin := b.now().Add(-time.Duration(n+30) * 24 * time.Hour)
	for i := range n {
		at := begin.Add(time.Duration(i) * 24 * time.Hour)
		state := adg.Succeeded
		if i%4 == 3 {
			state = adg.RolledBack
		}
		b.must(b.store.CreateDeployment(b.Context(), adg.Deployment{ID: fmt.Sprint(name, i), Spec: specOf(name, at), Status: adg.Status{State: state, Rule: 1, Since: at.Add(time.Hour)}}))
	}
}

func TestModelIsTrainedWhenEnoughMoreIsKnown(t *testing.T) {
	b := newBench(t, func(o *oracle.Options) { o.Every = 5 * time.Millisecond })
	b.lived("few", 19)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { b.Oracle.Run(ctx) })
	running.Go(func() {
		oracle.New(oracle.Options{Store: b.store, Every: 7 * time.Millisecond, Fresh: time.Nanosecond}).Run(ctx)
	})
	until := func(n int) []models.Item {
		t.Helper()
		for begin := time.Now(); time.Since(begin) < time.Minute; {
			all, err := b.Models(ctx)
			b.must(err)
			if len(all) >= n {
				return all
			}
			_, err = b.Outcomes(ctx)
			b.must(err)
		}
		t.Fatal("no model was trained")
		return nil
	}
	b.lived("more", 1)
	if all := until(1); all[0].Card.Outcomes != 20 || all[0].Author != "adg" || !strings.Contains(all[0].Reason, "20 more outcomes") || !all[0].InUse {
		t.Errorf("%+v", all[0])
	}
	for i := range 9 { // what came out long ago and is known by a correction is news, too
		b.must(b.Correct(ctx, learn.Correction{Deployment: fmt.Sprint("few", i), Outcome: learn.Incident, Actor: "ann", Reason: "r"}, -1, adg.AuditEntry{}))
	}
	b.must(b.Correct(ctx, learn.Correction{Deployment: "few9", Outcome: learn.Incident, Actor: "ann", Reason: "r"}, -1, adg.AuditEntry{}))
	if all := until(2); all[0].Card.Outcomes < 20 {
		t.Errorf("%+v", all[0])
	}
	stop()
	running.Wait()
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "model.train", Limit: 100})
	b.must(err)
	all, err := b.Models(t.Context())
	b.must(err)
	if len(entries) != len(all) || entries[0].Actor != "adg" {
		t.Errorf("%d trainings by two replicas for %d models", len(entries), len(all))
	}
}

func TestOnlyWhatIsNewIsRead(t *testing.T) {
	b := newBench(t)
	b.lived("old", 300)
	_, err := b.Outcomes(t.Context())
	b.must(err)
	if n := b.store.reads(); n < 300 || n > 320 {
		t.Errorf("%d deployments were read at first", n)
	}
	at := b.now()
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: "new", Spec: specOf("shop", at)}))
	all, err := b.Outcomes(t.Context())
	b.must(err)
	if n := b.store.reads(); n > 10 {
		t.Errorf("%d deployments were read for a new one", n)
	}
	if len(all) != 301 || all[300].Deployment != "new" || all[300].Known {
		t.Errorf("%d, the last is %+v", len(all), all[len(all)-1])
	}
	// What was under way is looked at again.
	work, err := b.store.Take(t.Context(), "test", time.Minute, 1)
	b.must(err)
	w := work[0]
	_, err = b.store.Commit(t.Context(), adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: at}, Decision: adg.Decision{At: at, Next: adg.Status{State: adg.RolledBack, Rule: 1, Since: at}}})
	b.must(err)
	if all, err = b.Outcomes(t.Context()); err != nil || !all[300].Known || !all[300].Failed {
		t.Errorf("%+v %v", all[300], err)
	}
	many := 25 // more than are looked at first
	for i := range many {
		b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: fmt.Sprint("many", i), Spec: specOf("cart", b.now())}))
	}
	all, err = b.Outcomes(t.Context())
	seen := map[string]bool{}
	for _, j := range all {
		seen[j.Deployment] = true
	}
	if err != nil || len(all) != 301+many || len(seen) != len(all) {
		t.Errorf("%d, of which %d differ: %v", len(all), len(seen), err)
	}
}

func TestWhatCannotBePredictedBeginsAllTheSame(t *testing.T) {
	b := newBench(t)
	spec := specOf("shop", b.now())
	if p, err := b.Expect(t.Context(), spec, oracle.Told{}); p != nil || err != nil {
		t.Errorf("without a model: %v %v", p, err)
	}
	spec.Policy.Risk.Block = adg.RiskLimit{Below: 0.5}
	if p, err := b.Expect(t.Context(), spec, oracle.Told{}); err != nil || p.Model != "public data" {
		t.Errorf("where the policy asks: %v %v", p, err)
	}
	if _, err := b.Expect(t.Context(), spec, oracle.Told{Features: map[string]float64{"outcome": 1}}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("an outcome as a feature: %v", err)
	}
	b.store.fail = errors.New("the disk is gone")
	if p, err := b.Expect(t.Context(), spec, oracle.Told{}); p != nil || err != nil {
		t.Errorf("by a store that fails: %v %v", p, err)
	}
	if _, err := b.Predict(t.Context(), spec, oracle.Told{}, ""); err == nil {
		t.Error("who asks for a prediction is not told that there is none")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := b.Expect(ended, spec, oracle.Told{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestHealthOfTheLiveReleaseIsAFeature(t *testing.T) {
	var asked []string
	fails := false
	b := newBench(t, func(o *oracle.Options) {
		o.Before = func(_ context.Context, _ adg.Spec, live adg.Release) (adg.Assessment, []adg.Baseline, error) {
			asked = append(asked, live.Version)
			if fails {
				return adg.Assessment{}, nil, errors.New("no source answers")
			}
			return adg.Assessment{Health: adg.Healthy, Score: 87}, nil, nil
		}
	})
	spec := specOf("shop", b.now())
	spec.Policy.Checks = []adg.Check{{Name: "errors"}}
	if p, err := b.Predict(t.Context(), spec, oracle.Told{}, ""); err != nil || len(asked) != 0 {
		t.Errorf("nobody knows what is live: %v %v", p, err)
	}
	b.must(b.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: adg.Release{Service: "shop", Version: "v0"}, Standing: adg.StandingGood, Since: b.now()}))
	if p, err := b.Predict(t.Context(), spec, oracle.Told{}, ""); err != nil || p.Features["base_health_score"] != 87 || !slices.Equal(asked, []string{"v0"}) {
		t.Errorf("%v %v %v", p, err, asked)
	}
	fails = true
	p, err := b.Predict(t.Context(), spec, oracle.Told{}, "")
	if _, known := p.Features["base_health_score"]; err != nil || known {
		t.Errorf("%v %v", p, err)
	}
}

func TestFilesAndAuthorsAreRememberedAsMarks(t *testing.T) {
	b := newBench(t)
	at := b.now().Add(-40 * 24 * time.Hour)
	told := oracle.Told{Paths: []string{"pay.go"}, Authors: []string{"eve"}, Features: map[string]float64{"nf": 1}, Automatic: true}
	for i := range 8 {
		spec := specOf("shop", at.Add(time.Duration(i)*time.Hour))
		p, err := b.Predict(t.Context(), spec, told, "")
		b.must(err)
		if strings.Contains(fmt.Sprint(p.Paths, p.Authors), "eve") || len(p.Paths) != 1 || p.Features["auto"] != 1 {
			t.Fatalf("%+v", p)
		}
		spec.Prediction = &p
		b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: fmt.Sprint("d", i), Spec: spec, Status: adg.Status{State: adg.RolledBack, Rule: 1, Since: spec.Created.Add(time.Minute)}}))
	}
	p, err := b.Predict(t.Context(), specOf("shop", b.now()), told, "")
	b.must(err)
	// Eight of eight, mixed with four of the usual kind: (8 + 4 × (8 + 4 × 0.05) / 12) / 12.
	if want := (8 + 4*(8+4*0.05)/12) / 12; math.Abs(p.Features["file_fail"]-want) > 1e-9 || p.Features["author_fail"] != p.Features["file_fail"] || p.Features["actor_fail"] != p.Features["file_fail"] {
		t.Errorf("%v", p.Features)
	}
}
