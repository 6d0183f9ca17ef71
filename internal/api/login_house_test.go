package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"context"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/identity/oidc"
	"github.com/deployguardian/adg/internal/store/sqlite"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

const (
	password = "correct horse battery"
	another  = "staple of another kind"
)

// house is an API on a real store behind a real port, with an admin called root and a viewer called ann.
type house struct {
	t         *testing.T
	directory *identity.Directory
	store     adg.Store
	url       string
	conn      *grpc.ClientConn
	login     adgv1.LoginServiceClient
	people    adgv1.IdentityServiceClient

	mu    sync.Mutex
	ahead time.Duration
}

func newHouse(t *testing.T, providers func(adg.Store) map[string]*oidc.Provider) *house {
	t.Helper()
	h := &house{t: t}
	begin := time.Now()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Clock: func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return begin.Add(h.ahead)
	}})
	h.must(err)
	t.Cleanup(func() { store.Close() })
	h.store = store
	h.directory, err = identity.New(store, identity.Options{Argon: identity.Argon{Memory: 8, Passes: 1, Threads: 1}})
	h.must(err)
	h.settle()

	o := api.Options{Directory: h.directory, Devices: device.New(store), Store: store, Local: true, BaseURL: "https://adg.example.com/"}
	if providers != nil {
		o.Providers = providers(store)
	}
	a, err := api.New(o)
	h.must(err)
	t.Cleanup(func() { a.Close() })
	handler, err := a.Handler(nil)
	h.must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-served })
	h.url = "http://" + listener.Addr().String()
	h.conn, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("adg-test"))
	h.must(err)
	t.Cleanup(func() { h.conn.Close() })
	h.login, h.people = adgv1.NewLoginServiceClient(h.conn), adgv1.NewIdentityServiceClient(h.conn)
	return h
}

// settle makes the people.
func (h *house) settle() {
	h.t.Helper()
	ctx := h.t.Context()
	first, err := h.directory.Bootstrap(ctx)
	h.must(err)
	who, err := h.directory.Authenticate(ctx, first.Reveal())
	h.must(err)
	by := identity.Caller{Identity: who}
	for _, name := range []string{"ann", "root"} {
		h.must(h.directory.CreateUser(ctx, by, name, adg.NewSecret(password)))
	}
	h.must(h.directory.Grant(ctx, by, identity.Binding{Subject: "user:ann", Role: identity.Viewer, Service: "*", Environment: "*"}))
	h.must(h.directory.Grant(ctx, by, identity.Binding{Subject: "user:root", Role: identity.Admin, Service: "*", Environment: "*"}))
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// audited is what is on record of an action.
func (h *house) audited(action string) []adg.AuditEntry {
	h.t.Helper()
	entries, err := h.store.Audit(h.t.Context(), adg.AuditFilter{Action: action, Limit: 1000})
	h.must(err)
	return entries
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// as is a context for gRPC with a session of that person's.
func (h *house) as(name string) context.Context {
	h.t.Helper()
	o, err := h.directory.Login(h.t.Context(), identity.Attempt{Name: name, Password: adg.NewSecret(password), From: "192.0.2.1"})
	h.must(err)
	return with(h.t, o.Credential.Reveal())
}

func with(t *testing.T, credential string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+credential)
}

func refused(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		t.Fatalf("got %v, want %v with %q", err, code, text)
	}
}

// browser keeps cookies and does not follow redirects.
type browser struct {
	*house
	client *http.Client
}

func (h *house) browser() browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	h.must(err)
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	return browser{h, &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b browser) send(method, path, kind string, body []byte, headers ...string) (*http.Response, string) {
	b.t.Helper()
	to := path
	if strings.HasPrefix(path, "/") {
		to = b.url + path
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, to, bytes.NewReader(body))
	b.must(err)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("User-Agent", "Browser/1 (é)")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.client.Do(r)
	b.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	b.must(err)
	return answer, string(text)
}

// rest sends a message and reads another, and fails unless the status is the wanted one.
func (b browser) rest(want int, method, path string, body, into proto.Message) *http.Response {
	b.t.Helper()
	var sent []byte
	if body != nil {
		data, err := protojson.Marshal(body)
		b.must(err)
		sent = data
	}
	answer, text := b.send(method, path, "application/json", sent)
	if answer.StatusCode != want {
		b.t.Fatalf("%s %s: got %d %s, want %d", method, path, answer.StatusCode, text, want)
	}
	if into != nil {
		b.must(protojson.Unmarshal([]byte(text), into))
	}
	return answer
}

// message is what an error says.
func message(t *testing.T, text string) string {
	t.Helper()
	var e struct{ Message string }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e.Message
}

func (b browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodGet, path, "", nil)
}

func (b browser) post(path string, fields url.Values, headers ...string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", []byte(fields.Encode()), headers...)
}

func (b browser) logIn(name, word string) *http.Response {
	b.t.Helper()
	return b.rest(http.StatusOK, http.MethodPost, "/v1/login", &adgv1.LogInRequest{Name: name, Password: word}, nil)
}

// session is the value of the browser's session cookie.
func (b browser) session() string {
	at, err := url.Parse(b.url)
	b.must(err)
	for _, c := range b.client.Jar.Cookies(at) {
		if c.Name == api.SessionCookie {
			return c.Value
		}
	}
	return ""
}

func (b browser) me() (string, int) {
	b.t.Helper()
	answer, text := b.get("/v1/me")
	var me adgv1.WhoAmIResponse
	if answer.StatusCode == http.StatusOK {
		b.must(protojson.Unmarshal([]byte(text), &me))
	}
	return me.GetIdentity().GetSubject(), answer.StatusCode
}
