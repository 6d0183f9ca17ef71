package serve

import (
	"net/http"
	"sync"
	"time"
)

// Private

// paced cuts off clients who do not read what they are sent: whatever is written has to be taken within that time. A
// stream that has nothing to say may be silent for as long as it likes.
func paced(within time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &pacedAnswer{ResponseWriter: w, within: within, control: http.NewResponseController(w)}
		_ = p.control.SetWriteDeadline(time.Time{}) // it was the answer's before, on the same connection
		defer p.end()
		next.ServeHTTP(p, r)
	})
}

type pacedAnswer struct {
	http.ResponseWriter
	within  time.Duration
	control *http.ResponseController

	mu      sync.Mutex
	writing int
	timer   *time.Timer
	ended   bool
}

// Unwrap is for http.ResponseController.
func (p *pacedAnswer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write writes within the time.
func (p *pacedAnswer) Write(data []byte) (int, error) {
	p.begin()
	defer p.done()
	return p.ResponseWriter.Write(data)
}

// Flush sends what was written, within the time.
func (p *pacedAnswer) Flush() { _ = p.FlushError() }

// FlushError is Flush with what came of it.
func (p *pacedAnswer) FlushError() error {
	p.begin()
	defer p.done()
	return p.control.Flush()
}

// A timer costs less than two deadlines with each message of a stream: mostly none has to be set.
func (p *pacedAnswer) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing++; p.writing > 1 {
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.within, p.cut)
	} else {
		p.timer.Reset(p.within)
	}
}

func (p *pacedAnswer) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing--; p.writing == 0 {
		p.timer.Stop()
	}
}

// cut ends the writing that takes too long, and the answer with it.
func (p *pacedAnswer) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended && p.writing > 0 {
		_ = p.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

// end is when the handler returns: what is buffered still has to be taken, too.
func (p *pacedAnswer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(p.within)) //nolint:forbidigo // it is a real connection's
}
