// Package telemetry tells how ADG itself is doing: metrics, traces and logs.
package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/deployguardian/adg"
)

// Metrics are the counters and clocks of one process. All methods are safe for concurrent use.
type Metrics struct {
	Registry *prometheus.Registry

	ticks      prometheus.Counter
	tickErrors prometheus.Counter
	tickTime   prometheus.Histogram
	lateness   prometheus.Histogram
	decisions  *prometheus.CounterVec
	queryTime  *prometheus.HistogramVec
	queryFails *prometheus.CounterVec
	applyTime  *prometheus.HistogramVec
	told       *prometheus.CounterVec
	requests   *prometheus.CounterVec
	answerTime *prometheus.HistogramVec
	announced  *prometheus.CounterVec

	due     prometheus.Gauge
	late    prometheus.Gauge
	expired prometheus.Gauge
	oldest  prometheus.Gauge
	dead    prometheus.Gauge
	blind   prometheus.Gauge
}

// NewMetrics makes the metrics of a process, those of the Go runtime included.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		Registry:   prometheus.NewRegistry(),
		ticks:      prometheus.NewCounter(prometheus.CounterOpts{Name: "adg_ticks_total", Help: "Ticks of deployments that were committed."}),
		tickErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "adg_tick_errors_total", Help: "Turns of deployments that failed and are tried again."}),
		tickTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "adg_tick_seconds", Buckets: fine,
			Help: "Time from taking a deployment's lease to the end of its turn: questions to sources and effects included."}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "adg_tick_lateness_seconds", Buckets: fine,
			Help: "Time from when a tick was due to when it began, by the store's clock."}),
		decisions: vec("adg_decisions_total", "Decisions that changed something, by kind.", "kind"),
		queryTime: times("adg_source_query_seconds", "Time that a source took to answer, errors included.", "source", "type"),
		queryFails: vec("adg_source_errors_total", "Questions that a source did not answer, by the error's code.",
			"source", "type", "code"),
		applyTime:  times("adg_target_apply_seconds", "Time that a target took for one effect, by how it ended.", "outcome"),
		told:       vec("adg_notifications_total", "Tries to tell a fact, by notifier and how they ended.", "notifier", "outcome"),
		requests:   vec("adg_http_requests_total", "Requests to the API, by method and code.", "method", "code"),
		announced:  vec("adg_announcements_total", "Deployments that were announced by webhooks and brokers, by who did and what came of it.", "source", "outcome"),
		due:        gauge("adg_due", "Deployments of all servers that are due, and that nobody works on."),
		late:       gauge("adg_due_seconds", "How long the first of them has been due."),
		expired:    gauge("adg_leases_expired", "Deployments of all servers whose owner is gone or hangs."),
		oldest:     gauge("adg_outbox_oldest_seconds", "How long ago the first fact became true that was not delivered yet."),
		dead:       gauge("adg_outbox_dead", "Deliveries that were given up."),
		blind:      gauge("adg_watchdog_blind", "Live deployments of which no source has answered for too long."),
		answerTime: times("adg_http_request_seconds", "Time to answer a request to the API; of streams: to their end.", "method"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "adg_build_info", Help: "One; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.ticks, m.tickErrors, m.tickTime, m.lateness, m.decisions, m.queryTime, m.queryFails, m.applyTime, m.told, m.requests, m.answerTime, m.announced, m.due, m.late, m.expired, m.oldest, m.dead, m.blind)
	return m
}

// Committed counts a committed tick.
func (m *Metrics) Committed(_ adg.Deployment, t adg.Tick) {
	m.ticks.Inc()
	if due := t.Before.Due; !due.IsZero() && t.Input.Command == nil && t.Input.Outcome == nil {
		m.lateness.Observe(max(0, t.Input.Now.Sub(due).Seconds()))
	}
	if t.Decision.Changed() {
		m.decisions.WithLabelValues(t.Decision.Kind.String()).Inc()
	}
	if o := t.Input.Outcome; o != nil {
		outcome := "done"
		if o.Err != "" {
			outcome = "failed"
		}
		m.applyTime.WithLabelValues(outcome).Observe(o.Took.Seconds())
	}
}

// Turned counts the end of a deployment's turn.
func (m *Metrics) Turned(took time.Duration, err error) {
	m.tickTime.Observe(took.Seconds())
	if err != nil {
		m.tickErrors.Inc()
	}
}

