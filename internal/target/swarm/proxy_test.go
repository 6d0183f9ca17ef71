package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/composite"
	"github.com/deployguardian/adg/internal/target/haproxy"
	"github.com/deployguardian/adg/internal/target/targettest"
)

const proxyConfig = `global
  stats socket %[1]s/h mode 600 level admin
  log 127.0.0.1:%[2]d local0
defaults
  mode http
  log global
  log-format "%%s %%ST %%ts"
  option dontlognull
  timeout connect 5s
  timeout check 5s
  timeout client 30s
  timeout server 30s
  retries 0
  no option redispatch
frontend front
  bind fd@3
  default_backend shop
backend shop
  balance roundrobin
  option httpchk GET /healthz
  default-server inter 100ms fastinter 50ms rise 2 fall 3
  server b1 127.0.0.1:%[3]d check weight 1
  server b2 127.0.0.1:%[4]d check weight 1
  server g1 127.0.0.1:%[5]d check weight 0
  server g2 127.0.0.1:%[6]d check weight 0
`

// edge is a real HAProxy before the containers of two services of two tasks, and a client.
type edge struct {
	*world
	front string
	proxy haproxy.Options
	state string // directory of the HAProxy target
	log   net.PacketConn

	mu     sync.Mutex
	logged int
	bad    []string
	sent   int
	failed []string
	served map[string]time.Time // when a release has answered last
	counts map[string]int
	stop   chan struct{}
	wg     sync.WaitGroup
}

// ports are two that the kernel has chosen, and that the tasks of one service get as long as the test goes on: a socket
// at which nobody listens holds each of them, and shares it only with who asks for it as openly as the shop does.
func ports(t *testing.T) [2]int {
	t.Helper()
	var list [2]int
	for i := range list {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		bound, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = bound.(*unix.SockaddrInet4).Port
	}
	return list
}

// startEdge makes the services, of which blue runs v1, and HAProxy before them.
func startEdge(t *testing.T) *edge {
	t.Helper()
	program := "/usr/sbin/haproxy"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no haproxy here")
		}
		t.Skip("there is no haproxy here: apt-get install haproxy")
	}
	e := &edge{world: startWorld(t, 2, 0, ""), served: map[string]time.Time{}, counts: map[string]int{}, stop: make(chan struct{})}
	blue, green := ports(t), ports(t)
	for i, port := range [][2]int{blue, green} {
		e.edit(t, e.names[i], func(spec *swarm.ServiceSpec) {
			spec.TaskTemplate.ContainerSpec.Env = []string{fmt.Sprintf("PORTS=%d,%d", port[0], port[1]), "SLOT={{.Task.Slot}}"}
			spec.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: "host"}}
			if two := uint64(2); i == 0 {
				spec.Mode.Replicated.Replicas = &two
			}
		})
	}
	within(t, "blue runs", func() bool { return len(e.containers(t, e.names[0])) == 2 })
	dir, err := os.MkdirTemp("/tmp", "adg-edge-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	e.readLog(t)
	config := fmt.Sprintf(proxyConfig, dir, e.log.LocalAddr().(*net.UDPAddr).Port, blue[0], blue[1], green[0], green[1])
	if err := os.WriteFile(filepath.Join(dir, "cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bound, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer bound.Close()
	e.front = l.Addr().String()
	cmd := exec.Command(program, "-db", "-q", "-f", filepath.Join(dir, "cfg"))
	cmd.ExtraFiles = []*os.File{bound}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	e.state = filepath.Join(dir, "state")
	e.proxy = haproxy.Driver.Options.(haproxy.Options)
	e.proxy.Socket, e.proxy.Backend, e.proxy.VersionPath = filepath.Join(dir, "h"), "shop", "/version"
	e.proxy.Slots = map[string][]string{"blue": {"b1", "b2"}, "green": {"g1", "g2"}}
	probe := e.openProxy(t)
	within(t, "HAProxy serves blue", func() bool {
		seen, err := probe.Current(t.Context())
		share, _ := seen.Share("v1")
		return err == nil && share == 100
	})
	return e
}

// open opens the two targets as one, as a policy does that names them as its parts.
func (e *edge) open(t *testing.T, o composite.Options) adg.Target {
	t.Helper()
	parts := e.options()
	parts.SplitElsewhere = true
	containers, traffic := openTarget(t, parts), e.openProxy(t)
	o.Parts = []string{"containers", "traffic"}
	opened, err := composite.Driver.Open(t.Context(), o, adg.Host{Name: "shop", Target: func(_ context.Context, name string) (adg.Target, error) {
		return map[string]adg.Target{"containers": containers, "traffic": traffic}[name], nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// reach applies, as often as somebody does who has patience, until the whole is done.
func reach(t *testing.T, target adg.Target, want adg.Desired) {
	t.Helper()
	within(t, want.OpID+" is done", func() bool {
		seen, err := target.Apply(t.Context(), want)
		if adg.IsPermanent(err) || seen.Failed {
			t.Fatalf("%s: %+v, %v", want.OpID, seen, err)
		}
		return err == nil && seen.Done
	})
}

func (e *edge) openProxy(t *testing.T) adg.Target {
	t.Helper()
	opened, err := haproxy.Driver.Open(t.Context(), e.proxy, adg.Host{Name: "edge", Dir: e.state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.(io.Closer).Close() })
	return opened
}

// readLog counts what HAProxy logs: server, status and how the session ended, per request.
func (e *edge) readLog(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := sockopt(raw, unix.SO_RCVBUFFORCE, 4<<20); err != nil { // none is lost while the machine is busy
		t.Fatal(err)
	}
	e.log = conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, message, _ := strings.Cut(string(buffer[:n]), "]: ")
			word := strings.Fields(message)
			if len(word) != 3 {
				continue
			}
			e.mu.Lock()
			e.logged++
			if word[1] != "200" || word[2] != "--" {
				e.bad = append(e.bad, strings.Join(word, " "))
			}
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
}

func sockopt(raw syscall.RawConn, option, value int) error {
	var refused error
	err := raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, value) })
	return errors.Join(err, refused)
}

const loadRate = 200 // requests per second

// load sends GET and POST in turn at a constant rate, and never repeats one.
func (e *edge) load(t *testing.T) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	web := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	e.wg.Go(func() {
		tick := time.NewTicker(time.Second / loadRate)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-e.stop:
				return
			case <-tick.C:
				e.wg.Go(func() { e.request(web, n) })
			}
		}
	})
	t.Cleanup(func() { e.end(); transport.CloseIdleConnections() })
}

