package haproxy

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// relay stands between the driver and the real HAProxy's socket: it sees every command and can misbehave.
type relay struct {
	*proxy
	path     string
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	fault    *targettest.Fault
	mended   chan struct{}
	effects  []targettest.Effect
	changing int                           // connections that are changing something now
	script   func() (end how, breaks bool) // asked for each connection, under the lock; nil: none breaks
	between  func()                        // called once, after weights were set and before anybody hears of it
}

func startRelay(t *testing.T, p *proxy) *relay {
	t.Helper()
	r := &relay{proxy: p, path: filepath.Join(p.dir, "r")}
	r.listen(t)
	t.Cleanup(func() {
		r.mend()
		r.close()
	})
	return r
}

func (r *relay) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.listener = l
	r.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(conn) })
		}
	})
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.wg.Wait()
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	r.mu.Lock()
	fault, mended := r.fault, r.mended
	end, breaks := cut, false
	if r.script != nil {
		end, breaks = r.script()
	}
	r.mu.Unlock()
	switch {
	case breaks && end == lost:
		r.forward(io.Discard, line)
		return
	case breaks && end == stalled:
		_, _ = io.Copy(io.Discard, conn) // until the other side has gone
		return
	case breaks:
		return
	case fault != nil && *fault == targettest.Hang:
		<-mended
		return
	}
	if !strings.HasPrefix(line, "set ") {
		r.forward(conn, line)
		return
	}
	r.mu.Lock()
	r.effects = append(r.effects, targettest.Effect{Overlapped: r.changing > 0})
	r.changing++
	r.mu.Unlock()
	commands := strings.Split(strings.TrimSpace(line), "; ")
	switch {
	case fault == nil:
		answer := &strings.Builder{}
		r.forward(answer, line)
		if strings.Contains(line, " weight ") {
			r.happens()
		}
		_, _ = io.WriteString(conn, answer.String())
	case *fault == targettest.Lie:
		_, _ = io.WriteString(conn, strings.Repeat("\n", len(commands)))
	case *fault == targettest.Halfway:
		if strings.Contains(line, " weight ") { // the traffic begins to move, and the connection breaks
			r.mu.Lock()
			r.fault = nil
			r.mu.Unlock()
			r.forward(io.Discard, commands[0]+"\n")
		} else {
			r.forward(conn, line)
		}
	}
	r.mu.Lock()
	r.changing--
	r.mu.Unlock()
}

func (r *relay) forward(answer io.Writer, line string) {
	conn, err := net.Dial("unix", r.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, line); err == nil {
		_, _ = io.Copy(answer, conn)
	}
}

// meanwhile has something happen once, when weights were set the next time and nobody has heard of it yet.
func (r *relay) meanwhile(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.between = what
}

func (r *relay) happens() {
	r.mu.Lock()
	what := r.between
	r.between = nil
	r.mu.Unlock()
	if what != nil {
		what()
	}
}

func (r *relay) Effects(*testing.T) []targettest.Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]targettest.Effect(nil), r.effects...)
}

func (r *relay) Break(t *testing.T, fault targettest.Fault) func() {
	if fault == targettest.Unreachable {
		r.close()
		_ = os.Remove(r.path)
		return func() { r.listen(t) }
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.mended = &fault, make(chan struct{})
	return r.mend
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mended != nil {
		close(r.mended)
	}
	r.fault, r.mended, r.script = nil, nil, nil
}
