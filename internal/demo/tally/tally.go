// Package tally is the access log of the demo's routers, as numbers: what each version really served, counted beside
// the versions' own metrics.
package tally

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Request is one line of the log.
type Request struct {
	Version    string
	End        time.Time
	Took       time.Duration
	Status     int  // what the client got
	Unanswered bool // the version refused the connection, or broke it, or took too long
	Abandoned  bool // the client went first
}

// Count is what a version served.
type Count struct {
	Requests   int64 `json:"requests"`
	Bad        int64 `json:"bad"`        // 5xx or unanswered
	Slow       int64 `json:"slow"`       // not bad, but slower than the log's limit
	Unanswered int64 `json:"unanswered"` // part of the bad ones: no metric of the version can know of them
	Abandoned  int64 `json:"abandoned"`  // not bad

	First     time.Time `json:"first,omitzero"`      // end of the first request
	FirstHarm time.Time `json:"first_harm,omitzero"` // end of the first one that was bad or slow
	Last      time.Time `json:"last,omitzero"`       // end of the last one
}

// Harmed is how many requests were bad or slow.
func (c Count) Harmed() int64 { return c.Bad + c.Slow }

// Minus is what came after an earlier count of the same version; the times stay.
func (c Count) Minus(earlier Count) Count {
	c.Requests -= earlier.Requests
	c.Bad -= earlier.Bad
	c.Slow -= earlier.Slow
	c.Unanswered -= earlier.Unanswered
	c.Abandoned -= earlier.Abandoned
	return c
}

// Log counts requests by version. It is safe for concurrent use, and a prometheus.Collector.
type Log struct {
	slow time.Duration

	mu     sync.Mutex
	counts map[string]Count
}

// NewLog is an empty log in which a request is slow if it takes longer than the limit.
func NewLog(slow time.Duration) *Log { return &Log{slow: slow, counts: map[string]Count{}} }

// Add counts a request.
func (l *Log) Add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[r.Version]
	c.Requests++
	c.Last = r.End
	if c.First.IsZero() {
		c.First = r.End
	}
	switch {
	case r.Abandoned:
		c.Abandoned++
	case r.Unanswered, r.Status >= 500:
		c.Bad++
		if r.Unanswered {
			c.Unanswered++
		}
	case r.Took > l.slow:
		c.Slow++
	}
	if c.FirstHarm.IsZero() && c.Harmed() > 0 {
		c.FirstHarm = r.End
	}
	l.counts[r.Version] = c
}

// Counts are the numbers so far, by version.
func (l *Log) Counts() map[string]Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Describe names the metrics.
func (l *Log) Describe(out chan<- *prometheus.Desc) {
	for _, m := range exported {
		out <- m.desc
	}
}

// Collect gives the numbers so far.
func (l *Log) Collect(out chan<- prometheus.Metric) {
	counts := l.Counts()
	for _, version := range slices.Sorted(maps.Keys(counts)) {
		for _, m := range exported {
			out <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(m.of(counts[version])), version)
		}
	}
}

// Private

type metric struct {
	desc *prometheus.Desc
	of   func(Count) int64
}

func counter(name, help string, of func(Count) int64) metric {
	return metric{prometheus.NewDesc(name, help, []string{"version"}, nil), of}
}

var exported = []metric{
	counter("router_requests_total", "Requests sent to a version.", func(c Count) int64 { return c.Requests }),
	counter("router_bad_requests_total", "Requests that ended with 5xx or without an answer.", func(c Count) int64 { return c.Bad }),
	counter("router_unanswered_requests_total", "Requests that the version never answered.", func(c Count) int64 { return c.Unanswered }),
	counter("router_slow_requests_total", "Requests that were answered well, but late.", func(c Count) int64 { return c.Slow }),
}
