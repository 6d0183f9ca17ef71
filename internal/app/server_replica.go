package app

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

// beatEvery is how often a replica says how it is.
const beatEvery = 10 * time.Second

// beating says how this replica is until the context ends, and then that it is gone.
func (s *server) beating(ctx context.Context) {
	r := control.Replica{Name: s.guard.Owner(), Version: s.app.version}
	beat := func(ctx context.Context) (err error) {
		r.Deployments, r.Lateness = s.guard.Leases(), s.late.worst(time.Now()) //nolint:forbidigo // it is of this process's last minutes
		r, err = s.control.Beat(ctx, r)
		return err
	}
	if err := beat(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("saying how this server is could not be done, it will be tried again", "error", err)
	}
	s.repeat(ctx, beatEvery, "saying how this server is", beat)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.control.Leave(ctx, r.Name); err != nil {
		s.log.Warn("this server stays in the list of replicas for a while", "error", err)
	}
}

// delays remembers how late ticks were in the last minutes: of each minute a sample of at most keptDelays. It is safe for
// concurrent use.
type delays struct {
	mu      sync.Mutex
	minutes [delayMinutes]delayMinute
}

const (
	delayMinutes = 5
	keptDelays   = 1024
)

type delayMinute struct {
	at   int64 // since 1970
	seen int
	kept []time.Duration
}

// committed notes how late a tick was that nobody asked for.
func (d *delays) committed(t adg.Tick, now time.Time) {
	due := t.Before.Due
	if due.IsZero() || t.Input.Command != nil || t.Input.Outcome != nil {
		return
	}
	late := max(0, t.Input.Now.Sub(due))
	d.mu.Lock()
	defer d.mu.Unlock()
	minute := now.Unix() / 60
	m := &d.minutes[minute%delayMinutes]
	if m.at != minute {
		*m = delayMinute{at: minute, kept: m.kept[:0]}
	}
	m.seen++
	if len(m.kept) < keptDelays {
		m.kept = append(m.kept, late)
	} else if at := rand.IntN(m.seen); at < keptDelays { //nolint:gosec // which ones are kept is no secret
		m.kept[at] = late
	}
}

// worst is the 99th percentile; 0: there was no tick.
func (d *delays) worst(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []time.Duration
	for _, m := range d.minutes {
		if now.Unix()/60-m.at < delayMinutes {
			all = append(all, m.kept...)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*99-1)/100]
}
