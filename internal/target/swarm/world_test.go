package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// world is a set of services in the real engine, seen through a relay that every request of the driver passes and
// that can misbehave.
type world struct {
	*dockerd
	names []string
	label string
	relay string // the socket that the driver is told of

	server *http.Server
	wg     sync.WaitGroup

	mu      sync.Mutex
	fault   *targettest.Fault
	mended  chan struct{}
	effects []targettest.Effect
	before  func(writes int) // called before each change that the driver sends
	after   func(writes int)
	refuse  func(w http.ResponseWriter, r *http.Request) bool
	writes  int
	moves   []targettest.Move

	t     *testing.T // that it was made for
	tasks int        // that a service needs for all of the traffic

	killed atomic.Bool // set by before: the change is lost on its way
}

var worlds atomic.Int64

// startWorld makes one service with so many tasks of v1, which has the label, or another one besides that has no tasks.
func startWorld(t *testing.T, services int, replicas uint64, label string) *world {
	t.Helper()
	d := startDocker(t)
	n := worlds.Add(1)
	w := &world{dockerd: d, label: label, relay: filepath.Join(d.dir, fmt.Sprintf("r%d", n))}
	for i := range services {
		name, image, tasks := fmt.Sprintf("shop-%d-%d", n, i), "shop:v1", replicas
		if i > 0 {
			image, tasks = "shop:v3", 0
		}
		d.create(t, name, image, tasks, func(spec *swarm.ServiceSpec) {
			key, value, _ := strings.Cut(label, "=")
			if key != "" && i == 0 {
				spec.Labels[key] = value
			}
		})
		w.names = append(w.names, name)
	}
	w.t, w.tasks = t, int(replicas)
	w.listen(t)
	t.Cleanup(func() {
		w.mend()
		w.close()
	})
	return w
}

func (w *world) options() Options {
	o := Driver.Options.(Options)
	o.Host, o.Services, o.LiveLabel = "unix://"+w.relay, w.names, w.label
	o.Monitor, o.Parallelism, o.DrainTimeout = 100*time.Millisecond, 4, 50*time.Millisecond
	o.Timeout, o.ReadyTimeout = 30*time.Second, 60*time.Second // a busy machine takes its time
	o.RegistryUser, o.RegistryPassword = "robot", adg.NewSecret(targettest.Planted)
	return o
}

func openTarget(t *testing.T, o Options) adg.Target {
	t.Helper()
	opened, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.(io.Closer).Close() })
	return opened
}

func (w *world) fixture(t *testing.T) targettest.Fixture {
	return targettest.Fixture{
		Target: openTarget(t, w.options()), World: w,
		Reopen: func(t *testing.T) adg.Target { return openTarget(t, w.options()) },
	}
}

// Shares counts the containers that really run; where a router decides, those of the service that it sees.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	counts, total := map[string]float64{}, 0
	key, value, _ := strings.Cut(w.label, "=")
	for _, name := range w.names {
		if key != "" && w.service(t, name).Spec.Labels[key] != value {
			continue
		}
		for _, image := range w.containers(t, name) {
			counts[tagOf(image)]++
			total++
		}
	}
	for version := range counts {
		counts[version] *= 100 / float64(total)
	}
	return counts
}

// refusing sets what may answer a request in the engine's place.
func (w *world) refusing(refuse func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = refuse
}

// made is how many changes an operation made at the services, beyond the claims.
func (w *world) made(t *testing.T, op string) (n int) {
	t.Helper()
	for _, e := range w.Effects(t) {
		if e.OpID == op {
			n++
		}
	}
	return n
}

// Effects are the changes of services beyond adg's notes that the engine made.
func (w *world) Effects(*testing.T) []targettest.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := slices.Clone(w.effects)
	for i := range seen {
		began := slices.IndexFunc(seen, func(e targettest.Effect) bool { return e.OpID == seen[i].OpID })
		seen[i].Overlapped = slices.ContainsFunc(seen[began:i], func(e targettest.Effect) bool { return e.OpID != seen[i].OpID })
	}
	return seen
}

// Shrink is an operator who takes the tasks of the service that a release is in.
func (w *world) Shrink(t *testing.T, version string) {
	t.Helper()
	for _, name := range w.names {
		if tagOf(w.service(t, name).Spec.TaskTemplate.ContainerSpec.Image) != version {
			continue
		}
		w.edit(t, name, func(spec *swarm.ServiceSpec) { spec.Mode.Replicated.Replicas = new(uint64) })
		within(t, "the tasks of "+name+" are gone", func() bool { return len(w.containers(t, name)) == 0 })
	}
}

// Moves are the labels that were set for the router.
func (w *world) Moves(*testing.T) []targettest.Move {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.moves)
}

