package postgres

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/store/storetest"
)

func TestMain(m *testing.M) {
	callTimeout, commitTimeout, quickTimeout = 2*time.Minute, time.Minute, time.Minute
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opened {
		dsn := fresh(t)
		store := &rinsed{Store: opened(t, dsn), rinse: sync.OnceFunc(func() { rinse(t, dsn) })}
		t.Cleanup(store.rinse)
		return storetest.Opened{
			Store: store,
			Reopen: func(changes ...string) adg.Store {
				closed(t, store.Store)
				store.Store = opened(t, dsn, changes...)
				return store
			},
			Other:   func() adg.Store { return opened(t, dsn) },
			Advance: advancing(t, dsn),
		}
	})
}

// rinsed is a store whose database is empty, and another test's, when it is closed.
type rinsed struct {
	*Store
	rinse func()
}

// Close closes the store.
func (r *rinsed) Close() error {
	err := r.Store.Close()
	r.rinse()
	return err
}

var databases struct {
	sync.Mutex
	original string
	free     []string
}

// fresh is a database that is up to date and empty. To copy one is quicker than to migrate it, and one that is there
// already is quicker still.
func fresh(t testing.TB) string {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	if n := len(databases.free); n > 0 {
		dsn := databases.free[n-1]
		databases.free = databases.free[:n-1]
		return dsn
	}
	if databases.original == "" {
		databases.original = pgtest.Lasting(t, "")
		closed(t, opened(t, databases.original))
	}
	return pgtest.Lasting(t, databases.original)
}

// rinse empties a database for the next test.
func rinse(t testing.TB, dsn string) {
	pgtest.Exec(t, dsn, adgNow(0), `DO $$
		DECLARE name text;
		BEGIN
			SET LOCAL session_replication_role = replica;
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> '`+versionTable+`' LOOP
				EXECUTE 'DELETE FROM ' || name;
			END LOOP;
		END $$`)
	databases.Lock()
	defer databases.Unlock()
	databases.free = append(databases.free, dsn)
}

// advancing gives a function that makes a database's clock go on, or back, for all that are connected.
func advancing(t testing.TB, dsn string) func(time.Duration) {
	passed := time.Duration(0)
	return func(d time.Duration) {
		t.Helper()
		passed += d
		pgtest.Exec(t, dsn, adgNow(passed))
	}
}

func adgNow(passed time.Duration) string {
	return fmt.Sprintf(`CREATE OR REPLACE FUNCTION adg_now() RETURNS bigint LANGUAGE sql VOLATILE AS
		'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + %d'`, passed)
}

func opened(t testing.TB, dsn string, changes ...string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{DSN: adg.NewSecret(patient(t, dsn)), Changes: changes})
	must(t, err)
	t.Cleanup(func() { closed(t, s) })
	return s
}

// patient gives a DSN limits that a busy machine keeps to, where it has none.
func patient(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	settings := u.Query()
	for name, limit := range map[string]string{
		"statement_timeout": "60s", "lock_timeout": "60s", "idle_in_transaction_session_timeout": "60s", "connect_timeout": "60",
	} {
		if !settings.Has(name) {
			settings.Set(name, limit)
		}
	}
	u.RawQuery = settings.Encode()
	return u.String()
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	must(t, s.Close())
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
func plain(t testing.TB, w adg.Work) adg.Tick {
	t.Helper()
	now := w.Lease.Until.Add(-time.Hour)
	next := w.Deployment.Status
	next.Ticked, next.Due = now, now
	tick := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Decision: adg.Decision{At: now, From: next.State, Next: next}}
	tick.Input.Assessment = &adg.Assessment{At: now, Health: adg.Healthy, Score: 100}
	for _, c := range w.Deployment.Spec.Policy.Checks {
		tick.Measurements = append(tick.Measurements, adg.Measurement{Check: c.Name, At: now, Sent: []string{c.Query}, Values: []adg.Series{{Samples: []adg.Sample{{At: now, Value: 0.25}}}}})
	}
	return tick
}
