package serve

import (
	"net/http"
	"net/netip"
	"strings"
)

// Address is where a request comes from. Behind proxies that are trusted it is the last address of X-Forwarded-For that
// is not one of theirs; what anybody else writes there counts for nothing.
func Address(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	from := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(from, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		from = hop.Unmap()
	}
	return from.String()
}

// Network is what an address is counted by: of IPv6 the network that one customer gets. What is no address stays as it is.
func Network(from string) string {
	address, err := netip.ParseAddr(from)
	if err != nil || address.Unmap().Is4() {
		return from
	}
	prefix, err := address.WithZone("").Prefix(64)
	if err != nil {
		return from
	}
	return prefix.String()
}

// Private

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