// Answered counts a request to the API; code is the HTTP status that it is answered with, also where it came by gRPC.
func (m *Metrics) Answered(method, code string, took time.Duration) {
	m.requests.WithLabelValues(method, code).Inc()
	m.answerTime.WithLabelValues(method).Observe(took.Seconds())
}

// Source is the source with its answers counted under its name and type. It is closed as before.
func (m *Metrics) Source(name, kind string, s adg.Source) adg.Source {
	return &countedSource{Source: s, name: name, kind: kind, m: m}
}

// Observed takes what the watchdog has seen.
func (m *Metrics) Observed(b adg.Backlog, blind int) {
	m.due.Set(float64(b.Due))
	m.late.Set(b.Late.Seconds())
	m.expired.Set(float64(b.Expired))
	m.oldest.Set(b.Oldest.Seconds())
	m.dead.Set(float64(b.Dead))
	m.blind.Set(float64(blind))
}

// Leases has the leases of this process counted whenever somebody asks; it is called once.
func (m *Metrics) Leases(held func() int) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "adg_leases", Help: "Deployments that this server works on now."},
		func() float64 { return float64(held()) }))
}

// Announced counts an announcement by a webhook or a broker.
func (m *Metrics) Announced(source, outcome string) {
	m.announced.WithLabelValues(source, outcome).Inc()
}

// Aside counts a message of a broker that can never be handled.
func (m *Metrics) Aside(source string) { m.Announced(source, "aside") }

// Notifier is the notifier with its tries counted under a name.
func (m *Metrics) Notifier(name string, n adg.Notifier) adg.Notifier {
	return &countedNotifier{Notifier: n, name: name, m: m}
}

// Log has what is logged counted by level, and gives the logger back.
func (m *Metrics) Log(inner slog.Handler) *slog.Logger {
	lines := vec("adg_log_lines_total", "Lines in the log, by level.", "level")
	m.Registry.MustRegister(lines)
	return slog.New(&countedLog{Handler: inner, lines: lines})
}

// Private

// fine are the bounds of clocks in seconds: from what nobody notices to what ends a lease.
var fine = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

func vec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func times(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: fine}, labels)
}

type countedSource struct {
	adg.Source
	name, kind string
	m          *Metrics
}

func (s *countedSource) Query(ctx context.Context, q adg.Query) (adg.Answer, error) {
	begin := time.Now() //nolint:forbidigo // how long it takes is real time
	answer, err := s.Source.Query(ctx, q)
	s.m.queryTime.WithLabelValues(s.name, s.kind).Observe(time.Since(begin).Seconds()) //nolint:forbidigo // see above
	if err != nil {
		s.m.queryFails.WithLabelValues(s.name, s.kind, adg.CodeOf(err).String()).Inc()
	}
	return answer, err
}

// Lines asks for lines where the source has them.
func (s *countedSource) Lines(ctx context.Context, q adg.LinesQuery) (adg.LinesAnswer, error) {
	begin := time.Now() //nolint:forbidigo // how long it takes is real time
	answer, err := adg.AskLines(ctx, s.Source, q)
	s.m.queryTime.WithLabelValues(s.name, s.kind).Observe(time.Since(begin).Seconds()) //nolint:forbidigo // see above
	if err != nil {
		s.m.queryFails.WithLabelValues(s.name, s.kind, adg.CodeOf(err).String()).Inc()
	}
	return answer, err
}

// ForLines is for the source to say.
func (s *countedSource) ForLines(text string) bool { return adg.ForLines(s.Source, text) }

// Close closes what the source holds open.
func (s *countedSource) Close() error { return closed(s.Source) }

type countedNotifier struct {
	adg.Notifier
	name string
	m    *Metrics
}

func (n *countedNotifier) Notify(ctx context.Context, f adg.Fact) error {
	err := n.Notifier.Notify(ctx, f)
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	n.m.told.WithLabelValues(n.name, outcome).Inc()
	return err
}

// Close closes what the notifier holds open.
func (n *countedNotifier) Close() error { return closed(n.Notifier) }

func closed(x any) error {
	if c, ok := x.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

type countedLog struct {
	slog.Handler
	lines *prometheus.CounterVec
}

func (l *countedLog) Handle(ctx context.Context, r slog.Record) error {
	l.lines.WithLabelValues(r.Level.String()).Inc()
	return l.Handler.Handle(ctx, r)
}

func (l *countedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &countedLog{l.Handler.WithAttrs(attrs), l.lines}
}

func (l *countedLog) WithGroup(name string) slog.Handler {
	return &countedLog{l.Handler.WithGroup(name), l.lines}
}
