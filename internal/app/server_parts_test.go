package app

import (
	"net"
	"testing"

	"github.com/deployguardian/adg/internal/settings"
)

func TestTheFirstAdminIsToldAnAddressThatLeadsToTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		set  settings.Settings
		at   net.IP
		want string
	}{
		"under the name that its certificate is for":    {settings.Settings{TLS: &settings.TLS{}, BaseURL: "https://adg.example.com"}, net.IPv4zero, "https://adg.example.com"},
		"on this machine, where it listens on all":      {settings.Settings{TLS: &settings.TLS{}}, net.IPv6unspecified, "https://localhost:8443"},
		"where it listens":                              {settings.Settings{TLS: &settings.TLS{}}, net.IPv4(192, 0, 2, 1), "https://192.0.2.1:8443"},
		"beside the proxy that others reach it through": {settings.Settings{InsecureHTTP: true, BaseURL: "https://adg.example.com"}, net.IPv6loopback, "http://[::1]:8443"},
	} {
		if got := address(c.set, &net.TCPAddr{IP: c.at, Port: 8443}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