func (e *edge) request(web *http.Client, n int) {
	method, body := http.MethodGet, io.NopCloser(strings.NewReader(""))
	if n%2 == 1 {
		method, body = http.MethodPost, io.NopCloser(io.MultiReader(strings.NewReader("order"), strings.NewReader(fmt.Sprint(n))))
	}
	req, err := http.NewRequest(method, "http://"+e.front+"/", body) // a body that cannot be read twice is not sent twice
	if err != nil {
		panic(err)
	}
	resp, err := web.Do(req)
	version := ""
	if err == nil {
		var answer []byte
		answer, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		version = strings.TrimSpace(string(answer))
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent++
	if err != nil {
		e.failed = append(e.failed, err.Error())
		return
	}
	e.served[version] = time.Now()
	e.counts[version]++
}

func (e *edge) end() {
	select {
	case <-e.stop:
	default:
		close(e.stop)
	}
	e.wg.Wait()
}

// more waits until a release has answered so many more requests.
func (e *edge) more(t *testing.T, version string, n int) {
	t.Helper()
	count := func() int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.counts[version]
	}
	from := count()
	within(t, version+" answers", func() bool { return count() >= from+n })
}

// last is when a release has answered last.
func (e *edge) last(version string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.served[version]
}

func TestNotOneRequestFailsWhileContainersBehindHAProxyAreReleasedAndRolledBack(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	target := e.open(t, composite.Options{})
	if can := target.Can(); can != (adg.Capabilities{Shares: true, Idle: true, Drain: true, Reports: true}) {
		t.Errorf("together they can %+v", can)
	}
	e.load(t)
	e.more(t, "v1", 100)
	op := 0
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	var took []time.Duration
	for range 2 { // the second time v2 waits idle, and so does v1
		for _, share := range []float64{0, 5, 25, 50, 100} {
			reach(t, target, targettest.Want(next(), 1, share))
			if share > 0 {
				e.more(t, "v2", 20)
			}
			e.splits(t, target, share)
		}
		begin := time.Now()
		reach(t, target, targettest.Rollback(next(), 1))
		e.more(t, "v1", 100)
		e.splits(t, target, 0)
		took = append(took, max(e.last("v2").Sub(begin), 0))
	}
	e.none(t)
	t.Logf("%d requests, none failed: %v; from a rollback to the last answer of the bad release: %v", e.sent, e.counts, took)
}

