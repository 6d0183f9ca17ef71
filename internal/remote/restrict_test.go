package remote

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestServerReachesOnlyWhatItMay(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	defer restriction.Store(nil)
	Restrict(func(host string, addr netip.Addr, _ uint16) bool { return host == "localhost" && addr.IsLoopback() })
	conn, err := Dial(t.Context(), "tcp", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := Dial(t.Context(), "tcp", "127.0.0.1:"+port); err == nil || !strings.Contains(err.Error(), "egress.allow") {
		t.Errorf("an address that is not allowed: %v", err)
	}
}
