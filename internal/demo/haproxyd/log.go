package haproxyd

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/demo/tally"
)

// Private

// logFormat is the server, the status, the milliseconds that the request took, and how it ended.
const logFormat = "request %s %ST %Ta %ts"

// line is one request as HAProxy logs it.
type line struct {
	server string
	status int
	took   time.Duration
	ended  string // two letters: who ended it, and in which phase; see "Session state at disconnection" in HAProxy's manual
}

// parse reads a datagram; lines that are about something else are not ok.
func parse(datagram string) (l line, ok bool) {
	_, text, found := strings.Cut(datagram, ": request ")
	fields := strings.Fields(text)
	if !found || len(fields) != 4 || len(fields[3]) != 2 {
		return line{}, false
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return line{}, false
	}
	ms, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "+"), 10, 31)
	if err != nil {
		return line{}, false
	}
	return line{server: fields[0], status: status, took: time.Duration(ms) * time.Millisecond, ended: fields[3]}, true
}

// request is the line as the tally takes it.
func (l line) request(version string, at time.Time) tally.Request {
	r := tally.Request{Version: version, End: at, Took: l.took, Status: l.status}
	switch l.ended[0] {
	case 'S', 's':
		r.Unanswered = true
	case 'C', 'c':
		r.Abandoned = true
	}
	return r
}

// String is for tests that fail.
func (l line) String() string { return fmt.Sprintf("%s %d %s %s", l.server, l.status, l.took, l.ended) }
