package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running serves a handler until the test, or the function that it gives back, ends it.
func running(t *testing.T, o serve.Options, handler func(<-chan struct{}) http.Handler) (address string, end func() error) {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s, err := serve.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, handler) }()
	ended := false
	end = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		return <-done
	}
	t.Cleanup(func() { _ = end() })
	return s.Addr().String(), end
}

func client(t *testing.T, config *tls.Config, protocols func(*http.Protocols)) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	protocols(transport.Protocols)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func hello(<-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
}

func TestPlainPortSpeaksBothVersionsOfHTTP(t *testing.T) {
	address, _ := running(t, serve.Options{}, hello)
	if _, proto := get(t, client(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) }), "http://"+address); proto != "HTTP/1.1" {
		t.Error(proto)
	}
	if _, proto := get(t, client(t, nil, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }), "http://"+address); proto != "HTTP/2.0" {
		t.Error(proto)
	}
}

func TestRequestsUnderWayFinishBeforeTheEnd(t *testing.T) {
	arrived := make(chan struct{})
	address, end := running(t, serve.Options{}, func(draining <-chan struct{}) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-draining
			if r.Context().Err() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_, _ = io.WriteString(w, "finished")
		})
	})
	answer := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + address) //nolint:noctx // ended by the server
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = r.Body.Close() }()
		body, _ := io.ReadAll(r.Body)
		answer <- r.Status + " " + string(body)
	}()
	<-arrived
	if err := end(); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "200 OK finished" {
		t.Error(got)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRequestsThatDoNotFinishAreCutOff(t *testing.T) {
	arrived := make(chan struct{})
	address, end := running(t, serve.Options{Drain: 10 * time.Millisecond}, func(<-chan struct{}) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done() // the connection is closed
		})
	})
	failed := make(chan error, 1)
	go func() {
		_, err := http.Get("http://" + address) //nolint:noctx // ended by the server
		failed <- err
	}()
	<-arrived
	if err := end(); err != nil {
		t.Error(err)
	}
	if <-failed == nil {
		t.Error("a request that never ends was answered")
	}
}

func TestPortWithACertificateSpeaksHTTP2OverTLS(t *testing.T) {
	pair := certificate(t)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(leaf)
	for name, config := range map[string]*tls.Config{
		"one that stays": {Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		"one that may change": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
		}, MinVersion: tls.VersionTLS12},
	} {
		address, _ := running(t, serve.Options{TLS: config}, hello)
		c := client(t, &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, func(p *http.Protocols) { p.SetHTTP2(true) })
		if _, proto := get(t, c, "https://"+address); proto != "HTTP/2.0" {
			t.Errorf("%s: %s", name, proto)
		}
	}
}

func TestAddressThatNobodyHasIsRefused(t *testing.T) {
	if _, err := serve.Listen(t.Context(), serve.Options{Listen: "256.0.0.1:0"}); adg.CodeOf(err) != adg.Unavailable {
		t.Error(err)
	}
}

func TestPagesCannotBeFramedOrKept(t *testing.T) {
	w := httptest.NewRecorder()
	serve.Headers(true, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	w = httptest.NewRecorder()
	serve.Headers(false, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("a server without TLS promises it")
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	var read error
	h := serve.Bodies(10, time.Minute, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, read = io.ReadAll(r.Body) }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("more than ten bytes")))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Error(w.Code)
	}
	unannounced := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("more than"), strings.NewReader(" ten bytes")))
	unannounced.ContentLength = -1
	h.ServeHTTP(httptest.NewRecorder(), unannounced)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](read); !tooLarge {
		t.Error(read)
	}
}

func TestEachCallerHasARateOfItsOwn(t *testing.T) {
	r := serve.NewRate(0.001, 2)
	for range 2 {
		if ok, _ := r.Allow("ann"); !ok {
			t.Error("the burst was refused")
		}
	}
	if ok, wait := r.Allow("ann"); ok || wait < time.Minute {
		t.Errorf("a third request: %t, wait %s", ok, wait)
	}
	if ok, _ := r.Allow("bob"); !ok {
		t.Error("another caller was refused")
	}
	// What many others ask does not grow for ever; who was quiet for longest is forgotten.
	for i := range 20_000 {
		r.Allow("caller " + string(rune('a'+i%26)) + strings.Repeat("x", i/26))
	}
	if ok, _ := r.Allow("ann"); !ok {
		t.Error("nobody is ever forgotten")
	}
}

func TestForwardedAddressesCountBehindTrustedProxiesOnly(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ name, peer, forwarded, want string }{
		{"nobody in between", "192.0.2.1:5000", "", "192.0.2.1"},
		{"a stranger claims to be another", "192.0.2.1:5000", "198.51.100.7", "192.0.2.1"},
		{"one proxy", "10.1.1.1:5000", "198.51.100.7", "198.51.100.7"},
		{"two proxies, and a lie before them", "10.1.1.1:5000", "203.0.113.9, 198.51.100.7, 10.2.2.2", "198.51.100.7"},
		{"nonsense", "10.1.1.1:5000", "<script>", "10.1.1.1"},
		{"version 6", "[::1]:5000", "2001:db8::1", "2001:db8::1"},
		{"mapped", "[::ffff:10.1.1.1]:5000", "198.51.100.7", "198.51.100.7"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := serve.Address(r, trusted); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// certificate is one for this machine.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "adg"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestABodyIsLimitedWhateverItIsCalled(t *testing.T) {
	var read error
	h := serve.Bodies(10, time.Minute, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, read = io.Copy(io.Discard, r.Body) }))
	address, _ := running(t, serve.Options{}, func(<-chan struct{}) http.Handler { return h })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, io.MultiReader(strings.NewReader(strings.Repeat("x", 100))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	answer, err := client(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) }).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if _, large := errors.AsType[*http.MaxBytesError](read); !large {
		t.Errorf("a body of 100 bytes is read: %v", read)
	}
}

func TestABodyThatDoesNotComeIsNotWaitedFor(t *testing.T) {
	read := make(chan error, 1)
	h := serve.Bodies(10, 50*time.Millisecond, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	}))
	for name, protocol := range map[string]func(*http.Protocols){
		"HTTP/1": func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := running(t, serve.Options{Drain: time.Second}, func(<-chan struct{}) http.Handler { return h })
			body, more := io.Pipe()
			defer func() { _ = more.Close() }()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, body)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if answer, err := client(t, nil, protocol).Do(r); err == nil {
					_ = answer.Body.Close()
				}
			}()
			if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it is waited for: %v", err)
			}
		})
	}
}

func TestTheAnswerToABodyThatCameMayTakeItsTime(t *testing.T) {
	h := serve.Bodies(10, 500*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		case <-time.After(time.Second):
		}
	}))
	address, _ := running(t, serve.Options{}, func(<-chan struct{}) http.Handler { return h })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) }).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("it was cut off: %s", answer.Status)
	}
}

func TestAnAddressIsCountedByWhatOneCustomerGets(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8:1:2:ffff::7": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "::ffff:192.0.2.7": "::ffff:192.0.2.7", "inside": "inside",
	} {
		if got := serve.Network(from); got != want {
			t.Errorf("%s is counted as %s, not %s", from, got, want)
		}
	}
}
