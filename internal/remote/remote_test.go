package remote

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "s3cret-canary-9f2"

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func client(t *testing.T, o Options, additional ...adg.Secret) *Client {
	t.Helper()
	c, err := New(o, additional...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestTheStatusDecidesWhatKindOfErrorItIs(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		header    map[string]string
		code      adg.Code
		permanent bool
		wait      time.Duration // -1: not throttled
		want      string
	}{
		{"credentials missing", 401, nil, adg.Unauthorized, true, -1, "refused the credentials"},
		{"credentials not enough", 403, nil, adg.Unauthorized, true, -1, "check bearer_token"},
		{"proxy wants credentials", 407, nil, adg.Unauthorized, true, -1, "the proxy refused"},
		{"bad request", 400, nil, adg.Invalid, true, -1, "400 Bad Request: because of this"},
		{"no such page", 404, nil, adg.Invalid, true, -1, "404 Not Found"},
		{"request time-out", 408, nil, adg.Unavailable, false, -1, "408"},
		{"throttled in seconds", 429, map[string]string{"Retry-After": "7"}, adg.Unavailable, false, 7 * time.Second, "wait 7s"},
		{"throttled until a date", 429, map[string]string{"Date": "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After": "Fri, 20 Nov 2026 10:01:30 GMT"},
			adg.Unavailable, false, 90 * time.Second, "wait 1m30s"},
		{"throttled without a time", 429, nil, adg.Unavailable, false, 0, "429"},
		{"overloaded with a time", 503, map[string]string{"Retry-After": "3"}, adg.Unavailable, false, 3 * time.Second, "wait 3s"},
		{"overloaded without a time", 503, nil, adg.Unavailable, false, -1, "the server failed"},
		{"overloaded with nonsense for a time", 503, map[string]string{"Retry-After": "soon"}, adg.Unavailable, false, -1, "the server failed"},
		{"broken", 500, nil, adg.Unavailable, false, -1, "500 Internal Server Error: because of this"},
		{"a status that nobody knows", 599, nil, adg.Unavailable, false, -1, "599"},
		{"moved", 302, map[string]string{"Location": "/login?token=" + canary}, adg.Invalid, true, -1, "/login (302 Found"},
		{"moved nowhere", 302, nil, adg.Invalid, true, -1, "redirects to nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, "because\x1b[31m of\n\n this")
			})
			answer, err := client(t, Options{}).Do(t.Context(), get(t, server.URL+"/path?token="+canary))
			if err == nil {
				t.Fatal("no error")
			}
			wait, throttled := adg.RetryAfter(err)
			if adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || throttled != (c.wait >= 0) || throttled && wait != c.wait {
				t.Errorf("code %s, permanent %v, throttled %v after %s", adg.CodeOf(err), adg.IsPermanent(err), throttled, wait)
			}
			text := err.Error()
			if !strings.Contains(strings.ReplaceAll(text, "[31m", ""), c.want) || !strings.HasPrefix(text, "GET "+server.URL+"/path: ") {
				t.Errorf("says %q, without %q", text, c.want)
			}
			if strings.Contains(text, canary) || strings.ContainsAny(text, "\x1b\n") {
				t.Errorf("unfit for people: %q", text)
			}
			if answer.Status != c.status || len(answer.Body) == 0 {
				t.Errorf("the answer is not returned with the error: %+v", answer)
			}
		})
	}
}

func TestAGoodAnswerComesWithItsHeaderAndBody(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusCreated)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.UserAgent(), body)
	})
	req, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("ping"))
	answer, err := client(t, Options{}).Do(t.Context(), req)
	if err != nil || answer.Status != 201 || answer.Header.Get("X-Answer") != "yes" || string(answer.Body) != "POST adg ping" {
		t.Errorf("got %+v, %v", answer, err)
	}
}

func TestOfALongBodyTheEndIsRead(t *testing.T) {
	for _, lines := range []int{0, 1, 3, 100, 10000, 100000} {
		text := strings.Repeat("a line of a log\n", lines) + "the end"
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, text) }))
		const keep = 1000
		answer, err := client(t, Options{MaxBytes: 10}).DoTail(t.Context(), get(t, server.URL), keep)
		if want := text[max(len(text)-keep, 0):]; err != nil || string(answer.Body) != want || answer.Truncated {
			t.Errorf("%d lines: %d bytes, %v", lines, len(answer.Body), err)
		}
		server.Close()
	}
}