// routes looks, before the engine gets a label for the router, how many containers it would find.
func (w *world) routes(r *http.Request, spec swarm.ServiceSpec) {
	key, value, _ := strings.Cut(w.label, "=")
	if key == "" || spec.Labels[key] != value {
		return
	}
	now, err := w.api.ServiceInspect(r.Context(), serviceIn(r), client.ServiceInspectOptions{})
	if err != nil || now.Service.Spec.Labels[key] == value {
		return
	}
	version := tagOf(spec.TaskTemplate.ContainerSpec.Image)
	ready := 0
	for _, image := range w.containers(w.t, spec.Name) {
		if tagOf(image) == version {
			ready++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves = append(w.moves, targettest.Move{To: version, Ready: 100 * float64(ready) / float64(w.tasks)})
}

// Break makes the relay misbehave.
func (w *world) Break(t *testing.T, fault targettest.Fault) func() {
	if fault == targettest.Unreachable {
		w.close()
		return func() { w.listen(t) }
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault, w.mended = &fault, make(chan struct{})
	return w.mend
}

func (w *world) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mended != nil {
		close(w.mended)
	}
	w.fault, w.mended = nil, nil
}

func (w *world) listen(t *testing.T) {
	t.Helper()
	_ = os.Remove(w.relay)
	l, err := net.Listen("unix", w.relay)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: dialUnix(w.socket)}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.Transport = transport
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	w.server = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(proxy, rw, r) }), ErrorLog: nil}
	w.server.RegisterOnShutdown(transport.CloseIdleConnections)
	server := w.server
	w.wg.Go(func() { _ = server.Serve(l); transport.CloseIdleConnections() })
}

func dialUnix(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
}

func (w *world) close() {
	_ = w.server.Close()
	w.wg.Wait()
}

func (w *world) serve(proxy http.Handler, rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	fault, mended, refuse, before, after := w.fault, w.mended, w.refuse, w.before, w.after
	w.mu.Unlock()
	if fault != nil && *fault == targettest.Hang {
		select {
		case <-mended:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	if refuse != nil && refuse(rw, r) {
		return
	}
	if !updates(r) {
		proxy.ServeHTTP(rw, r)
		return
	}
	w.mu.Lock()
	w.writes++
	n := w.writes
	w.mu.Unlock()
	if before != nil {
		before(n)
		if w.killed.Swap(false) { // the engine never has it
			panic(http.ErrAbortHandler)
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var spec swarm.ServiceSpec
	if err := json.Unmarshal(body, &spec); err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.routes(r, spec)
	effect := w.changes(r, spec)
	if effect && fault != nil && *fault == targettest.Halfway {
		w.mend()
		panic(http.ErrAbortHandler)
	}
	if fault != nil && *fault == targettest.Lie {
		_, _ = io.WriteString(rw, "{}")
		return
	}
	answer := &status{ResponseWriter: rw, code: http.StatusOK}
	w.mu.Lock()
	at := len(w.effects)
	if effect {
		note := readNote(spec.Labels)
		w.effects = append(w.effects, targettest.Effect{OpID: note.op(), Fence: note.Fences[len(note.Fences)-1].Fence})
	}
	w.mu.Unlock()
	proxy.ServeHTTP(answer, r)
	if effect && answer.code != http.StatusOK {
		w.mu.Lock()
		w.effects = slices.Delete(w.effects, at, at+1)
		w.mu.Unlock()
	}
	if after != nil {
		after(n)
	}
}

// updates tells whether the request changes a service.
func updates(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/update")
}

// serviceIn is the service that the request changes.
func serviceIn(r *http.Request) string { return path.Base(path.Dir(r.URL.Path)) }

// changes tells whether the update would change more than adg's notes.
func (w *world) changes(r *http.Request, spec swarm.ServiceSpec) bool {
	result, err := w.api.ServiceInspect(r.Context(), serviceIn(r), client.ServiceInspectOptions{})
	if err != nil {
		return false
	}
	now := result.Service.Spec
	bare := func(labels map[string]string) map[string]string {
		labels = maps.Clone(labels)
		maps.DeleteFunc(labels, func(key, _ string) bool { return strings.HasPrefix(key, "adg.") })
		return labels
	}
	spec.Labels, now.Labels = bare(spec.Labels), bare(now.Labels)
	a, _ := json.Marshal(spec)
	b, _ := json.Marshal(now)
	return !bytes.Equal(a, b)
}

// status remembers how the engine answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func apply(t *testing.T, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	seen, err := target.Apply(ctx, want)
	if err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
	return seen
}

// settled is what the target says once it has come to an end.
func settled(t *testing.T, target adg.Target) adg.Observed {
	t.Helper()
	var seen adg.Observed
	within(t, "the target is done, or gives up", func() bool {
		var err error
		if seen, err = target.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
		return seen.Done || seen.Failed
	})
	return seen
}

func TestOneServiceKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return startWorld(t, 1, 1, "").fixture(t) },
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true, Parallel: true,
	})
}

func TestTwoServicesThatShareTheTasksKeepTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return startWorld(t, 2, 3, "").fixture(t) },
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true, Parallel: true,
		Tolerance: 30, // 5 % is one task of three
	})
}

func TestTwoServicesBehindARouterKeepTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open:   func(t *testing.T) targettest.Fixture { return startWorld(t, 2, 1, "traefik.enable=true").fixture(t) },
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie}, Fences: true, Sizes: true, Parallel: true,
	})
}
