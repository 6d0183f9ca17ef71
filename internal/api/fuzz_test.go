package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/oracle"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/target"
)

// mostAnswered is how large an answer may be to a request that a fuzzer makes up.
const mostAnswered = 4 << 20

// complaints are what the server says of itself: nothing that comes in is a reason for one.
type complaints struct {
	slog.Handler
	mu   sync.Mutex
	said []string
}

func (*complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler             { return c }
func (c *complaints) WithGroup(string) slog.Handler                  { return c }

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	c.said = append(c.said, line)
	return nil
}

func (c *complaints) none(t *testing.T, about string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) > 0 {
		t.Errorf("%s: the server complains: %s", about, c.said)
	}
	c.said = nil
}

// fuzzed is the handler of a whole API, with tokens of nobody, of a viewer of one service, and of an admin.
func fuzzed(f *testing.F) (http.Handler, *complaints, []string) {
	f.Helper()
	must := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	store, err := sqlite.Open(f.Context(), f.TempDir(), sqlite.Options{})
	must(err)
	f.Cleanup(func() { _ = store.Close() })
	people, err := identity.New(store, identity.Options{Argon: identity.Argon{Memory: 8, Passes: 1, Threads: 1}})
	must(err)
	key, err := seal.ParseKey(adg.NewSecret(seal.NewKey()))
	must(err)
	ring, err := seal.NewKeyring(key)
	must(err)
	heard := &complaints{}
	c := control.New(control.Options{Store: store, Starter: starter{store}, Keyring: ring, Host: adg.Host{Dir: f.TempDir()}, Log: slog.New(heard),
		Drivers: config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All}, Predictor: oracle.New(oracle.Options{Store: store})})
	world := control.NewWorld(c, control.Wrap{})
	f.Cleanup(func() { _ = world.Close() })
	door, err := api.New(api.Options{Control: c, World: world, Directory: people, Devices: device.New(store), Store: store, Local: true, Rate: serve.NewRate(1e9, 1e9), Logins: serve.NewRate(1e9, 1e9), Log: slog.New(heard), Heartbeat: 10 * time.Millisecond})
	must(err)
	f.Cleanup(func() { _ = door.Close() })
	handler, err := door.Handler(nil)
	must(err)
	first, err := people.Bootstrap(f.Context())
	must(err)
	who, err := people.Authenticate(f.Context(), first.Reveal())
	must(err)
	tokens := []string{""}
	for _, b := range []identity.Binding{{Subject: "user:vic", Role: identity.Viewer, Service: "shop", Environment: "*"}, {Subject: "user:ann", Role: identity.Admin, Service: "*", Environment: "*"}} {
		name := strings.TrimPrefix(b.Subject, "user:")
		by := identity.Caller{Identity: who}
		must(people.CreateUser(f.Context(), by, name, adg.NewSecret("a long password")))
		must(people.Grant(f.Context(), by, b))
		person, err := people.Identify(f.Context(), name)
		must(err)
		secret, _, err := people.CreateToken(f.Context(), identity.Caller{Identity: person}, identity.NewToken{Label: "fuzz"})
		must(err)
		tokens = append(tokens, secret.Reveal())
	}
	return handler, heard, tokens
}

// sound looks at an answer as a browser or a scanner would.
func sound(t *testing.T, w *httptest.ResponseRecorder, about string) {
	t.Helper()
	for _, name := range []string{"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cache-Control"} {
		if w.Header().Get(name) == "" {
			t.Errorf("%s: %d without %s", about, w.Code, name)
		}
	}
	if w.Code >= 500 && w.Code != http.StatusServiceUnavailable && w.Code != http.StatusNotImplemented {
		t.Errorf("%s: %d %s", about, w.Code, w.Body)
	}
	if w.Body.Len() > mostAnswered {
		t.Errorf("%s: %d bytes", about, w.Body.Len())
	}
}

