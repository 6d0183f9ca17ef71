package sqlite

import (
	"fmt"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
)

// BenchmarkCommit writes ticks of ten checks: so many at the same time, plain ones and ones that wait for the disk.
func BenchmarkCommit(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, parallel := range []int{1, 16} {
			b.Run(fmt.Sprintf("durable=%t/parallel=%d", durable, parallel), func(b *testing.B) {
				s := opened(b, b.TempDir(), Options{})
				for i := range parallel {
					create(b, s, fmt.Sprintf("d%d", i), fmt.Sprintf("s%d", i))
				}
				work := takeAll(b, s, parallel)
				b.ReportAllocs()
				b.ResetTimer()
				var all sync.WaitGroup
				for p := range parallel {
					all.Go(func() {
						w := work[p]
						for range b.N / parallel {
							t := plain(w)
							t.GiveBack = false
							if durable {
								t.Decision.Kind = adg.Hold
							}
							stored, err := s.Commit(b.Context(), t)
							if err != nil {
								b.Error(err)
								return
							}
							w.Deployment = stored
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			})
		}
	}
}

// BenchmarkTake leases 16 of 10,000 deployments, and gives them back.
func BenchmarkTake(b *testing.B) {
	s := opened(b, b.TempDir(), Options{})
	var all sync.WaitGroup
	for p := range 100 {
		all.Go(func() {
			for i := range 100 {
				create(b, s, fmt.Sprintf("d%d-%d", p, i), fmt.Sprintf("s%d-%d", p, i))
			}
		})
	}
	all.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for _, w := range takeAll(b, s, 16) {
			if err := s.GiveBack(b.Context(), w.Lease); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(16*float64(b.N)/b.Elapsed().Seconds(), "deployments/s")
}
