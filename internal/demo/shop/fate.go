package shop

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Private

const (
	failing    = 0.02                  // share of requests that fail in a healthy version
	median     = 15 * time.Millisecond // latencies are lognormal
	sigma      = 0.5
	slowest    = 500 * time.Millisecond
	crashEvery = 200 // requests
	leakStep   = 1 << 20
	leakMax    = 256 << 20
	leakDouble = 128 << 20 // latency is twice the usual when this much is leaked
	leakPause  = 100 * time.Millisecond
	page       = 4096
)

// fate is what becomes of one request.
type fate struct {
	takes          time.Duration
	fails, crashes bool
}

// fates draws them, reproducibly for one seed.
type fates struct {
	failing, slowness float64
	crashing          bool

	mu         sync.Mutex
	dice       *rand.Rand
	untilCrash int
}

func newFates(o Options) *fates {
	f := &fates{failing: failing, slowness: 1, dice: rand.New(rand.NewPCG(o.Seed, uint64(o.Restarts)))}
	switch o.Fault {
	case Errors:
		f.failing *= 10
	case Latency:
		f.slowness = 2
	case Crash:
		f.crashing = true
		f.untilCrash = crashEvery/2 + f.dice.IntN(crashEvery)
	case None, Silent, Leak, Log:
	}
	return f
}

func (f *fates) next() fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.untilCrash--
	takes := float64(median) * f.slowness * math.Exp(sigma*f.dice.NormFloat64())
	return fate{
		takes:   min(time.Duration(takes), slowest),
		fails:   f.dice.Float64() < f.failing,
		crashes: f.crashing && f.untilCrash <= 0,
	}
}

// leak is memory that is taken and never given back.
type leak struct {
	ctx   context.Context // of the process
	limit int64           // bytes
	pause time.Duration   // between two steps
	once  sync.Once
	held  atomic.Int64 // bytes
}

func newLeak(ctx context.Context) *leak { return &leak{ctx: ctx, limit: leakMax, pause: leakPause} }

// begin makes memory grow from now on, once.
func (l *leak) begin() { l.once.Do(func() { go l.grow() }) }

// slowed is how long a request takes under the present pressure.
func (l *leak) slowed(d time.Duration) time.Duration {
	return d + time.Duration(float64(d)*float64(l.held.Load())/leakDouble)
}

func (l *leak) grow() {
	var hoard [][]byte
	for pause(l.ctx, l.pause) {
		if l.held.Load() >= l.limit {
			continue // held until the process ends
		}
		chunk := make([]byte, leakStep)
		for i := 0; i < len(chunk); i += page {
			chunk[i] = 1 // only memory that was written to is really taken
		}
		hoard = append(hoard, chunk)
		l.held.Store(int64(len(hoard)) * leakStep)
	}
}