// splits says that v2 is reported with its share, and that both releases have all their tasks.
func (e *edge) splits(t *testing.T, target adg.Target, share float64) {
	t.Helper()
	seen, err := target.Current(t.Context())
	if got, _ := seen.Share("v2"); err != nil || math.Abs(got-share) > 1 {
		t.Errorf("v2 is reported with %g %%, want %g %%: %+v, %v", got, share, seen, err)
	}
	for _, name := range e.names {
		if n := len(e.containers(t, name)); n != 2 {
			t.Errorf("at %g %% service %s runs %d tasks, want 2", share, name, n)
		}
	}
}

// none ends the load, and says that no request failed, for the client or for HAProxy.
func (e *edge) none(t *testing.T) {
	t.Helper()
	e.end()
	within(t, "the log has every request", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.logged >= e.sent
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failed) > 0 || len(e.bad) > 0 || e.logged != e.sent {
		t.Errorf("%d requests: the client counts %d failed ones (%v), HAProxy's log %d of %d (%v)",
			e.sent, len(e.failed), e.failed[:min(len(e.failed), 3)], len(e.bad), e.logged, e.bad[:min(len(e.bad), 3)])
	}
}

func TestARollbackStartsTheLastGoodReleaseAgainWhereSomebodyHasStoppedIt(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	e.proxy.UpTimeout = time.Second
	target := e.open(t, composite.Options{Independent: true}) // HAProxy, which is asked first, has nothing to send the traffic to
	e.load(t)
	e.more(t, "v1", 50)
	reach(t, target, targettest.Want("shop-v2-abc/1", 1, 100))
	e.edit(t, e.names[0], func(spec *swarm.ServiceSpec) { spec.Mode.Replicated.Replicas = new(uint64) })
	within(t, "v1 is gone", func() bool { return len(e.containers(t, e.names[0])) == 0 })
	reach(t, target, targettest.Rollback("shop-v2-abc/2", 1))
	e.more(t, "v1", 50)
	e.splits(t, target, 0)
	e.none(t)
}

// TestARollbackBehindHAProxyIsFasterThanTheEngines measures the same services under the engine's own rollback.
func TestARollbackBehindHAProxyIsFasterThanTheEngines(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	target := e.open(t, composite.Options{})
	e.load(t)
	ours := time.Hour
	for n := 1; n < 6; n += 2 { // the least of three: other tests have the processors, too
		reach(t, target, targettest.Want(fmt.Sprintf("d/%d", n), 1, 100))
		e.more(t, "v2", 100)
		begin := time.Now()
		reach(t, target, targettest.Rollback(fmt.Sprintf("d/%d", n+1), 1))
		e.more(t, "v1", 200)
		ours = min(ours, max(e.last("v2").Sub(begin), 0))
	}
	name := e.names[0]
	e.edit(t, name, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Image = "shop:v2"
		spec.UpdateConfig = &swarm.UpdateConfig{Parallelism: 2, Monitor: time.Second}
		spec.RollbackConfig = nil // what docker service rollback does unless told otherwise
	})
	within(t, "v2 runs in place", func() bool {
		status := e.service(t, name).UpdateStatus
		return status != nil && status.State == swarm.UpdateStateCompleted
	})
	e.more(t, "v2", 100)
	s := e.service(t, name)
	begin := time.Now()
	if _, err := e.api.ServiceUpdate(t.Context(), s.ID, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec, Rollback: "previous"}); err != nil {
		t.Fatal(err)
	}
	within(t, "the engine has rolled back", func() bool {
		status := e.service(t, name).UpdateStatus
		return status != nil && status.State == swarm.UpdateStateRollbackCompleted
	})
	e.more(t, "v1", 100)
	plain := e.last("v2").Sub(begin)
	e.end()
	t.Logf("from the rollback to the last answer of the bad release: %s behind HAProxy, %s with docker service rollback: %.0f times; %d requests failed, all of them in the latter",
		ours.Round(time.Millisecond), plain.Round(time.Millisecond), plain.Seconds()/max(ours.Seconds(), 0.001), len(e.failed))
	if ours >= plain {
		t.Errorf("%s behind HAProxy, %s with the engine's rollback", ours, plain)
	}
}
