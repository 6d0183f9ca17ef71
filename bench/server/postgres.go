package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg/internal/store/postgres/pgserver"
)

// database is a PostgreSQL server with the settings that its distribution gives it, but for the memory of a small machine.
type database struct {
	dsn    string
	server *pgserver.Server
}

// startPostgres makes a server that ends with this process.
func (r *rig) startPostgres() error {
	s, err := pgserver.Start(pgserver.Options{Settings: map[string]string{"max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "4GB"}})
	if err != nil {
		return err
	}
	r.ends = append(r.ends, func() { _ = s.Close() })
	r.database = &database{s.DSN(pgserver.Superuser), s}
	return nil
}

// exec runs statements.
func (d *database) exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, d.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, one := range statements {
		if _, err := conn.Exec(ctx, one); err != nil {
			return fmt.Errorf("%s: %w", one, err)
		}
	}
	return nil
}

// cpu is what the server and all its processes have used, ended ones included.
func (d *database) cpu() time.Duration {
	server, err := d.server.PID()
	if err != nil {
		return 0
	}
	all := ticksOf(server, true)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", server, server))
	for _, field := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			all += ticksOf(pid, false)
		}
	}
	return all
}

// Private

// ticksOf is the CPU time of a process; with that of its ended children.
func ticksOf(pid int, children bool) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	last := 13 // utime and stime are the 14th and 15th of all fields
	if children {
		last = 15
	}
	sum := 0
	for i := 11; i < last && i < len(fields); i++ {
		n, _ := strconv.Atoi(fields[i])
		sum += n
	}
	return time.Duration(sum) * (time.Second / 100) // USER_HZ
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
