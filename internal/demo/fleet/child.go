package fleet

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deployguardian/adg"
)

// Private

const (
	anywhere   = "127.0.0.1:0"
	maxBackoff = 8 * time.Second
	maxSaid    = 4 << 10 // bytes kept of what a process writes
	drained    = time.Second
)

// child is a version that is kept running until its context ends.
type child struct {
	version string
	options Options
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{} // closed when the process has ended for good

	up        chan struct{} // closed when it has served for the first time
	stillborn chan struct{} // closed when the first process ended without serving
	restarts  atomic.Int64
	log       ring

	mu   sync.Mutex
	addr string
	said string // what the last process wrote to its standard error
}

func newChild(version string, o Options) *child {
	ctx, cancel := context.WithCancel(context.Background())
	c := &child{
		version: version, options: o, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), up: make(chan struct{}), stillborn: make(chan struct{}), log: ring{since: time.Now()},
	}
	go c.keep()
	return c
}

// ready waits until it has served for the first time.
func (c *child) ready(ctx context.Context) error {
	select {
	case <-c.up: // looked at first: a version that runs is not stopped because a caller's time is over
		return nil
	default:
	}
	select {
	case <-c.up:
		return nil
	case <-c.stillborn:
		c.mu.Lock()
		defer c.mu.Unlock()
		return adg.Errorf(adg.Unavailable, "start %s: the process ended before it served: %s", c.version, c.said)
	case <-c.done:
		return adg.Errorf(adg.Unavailable, "start %s: it was stopped meanwhile", c.version)
	case <-ctx.Done():
		return adg.Errorf(adg.Unavailable, "start %s: %w", c.version, context.Cause(ctx))
	}
}

func (c *child) address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addr
}

// keep runs one process after the other.
func (c *child) keep() {
	defer close(c.done)
	wait := c.options.Backoff
	for {
		served, said := c.live()
		c.mu.Lock()
		c.said = said
		born := c.addr != ""
		c.mu.Unlock()
		if !born {
			close(c.stillborn)
			return
		}
		if served {
			wait = c.options.Backoff
		}
		timer := time.NewTimer(wait)
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, maxBackoff)
		c.restarts.Add(1)
	}
}

// live is the life of one process.
func (c *child) live() (served bool, said string) {
	addr := c.address()
	if addr == "" {
		addr = anywhere
	}
	cmd := c.options.Command(c.version, addr, int(c.restarts.Load()))
	out, errOut := &output{found: make(chan string, 1), log: &c.log}, &start{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, errOut, drained
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return false, err.Error()
	}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return false, err.Error()
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := c.ctx.Done()
	var force <-chan time.Time
	for {
		select {
		case addr := <-out.found:
			served = true
			c.serves(addr)
		case <-stop:
			stop = nil
			_ = stdin.Close() // fails only if it has ended
			timer := time.NewTimer(c.options.Grace)
			defer timer.Stop()
			force = timer.C
		case <-force:
			killGroup(cmd)
		case err := <-ended:
			return served, errOut.or(err)
		}
	}
}

func (c *child) serves(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addr == "" {
		close(c.up)
	}
	c.addr = addr
}

// start keeps the start of what is written to it.
type start struct{ kept []byte }

// Write never fails.
func (s *start) Write(p []byte) (int, error) {
	s.kept = append(s.kept, p[:min(len(p), maxSaid-len(s.kept))]...)
	return len(p), nil
}

// or is what was written, or else how the process ended.
func (s *start) or(err error) string {
	if text := strings.TrimSpace(string(s.kept)); text != "" {
		return text
	}
	if err != nil {
		return err.Error()
	}
	return "it ended by itself"
}
