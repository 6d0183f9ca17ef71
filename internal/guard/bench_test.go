package guard_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// BenchmarkTickWithTenChecks is one turn of a deployment: lease, ten measurements with an immediate answer, judgement,
// decision, commit.
func BenchmarkTickWithTenChecks(b *testing.B) {
	store, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	ticks := make(chan struct{}, 1<<20)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	g := guard.New(store, instant{}, guard.Options{Workers: 1, Poll: time.Microsecond, Watch: func(adg.Deployment, adg.Tick) { ticks <- struct{}{} }})
	p := policy()
	p.Interval, p.Checks, p.Notify = time.Millisecond, nil, nil
	for i := range 10 {
		p.Checks = append(p.Checks, adg.Check{
			Name: fmt.Sprintf("check-%d", i), Source: "metrics", Query: "x", Critical: true, Window: time.Minute,
			Fail: adg.Condition{Operator: adg.Above, Value: 5},
		})
	}
	p.Strategy.Steps[0].Bake, p.Deadline = 24*time.Hour, 96*time.Hour
	for range 64 { // enough that one is always due
		if _, err := g.Start(ctx, adg.Spec{
			Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"}, Policy: p,
		}); err != nil {
			b.Fatal(err)
		}
		p.Service = "shop" + time.Now().Format("150405.000000000")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Run(ctx)
	}()
	for range 256 {
		<-ticks
	}
	b.ReportAllocs()
	for b.Loop() {
		<-ticks
	}
	cancel()
	<-done
}

// instant is a world that answers at once.
type instant struct{}

func (instant) Source(context.Context, adg.Deployment, string) (adg.Source, error) {
	return instant{}, nil
}
func (instant) Notifier(context.Context, string) (adg.Notifier, error)     { return nil, adg.ErrFenced }
func (instant) Target(context.Context, adg.Deployment) (adg.Target, error) { return newTarget(), nil }

func (instant) Query(_ context.Context, q adg.Query) (adg.Answer, error) {
	return adg.Answer{Series: []adg.Series{{Samples: []adg.Sample{{At: q.At, Value: 1}}}}}, nil
}
