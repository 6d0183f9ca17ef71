package shop

import (
	"net/http"
	runtime "runtime/metrics"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Private

// buckets bound the latency histogram, in seconds: dense where the shop's requests are.
var buckets = []float64{.005, .01, .015, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5}

type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics(o Options) *metrics {
	version := prometheus.Labels{"version": o.Version}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered.", ConstLabels: version,
		}, []string{"code", "route"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "How long answered requests took.", ConstLabels: version, Buckets: buckets,
		}, []string{"route"}),
	}
	heap := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "app_heap_bytes", Help: "Bytes of objects on the heap.", ConstLabels: version,
	}, heapBytes)
	restarts := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "shop_restarts_total", Help: "How often this version was restarted after a crash.", ConstLabels: version,
	}, func() float64 { return float64(o.Restarts) })
	m.registry.MustRegister(m.requests, m.took, heap, restarts, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, route := range Routes { // so that "none yet" can be told from "no data"
		m.requests.WithLabelValues("200", route)
		m.requests.WithLabelValues("500", route)
		m.took.WithLabelValues(route)
	}
	return m
}

func (m *metrics) observe(route string, code int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(code), route).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func heapBytes() float64 {
	sample := []runtime.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	runtime.Read(sample)
	return float64(sample[0].Value.Uint64())
}
