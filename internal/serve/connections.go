package serve

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Private

// sayAgain is how often it is logged that connections are refused.
const sayAgain = time.Minute

// counted is a listener that closes what goes beyond the limits at once: before anything is read, so that it costs next to
// nothing, and nobody keeps the others out with what he leaves open.
type counted struct {
	net.Listener
	o Options

	mu   sync.Mutex
	all  int
	open map[string]int // by network
	said time.Time
}

// Accept gives the next connection that is within the limits.
func (c *counted) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if one, within := c.count(conn); within {
			return one, nil
		}
		_ = conn.Close()
	}
}

func (c *counted) count(conn net.Conn) (net.Conn, bool) {
	network := c.network(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.o.Connections || network != "" && c.open[network] >= c.o.PerNetwork {
		if now := time.Now(); now.Sub(c.said) >= sayAgain { //nolint:forbidigo // it is a real port's
			c.said = now
			c.o.Log.Warn("connections are refused", "from", conn.RemoteAddr().String(), "open", c.all, "limit", c.o.Connections, "of_network", c.open[network], "limit_of_network", c.o.PerNetwork)
		}
		return nil, false
	}
	c.all++
	if network != "" {
		c.open[network]++
	}
	return &countedConn{Conn: conn, end: sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if network == "" {
			return
		}
		if c.open[network]--; c.open[network] == 0 {
			delete(c.open, network)
		}
	})}, true
}

// network is whose a connection is; empty: a proxy's, which speaks for many.
func (c *counted) network(conn net.Conn) string {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || within(peer.Addr().Unmap(), c.o.Proxies) {
		return ""
	}
	return Network(peer.Addr().Unmap().String())
}

type countedConn struct {
	net.Conn
	end func()
}

// Close closes the connection, which does not count any more.
func (c *countedConn) Close() error {
	defer c.end()
	return c.Conn.Close()
}
