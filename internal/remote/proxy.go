package remote

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
)

// UseProxy has every request from now on that names no proxy itself pass through that one: the address of an HTTP
// proxy, 'direct' for none, or empty for what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. A server calls it once, before
// it opens anything.
func UseProxy(text string) error {
	_, err := proxyOf(text)
	if err == nil {
		general.Store(&text)
	}
	return err
}

// Proxy is the proxy that a request passes through unless its options name another; nil: none. What a restriction does
// not allow is not asked through a proxy either.
func Proxy(r *http.Request) (*url.URL, error) {
	text := ""
	if said := general.Load(); said != nil {
		text = *said
	}
	choose, err := fixed(text)
	if err != nil || choose == nil {
		return nil, err
	}
	return Within(choose)(r)
}

// Within chooses a proxy as choose does, and refuses what a proxy would be asked for and this server may not: of a
// connection to a proxy, the dialer sees the proxy only. The error is permanent.
func Within(choose func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		proxy, err := choose(r)
		allows := restriction.Load()
		if proxy == nil || err != nil || allows == nil {
			return proxy, err
		}
		host := r.URL.Hostname()
		addr, _ := netip.ParseAddr(host) // of a name the proxy learns it, and nobody else
		port, err := strconv.ParseUint(r.URL.Port(), 10, 16)
		if err != nil {
			port = map[string]uint64{"http": 80, "https": 443}[r.URL.Scheme]
		}
		if !(*allows)(host, addr, uint16(port)) {
			return nil, invalid("%s is none of the addresses that this server may reach: an administrator can add it to egress.allow", r.URL.Host)
		}
		return proxy, nil
	}
}

// Private

// general is what UseProxy was told; nil: nothing.
var general atomic.Pointer[string]

// proxyOf is how the proxy of an option is chosen; nil: there is none.
func proxyOf(text string) (func(*http.Request) (*url.URL, error), error) {
	if text == "" {
		return Proxy, nil
	}
	choose, err := fixed(text)
	if choose != nil {
		choose = Within(choose)
	}
	return choose, err
}

func fixed(text string) (func(*http.Request) (*url.URL, error), error) {
	switch text {
	case "":
		return http.ProxyFromEnvironment, nil
	case "direct":
		return nil, nil
	}
	proxy, err := BaseURL("proxy", text)
	return http.ProxyURL(proxy), err
}
