package remote

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// metadata are the addresses of the clouds' metadata services that are not link-local: AWS, Azure, Alibaba, Oracle.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
}

// control runs after the name was resolved and before the connection is made, for each address that is tried.
func control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	return allowed(ap.Addr())
}

func allowed(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if addr.IsLinkLocalUnicast() || addr.IsMulticast() || slices.Contains(metadata, addr) {
		return forbidden(addr.String())
	}
	return nil
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
