package settings_test

import (
	"net/netip"
	"testing"

	"github.com/deployguardian/adg/internal/settings"
)

func TestOnlyWhatTheListNamesIsAsked(t *testing.T) {
	list := []string{"prometheus.example.com", "*.internal.example.com:443", "10.0.0.0/8", "192.0.2.7", "[2001:db8::1]:9090"}
	for _, one := range []struct {
		name, host, addr string
		port             uint16
		allow            []string
		want             bool
	}{
		{"no list", "anything.example", "203.0.113.1", 80, nil, true},
		{"a host by its name", "prometheus.example.com", "203.0.113.1", 9090, list, true},
		{"the same, written otherwise", "Prometheus.Example.COM.", "203.0.113.1", 9090, list, true},
		{"another host", "example.com", "203.0.113.1", 9090, list, false},
		{"a host that only ends the same way", "evilprometheus.example.com", "203.0.113.1", 9090, list, false},
		{"a host under a name", "git.internal.example.com", "203.0.113.1", 443, list, true},
		{"the same on another port", "git.internal.example.com", "203.0.113.1", 22, list, false},
		{"the name itself", "internal.example.com", "203.0.113.1", 443, list, false},
		{"a name that ends like it", "x-internal.example.com", "203.0.113.1", 443, list, false},
		{"an address in a network", "db", "10.1.2.3", 5432, list, true},
		{"the same as IPv6 writes it", "db", "::ffff:10.1.2.3", 5432, list, true},
		{"an address outside", "db", "11.1.2.3", 5432, list, false},
		{"one address", "x", "192.0.2.7", 1, list, true},
		{"one address and port", "x", "2001:db8::1", 9090, list, true},
		{"one address, another port", "x", "2001:db8::1", 9091, list, false},
	} {
		if got := (settings.Egress{Allow: one.allow}).Allows(one.host, netip.MustParseAddr(one.addr), one.port); got != one.want {
			t.Errorf("%s: %t", one.name, got)
		}
	}
}