func TestCredentialsAreSentOnACopyOfTheRequest(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		header  string
		want    string
	}{
		{"bearer token", Options{BearerToken: adg.NewSecret(canary)}, "Authorization", "Bearer " + canary},
		{"user and password", Options{BasicAuth: BasicAuth{"user", adg.NewSecret("p:w")}}, "Authorization", "Basic dXNlcjpwOnc="},
		{"header", Options{Headers: map[string]adg.Secret{"x-api-key": adg.NewSecret(canary)}}, "X-Api-Key", canary},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got atomic.Value
			server := serve(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get(c.header)) })
			req := get(t, server.URL)
			lent := req.Header
			if _, err := client(t, c.options).Do(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if got.Load() != c.want {
				t.Errorf("sent %q, want %q", got.Load(), c.want)
			}
			if len(lent) != 0 {
				t.Errorf("the caller's header was written to: %v", lent)
			}
		})
	}
}

func TestARedirectIsNotFollowedAndNoCredentialLeavesForAnotherHost(t *testing.T) {
	var asked atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/steal", http.StatusTemporaryRedirect)
	})
	_, err := client(t, Options{BearerToken: adg.NewSecret(canary)}).Do(t.Context(), get(t, server.URL))
	if !adg.IsPermanent(err) || !strings.Contains(err.Error(), other.URL+"/steal") {
		t.Errorf("error %v", err)
	}
	if asked.Load() != 0 {
		t.Error("the other host was asked")
	}
}

// endless serves bytes until the client has enough and counts them.
func endless(total int64, served *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(total, 10))
		chunk := make([]byte, 64<<10)
		for served.Load() < total {
			n, err := w.Write(chunk)
			served.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

func TestReadingStopsAtTheLimit(t *testing.T) {
	var served atomic.Int64
	done := make(chan struct{})
	huge := endless(500<<20, &served)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { defer close(done); huge(w, r) })
	_, err := client(t, Options{MaxBytes: 1 << 20}).Do(t.Context(), get(t, server.URL))
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "larger than 1 MiB: narrow the query") {
		t.Errorf("error %v", err)
	}
	<-done
	if served.Load() > 64<<20 {
		t.Errorf("%d bytes were read for a limit of 1 MiB", served.Load())
	}
}

func TestTheLimitHoldsForWhatTheAnswerDecompressesTo(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Error("no compression was offered")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		if r.URL.Path == "/small" {
			fmt.Fprint(z, "small")
			return
		}
		chunk := make([]byte, 1<<20)
		for range 4 {
			_, _ = z.Write(chunk)
		}
	})
	c := client(t, Options{MaxBytes: 1 << 20})
	if _, err := c.Do(t.Context(), get(t, server.URL+"/bomb")); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("error %v", err)
	}
	if answer, err := c.Do(t.Context(), get(t, server.URL+"/small")); err != nil || string(answer.Body) != "small" {
		t.Errorf("got %q, %v", answer.Body, err)
	}
	answer, err := c.Exchange(t.Context(), get(t, server.URL+"/bomb"))
	if err != nil || !answer.Truncated || len(answer.Body) != 1<<20 {
		t.Errorf("an exchange cuts: %v, %d bytes, %v", answer.Truncated, len(answer.Body), err)
	}
}

func TestAnAnswerAsLargeAsTheLimitIsComplete(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "12345") })
	if answer, err := client(t, Options{MaxBytes: 5}).Do(t.Context(), get(t, server.URL)); err != nil || string(answer.Body) != "12345" {
		t.Errorf("got %q, %v", answer.Body, err)
	}
	if _, err := client(t, Options{MaxBytes: 4}).Do(t.Context(), get(t, server.URL)); err == nil || !strings.Contains(err.Error(), "4 bytes") {
		t.Errorf("error %v", err)
	}
}

// speak answers each connection with text and hangs up.
func speak(t *testing.T, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var handled sync.WaitGroup
	t.Cleanup(func() { listener.Close(); handled.Wait() })
	handled.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

func TestABrokenConversationSaysWhereItBroke(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"half of the announced length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "the answer ended early"},
		{"chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "the answer ended early"},
		{"half of a compressed body", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "the answer ended early"},
		{"compressed in name only", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnot gzipped!", "could not be read"},
		{"hanging up at once", "", "closed without an answer"},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-", "malformed"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2 \x1b[31m" + canary + "\r\n", "malformed HTTP"},
		{"an endless header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client(t, Options{BearerToken: adg.NewSecret(canary)}).Do(t.Context(), get(t, speak(t, c.text)))
			if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, without %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.ContainsRune(err.Error(), 0x1b)) {
				t.Errorf("unfit for people: %q", err)
			}
		})
	}
}