func FuzzREST(f *testing.F) {
	handler, heard, tokens := fuzzed(f)
	for i, seed := range []string{
		"GET /v1/deployments?services=shop&live=true&pageSize=3 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/deployments/x%2Fy HTTP/1.1\r\nHost: x\r\nGrpc-Timeout: 1n\r\n\r\n",
		"GET /v1/deployments/%00%ff:watch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
		"GET /v1/events:stream?after=-1 HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 99999999999999999999\r\n\r\n",
		"POST /v1/connections HTTP/1.1\r\nHost: x\r\nContent-Length: 150\r\n\r\n" + `{"connection": {"name": "hook", "seam": "SEAM_TARGET", "type": "webhook", "options": {"url": "http://x"}, "services": ["*"], "environments": ["*"]}} `,
		"PUT /v1/policies/shop/production HTTP/1.1\r\nHost: x\r\nContent-Length: 77\r\n\r\n" + `{"reason": "r", "text": "service: shop\nenvironment: production\nchecks: [{"}  `,
		"POST /v1/deployments HTTP/1.1\r\nHost: x\r\nContent-Length: 96\r\n\r\n" + `{"environment": "production", "release": {"service": "shop", "version": "v2"}, "reason": "\u0000"}`,
		"POST /v1/lines:stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/grpc\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 56\r\n\r\n" + `{"name": "bob", "password": "correct horse battery"}    `,
		"PATCH /v1/users/bob HTTP/1.1\r\nHost: x\r\nIf-Match: \"v1\"\r\nContent-Length: 2\r\n\r\n{}",
		"DELETE /v1/users/ann?etag=v9 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 27\r\n\r\nname=ann&password=%ff&a=%zz",
		"GET /login?return_to=//evil HTTP/1.1\r\nHost: x\r\nCookie: adg_session=\"; adg_login=x\r\n\r\n",
		"GET /login/oidc/x/callback?code=a&state=b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /device HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n--x\r\n\r\n\r\n",
		"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
		"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: \xff\r\nX-Forwarded-For: \xff, 1\r\nTraceparent: \xe9\r\n\r\n",
		"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: \xff\r\nX-Forwarded-For: \xff, 1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /openapi.json HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1,5-\r\n\r\n",
		"GET /v1/audit?pageToken=AAAA&outcomes=7&fromTime=x HTTP/1.1\r\nHost: x\r\nTraceparent: 00-x\r\n\r\n",
	} {
		f.Add(seed, byte(i%3))
		f.Add(seed, byte(2))
	}
	f.Fuzz(func(t *testing.T, text string, who byte) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return // the server's own library refuses it
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if strings.Contains(r.URL.Path, ":watch") || strings.Contains(r.URL.Path, ":stream") {
			ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
		}
		defer cancel()
		r = r.WithContext(ctx)
		r.RemoteAddr = "192.0.2.1:1"
		if token := tokens[int(who)%len(tokens)]; token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if ctx.Err() == nil { // a request that was cut off has no whole answer
			sound(t, w, r.Method+" "+r.URL.Path)
		}
		heard.none(t, r.Method+" "+r.URL.Path)
	})
}

func FuzzGRPC(f *testing.F) {
	handler, heard, tokens := fuzzed(f)
	all := rpcs()
	m := &matrix{id: "shop-v2-x"}
	for i, rpc := range all {
		message := newMessage(rpc.Input())
		if ask := methods[short(rpc)].ask; ask != nil {
			if text, ok := plainly(func() string { return ask(m) }); ok {
				_ = protojson.Unmarshal([]byte(text), message)
			}
		}
		data, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), byte(2), false, data)
		f.Add(byte(i), byte(i%3), true, append([]byte{0, 0, 0, 0, byte(min(len(data), 255))}, data...))
	}
	f.Fuzz(func(t *testing.T, at, who byte, raw bool, data []byte) {
		rpc := all[int(at)%len(all)]
		if !raw {
			data = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(data))), data...) //nolint:gosec // small
		}
		within := 20 * time.Second
		if rpc.IsStreamingServer() {
			within = 30 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		path := fmt.Sprintf("/%s/%s", rpc.Parent().FullName(), rpc.Name())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, io.NopCloser(bytes.NewReader(data)))
		r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength = "HTTP/2.0", 2, 0, -1
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		if token := tokens[int(who)%len(tokens)]; token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if ctx.Err() == nil {
			sound(t, w, path)
			// What is no message at all is Internal to the library; what is Internal to us is a complaint.
			if status := w.Result().Trailer.Get("Grpc-Status"); status == fmt.Sprint(uint32(codes.Unknown)) || status == fmt.Sprint(uint32(codes.DataLoss)) {
				t.Errorf("%s: %s %s", path, status, w.Result().Trailer.Get("Grpc-Message"))
			}
		}
		heard.none(t, path)
	})
}

// plainly gives a request that needs nothing made before.
func plainly(ask func() string) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return ask(), true
}
