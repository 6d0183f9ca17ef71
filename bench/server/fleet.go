package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// guarded is what it costs to guard a fleet.
type guarded struct {
	Starts       float64 `json:"starts_per_s"`
	Asked        float64 `json:"measurements_per_s_asked"`
	Done         float64 `json:"measurements_per_s_done"`
	Cores        float64 `json:"adg_cores"`
	Database     float64 `json:"postgres_cores"`
	CPUPerCheck  float64 `json:"adg_cpu_ms_per_measurement"`
	LateP50      float64 `json:"lateness_p50_s"`
	LateP99      float64 `json:"lateness_p99_s"`
	PeakMB       float64 `json:"resident_mb_of_all_replicas"`
	LongestAlone float64 `json:"longest_overdue_without_owner_s"`
	Longest      float64 `json:"longest_overdue_s"` // by whomever it is held: a dead replica holds until its lease ends
}

// fleet has several replicas guard deployments together.
func fleet(ctx context.Context, r *rig, l load) (guarded, error) {
	if err := r.startPostgres(); err != nil {
		return guarded{}, err
	}
	if err := r.start(ctx, l.Replicas); err != nil {
		return guarded{}, err
	}
	if l.Old > 0 {
		if err := r.database.age(ctx, l.Old); err != nil {
			return guarded{}, err
		}
	}
	wall, err := r.launched(ctx, l, nil)
	if err != nil {
		return guarded{}, err
	}
	result := guarded{Starts: float64(l.Deployments) / wall.Seconds(), Asked: float64(l.Deployments*l.Checks) / l.Interval.Seconds()}
	if err := pause(ctx, l.Interval+l.Interval/2); err != nil { // the first round also freezes baselines
		return result, err
	}
	return result, r.watch(ctx, l, &result)
}

// Private

// watch measures the fleet for a while.
func (r *rig) watch(ctx context.Context, l load, result *guarded) error {
	before, err := r.take(ctx)
	if err != nil {
		return err
	}
	var alone, longest atomic.Int64
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go r.database.overdue(watching, &alone, &longest)
	if err := pause(ctx, l.For/2); err != nil {
		return err
	}
	if l.Kill {
		_ = r.replicas[len(r.replicas)-1].cmd.Process.Kill()
		r.replicas = r.replicas[:len(r.replicas)-1]
	}
	if err := pause(ctx, l.For/2); err != nil {
		return err
	}
	after, err := r.take(ctx)
	if err != nil {
		return err
	}
	stop()
	seconds := after.at.Sub(before.at).Seconds()
	result.Database = (after.database - before.database).Seconds() / seconds
	result.LongestAlone, result.Longest = time.Duration(alone.Load()).Seconds(), time.Duration(longest.Load()).Seconds()
	result.PeakMB = after.resident / (1 << 20)
	if l.Kill {
		return nil // what the dead one did is not in the other figures
	}
	result.Cores = (after.cpu - before.cpu) / seconds
	measurements := after.queries - before.queries
	result.Done = measurements / seconds
	result.CPUPerCheck = 1000 * (after.cpu - before.cpu) / measurements
	result.LateP50, result.LateP99 = late(before, after, 0.5), late(before, after, 0.99)
	return nil
}

// reading is the counters of all replicas at one time.
type reading struct {
	at       time.Time
	cpu      float64 // s
	database time.Duration
	resident float64 // bytes
	queries  float64
	late     map[float64]float64 // cumulative counts by upper bound, s
}

func (r *rig) take(ctx context.Context) (reading, error) {
	all := reading{at: time.Now(), database: r.database.cpu(), late: map[float64]float64{}}
	for _, one := range r.replicas {
		families, err := scrape(ctx, one.metrics)
		if err != nil {
			return all, err
		}
		all.cpu += families["process_cpu_seconds_total"].GetMetric()[0].GetCounter().GetValue()
		all.resident += families["process_resident_memory_bytes"].GetMetric()[0].GetGauge().GetValue()
		for _, m := range families["adg_source_query_seconds"].GetMetric() {
			all.queries += float64(m.GetHistogram().GetSampleCount())
		}
		for _, m := range families["adg_tick_lateness_seconds"].GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				all.late[b.GetUpperBound()] += float64(b.GetCumulativeCount())
			}
			all.late[1e9] += float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all, nil
}

func scrape(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = io.Copy(io.Discard, answer.Body); _ = answer.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(answer.Body)
}

// late is a quantile of the lateness between two readings, linear within a bucket.
func late(before, after reading, q float64) float64 {
	total := after.late[1e9] - before.late[1e9]
	low, below := 0.0, 0.0
	for _, bound := range []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60} {
		n := after.late[bound] - before.late[bound]
		if n >= q*total {
			return low + (bound-low)*(q*total-below)/(n-below)
		}
		low, below = bound, n
	}
	return low
}

// overdue notes for how long at most a live deployment was due: while nobody held it, and whoever held it.
func (d *database) overdue(ctx context.Context, alone, longest *atomic.Int64) {
	conn, err := pgx.Connect(ctx, d.dsn)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for pause(ctx, 250*time.Millisecond) == nil {
		var unheld, held *int64
		err := conn.QueryRow(ctx, `SELECT max(adg_now() - greatest(due, until)) FILTER (WHERE until < adg_now()), max(adg_now() - due)
			FROM deployments WHERE live AND due < adg_now()`).Scan(&unheld, &held)
		if err != nil {
			continue
		}
		raise(alone, unheld)
		raise(longest, held)
	}
}

// raise keeps the larger one; there is no second writer.
func raise(most *atomic.Int64, to *int64) {
	if to != nil && *to > most.Load() {
		most.Store(*to)
	}
}

// age fills the store with what ended deployments left behind.
func (d *database) age(ctx context.Context, measurements int) error {
	deployments := max(1, measurements/5000)
	text := `{"check":"check-0","arm":"candidate","at":"2026-01-02T03:04:05Z","sent":"check_0{service=\"old\",version=\"v2\"}","series":[{"labels":{"pod":"a"},"samples":[{"at":"2026-01-02T03:04:05Z","value":1}]}],"took":1200000}`
	return d.exec(ctx,
		fmt.Sprintf(`INSERT INTO deployments (id, service, environment, version, state, live, due)
			SELECT 'old-' || i, 'old-' || i %% 100, 'old', 500, 'succeeded', false, 0 FROM generate_series(1, %d) i`, deployments),
		`INSERT INTO specs (deployment, spec) SELECT n, '{}' FROM deployments WHERE environment = 'old'`,
		`INSERT INTO statuses (deployment, status) SELECT n, '{"state":"succeeded"}' FROM deployments WHERE environment = 'old'`,
		fmt.Sprintf(`INSERT INTO measurements (deployment, at, keep, name, measurement)
			SELECT n, adg_now() - i * 1000000::bigint, false, 'check-' || i %% 10, '%s' FROM deployments, generate_series(1, %d) i WHERE environment = 'old'`, text, measurements/deployments),
		fmt.Sprintf(`INSERT INTO ticks (deployment, seq, at, keep, assessed, tick)
			SELECT n, i, adg_now() - i * 10000000::bigint, false, true, '{}' FROM deployments, generate_series(1, %d) i WHERE environment = 'old'`, measurements/deployments/10),
		"ANALYZE")
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
