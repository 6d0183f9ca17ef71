// Package brokertest starts real message brokers for tests, each private to its test: own directories, own ports on the
// loopback interface, killed at the end.
package brokertest

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/porttest"
)

// The user that every broker knows, and may do everything.
const (
	User     = "adg"
	Password = "planted-secret-4711" // the one that the conformance suite of notifiers looks for
)

// Server is a broker's process, which may be killed and started again with what it has stored.
type Server struct {
	Addr        string       // host:port
	TLSAddr     string       // host:port for TLS, where it has both
	Certificate *Certificate // of TLS, where it has that
	command     func() *exec.Cmd
	ready       string // part of the line by which it says that it serves
	process     *exec.Cmd
}

// Start starts the server, or starts it again, and waits until it serves.
func (s *Server) Start(t *testing.T) {
	t.Helper()
	cmd := s.command()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	s.process = cmd
	said := &strings.Builder{}
	serves := make(chan bool, 1)
	go func() {
		defer output.Close()
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), s.ready) {
				serves <- true
				_, _ = io.Copy(io.Discard, output)
				return
			}
		}
		serves <- false
	}()
	select {
	case ok := <-serves:
		if !ok {
			s.Kill()
			t.Fatalf("%s ended before it served:\n%s", cmd.Path, said)
		}
	case <-time.After(90 * time.Second):
		s.Kill()
		t.Fatalf("%s does not serve after 90 s", cmd.Path)
	}
}

// Kill ends the server as a power failure does. It may be called twice.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL)
	_ = s.process.Wait() // killed, what else
	s.process = nil
}

// Proxy passes bytes on to a server until a test wants answers to be lost.
type Proxy struct {
	Addr     string
	listener net.Listener
	to       string
	mu       sync.Mutex
	mute     bool
	conns    map[net.Conn]bool
	running  sync.WaitGroup
	lost     chan struct{}
}

// NewProxy starts a proxy before the server at that address.
func NewProxy(t *testing.T, to string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: listener.Addr().String(), listener: listener, to: to, conns: map[net.Conn]bool{}, lost: make(chan struct{}, 1)}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Mute loses all answers from here to the next Cut.
func (p *Proxy) Mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// Lost waits for the first answer that is lost since Mute.
func (p *Proxy) Lost(t *testing.T) {
	t.Helper()
	select {
	case <-p.lost:
	case <-time.After(time.Minute):
		t.Fatal("no answer was lost")
	}
}

// Cut ends all connections; answers on later ones are passed on.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = false
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

// Private

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.running.Go(func() { p.pass(server, client, false) })
		p.running.Go(func() { p.pass(client, server, true) })
	}
}

func (p *Proxy) pass(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		mute := p.mute && answers
		p.mu.Unlock()
		if mute {
			select {
			case p.lost <- struct{}{}:
			default:
			}
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// port is one that nobody listens on right now.
func port(t *testing.T) string {
	t.Helper()
	free, err := porttest.Free()
	if err != nil {
		t.Fatal(err)
	}
	return free
}

// program finds a server's program; without it the test is skipped, and fails where CI is set.
func program(t *testing.T, paths ...string) string {
	t.Helper()
	for _, path := range paths {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed: run scripts/test-servers", paths[0])
	}
	t.Skipf("%s is not installed: run scripts/test-servers", paths[0])
	return ""
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
