package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
)

// dialer makes the connections that scrapes use. It keeps them from the addresses where clouds hand out credentials,
// bounds what an answer may bring over the wire (the scrape manager reads the rest of an answer that it has refused),
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
	inner, err := (&net.Dialer{Timeout: maxTimeout, KeepAlive: 30 * time.Second, Control: refuseMetadata}).DialContext(ctx, network, address)
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

var ec2Metadata = netip.MustParseAddr("fd00:ec2::254")

// refuseMetadata looks at the address after names were resolved.
func refuseMetadata(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return adg.Errorf(adg.Invalid, "dial %s: %w", address, err)
	}
	if ip := at.Addr().Unmap().WithZone(""); ip.IsLinkLocalUnicast() || ip == ec2Metadata {
		return adg.Errorf(adg.Invalid, "%s is a link-local or metadata address, which is never scraped", ip)
	}
	return nil
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
