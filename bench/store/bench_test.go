// Package store measures what a long past costs: the same ticks and the same reads, in turns, on a store that is empty
// otherwise and on one that is full of measurements of ended deployments.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// The past: so many ended deployments with so many ticks each, of ten measurements. ADG_BENCH_TICKS is another number.
const (
	ended = 1000
	ticks = 500
)

// BenchmarkPast tells how much longer a tick, and each read of a deployment's status, takes with the past than without.
func BenchmarkPast(b *testing.B) {
	for name, pair := range map[string]func(*testing.B) (empty, full adg.Store){"sqlite": onSQLite, "postgres": onPostgres} {
		b.Run(name, func(b *testing.B) {
			empty, full := pair(b)
			stores := []*worker{begin(b, empty), begin(b, full)}
			took := map[string][2][]time.Duration{}
			for n := 0; b.Loop(); n++ {
				for turn := range stores { // who is first changes, so that none has the other's cold caches
					which := (turn + n) % 2
					for what, do := range stores[which].work() {
						start := time.Now()
						if err := do(); err != nil {
							b.Fatalf("%s: %v", what, err)
						}
						all := took[what]
						all[which] = append(all[which], time.Since(start))
						took[what] = all
					}
				}
			}
			for what, all := range took {
				without, with := median(all[0]), median(all[1])
				b.ReportMetric(float64(without.Microseconds()), what+"-empty-µs")
				b.ReportMetric(float64(with.Microseconds()), what+"-full-µs")
				b.ReportMetric(100*(float64(with)/float64(without)-1), what+"-more-%")
			}
		})
	}
}

// worker guards one live deployment.
type worker struct {
	b     *testing.B
	store adg.Store
}

func begin(b *testing.B, store adg.Store) *worker {
	b.Helper()
	must(b, store.CreateDeployment(b.Context(), deployment("live")))
	return &worker{b: b, store: store}
}

// work is what happens every few seconds: a tick, and what people look at.
func (w *worker) work() func(func(string, func() error) bool) {
	ctx := w.b.Context()
	return func(yield func(string, func() error) bool) {
		_ = yield("tick", w.tick) &&
			yield("status", func() error { _, err := w.store.Deployment(ctx, "live"); return err }) &&
			yield("list", func() error {
				_, err := w.store.ListDeployments(ctx, adg.DeploymentFilter{Live: true})
				return err
			}) &&
			yield("measurements", func() error {
				_, err := w.store.Measurements(ctx, "live", adg.MeasurementFilter{Check: "check-1", From: time.Now().Add(-time.Second), Limit: 10})
				return err
			}) &&
			yield("fleet", func() error { _, err := w.store.Fleet(ctx, "bench", "live"); return err }) &&
			yield("undelivered", func() error { _, err := w.store.Undelivered(ctx, "bench", time.Minute, 10); return err }) &&
			yield("backlog", func() error { _, err := w.store.Backlog(ctx); return err }) &&
			yield("forget-nothing", func() error {
				_, err := w.store.Forget(ctx, adg.Retention{Decisions: time.Unix(1, 0), Events: time.Unix(1, 0), Dead: time.Unix(1, 0)})
				return err
			})
	}
}

func (w *worker) tick() error {
	work, err := w.store.Take(w.b.Context(), "bench", time.Minute, 10)
	if err != nil || len(work) != 1 {
		return fmt.Errorf("took %d: %w", len(work), err)
	}
	_, err = w.store.Commit(w.b.Context(), plain(work[0], adg.Rolling))
	return err
}

func deployment(id string) adg.Deployment {
	p := adg.Policy{Service: "shop", Environment: "bench"}
	for i := range 10 {
		p.Checks = append(p.Checks, adg.Check{Name: fmt.Sprint("check-", i), Source: "prom", Query: `sum(rate(http_requests_total{app="shop",version="$version"}[$window]))`})
	}
	return adg.Deployment{ID: id, Spec: adg.Spec{Release: adg.Release{Service: "shop", Version: "v2"}, Policy: p}}
}

