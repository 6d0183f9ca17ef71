// Command engine measures what it costs to guard many deployments at once: CPU per measurement, memory, how late ticks
// are, and how long it takes from the decisive sample to the target.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/source/prometheus"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// load is what is measured.
type load struct {
	Deployments int           `json:"deployments"`
	Checks      int           `json:"checks"`
	Interval    time.Duration `json:"interval"`
	For         time.Duration `json:"for"`
	HTTP        bool          `json:"http"`
	Bad         int           `json:"bad"` // so many deployments turn bad, one after the other
}

// result is one line of output.
type result struct {
	Load           load    `json:"load"`
	Asked          float64 `json:"measurements_per_s_asked"`
	Done           float64 `json:"measurements_per_s_done"`
	CPUPerMeasure  float64 `json:"cpu_ms_per_measurement"`
	Cores          float64 `json:"cores"`
	PeakMB         float64 `json:"peak_mb"`
	LatenessP50    float64 `json:"lateness_p50_s"`
	LatenessP99    float64 `json:"lateness_p99_s"`
	LatenessMax    float64 `json:"lateness_max_s"`
	ToTargetP50    float64 `json:"sample_to_target_p50_s,omitempty"`
	ToTargetP99    float64 `json:"sample_to_target_p99_s,omitempty"`
	RolledBack     int     `json:"rolled_back,omitempty"`
	StoreMB        float64 `json:"store_mb"`
	TicksCommitted int64   `json:"ticks"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "stand-in" {
		standIn()
		return
	}
	var l load
	flag.IntVar(&l.Deployments, "deployments", 10_000, "deployments under guard")
	flag.IntVar(&l.Checks, "checks", 10, "checks per deployment")
	flag.DurationVar(&l.Interval, "interval", 30*time.Second, "interval of the checks")
	flag.DurationVar(&l.For, "for", 90*time.Second, "how long to measure, after one interval of warm-up")
	flag.BoolVar(&l.HTTP, "http", false, "ask a Prometheus-compatible server in another process, over HTTP")
	flag.IntVar(&l.Bad, "bad", 0, "deployments that turn bad while the others go on")
	flag.Parse()
	if err := run(l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(l load) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "adg-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	debug.SetGCPercent(100)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	w := &world{turned: map[string]time.Time{}}
	if l.HTTP {
		url, stop, err := startStandIn()
		if err != nil {
			return err
		}
		defer stop()
		if w.source, err = prometheusAt(ctx, url); err != nil {
			return err
		}
	} else {
		w.source = w
	}
	watch := &lateness{due: map[string]time.Time{}}
	g := guard.New(store, w, guard.Options{Watch: watch.tick, Lease: time.Minute})
	for i := range l.Deployments {
		if err := store.CreateDeployment(ctx, deployment(i, l)); err != nil {
			return err
		}
	}
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	time.Sleep(l.Interval + l.Interval/10) // the first round also freezes baselines
	watch.reset()
	cpu, begin := usage(), time.Now()
	w.turnBad(l, begin)
	time.Sleep(time.Until(begin.Add(l.For)))
	spent, wall := usage()-cpu, time.Since(begin)
	r := watch.result(l, spent, wall)
	r.ToTargetP50, r.ToTargetP99, r.RolledBack = w.reaction()
	cancel()
	running.Wait()
	r.StoreMB = size(dir)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// deployment is one that bakes for longer than the benchmark.
func deployment(i int, l load) adg.Deployment {
	p := adg.Policy{
		Service: fmt.Sprintf("s%05d", i), Environment: fmt.Sprintf("e%05d", i), // its own: a common cause is not what is measured
		Interval: l.Interval, History: time.Minute,
		Strategy: adg.Strategy{Kind: adg.Canary, Steps: []adg.Step{{Share: 50, Bake: 24 * time.Hour}, {Share: 100}}},
		Rollback: adg.RollbackPolicy{Trust: adg.Auto, Rules: []adg.Rule{{When: adg.Unhealthy}}, PerHour: 1 << 20, VerifyFor: time.Second},
	}
	for c := range l.Checks {
		p.Checks = append(p.Checks, adg.Check{
			Name: fmt.Sprintf("check-%d", c), Source: "source", Critical: c == 0, Window: time.Minute,
			Query: fmt.Sprintf(`check_%d{service="$service",version="$version"}`, c),
			Fail:  adg.Condition{Operator: adg.Above, Value: 5},
		})
	}
	service := p.Service
	return adg.Deployment{
		ID: service + "-v2",
		Spec: adg.Spec{
			Release: adg.Release{Service: service, Version: "v2"}, LastGood: &adg.Release{Service: service, Version: "v1"},
			Policy: p.WithDefaults(), Created: time.Now(),
		},
	}
}

// world is a source that answers at once and a target that does at once what it is told.
type world struct {
	source adg.Source
	mu     sync.Mutex
	turned map[string]time.Time // service → when it turned bad
	delays []time.Duration
	known  sync.Map // deployment → *live
}

// live is a target of one deployment.
type live struct {
	w       *world
	service string
	mu      sync.Mutex
	now     adg.Observed
}

func (w *world) Source(context.Context, adg.Deployment, string) (adg.Source, error) {
	return w.source, nil
}

func (w *world) Notifier(context.Context, string) (adg.Notifier, error) {
	return nil, adg.Errorf(adg.NotFound, "no notifiers here")
}

func (w *world) Target(_ context.Context, d adg.Deployment) (adg.Target, error) {
	t, _ := w.known.LoadOrStore(d.ID, &live{w: w, service: d.Spec.Policy.Service})
	return t.(*live), nil
}

// Query answers at once: 1, and 100 for a service that has turned bad.
func (w *world) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	value := 1.0
	w.mu.Lock()
	at, bad := w.turned[q.Vars["service"]]
	w.mu.Unlock()
	if bad && q.Vars["version"] == "v2" && !q.At.Before(at) {
		value = 100
	}
	return adg.Answer{Sent: q.Text, Series: []adg.Series{{Samples: []adg.Sample{{At: q.At, Value: value}}}}}, nil
}

// turnBad makes services bad, spread over the run; the sample that decides is the first one after.
func (w *world) turnBad(l load, begin time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range l.Bad {
		w.turned[fmt.Sprintf("s%05d", i)] = begin.Add(l.For * time.Duration(i) / time.Duration(2*l.Bad))
	}
}

func (w *world) reaction() (p50, p99 float64, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return quantile(w.delays, 0.5), quantile(w.delays, 0.99), len(w.delays)
}

func (t *live) Can() adg.Capabilities {
	return adg.Capabilities{Shares: true, Idle: true, Reports: true}
}

func (t *live) Current(context.Context) (adg.Observed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now, nil
}

func (t *live) Apply(_ context.Context, want adg.Desired) (adg.Observed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	if want.Rollback {
		t.w.mu.Lock()
		defer t.w.mu.Unlock()
		if decisive, ok := decisiveSamples.Load(t.service); ok {
			t.w.delays = append(t.w.delays, time.Since(decisive.(time.Time)))
		}
	}
	return t.now, nil
}

// decisiveSamples holds when the bad sample of a service was taken.
var decisiveSamples sync.Map

// lateness watches every tick.
type lateness struct {
	mu    sync.Mutex
	due   map[string]time.Time
	late  []time.Duration
	asked atomic.Int64
	ticks atomic.Int64
}

func (w *lateness) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = w.late[:0]
	w.asked.Store(0)
	w.ticks.Store(0)
}

func (w *lateness) tick(d adg.Deployment, t adg.Tick) {
	w.asked.Add(int64(len(t.Measurements)))
	w.ticks.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, ok := w.due[d.ID]; ok && !before.IsZero() {
		w.late = append(w.late, t.Decision.At.Sub(before))
	}
	w.due[d.ID] = d.Status.Due
	if t.Input.Assessment != nil && t.Input.Assessment.Health == adg.Unhealthy {
		decisiveSamples.LoadOrStore(d.Spec.Policy.Service, t.Input.Assessment.At)
	}
}

func (w *lateness) result(l load, cpu, wall time.Duration) result {
	w.mu.Lock()
	defer w.mu.Unlock()
	measured := float64(w.asked.Load())
	return result{
		Load: l, Asked: float64(l.Deployments*l.Checks) / l.Interval.Seconds(), Done: measured / wall.Seconds(),
		CPUPerMeasure: cpu.Seconds() * 1000 / measured, Cores: cpu.Seconds() / wall.Seconds(), PeakMB: peak(),
		LatenessP50: quantile(w.late, 0.5), LatenessP99: quantile(w.late, 0.99), LatenessMax: quantile(w.late, 1),
		TicksCommitted: w.ticks.Load(),
	}
}

func quantile(all []time.Duration, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))].Seconds()
}

func usage() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func peak() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Maxrss) / 1024
}

func size(dir string) float64 {
	total := int64(0)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return float64(total) / (1 << 20)
}

// standIn is a Prometheus-compatible server that answers at once.
func standIn() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	go func() { // the parent's end is ours
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	http.HandleFunc("/api/v1/query", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service":"x"},"value":[%.3f,"1"]}]}}`, float64(time.Now().UnixMilli())/1000)
	})
	http.HandleFunc("/api/v1/query_range", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	})
	_ = http.Serve(l, nil)
}

func startStandIn() (url string, stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(exe, "stand-in")
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		return "", nil, err
	}
	return strings.TrimSpace(string(line[:n])), func() { _ = in.Close(); _ = cmd.Wait() }, nil
}

func prometheusAt(ctx context.Context, url string) (adg.Source, error) {
	o := prometheus.Driver.Options.(prometheus.Options)
	o.URL = url
	return prometheus.Driver.Open(ctx, o, adg.Host{Name: "bench"})
}
