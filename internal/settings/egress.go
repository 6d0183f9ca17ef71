package settings

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Allows tells whether the server may ask that host, which has that address, on that port. An entry with a name means
// whatever the name stands for, one with a network the addresses in it; without entries everything is allowed.
func (e Egress) Allows(host string, addr netip.Addr, port uint16) bool {
	host, addr = strings.TrimSuffix(strings.ToLower(host), "."), addr.Unmap().WithZone("")
	for _, entry := range e.Allow {
		to := entry
		if before, text, err := net.SplitHostPort(entry); err == nil {
			if text != strconv.Itoa(int(port)) {
				continue
			}
			to = before
		}
		if meets(strings.TrimSuffix(strings.ToLower(to), "."), host, addr) {
			return true
		}
	}
	return len(e.Allow) == 0
}

// Private

// meets tells whether an entry without its port means a host or its address.
func meets(entry, host string, addr netip.Addr) bool {
	if network, err := netip.ParsePrefix(entry); err == nil {
		return network.Contains(addr)
	}
	if one, err := netip.ParseAddr(entry); err == nil {
		return one.Unmap() == addr
	}
	if under, found := strings.CutPrefix(entry, "*"); found {
		return strings.HasSuffix(host, under) && len(host) > len(under)
	}
	return entry == host
}