// plain is a tick of ten measurements that is due again at once.
func plain(w adg.Work, next adg.State) adg.Tick {
	now := w.Lease.Until.Add(-time.Minute)
	t := adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, GiveBack: true, Before: w.Deployment.Status}
	status := w.Deployment.Status
	status.State, status.Ticked, status.Due = next, now, now
	t.Input.Assessment = &adg.Assessment{At: now, Health: adg.Healthy, Score: 100}
	t.Decision = adg.Decision{At: now, From: next, Next: status}
	for _, c := range w.Deployment.Spec.Policy.Checks {
		t.Measurements = append(t.Measurements, adg.Measurement{Check: c.Name, At: now, Sent: []string{c.Query}, Values: []adg.Series{{Samples: []adg.Sample{{At: now, Value: 0.25}}}}})
	}
	return t
}

// age ends one deployment in a store; the statements that follow make many of it.
func age(b *testing.B, store adg.Store) {
	b.Helper()
	must(b, store.CreateDeployment(b.Context(), deployment("old")))
	work, err := store.Take(b.Context(), "bench", time.Minute, 1)
	must(b, err)
	_, err = store.Commit(b.Context(), plain(work[0], adg.Succeeded))
	must(b, err)
	must(b, store.Close())
}

// past is what both databases understand; SERIES(n) is the numbers from 1 to n, in a column i.
func past(yes, no, series string) []string {
	n := ticks
	if text, set := os.LookupEnv("ADG_BENCH_TICKS"); set {
		n, _ = strconv.Atoi(text) // 0 is none
	}
	many := func(count int) string { return strings.ReplaceAll(series, "COUNT", strconv.Itoa(count)) }
	return []string{
		"INSERT INTO deployments (id, service, environment, version, state, live, due) SELECT 'old-' || i, 's' || i % 50, 'bench', 500, 'succeeded', " + no + ", 0 FROM " + many(ended-1),
		"INSERT INTO specs SELECT d.n, s.spec FROM deployments d, specs s WHERE d.id <> 'old'",
		"INSERT INTO statuses SELECT d.n, s.status FROM deployments d, statuses s WHERE d.id <> 'old'",
		"INSERT INTO ticks (deployment, seq, at, keep, assessed, tick) SELECT d.n, i + 10, t.at - i * CAST(30000000000 AS bigint), " + no + ", " + yes + ", t.tick FROM deployments d, ticks t, " + many(n),
		"INSERT INTO measurements (deployment, at, keep, name, measurement) SELECT d.n, m.at - i * CAST(30000000000 AS bigint), " + no + ", m.name, m.measurement FROM deployments d, (SELECT * FROM measurements) m, " + many(n),
	}
}

func onSQLite(b *testing.B) (empty, full adg.Store) {
	b.Helper()
	open := func(dir string) adg.Store {
		s, err := sqlite.Open(b.Context(), dir, sqlite.Options{})
		must(b, err)
		b.Cleanup(func() { must(b, s.Close()) })
		return s
	}
	dir := b.TempDir()
	age(b, open(dir))
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "adg.db")+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)") // nobody else uses it
	must(b, err)
	for _, statement := range past("1", "0", "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < COUNT) SELECT i FROM s)") {
		_, err := db.ExecContext(b.Context(), statement)
		must(b, err)
	}
	counted(b, db.QueryRowContext(b.Context(), "SELECT count(*) FROM measurements").Scan)
	must(b, db.Close())
	return open(b.TempDir()), open(dir)
}

func onPostgres(b *testing.B) (empty, full adg.Store) {
	b.Helper()
	open := func(dsn string) adg.Store {
		s, err := postgres.Open(context.Background(), postgres.Options{DSN: adg.NewSecret(dsn)})
		must(b, err)
		b.Cleanup(func() { must(b, s.Close()) })
		return s
	}
	dsn, other := pgtest.Database(b), pgtest.Database(b)
	age(b, open(dsn))
	conn, err := pgx.Connect(b.Context(), dsn)
	must(b, err)
	for _, statement := range append(past("true", "false", "generate_series(1, COUNT) i"), "VACUUM ANALYZE") {
		_, err := conn.Exec(b.Context(), statement)
		must(b, err)
	}
	counted(b, conn.QueryRow(b.Context(), "SELECT count(*) FROM measurements").Scan)
	must(b, conn.Close(b.Context()))
	return open(other), open(dsn)
}

func counted(b *testing.B, scan func(...any) error) {
	b.Helper()
	n := 0
	must(b, scan(&n))
	b.Logf("%d measurements of the past", n)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
