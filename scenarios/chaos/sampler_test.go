//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// sampler looks at the leases in PostgreSQL, every quarter of a second and past every fault, and at the replicas: has
// every deployment that wants work somebody who is there to do it?
type sampler struct {
	database *database
	replicas []*replica
	begun    time.Time

	mu        sync.Mutex
	sampled   *sync.Cond
	last      time.Time           // of the last sample
	seen      map[string]lease    // deployment → as it was then
	alone     map[string]absence  // deployment → since when it has been without an owner
	killed    map[string]takeover // deployment → its owner was killed
	takeovers []time.Duration     // after SIGKILL, until another had the deployment
	longest   absence             // without an owner
	owners    map[string][]string // deployment → who had it, for stories
	samples   int
	blind     int // samples that PostgreSQL did not answer
	idle      int // samples while no replica was well
	live      int // the most at the same time
}

// lease is a deployment's row.
type lease struct {
	id, owner string
	fence     int64
	held, due bool
}

// absence is how long a deployment was without an owner, where that counts: while PostgreSQL answered and a replica was
// well.
type absence struct {
	deployment string
	at         time.Time // it began
	lasted     time.Duration
}

// takeover is what has passed since a deployment's owner was killed, where that counts.
type takeover struct {
	fence  int64
	at     time.Time
	lasted time.Duration
}

func newSampler(d *database, replicas []*replica, begun time.Time) *sampler {
	s := &sampler{
		database: d, replicas: replicas, begun: begun, seen: map[string]lease{}, alone: map[string]absence{}, killed: map[string]takeover{},
		owners: map[string][]string{},
	}
	s.sampled = sync.NewCond(&s.mu)
	return s
}

const sampleEvery = 250 * time.Millisecond

const leaseQuery = `SELECT id, owner, fence, until > adg_now(), due <= adg_now() FROM deployments WHERE live`

// run samples until it is told to end.
func (s *sampler) run(over <-chan struct{}) {
	every := time.NewTicker(sampleEvery)
	defer every.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for {
		select {
		case <-over:
			return
		case <-every.C:
		}
		rows, err := read(&conn, s.database)
		s.sample(time.Now(), rows, err)
	}
}

// read reads the leases; a connection that failed is made anew the next time.
func read(conn **pgx.Conn, d *database) (rows []lease, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if *conn == nil {
		if *conn, err = d.connect(ctx); err != nil {
			*conn = nil
			return nil, err
		}
	}
	found, err := (*conn).Query(ctx, leaseQuery)
	if err == nil {
		rows, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (l lease, err error) {
			return l, r.Scan(&l.id, &l.owner, &l.fence, &l.held, &l.due)
		})
	}
	if err != nil {
		_ = (*conn).Close(ctx)
		*conn = nil
	}
	return rows, err
}

func (s *sampler) sample(now time.Time, rows []lease, err error) {
	present := map[string]bool{}
	for _, r := range s.replicas {
		if pid, well := r.well(); well {
			present[fmt.Sprint(pid)] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.sampled.Broadcast()
	passed := min(now.Sub(s.last), 4*sampleEvery) // while nobody looked nothing is known
	s.last = now
	s.samples++
	switch {
	case err != nil:
		s.blind++
		return
	case len(present) == 0:
		s.idle++
		passed = 0
	}
	s.live = max(s.live, len(rows))
	seen, alone := map[string]lease{}, map[string]absence{}
	for _, l := range rows {
		before, known := s.seen[l.id]
		s.noteOwner(now, l, before)
		if k, waited := s.killed[l.id]; waited {
			k.lasted += min(passed, now.Sub(k.at))
			if s.killed[l.id] = k; l.fence > k.fence {
				s.takeovers = append(s.takeovers, k.lasted)
				delete(s.killed, l.id)
			}
		}
		seen[l.id] = l
		if !l.due || l.held && present[processOf(l.owner)] || known && l.fence != before.fence {
			continue
		}
		a, lasts := s.alone[l.id]
		if !lasts {
			a = absence{deployment: l.id, at: now}
		} else {
			a.lasted += passed
		}
		alone[l.id] = a
		if a.lasted > s.longest.lasted {
			s.longest = a
		}
	}
	for id := range s.killed {
		if _, there := seen[id]; !there {
			delete(s.killed, id) // it has ended: somebody had it
		}
	}
	s.seen, s.alone = seen, alone
}

// busy waits until a process is seen with a deployment in its hands, for so many samples at most.
func (s *sampler) busy(pid, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range samples {
		for _, l := range s.seen {
			if l.held && processOf(l.owner) == fmt.Sprint(pid) {
				return
			}
		}
		s.sampled.Wait()
	}
}

// orphaned notes whose owner has just been killed: nobody but time takes these leases away.
func (s *sampler) orphaned(pid int) {
	at := time.Now()
	var conn *pgx.Conn
	rows, err := read(&conn, s.database)
	if err != nil {
		return
	}
	_ = conn.Close(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range rows {
		if l.held && processOf(l.owner) == fmt.Sprint(pid) {
			s.killed[l.id] = takeover{fence: l.fence, at: at}
		}
	}
}

// noteOwner writes down who had a deployment, as far as the samples saw it.
func (s *sampler) noteOwner(now time.Time, l, before lease) {
	if l.fence == before.fence && l.owner == before.owner && l.due == before.due {
		return
	}
	text := "nobody"
	if l.owner != "" {
		text = "process " + processOf(l.owner)
		for _, r := range s.replicas {
			if pid, _ := r.well(); fmt.Sprint(pid) == processOf(l.owner) {
				text = r.name + ", " + text
			}
		}
	}
	s.owners[l.id] = append(s.owners[l.id], fmt.Sprintf("%s fence %d, %s, due %v", stamp(now.Sub(s.begun)), l.fence, text, l.due))
}

// processOf is the process id in an owner's name, which is host/process/random.
func processOf(owner string) string {
	parts := strings.Split(owner, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// quantile is of takeovers; zero where there were none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
