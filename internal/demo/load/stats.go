package load

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Stats are a generator's numbers.
type Stats struct {
	Sent     int64            `json:"sent"` // that have ended: the good ones and the bad ones
	OK       int64            `json:"ok"`
	Bad      int64            `json:"bad"`
	Shed     int64            `json:"shed,omitempty"`     // were due and not sent: too many were running
	Failures map[string]int64 `json:"failures,omitempty"` // bad ones by kind: http_<status>, timeout, refused, reset, other

	P50 time.Duration `json:"p50"` // latency of those that ended, in nanoseconds
	P95 time.Duration `json:"p95"`
	P99 time.Duration `json:"p99"`

	Seconds []Second `json:"seconds,omitempty"` // the last ten minutes, oldest first
}

// Second is what was sent in one second, by the time at which it was sent.
type Second struct {
	At  time.Time     `json:"at"`
	OK  int64         `json:"ok"`
	Bad int64         `json:"bad"`
	P50 time.Duration `json:"p50"` // in nanoseconds
	P95 time.Duration `json:"p95"`
}

// Private

const maxSeconds = 600

// ledger collects the numbers of requests that have ended.
type ledger struct {
	mu       sync.Mutex
	ok, shed int64
	failures map[string]int64
	took     histogram
	seconds  map[int64]*second // by Unix time
}

type second struct {
	at      time.Time
	ok, bad int64
	took    histogram
}

func newLedger() ledger { return ledger{failures: map[string]int64{}, seconds: map[int64]*second{}} }

// count takes a request that was sent at a time, and how it failed, if it did.
func (l *ledger) count(at time.Time, took time.Duration, failed string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed == shed {
		l.shed++
		return
	}
	l.took.add(took)
	s := l.second(at.Truncate(time.Second))
	s.took.add(took)
	if failed == "" {
		l.ok++
		s.ok++
		return
	}
	l.failures[failed]++
	s.bad++
}

// second finds the one of a time: requests end in another order than they were sent in.
func (l *ledger) second(at time.Time) *second {
	if s := l.seconds[at.Unix()]; s != nil {
		return s
	}
	if len(l.seconds) >= maxSeconds {
		delete(l.seconds, slices.Min(slices.Collect(maps.Keys(l.seconds))))
	}
	s := &second{at: at}
	l.seconds[at.Unix()] = s
	return s
}

func (l *ledger) read() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		OK: l.ok, Shed: l.shed, Failures: maps.Clone(l.failures),
		P50: l.took.quantile(.5), P95: l.took.quantile(.95), P99: l.took.quantile(.99),
	}
	for _, n := range l.failures {
		s.Bad += n
	}
	s.Sent = s.OK + s.Bad
	for _, at := range slices.Sorted(maps.Keys(l.seconds)) {
		x := l.seconds[at]
		s.Seconds = append(s.Seconds, Second{At: x.at, OK: x.ok, Bad: x.bad, P50: x.took.quantile(.5), P95: x.took.quantile(.95)})
	}
	return s
}
