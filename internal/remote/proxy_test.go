package remote

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
)

func TestGeneralProxyIsForThoseThatNameNone(t *testing.T) {
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.String() }))
	defer proxy.Close()
	direct := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer direct.Close()
	defer general.Store(nil)
	if err := UseProxy(proxy.URL); err != nil {
		t.Fatal(err)
	}
	send := func(o Options, to string) error {
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		request, err := http.NewRequest(http.MethodGet, to, nil) //nolint:noctx // Do has one
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(t.Context(), request)
		return err
	}
	if err := send(Defaults(), "http://inside.example:8080/x"); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != "http://inside.example:8080/x" {
		t.Errorf("the proxy was asked for %q", got)
	}
	without := Defaults()
	without.Proxy = "direct"
	if err := send(without, direct.URL); err != nil || len(asked) > 0 {
		t.Errorf("without a proxy: %v, the proxy was asked %d times", err, len(asked))
	}

	defer restriction.Store(nil)
	Restrict(func(host string, addr netip.Addr, port uint16) bool {
		return addr.IsLoopback() || host == "inside.example" && port == 443
	})
	if err := send(Defaults(), "http://inside.example:8080/x"); err == nil || !strings.Contains(err.Error(), "egress.allow") || len(asked) > 0 {
		t.Errorf("what may not be asked was asked of a proxy: %v", err)
	}
	if err := UseProxy("ftp://nothing"); err == nil {
		t.Error("no address of a proxy was taken for one")
	}
}

func TestRequestsSayWhichTraceTheyBelongTo(t *testing.T) {
	got := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Traceparent") }))
	defer server.Close()
	c, err := New(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, span := trace.NewTracerProvider().Tracer("test").Start(t.Context(), "asking")
	request, err := http.NewRequest(http.MethodGet, server.URL, nil) //nolint:noctx // Do has one
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, request); err != nil {
		t.Fatal(err)
	}
	if header := <-got; !strings.Contains(header, span.SpanContext().TraceID().String()) {
		t.Errorf("traceparent %q", header)
	}
	if _, err := c.Do(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if header := <-got; header != "" {
		t.Errorf("traceparent %q of no trace", header)
	}
}
