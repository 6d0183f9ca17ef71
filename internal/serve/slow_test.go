package serve_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/serve"
)

// dialled is a connection on which somebody has asked for "/", and whether it was answered.
func dialled(t *testing.T, address string) (net.Conn, bool) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return conn, false
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return conn, false
	}
	_ = answer.Body.Close()
	return conn, answer.StatusCode == http.StatusOK
}

func TestConnectionsBeyondALimitAreClosed(t *testing.T) {
	for name, o := range map[string]serve.Options{
		"of all":                 {Connections: 2, PerNetwork: 1000},
		"of one address":         {Connections: 1000, PerNetwork: 2},
		"of all, behind a proxy": {Connections: 2, PerNetwork: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := running(t, o, hello)
			first, well := dialled(t, address)
			if _, again := dialled(t, address); !well || !again {
				t.Fatal("two connections are within the limits")
			}
			if _, third := dialled(t, address); third {
				t.Error("a third one is answered")
			}
			_ = first.Close()
			// The server learns of the end a moment later.
			for well = false; !well && t.Context().Err() == nil; {
				_, well = dialled(t, address)
			}
		})
	}
}

// flood writes until it fails, and says so.
func flood(failed chan<- error) func(<-chan struct{}) http.Handler {
	return func(<-chan struct{}) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			data := make([]byte, 64<<10)
			for {
				if _, err := w.Write(data); err != nil {
					failed <- err
					return
				}
			}
		})
	}
}

func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	for name, protocols := range map[string]func(*http.Protocols){
		"HTTP/1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			address, _ := running(t, serve.Options{Reading: time.Second}, flood(failed))
			idle := client(t, nil, protocols)
			idle.Timeout = 0 // it stays, and does not read
			answer, err := idle.Get("http://" + address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			select {
			case err := <-failed:
				if err == nil {
					t.Error("no error")
				}
			case <-time.After(time.Minute):
				t.Error("the server still writes to who does not read")
			}
		})
	}
}

func TestWhoReadsHasAllTheTimeOfASilentStream(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			reading, next := 500*time.Millisecond, make(chan string)
			o, asking := serve.Options{Reading: reading}, (*tls.Config)(nil)
			if secure {
				pair := certificate(t)
				leaf, err := x509.ParseCertificate(pair.Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				trust := x509.NewCertPool()
				trust.AddCert(leaf)
				o.TLS, asking = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}
			}
			address, _ := running(t, o, func(<-chan struct{}) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					for text := range next {
						_, _ = io.WriteString(w, text)
						w.(http.Flusher).Flush()
					}
				})
			})
			scheme := map[bool]string{false: "http://", true: "https://"}[secure]
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+address, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				next <- "a"
				<-time.After(3 * reading) // a stream that has nothing to say: this is what it is about
				next <- "b"
				close(next)
			}()
			answer, err := client(t, asking, func(p *http.Protocols) { p.SetHTTP1(!secure); p.SetHTTP2(secure) }).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if body, err := io.ReadAll(answer.Body); string(body) != "ab" || err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}
