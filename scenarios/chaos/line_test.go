//go:build linux

package chaos

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// line is one replica's way to PostgreSQL. All that goes over it passes through here.
type line struct {
	listener net.Listener
	server   string
	all      sync.WaitGroup

	mu     sync.Mutex
	opened *sync.Cond // something below has changed
	down   bool       // nobody comes through, old or new
	silent bool       // everything waits
	delay  time.Duration
	pairs  map[*pair]bool
}

// pair is one connection and what it continues as.
type pair struct {
	client, server *net.TCPConn
	deaf           bool // what the server says is lost
}

func startLine(t testing.TB, server string) *line {
	t.Helper()
	l := &line{server: server, pairs: map[*pair]bool{}}
	l.opened = sync.NewCond(&l.mu)
	var err error
	l.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.all.Go(l.accept)
	t.Cleanup(func() {
		l.listener.Close()
		l.mend()
		l.cut()
		l.all.Wait()
	})
	return l
}

// cut closes every connection, and those that come later until it is mended.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.closeAll()
}

// silence keeps everything that is said from then on. It is said late when the line is mended, or never if lost.
func (l *line) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = true
}

// slow makes each piece of what is said come that much later.
func (l *line) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// halfClose ends one direction of every connection that there is: the answers do not come any more. The client is told
// so, or it is not.
func (l *line) halfClose(tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.deaf = true
		if tell {
			_ = p.client.CloseWrite()
		}
	}
}

// lose closes every connection, so that what was kept back is never said.
func (l *line) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeAll()
}

// mend makes the line as good as new.
func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.silent, l.delay = false, false, 0
	l.opened.Broadcast()
}

func (l *line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.all.Go(func() { l.serve(client.(*net.TCPConn)) })
	}
}

func (l *line) serve(client *net.TCPConn) {
	defer client.Close()
	dialled, err := net.DialTimeout("tcp", l.server, 5*time.Second)
	if err != nil {
		return
	}
	p := &pair{client: client, server: dialled.(*net.TCPConn)}
	defer p.server.Close()
	l.mu.Lock()
	if l.down {
		l.mu.Unlock()
		return
	}
	l.pairs[p] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pairs, p)
		l.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { l.carry(p.server, p.client, &p.deaf) })
	both.Go(func() { l.carry(p.client, p.server, nil) })
	both.Wait()
}

// carry brings what one side says to the other. A side that has ended ends the other, unless that is deaf: its client
// has to find out by itself.
func (l *line) carry(from, to *net.TCPConn, deaf *bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		lost := l.pass(deaf)
		if n > 0 && !lost {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = errors.Join(err, failed)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && lost:
			return
		default:
			from.Close()
			to.Close()
			return
		}
	}
}

// pass waits until the line lets something through, and tells whether it is lost.
func (l *line) pass(deaf *bool) bool {
	l.mu.Lock()
	for l.silent {
		l.opened.Wait()
	}
	delay := l.delay
	l.mu.Unlock()
	if delay > 0 {
		<-time.After(delay)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return deaf != nil && *deaf
}

func (l *line) closeAll() {
	for p := range l.pairs {
		p.client.Close()
		p.server.Close()
	}
}
