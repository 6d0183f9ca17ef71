package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// Gate is a proxy before a cluster's API server, through which a target under test goes: it misbehaves as it is told to,
// and has every write counted that came through.
type Gate struct {
	Address string
	CAFile  string // the authority of its certificate; empty: it speaks HTTP
	// Before and After are called with each request before anything is done with it, and when it was answered; nil: nothing.
	Before, After func(r *http.Request)
	// Answer answers a request in the place of the server, unless its status is 0; nil: none.
	Answer func(r *http.Request) (status int, header http.Header)
	// Cut breaks the connection of a request; nil: of none.
	Cut func(r *http.Request) Cut
	// Effect tells whether a write that the server has done changed what releases run, and whose change it was: before is
	// the object as it was last read at the version that the write is based on; nil: nobody has read that one.
	Effect func(method, path string, before, after *unstructured.Unstructured) (targettest.Effect, bool)
	// Ahead is by how many seconds the cluster's clock is ahead of this machine's.
	Ahead atomic.Int64

	cluster *Cluster
	mode    atomic.Int32
	mu      sync.Mutex
	read    map[string]*unstructured.Unstructured // by path and resourceVersion
	effects []targettest.Effect
	writes  int
}

// Cut is when the connection of a request breaks.
type Cut int

// The moments. Afterwards, it was done, and nobody hears of it.
const (
	Never Cut = iota
	Beforehand
	Afterwards
)

// NewGate opens a gate, until the test ends.
func NewGate(t testing.TB, c *Cluster) *Gate {
	t.Helper()
	return newGate(t, c, (*httptest.Server).Start)
}

// NewGateWithTLS opens a gate that has a certificate: programs other than adg keep their token from a server without one.
func NewGateWithTLS(t testing.TB, c *Cluster) *Gate {
	t.Helper()
	var certificate []byte
	g := newGate(t, c, func(server *httptest.Server) {
		server.StartTLS()
		certificate = server.Certificate().Raw
	})
	g.CAFile = filepath.Join(t.TempDir(), "gate.crt")
	if err := os.WriteFile(g.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// Break has the gate misbehave until mend is called. While writes get half-way, the nodes are frozen: what did go through
// is not done before somebody looks.
func (g *Gate) Break(t *testing.T, fault targettest.Fault) (mend func()) {
	t.Helper()
	g.mode.Store(int32(fault) + 1)
	if fault != targettest.Halfway {
		return func() { g.mode.Store(0) }
	}
	thaw := g.Freeze(t)
	mend = sync.OnceFunc(func() {
		g.mode.Store(0)
		thaw()
	})
	t.Cleanup(mend)
	return mend
}

// Freeze stops the nodes of the cluster until thaw is called: pods are made, and do not become ready. It waits for whoever
// has frozen them now.
func (g *Gate) Freeze(t *testing.T) (thaw func()) {
	t.Helper()
	g.cluster.frozen.Lock()
	g.cluster.Freeze(t, true)
	thaw = sync.OnceFunc(func() {
		g.cluster.Freeze(t, false)
		g.cluster.frozen.Unlock()
	})
	t.Cleanup(thaw)
	return thaw
}

// Effects are those so far.
func (g *Gate) Effects(*testing.T) []targettest.Effect {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.effects)
}

// Written is how many writes the server has done.
func (g *Gate) Written() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writes
}

// Writes tells whether a request changes something. Reviews of rights are created, and change nothing.
func Writes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.HasPrefix(r.URL.Path, "/apis/authorization.k8s.io/")
}

// Private

func newGate(t testing.TB, c *Cluster, start func(*httptest.Server)) *Gate {
	t.Helper()
	g := &Gate{cluster: c, read: map[string]*unstructured.Unstructured{}}
	to, err := url.Parse(c.Server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:      c.transport,
		ModifyResponse: g.note,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	quit := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, proxy, quit) }))
	start(server)
	g.Address = server.URL
	t.Cleanup(func() { close(quit); server.CloseClientConnections(); server.Close() })
	return g
}

// basis is the key of the resourceVersion that a write is compared with.
type basis struct{}

func (g *Gate) serve(w http.ResponseWriter, r *http.Request, proxy http.Handler, quit chan struct{}) {
	if g.After != nil {
		defer func() { g.After(r) }()
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	r = r.WithContext(context.WithValue(r.Context(), basis{}, parsed(body).GetResourceVersion()))
	if g.Before != nil {
		g.Before(r)
	}
	if g.Answer != nil {
		if status, header := g.Answer(r); status != 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind":"Status","message":"no: %s"}`, strings.ReplaceAll(r.Header.Get("Authorization"), `"`, ``))
			return
		}
	}
	when := Never
	if g.Cut != nil {
		when = g.Cut(r)
	}
	is := func(fault targettest.Fault) bool { return g.mode.Load() == int32(fault)+1 }
	switch {
	case when == Beforehand, is(targettest.Unreachable):
		hangUp(w)
	case when == Afterwards, is(targettest.Halfway) && Writes(r):
		proxy.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context()))) // even if nobody waits for it
		hangUp(w)
	case is(targettest.Hang):
		select {
		case <-quit:
		case <-r.Context().Done():
		}
	case is(targettest.Lie) && Writes(r):
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	default:
		proxy.ServeHTTP(w, r)
	}
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// note remembers the objects that were read, and counts the writes that were done.
func (g *Gate) note(answer *http.Response) error {
	r := answer.Request
	if ahead := g.Ahead.Load(); ahead != 0 {
		answer.Header.Set("Date", time.Now().Add(time.Duration(ahead)*time.Second).UTC().Format(http.TimeFormat))
	}
	if answer.StatusCode >= 300 || r.URL.Query().Has("watch") || !Writes(r) && r.URL.Query().Has("limit") {
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	object := parsed(body)
	g.mu.Lock()
	defer g.mu.Unlock()
	if Writes(r) {
		g.writes++
		from, _ := r.Context().Value(basis{}).(string)
		if effect, counts := g.Effect(r.Method, r.URL.Path, g.read[r.URL.Path+"@"+from], object); counts {
			g.effects = append(g.effects, effect)
		}
	}
	g.read[r.URL.Path+"@"+object.GetResourceVersion()] = object
	return nil
}

// parsed is empty where the text is no object.
func parsed(body []byte) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if json.Unmarshal(body, &object.Object) != nil || object.Object == nil {
		object.Object = map[string]any{}
	}
	return object
}
