// Package live tells many watchers what happens, at the cost of one: while somebody watches, one reader of a replica asks
// the store a few times a second, and all watchers go on from what it has read, each at his own pace.
package live

import (
	"context"
	"sync"
	"time"
)

// Every is how often the store is asked where nobody says otherwise.
const Every = 200 * time.Millisecond

// Private

// pulse reads again and again while somebody watches, and wakes all watchers when there are news, or none can be had.
type pulse struct {
	every time.Duration
	// read is called by one at a time, and says whether it has read something new. first: nothing was read since
	// somebody watches.
	read func(ctx context.Context, first bool) (news bool, err error)

	mu       sync.Mutex
	watchers int
	stop     context.CancelFunc
	beaten   chan struct{} // closed at the next news
	begun    bool          // something was read since somebody watches
	err      error         // of the last reading
	last     chan struct{} // closed when the reader before has ended
}

func newPulse(every time.Duration, read func(ctx context.Context, first bool) (bool, error)) *pulse {
	if every <= 0 {
		every = Every
	}
	none := make(chan struct{})
	close(none)
	return &pulse{every: every, read: read, beaten: make(chan struct{}), last: none}
}

// join makes the caller a watcher until he leaves, and waits until something was read.
func (p *pulse) join(ctx context.Context) (leave func(), err error) {
	p.mu.Lock()
	if p.watchers++; p.watchers == 1 {
		reading, stop := context.WithCancel(context.Background()) // it outlives the first watcher
		before, ended := p.last, make(chan struct{})
		p.stop, p.last, p.begun, p.err = stop, ended, false, nil
		go func() {
			defer close(ended)
			<-before
			p.run(reading)
		}()
	}
	begun, beaten := p.begun, p.beaten
	p.mu.Unlock()
	leave = sync.OnceFunc(p.leave)
	if begun {
		return leave, nil
	}
	if err := p.wait(ctx, beaten); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (p *pulse) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers--; p.watchers == 0 {
		p.stop()
	}
}

// next is closed at the next news. Whoever takes it before he looks at what was read misses nothing.
func (p *pulse) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beaten
}

// wait waits for news, and gives the error if there is one instead.
func (p *pulse) wait(ctx context.Context, beaten <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-beaten:
		return p.failure()
	}
}

// failure is the error of the last reading.
func (p *pulse) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *pulse) run(ctx context.Context) {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for first := true; ; {
		news, err := p.read(ctx, first)
		if !p.beat(ctx, news, err) {
			return
		}
		first = first && err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beat tells the watchers of a reading, unless the last of them has left.
func (p *pulse) beat(ctx context.Context, news bool, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	if news || err != nil || !p.begun {
		close(p.beaten)
		p.beaten = make(chan struct{})
	}
	p.err, p.begun = err, err == nil
	return true
}
