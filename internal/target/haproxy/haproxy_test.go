package haproxy

import (
	"context"
	"fmt"
	"io"
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

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerDir) != "" {
		own()
	}
	goleak.VerifyTestMain(m)
}

// backendServer is an upstream of HAProxy that runs some version, counts what it gets and can be slow.
type backendServer struct {
	*http.Server
	addr string

	mu      sync.Mutex
	version string
	got     int
	slow    chan struct{} // requests for /slow wait for it
}

func startServer(t testing.TB, version string) *backendServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &backendServer{addr: l.Addr().String(), version: version, slow: make(chan struct{})}
	s.Server = &http.Server{Handler: s}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *backendServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if r.URL.Path == "/slow" {
		select {
		case <-s.slow:
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/" || r.URL.Path == "/slow" {
		s.got++
	}
	_, _ = io.WriteString(w, s.version+"\n")
}

func (s *backendServer) runs(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
}

func (s *backendServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// proxy is a real HAProxy in front of two slots of two servers each; blue runs v1 and has the traffic.
type proxy struct {
	dir     string
	program string
	socket  string   // HAProxy's own
	front   string   // address of the frontend
	bound   *os.File // the frontend's listener: HAProxy inherits it, so that no port can be lost to somebody else
	servers map[string]*backendServer
	logs    *logReader

	cmd *exec.Cmd
}

const config = `global
  stats socket %[1]s mode 600 level admin
  stats socket %[1]sr mode 600 level user
  log 127.0.0.1:%[2]d local0
  maxconn 2000
defaults
  mode http
  log global
  log-format "%%s %%ST %%ts"
  timeout connect 5s
  timeout check 1m
  timeout client 30s
  timeout server 30s
  timeout queue 1s
  retries 0
  no option redispatch
frontend front
  bind fd@3
  default_backend shop
backend shop
  balance roundrobin
  option httpchk GET /healthz
  default-server inter 100ms fastinter 50ms rise 2 fall 3
%[3]s`

func haproxyProgram(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no haproxy here")
	}
	t.Skip("there is no haproxy here: apt-get install haproxy")
	return ""
}

var slotServers = map[string][]string{"blue": {"b1", "b2"}, "green": {"g1", "g2"}}

func startProxy(t testing.TB) *proxy {
	t.Helper()
	// A path in t.TempDir may be longer than the 108 bytes that a socket's address can have.
	dir, err := os.MkdirTemp("/tmp", "adg-haproxy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &proxy{dir: dir, program: haproxyProgram(t), socket: filepath.Join(dir, "s"), servers: map[string]*backendServer{}}
	p.front, p.bound = listen(t)
	p.logs = readLogs(t)
	var lines strings.Builder
	for _, slot := range []string{"blue", "green"} {
		for _, name := range slotServers[slot] {
			version, weight := "v1", 1
			if slot == "green" {
				version, weight = "v0", 0
			}
			p.servers[name] = startServer(t, version)
			fmt.Fprintf(&lines, "  server %s %s check weight %d\n", name, p.servers[name].addr, weight)
		}
	}
	text := fmt.Sprintf(config, p.socket, p.logs.port, lines.String())
	if err := os.WriteFile(filepath.Join(dir, "cfg"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(p.program, "-db", "-q", "-f", filepath.Join(p.dir, "cfg"))
	p.cmd.ExtraFiles = []*os.File{p.bound}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "HAProxy serves with blue up", func() bool {
		servers, err := socket{"unix", p.socket, time.Minute}.servers(t.Context(), "shop")
		if err != nil {
			return false
		}
		for _, h := range servers {
			if h.status != "UP" {
				return false
			}
		}
		return true
	})
}

func (p *proxy) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

func listen(t testing.TB) (string, *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return l.Addr().String(), file
}

func (p *proxy) options() Options {
	o := Driver.Options.(Options)
	o.Socket, o.Backend, o.Slots = p.socket, "shop", slotServers
	o.Initial = map[string]string{"blue": "v1"}
	o.UpTimeout, o.DrainTimeout = 5*time.Second, 5*time.Second
	return o
}

func (p *proxy) open(t testing.TB, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Dir: filepath.Join(p.dir, "state"), Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func (p *proxy) view(t testing.TB) map[string]server {
	t.Helper()
	servers, err := socket{"unix", p.socket, time.Minute}.servers(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]server{}
	for _, h := range servers {
		byName[h.name] = h
	}
	return byName
}

// Shares is what HAProxy's own weights give each version that the servers really run.
func (p *proxy) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	weights, total := map[string]int{}, 0
	for name, h := range p.view(t) {
		if h.serves() {
			slot := map[byte]string{'b': "v1", 'g': "v2"}[name[0]]
			weights[slot] += h.weight
			total += h.weight
		}
	}
	shares := map[string]float64{}
	for version, weight := range weights {
		shares[version] = 100 * float64(weight) / float64(total)
	}
	return shares
}

// within polls, because what it waits for happens in another process.
func within(t testing.TB, what string, met func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline.C:
			t.Fatalf("did not happen within 15 s: %s", what)
		case <-tick.C:
		}
	}
}

// logReader takes HAProxy's log over UDP: server, status and how the session ended, per request.
type logReader struct {
	conn net.PacketConn
	port int

	mu    sync.Mutex
	lines []string
}

func readLogs(t testing.TB) *logReader {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	l := &logReader{conn: conn, port: conn.LocalAddr().(*net.UDPAddr).Port}
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
			if word := strings.Fields(message); len(word) == 3 {
				l.mu.Lock()
				l.lines = append(l.lines, strings.Join(word, " "))
				l.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return l
}

// requests are those that were logged, by server, and every line of one that did not end well.
func (l *logReader) requests() (byServer map[string]int, bad []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byServer = map[string]int{}
	for _, line := range l.lines {
		word := strings.Fields(line)
		byServer[word[0]]++
		if word[1] != "200" || word[2] != "--" {
			bad = append(bad, line)
		}
	}
	return byServer, bad
}

func apply(t testing.TB, target adg.Target, want adg.Desired) adg.Observed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen, err := target.Apply(ctx, want)
	if err != nil {
		t.Fatalf("apply %s: %v", want.OpID, err)
	}
	return seen
}

func TestTheHAProxyTargetKeepsTheContract(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			p := startProxy(t)
			relay := startRelay(t, p)
			o := p.options()
			o.Socket, o.Timeout = relay.path, time.Minute
			return targettest.Fixture{
				Target: p.open(t, o), World: relay, Reopen: func(t *testing.T) adg.Target { return p.open(t, o) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
		Fences: true, Tolerance: 0.3,
	})
}
