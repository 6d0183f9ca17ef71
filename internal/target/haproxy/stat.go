package haproxy

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const maxServers = 4096 // of one backend

// server is what HAProxy says about one server of the backend.
type server struct {
	name     string
	addr     string // host:port
	weight   int
	admin    int    // flags that somebody set: see below
	running  bool   // HAProxy would send requests to it, if it were ready and had a weight
	status   string // UP, DOWN, UP 1/3, DRAIN, MAINT, no check …
	check    string // what the last health check said
	sessions int    // requests that it has now, the waiting ones included
	limit    int    // of sessions; 0: none
}

// The administrative states, as HAProxy's flags (server-t.h).
const (
	adminMaint = 0x01 | 0x02 | 0x20 | 0x40 // not 0x04: that only records that the configuration said "disabled"
	adminDrain = 0x08 | 0x10
)

func (s server) maint() bool { return s.admin&adminMaint != 0 }
func (s server) drain() bool { return s.admin&adminDrain != 0 }
func (s server) ready() bool { return !s.maint() && !s.drain() }

// serves tells whether requests are sent to it now.
func (s server) serves() bool { return s.ready() && s.running && s.weight > 0 }

// healthy tells whether its last health check passed. A server that has just come from maintenance counts as "UP 1/3"
// until a check has really passed; one without health checks is healthy as far as HAProxy can know.
func (s server) healthy() bool {
	return s.status == "UP" || s.status == "no check" || s.status == "DRAIN"
}

// sick is what is wrong with it, for people.
func (s server) sick() string {
	if s.check == "" {
		return s.name + " is " + s.status
	}
	return fmt.Sprintf("%s is %s (%s)", s.name, s.status, s.check)
}

// parseStates reads the answer to "show servers state": a version, a header that names the columns, a line per server.
func parseStates(text, backend string) ([]server, error) {
	version, rest, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(version) != "1" {
		return nil, fmt.Errorf("show servers state: HAProxy answered %q", excerpt(text))
	}
	var columns map[string]int
	var servers []server
	for line := range strings.Lines(rest) {
		word := strings.Fields(line)
		if len(word) == 0 {
			continue
		}
		if word[0] == "#" {
			columns = index(word[1:])
			continue
		}
		field := fields{columns, word}
		if field.text("be_name") != backend {
			continue
		}
		s := server{name: field.text("srv_name"), addr: joinAddr(field.text("srv_addr"), field.text("srv_port"))}
		var err error
		var state int
		if s.weight, err = field.number("srv_uweight"); err == nil {
			if s.admin, err = field.number("srv_admin_state"); err == nil {
				state, err = field.number("srv_op_state")
			}
		}
		if err != nil || s.name == "" {
			return nil, fmt.Errorf("show servers state: line %q cannot be understood", excerpt(line))
		}
		s.running = state == 1 || state == 2 // starting, running; 0 is stopped and 3 is stopping
		if servers = append(servers, s); len(servers) > maxServers {
			return nil, fmt.Errorf("show servers state: more than %d servers", maxServers)
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("show servers state: there is no server in backend %s", backend)
	}
	return servers, nil
}

// addStats adds what the answer to "show stat" (CSV) says about the servers: health and sessions.
func addStats(servers []server, text, backend string) error {
	text, found := strings.CutPrefix(text, "# ")
	if !found {
		return fmt.Errorf("show stat: HAProxy answered %q", excerpt(text))
	}
	rows := csv.NewReader(strings.NewReader(text))
	rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = -1, true, true
	header, err := rows.Read()
	if err != nil {
		return fmt.Errorf("show stat: %w", err)
	}
	columns := index(header)
	seen := map[string]bool{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("show stat: %w", err)
		}
		field := fields{columns, row}
		if field.text("pxname") != backend {
			continue
		}
		for i := range servers {
			if servers[i].name == field.text("svname") {
				if err := servers[i].add(field); err != nil {
					return err
				}
				seen[servers[i].name] = true
			}
		}
	}
	for _, s := range servers {
		if !seen[s.name] {
			return fmt.Errorf("show stat: nothing about server %s/%s", backend, s.name)
		}
	}
	return nil
}

// Private

func (s *server) add(field fields) error {
	running, err := field.number("scur")
	if err != nil {
		return fmt.Errorf("show stat: server %s: scur: %w", s.name, err)
	}
	waiting, err := field.number("qcur")
	if err != nil {
		return fmt.Errorf("show stat: server %s: qcur: %w", s.name, err)
	}
	if field.text("slim") != "" {
		if s.limit, err = field.number("slim"); err != nil {
			return fmt.Errorf("show stat: server %s: slim: %w", s.name, err)
		}
	}
	s.sessions, s.status = running+waiting, excerpt(field.text("status"))
	s.check = excerpt(strings.TrimPrefix(field.text("check_status"), "* "))
	if s.status == "" {
		return fmt.Errorf("show stat: server %s has no status", s.name)
	}
	return nil
}

// fields is a row whose columns have names: HAProxy adds columns with every version.
type fields struct {
	columns map[string]int
	row     []string
}

func index(header []string) map[string]int {
	columns := make(map[string]int, len(header))
	for i, name := range header {
		columns[name] = i
	}
	return columns
}

func (f fields) text(column string) string {
	i, found := f.columns[column]
	if !found || i >= len(f.row) {
		return ""
	}
	return f.row[i]
}

func (f fields) number(column string) (int, error) {
	n, err := strconv.ParseUint(f.text(column), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", excerpt(f.text(column)))
	}
	return int(n), nil
}

func joinAddr(host, port string) string {
	if host == "" || host == "-" || port == "" || port == "0" {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
