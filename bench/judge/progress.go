package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress says on the terminal how far a long run is. It is safe for concurrent use.
type progress struct {
	out   io.Writer // nil: say nothing
	total float64

	mu     sync.Mutex
	done   float64
	began  time.Time
	spoken time.Time
	what   string
}

// at says what is done now.
func (p *progress) at(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.began.IsZero() {
		p.began = time.Now()
	}
}

// step is that much work done.
func (p *progress) step(work float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += work
	now := time.Now()
	if p.out == nil || now.Sub(p.spoken) < 5*time.Second {
		return
	}
	p.spoken = now
	part := min(p.done/p.total, 1)
	left := time.Duration(float64(now.Sub(p.began)) * (1 - part) / part)
	fmt.Fprintf(p.out, "%3.0f %%, about %s left: %s\n", 100*part, left.Round(time.Second), p.what)
}