func TestWhatCannotBeReachedSaysWhatToCheck(t *testing.T) {
	const closed = "127.0.0.1:1"
	for _, c := range []struct{ name, url, want string }{
		{"connection refused", "http://" + closed, closed + " was refused: check that the server runs"},
		{"name that does not exist", "http://adg-test..invalid", "adg-test..invalid"},
	} {
		_, err := client(t, Options{Proxy: "direct"}).Do(t.Context(), get(t, c.url))
		if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, without %q", c.name, err, c.want)
		}
	}
}

func TestTheTimeoutIsNamedAndCoversTheBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin bool
	}{{"no answer at all", false}, {"an answer that stops in the middle", true}} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.begin {
				fmt.Fprint(w, "beginning")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})
		_, err := client(t, Options{Timeout: 50 * time.Millisecond}).Do(t.Context(), get(t, server.URL))
		if adg.CodeOf(err) != adg.Unavailable || adg.IsPermanent(err) || !strings.Contains(err.Error(), "within the timeout of 50ms") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestACancelledCallEndsWithTheCauseAndSendsNothingIfItWasBefore(t *testing.T) {
	why := errors.New("operator said stop")
	arrived := make(chan struct{}, 2)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-arrived; cancel(why) }()
	c := client(t, Options{})
	if _, err := c.Do(ctx, get(t, server.URL)); !errors.Is(err, why) || adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("cancelled while waiting: %v", err)
	}
	if _, err := c.Do(ctx, get(t, server.URL)); !errors.Is(err, why) || len(arrived) != 0 {
		t.Errorf("cancelled before: %v, %d requests arrived", err, len(arrived))
	}
}

func TestNothingIsSentToLinkLocalAndMetadataAddresses(t *testing.T) {
	for _, url := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[fe80::1%25lo]/", "http://[fd00:ec2::254]/",
		"http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::1]/", "http://168.63.129.16/", "http://METADATA.google.internal./", "http://224.0.0.1/",
	} {
		for _, proxy := range []string{"direct", "http://127.0.0.1:1"} {
			_, err := client(t, Options{Proxy: proxy}).Do(t.Context(), get(t, url))
			if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "nothing is ever sent there") {
				t.Errorf("%s by %s: %v", url, proxy, err)
			}
		}
	}
}

func TestTheDialerLooksAtTheAddressAfterTheNameWasResolved(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "[fe80::1%lo]:80", "[fd00:ec2::254]:443", "[::ffff:169.254.0.1]:80", "[64:ff9b::169.254.169.254]:80", "[::ffff:168.63.129.16]:80"} {
		if err := control(t.Context(), "tcp", address, nil); err == nil {
			t.Errorf("%s may be connected to", address)
		}
	}
	for _, address := range []string{"127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "[fd00::1]:80", "93.184.216.34:443"} {
		if err := control(t.Context(), "tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if Dialer().ControlContext == nil {
		t.Error("the dialer does not look at all")
	}
	if err := allowed(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Error(err)
	}
}

func TestTheAddressMayHoldNoCredentialsAndMustBeHTTP(t *testing.T) {
	for _, url := range []string{"http://user:" + canary + "@127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "//nohost"} {
		_, err := client(t, Options{}).Do(t.Context(), get(t, url))
		if !adg.IsPermanent(err) || strings.Contains(err.Error(), canary) {
			t.Errorf("%v", err)
		}
	}
	for _, text := range []string{"", "prometheus:9090", "http://", "ftp://x", "http://u:" + canary + "@x", "http://x/?token=" + canary, "http://x/#a", "http://x:" + canary + "/"} {
		_, err := BaseURL("url", text)
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), canary) || !strings.HasPrefix(err.Error(), "url: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if base, err := BaseURL("url", "https://x:1/prefix/"); err != nil || base.Path != "/prefix/" {
		t.Errorf("%v, %v", base, err)
	}
}

func TestNoSecretShowsUpInErrorsEvenWhereTheServerEchoesIt(t *testing.T) {
	hook := "/services/T000/" + canary
	options := Options{
		BasicAuth: BasicAuth{"user", adg.NewSecret(canary)},
		Headers:   map[string]adg.Secret{"X-Key": adg.NewSecret("he@der/" + canary)},
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "%s %v %s %s", r.URL.Path, r.Header, canary, "he%40der%2F"+canary)
	})
	_, err := client(t, options, adg.NewSecret(server.URL+hook)).Do(t.Context(), get(t, server.URL+hook))
	if err == nil {
		t.Fatal("no error")
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err).Error())
	for _, secret := range []string{canary, options.BasicAuth.encoded(), hook} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Errorf("nothing was taken out of %q", text)
	}
}

