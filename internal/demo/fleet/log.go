package fleet

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"
)

// Line is a line of a version's log.
type Line struct {
	At   time.Time // when it came
	Text string    // at most 1 KiB of it
}

// Lines are the lines that a version has written from a time up to another one, and since when none of them is missing:
// it was started then, or wrote more than is kept. A version that does not run has none.
func (f *Fleet) Lines(version string, from, to time.Time) (lines []Line, since time.Time) {
	f.mu.Lock()
	c := f.children[version]
	f.mu.Unlock()
	if c == nil {
		return nil, to
	}
	return c.log.between(from, to)
}

// Private

const (
	maxLines = 8_000   // kept of a version: more than a minute of the demo's shop
	maxLine  = 1 << 10 // bytes kept of one
)

// ring is the end of a version's log, over all of its processes.
type ring struct {
	mu    sync.Mutex
	lines []Line
	next  int       // where the next line goes, once there are maxLines
	since time.Time // from then on nothing is missing
}

func (r *ring) add(l Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < maxLines {
		r.lines = append(r.lines, l)
		return
	}
	r.since = r.lines[r.next].At.Add(1) // others may have come at the time of the one that is forgotten
	r.lines[r.next] = l
	r.next = (r.next + 1) % maxLines
}

func (r *ring) between(from, to time.Time) (lines []Line, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range slices.Concat(r.lines[r.next:], r.lines[:r.next]) {
		if !l.At.Before(from) && !l.At.After(to) {
			lines = append(lines, l)
		}
	}
	return lines, r.since
}

// output is what a process writes: where it listens, and then its log.
type output struct {
	found chan string // gets the first line
	log   *ring
	first bool   // it is over
	mute  bool   // the first line had no end: it is no process of ours
	begun []byte // of a line that has not ended
}

// Write never fails.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	for !o.mute {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			o.keep(p)
			break
		}
		o.keep(p[:end])
		o.ends()
		p = p[end+1:]
	}
	return n, nil
}

func (o *output) keep(p []byte) {
	room := maxLine - len(o.begun)
	o.begun = append(o.begun, p[:min(len(p), room)]...)
	o.mute = !o.first && len(p) > room
}

func (o *output) ends() {
	text := strings.TrimSpace(strings.ToValidUTF8(string(o.begun), "�"))
	o.begun = o.begun[:0]
	if o.first {
		o.log.add(Line{At: time.Now(), Text: text})
	} else if !o.mute {
		o.first = true
		o.found <- text
	}
}
