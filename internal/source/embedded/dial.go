package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// dialer makes the connections that scrapes use. It bounds what an answer may bring over the wire (the scrape manager reads the rest of an answer that it has refused),
// and can close them all, the idle ones included.
type dialer struct {
	limit int64 // bytes per answer

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

// slack is what the header of an answer, and TLS, may add to the body.
const slack = 1 << 20

func newDialer(jobs []Job) *dialer {
	d := &dialer{conns: map[*conn]struct{}{}}
	for _, j := range jobs {
		d.limit = max(d.limit, j.BodySizeLimit+slack)
	}
	return d
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTimeout)
	defer cancel()
	inner, err := remote.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, dialer: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(fmt.Errorf("dial %s: %w", address, net.ErrClosed), inner.Close())
	}
	d.conns[c] = struct{}{}
	return c, nil
}

// close closes all connections, and those that are made later.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	conns := d.conns
	d.conns = map[*conn]struct{}{}
	d.mu.Unlock()
	for c := range conns {
		_ = c.Conn.Close()
	}
}

// conn counts what was read since the last request went out.
type conn struct {
	net.Conn
	dialer *dialer
	read   atomic.Int64
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.read.Add(int64(n)) > c.dialer.limit {
		return 0, adg.Errorf(adg.Invalid, "the answer is longer than %d bytes", c.dialer.limit)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	c.read.Store(0)
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}