func TestAHalfOfASecretIsNotLeftAtTheEndOfAnExcerpt(t *testing.T) {
	c := client(t, Options{BearerToken: adg.NewSecret(canary)})
	for blanks := 4<<10 - 2*len(canary) - 10; blanks < 8<<10+len(canary); blanks++ {
		if blanks == 4<<10+1 {
			blanks = 8<<10 - len(canary) - 1 // nothing happens between the two places where text is cut
		}
		if got := c.Scrub(strings.Repeat(" ", blanks) + canary); strings.Contains(got, canary[:4]) {
			t.Fatalf("after %d blanks: %q", blanks, got)
		}
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := New(Options{
		Timeout: -1, BearerToken: adg.NewSecret("a\n" + canary), BasicAuth: BasicAuth{Username: "u"}, Proxy: "socks://x", TLS: TLS{CAFile: "/nonexistent", CertFile: "x"},
		Headers: map[string]adg.Secret{"a b": adg.NewSecret("x"), "Host": adg.NewSecret("x"), "X-Empty": {}, "X-Break": adg.NewSecret("a\r\n" + canary)},
	})
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"timeout", "exclude each other", "proxy", "ca_file", "go together", `"a b"`, "Host", "X-Empty", "X-Break"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("a secret is in %q", err)
	}
	if _, err := New(Options{BearerToken: adg.NewSecret("a\nb")}); !adg.IsPermanent(err) {
		t.Errorf("a line break in a token: %v", err)
	}
	if _, err := New(Options{BearerToken: adg.NewSecret("a"), Headers: map[string]adg.Secret{"authorization": adg.NewSecret("b")}}); err == nil {
		t.Error("two ways to authorise are accepted")
	}
}

// tlsServer is a TLS server with the file of its authority, the key pair of which also serves as a client's own.
func tlsServer(t *testing.T, clients tls.ClientAuthType) (*httptest.Server, TLS) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d certificates, HTTP/%d", len(r.TLS.PeerCertificates), r.ProtoMajor)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: clients}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	files := TLS{CAFile: filepath.Join(dir, "ca.pem"), ServerName: "example.com"}
	write(t, files.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return server, files
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLSIsCheckedAndItsErrorsSayWhatToDo(t *testing.T) {
	server, good := tlsServer(t, tls.NoClientCert)
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	strict, trusted := tlsServer(t, tls.RequireAnyClientCert)
	for _, c := range []struct {
		name string
		url  string
		tls  TLS
		want string // empty: works
	}{
		{"trusted authority", server.URL, good, ""},
		{"certificate checks switched off", server.URL, TLS{InsecureSkipVerify: true}, ""},
		{"unknown authority", server.URL, TLS{}, "name its authority in tls.ca_file"},
		{"certificate for another name", server.URL, TLS{CAFile: good.CAFile, ServerName: "other.test"}, "check the address or tls.server_name"},
		{"server without TLS", strings.Replace(plain.URL, "http", "https", 1), TLS{}, "does not speak TLS"},
		{"client certificate wanted and not given", strict.URL, trusted, "check tls.cert_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := client(t, Options{TLS: c.tls}).Do(t.Context(), get(t, c.url))
			if c.want == "" {
				if err != nil || string(answer.Body) != "0 certificates, HTTP/2" {
					t.Errorf("got %q, %v", answer.Body, err)
				}
				return
			}
			if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, without %q", err, c.want)
			}
		})
	}
}

func TestConcurrentRequestsReuseBoundedConnections(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := client(t, Options{})
	var asked sync.WaitGroup
	for range 100 {
		asked.Go(func() {
			for range 5 {
				if _, err := c.Do(t.Context(), get(t, server.URL)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asked.Wait()
	if n := opened.Load(); n > 2*maxConns {
		t.Errorf("%d connections for 500 requests", n)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "7", " 7 ", "-1", "1.5", "99999999999999999999", "Fri, 20 Nov 2026 10:01:30 GMT", "Friday, 20-Nov-26 10:01:30 GMT", "soon"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		wait, ok := RetryAfter(value, now)
		if wait < 0 || wait > time.Hour || !ok && wait != 0 {
			t.Errorf("%q is %s, %v", value, wait, ok)
		}
		if n, err := strconv.ParseUint(value, 10, 31); err == nil && value[0] != '+' && wait != min(time.Duration(n)*time.Second, time.Hour) {
			t.Errorf("%q is %s", value, wait)
		}
	})
}
