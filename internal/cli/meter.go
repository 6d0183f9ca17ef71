package cli

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// meter shows how far long work is, on a line of its own that the next one replaces. Where Err is no terminal it says
// nothing. It is safe for concurrent use.
type meter struct {
	mu    sync.Mutex
	t     Terminal
	live  bool
	shown bool
	last  time.Time
}

// newMeter shows nothing before the first word.
func newMeter(t Terminal) *meter {
	f, ok := t.Err.(*os.File)
	return &meter{t: t, live: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"}
}

// say replaces the line, a few times a second at most.
func (m *meter) say(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now() //nolint:forbidigo // how often a person's screen changes
	if !m.live || now.Sub(m.last) < 100*time.Millisecond {
		return
	}
	m.last, m.shown = now, true
	_, _ = fmt.Fprintf(m.t.Err, "\r\x1b[K%s", cut(text, m.t.Width()-1))
}

// clear takes the line away.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown {
		_, _ = fmt.Fprint(m.t.Err, "\r\x1b[K")
		m.shown = false
	}
}
