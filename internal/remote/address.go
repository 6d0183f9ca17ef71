package remote

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// metadata are the addresses of the clouds' metadata services that are not link-local: AWS, Azure, Alibaba, Oracle.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
}

// Restrict has every connection from now on asked for: to which host, of that address, on which port. A server calls it
// once, before it opens anything.
func Restrict(allows func(host string, addr netip.Addr, port uint16) bool) {
	restriction.Store(&allows)
}

// restriction is what Restrict was told; nil: nothing.
var restriction atomic.Pointer[func(host string, addr netip.Addr, port uint16) bool]

// named are the hosts whose names were resolved for a connection that is being made.
type named struct{}

// control runs after the name was resolved and before the connection is made, for each address that is tried.
func control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if err := allowed(ap.Addr()); err != nil {
		return err
	}
	allows := restriction.Load()
	host, _ := ctx.Value(named{}).(string)
	if allows != nil && !(*allows)(cmp.Or(host, ap.Addr().String()), ap.Addr(), ap.Port()) {
		return invalid("%s is none of the addresses that this server may reach: an administrator can add it to egress.allow", address)
	}
	return nil
}

func allowed(addr netip.Addr) error {
	addr = within4(addr.Unmap().WithZone(""))
	if addr.IsLinkLocalUnicast() || addr.IsMulticast() || slices.Contains(metadata, addr) {
		return forbidden(addr.String())
	}
	return nil
}

// carried4 are the networks whose addresses lead to one of IPv4, and where in them that stands: what translates in between
// (NAT64, 6to4) would take a request there.
var carried4 = map[netip.Prefix]int{
	netip.MustParsePrefix("64:ff9b::/96"): 12, netip.MustParsePrefix("2002::/16"): 2,
}

// within4 is the address of IPv4 that one of IPv6 leads to, or the address itself.
func within4(addr netip.Addr) netip.Addr {
	for network, at := range carried4 {
		if network.Contains(addr) {
			bytes := addr.As16()
			return netip.AddrFrom4([4]byte(bytes[at : at+4]))
		}
	}
	return addr
}

func forbidden(host string) error {
	return invalid("%s is a link-local or metadata address: nothing is ever sent there", host)
}

// mayAsk refuses what must not be sent at all. A proxy resolves names itself, so what can be told from the address
// alone is told here.
func mayAsk(to *url.URL) error {
	host := strings.TrimSuffix(strings.ToLower(to.Hostname()), ".")
	switch addr, err := netip.ParseAddr(host); {
	case to.Scheme != "http" && to.Scheme != "https", host == "":
		return invalid("this is no address of a server: write it as http://host:port or https://host/path")
	case to.User != nil:
		return invalid("the address holds a user or password: take them out and use basic_auth or bearer_token")
	case err == nil && allowed(addr) != nil:
		return allowed(addr)
	case host == "metadata.google.internal" || host == "metadata":
		return forbidden(host)
	}
	return nil
}
