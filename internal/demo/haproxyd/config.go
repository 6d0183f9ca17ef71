// Package haproxyd runs a real HAProxy as the demo's router, and counts what it serves by reading its log.
package haproxyd

import (
	"fmt"
	"strings"
	"time"
)

// The names in the configuration.
const (
	Backend = "shop"
	Blue    = "blue" // slots of one server each
	Green   = "green"
)

// ServerOf is the name of a slot's server.
func ServerOf(slot string) string { return slot + "1" }

// Config is HAProxy's configuration: customers come in on the inherited descriptor 3, each request goes to one of two
// slots and never to another one after it failed, and a line for each goes to the log. The slots get nothing until a
// release is put there. There are no health checks: they would hide the faults that the demo is about.
func Config(socket, log string, timeout time.Duration) string {
	var c strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&c, format+"\n", args...) }
	line("global")
	line("    stats socket %q mode 600 level admin", socket)
	line("    log %s local0 info", log)
	line("    maxconn 4000")
	line("    nbthread 1")
	line("defaults")
	line("    mode http")
	line("    log global")
	line(`    log-format %q`, logFormat)
	line("    retries 0")
	line("    no option redispatch")
	line("    timeout client 30s") // longer than customers keep a connection: none is closed under a request
	line("    timeout connect %dms", timeout.Milliseconds())
	line("    timeout server %dms", timeout.Milliseconds())
	line("    timeout queue %dms", timeout.Milliseconds())
	line("frontend customers")
	line("    bind fd@3")
	line("    default_backend %s", Backend)
	line("backend %s", Backend)
	line("    balance roundrobin")
	for _, slot := range []string{Blue, Green} {
		line("    server %s 127.0.0.1:1 weight 0", ServerOf(slot))
	}
	return c.String()
}
