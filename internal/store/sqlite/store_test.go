package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		dir, clock := fresh(t), newHandClock()
		store := opened(t, dir, Options{Clock: clock.now})
		return storetest.Opened{
			Store: store,
			Reopen: func(changes ...string) adg.Store {
				closed(t, store)
				store = opened(t, dir, Options{Clock: clock.now, Changes: changes})
				return store
			},
			Advance: clock.advance,
		}
	})
}

// fresh is a data directory with a database that is up to date and empty. To copy one is quicker than to make it.
func fresh(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, databaseName), empty(t), 0o600))
	return dir
}

var original struct {
	sync.Mutex
	data []byte
}

func empty(t testing.TB) []byte {
	t.Helper()
	original.Lock()
	defer original.Unlock()
	if original.data == nil {
		dir := t.TempDir()
		closed(t, opened(t, dir, Options{}))
		data, err := os.ReadFile(filepath.Join(dir, databaseName))
		must(t, err)
		original.data = data
	}
	return original.data
}

// handClock is a clock that goes on when it is told to.
type handClock struct {
	start  time.Time
	passed atomic.Int64
}

func newHandClock() *handClock { return &handClock{start: time.Now().Round(0)} }

func (c *handClock) now() time.Time          { return c.start.Add(time.Duration(c.passed.Load())) }
func (c *handClock) advance(d time.Duration) { c.passed.Add(int64(d)) }

func opened(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create stores a deployment with ten checks, as large as they are in life.
func create(t testing.TB, s *Store, id, service string) {
	t.Helper()
	p := adg.Policy{Service: service, Environment: "bench", Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 50, Bake: time.Hour}, {Share: 100}}}}
	for i := range 10 {
		p.Checks = append(p.Checks, adg.Check{
			Name: fmt.Sprintf("check-%d", i), Source: "prom", Window: time.Minute, Weight: 1,
			Query: fmt.Sprintf(`histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{app="shop",version="$version",n="%d"}[$window])))`, i),
			Fail:  adg.Condition{Operator: adg.Above, Value: 5},
		})
	}
	must(t, s.CreateDeployment(context.Background(), adg.Deployment{ID: id, Spec: adg.Spec{
		Release: adg.Release{Service: service, Version: "v2"}, LastGood: &adg.Release{Service: service, Version: "v1"}, Policy: p, Actor: "alice",
	}}))
}

func takeAll(t testing.TB, s *Store, limit int) []adg.Work {
	t.Helper()
	work, err := s.Take(context.Background(), "owner", time.Hour, limit)
	must(t, err)
	if len(work) == 0 {
		t.Fatal("there is nothing to take")
	}
	return work
}

// plain is a tick with ten measurements that changes nothing, and is due again at once.
func plain(w adg.Work) adg.Tick {
	now := time.Now()
	next := w.Deployment.Status
	next.Ticked, next.Due, next.Checks = now, now, nil
	a := adg.Assessment{At: now, Health: adg.Healthy, Score: 100, Text: "all 10 checks are well"}
	t := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, GiveBack: true}
	for _, c := range w.Deployment.Spec.Policy.Checks {
		value := 0.25
		j := adg.Judgement{Check: c.Name, Verdict: adg.Pass, Why: adg.WithinLimits, Value: &value, Limit: &value, N: 100, At: now, Text: "0.25 over the last 1m0s, of 100 samples, is not above the limit of 5"}
		a.Judgements = append(a.Judgements, j)
		next.Checks = append(next.Checks, adg.Watch{Check: c.Name, Due: now, Last: j})
		t.Measurements = append(t.Measurements, adg.Measurement{
			Check: c.Name, At: now, Took: time.Millisecond, Sent: []string{c.Query}, Values: []adg.Series{{Samples: []adg.Sample{{At: now, Value: value}}}},
		})
	}
	t.Input.Assessment = &a
	t.Decision = adg.Decision{At: now, From: next.State, Next: next}
	return t
}

// eventful is a tick with something of everything.
func eventful(w adg.Work, op string) adg.Tick {
	t := plain(w)
	t.GiveBack = false
	d := &t.Decision
	service := w.Deployment.Spec.Policy.Service
	d.Kind, d.Next.State, d.Slot = adg.RollBack, adg.RollingBack, 10
	d.Apply = &adg.Desired{OpID: op, Deployment: w.Deployment.ID}
	d.Facts = []adg.Fact{{ID: op + "/f1", Deployment: w.Deployment.ID}, {ID: op + "/f2", Deployment: w.Deployment.ID}}
	d.Hold = &adg.ReleaseHold{Service: service, Environment: "bench", Identity: "v2"}
	d.Standing = &adg.ReleaseRecord{Environment: "bench", Release: w.Deployment.Spec.Release, Standing: adg.StandingRolledBack}
	t.Baselines = []adg.Baseline{{Check: "check-0"}}
	t.Notifiers = []string{"chat"}
	return t
}
