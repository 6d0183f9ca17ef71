package haproxyd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/tally"
)

// Options say how HAProxy is run.
type Options struct {
	Program string        // HAProxy itself; empty: as PATH or /usr/sbin has it
	Mind    []string      // a command that calls Mind with the arguments after it
	Log     *tally.Log    // what is served is counted there
	Timeout time.Duration // for a server's answer; zero: 1 s
}

// Proxy is an HAProxy that runs. It is safe for concurrent use and must be closed.
type Proxy struct {
	addr   string
	dir    string
	socket string
	log    *tally.Log

	process *exec.Cmd
	stdin   io.Closer
	ended   chan struct{} // closed when the process has ended
	said    bytes.Buffer  // read once ended

	lines   net.PacketConn
	reading sync.WaitGroup

	mu       sync.Mutex
	versions map[string]string // by server
}

// Start runs HAProxy and waits until it answers on its socket.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	program, err := find(o.Program)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "adg-haproxy-") // short: a socket's path has 107 bytes
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "start HAProxy: %w", err)
	}
	p := &Proxy{
		log: o.Log, dir: dir, socket: filepath.Join(dir, "admin.sock"), versions: map[string]string{}, ended: make(chan struct{}),
	}
	if err := p.start(ctx, append(o.Mind, program), cmp.Or(o.Timeout, time.Second)); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Addr is where customers come in, as host:port.
func (p *Proxy) Addr() string { return p.addr }

// Socket is the path of the stats socket.
func (p *Proxy) Socket() string { return p.socket }

// Assign puts the process at addr, which runs a version, behind a server that gets no traffic; from now on requests to
// that server are counted as the version's.
func (p *Proxy) Assign(ctx context.Context, server, version, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return adg.Errorf(adg.Internal, "address of %s: %w", version, err)
	}
	name := Backend + "/" + server
	said, err := p.ask(ctx, fmt.Sprintf("set server %s addr %s port %s", name, host, port))
	if err != nil {
		return err
	}
	// HAProxy answers in sentences: a change, or that nothing was to be changed.
	if !strings.Contains(said, "changed") && !strings.Contains(said, "no need to change") {
		return adg.Errorf(adg.Unavailable, "put %s behind %s: HAProxy says %q", version, name, strings.TrimSpace(said))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions[server] = version
	return nil
}

// Enable lets a server get traffic, with a weight from 0 to 256.
func (p *Proxy) Enable(ctx context.Context, server string, weight int) error {
	if err := p.set(ctx, server, fmt.Sprintf("weight %d", weight)); err != nil {
		return err
	}
	return p.set(ctx, server, "state ready")
}

// Close ends HAProxy, with the requests that run in it.
func (p *Proxy) Close() {
	if p.process != nil {
		_ = p.stdin.Close() // the minder ends HAProxy, and then itself
		<-p.ended
	}
	if p.lines != nil {
		_ = p.lines.Close() // it was only read
	}
	p.reading.Wait()
	_ = os.RemoveAll(p.dir) // of a temporary directory nothing depends on its end
}

// Private

func find(program string) (string, error) {
	for _, name := range []string{cmp.Or(program, "haproxy"), cmp.Or(program, "/usr/sbin/haproxy")} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", adg.Errorf(adg.Invalid, "there is no HAProxy here: install it (on Debian: apt install haproxy), or leave --haproxy out")
}

func (p *Proxy) start(ctx context.Context, command []string, timeout time.Duration) error {
	lines, err := new(net.ListenConfig).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return adg.Errorf(adg.Unavailable, "listen for HAProxy's log: %w", err)
	}
	if udp, ok := lines.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(1 << 20) // a smaller one does for the demo's traffic too
	}
	p.lines = lines
	p.reading.Go(p.read)
	file := filepath.Join(p.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(Config(p.socket, lines.LocalAddr().String(), timeout)), 0o600); err != nil {
		return adg.Errorf(adg.Unavailable, "configure HAProxy: %w", err)
	}
	if err := p.run(ctx, append(command, "-db", "-f", file)); err != nil {
		return err
	}
	if err := p.answers(ctx); err != nil {
		return err
	}
	for _, slot := range []string{Blue, Green} {
		if err := p.set(ctx, ServerOf(slot), "state maint"); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) run(ctx context.Context, command []string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return adg.Errorf(adg.Unavailable, "listen for customers: %w", err)
	}
	defer listener.Close() // HAProxy has its own copy
	inherited, err := listener.(*net.TCPListener).File()
	if err != nil {
		return adg.Errorf(adg.Unavailable, "listen for customers: %w", err)
	}
	defer inherited.Close()
	p.addr = listener.Addr().String()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.ExtraFiles = []string{}, []*os.File{inherited}
	cmd.Stderr, cmd.WaitDelay = &p.said, time.Second
	ownGroup(cmd)
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return adg.Errorf(adg.Unavailable, "start HAProxy: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return adg.Errorf(adg.Unavailable, "start HAProxy: %w", err)
	}
	p.process = cmd
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended shows in what it said
	}()
	return nil
}

// set changes a server; HAProxy says nothing to that unless it refuses.
func (p *Proxy) set(ctx context.Context, server, what string) error {
	said, err := p.ask(ctx, fmt.Sprintf("set server %s/%s %s", Backend, server, what))
	if said = strings.TrimSpace(said); err == nil && said != "" {
		err = adg.Errorf(adg.Unavailable, "set %s of %s: HAProxy says %q", what, server, said)
	}
	return err
}

// answers waits until HAProxy can be talked to.
func (p *Proxy) answers(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := p.ask(ctx, "show info"); err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return adg.Errorf(adg.Unavailable, "HAProxy ended: %s", strings.TrimSpace(p.said.String()))
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "start HAProxy: %w", context.Cause(ctx))
		}
	}
}

func (p *Proxy) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return "", adg.Errorf(adg.Unavailable, "HAProxy's socket: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	if err == nil {
		_, err = fmt.Fprintln(conn, command)
	}
	answer, readErr := io.ReadAll(io.LimitReader(conn, 1<<16))
	if err = errors.Join(err, readErr); err != nil {
		return "", adg.Errorf(adg.Unavailable, "HAProxy's socket: %w", err)
	}
	return string(answer), nil
}

// read counts the lines of the log until it is closed.
func (p *Proxy) read() {
	datagram := make([]byte, 8<<10)
	for {
		n, _, err := p.lines.ReadFrom(datagram)
		if err != nil {
			return // closed
		}
		l, ok := parse(string(datagram[:n]))
		if !ok {
			continue
		}
		p.mu.Lock()
		version := p.versions[l.server]
		p.mu.Unlock()
		if version != "" {
			p.log.Add(l.request(version, time.Now()))
		}
	}
}
