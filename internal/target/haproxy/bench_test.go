package haproxy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// BenchmarkRollback measures, under 200 requests a second, how long after the decision the last request is sent that the
// bad release answers, and how many requests failed while traffic moved there and back.
func BenchmarkRollback(b *testing.B) {
	p := startProxy(b)
	for _, name := range slotServers["green"] {
		p.servers[name].runs("v2")
	}
	target := p.open(b, p.options())
	l := startLoad(b, p, 200)
	op := 0
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	var away, took []time.Duration
	for b.Loop() {
		apply(b, target, targettest.Want(next(), 1, 100))
		l.share(b, 50)
		decided := time.Now()
		apply(b, target, targettest.Rollback(next(), 1))
		took = append(took, time.Since(decided))
		l.share(b, 50)
		l.mu.Lock()
		away = append(away, max(l.last["v2"].Sub(decided), 0))
		l.mu.Unlock()
	}
	l.end()
	slices.Sort(away)
	slices.Sort(took)
	b.ReportMetric(float64(away[len(away)/2].Microseconds())/1000, "ms/away-p50")
	b.ReportMetric(float64(away[len(away)-1].Microseconds())/1000, "ms/away-max")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/read-back")
	b.ReportMetric(float64(len(l.failed)), "failed")
	b.ReportMetric(float64(l.sent), "sent")
	b.ReportMetric(0, "ns/op")
}
