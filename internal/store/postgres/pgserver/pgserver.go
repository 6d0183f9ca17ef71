// Package pgserver starts private PostgreSQL servers for tests and benchmarks. Each ends with the process that started
// it, however that ends.
package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Superuser is who owns everything in a server, and the name of the database that is there from the start.
const Superuser = "postgres"

// Options are what differs from the distribution's own settings.
type Options struct {
	Initdb   []string          // further arguments of initdb
	Settings map[string]string // of postgresql.conf, as they stand there
}

// ErrMissing tells that PostgreSQL is not installed.
var ErrMissing = fmt.Errorf("PostgreSQL is not installed (Debian: apt-get install postgresql): there is no initdb in %s", strings.Join(folders, " or "))

// Server is a running PostgreSQL server.
type Server struct {
	bin      string // its programs
	dir      string // of everything that it writes, and of its socket
	port     int
	password string
	as       *syscall.SysProcAttr
	shell    *exec.Cmd
	alive    io.Closer // the server ends when this is closed, at the latest with the process
}

// Start makes a server and returns when it answers, within a minute or two. Where PostgreSQL is not installed the error
// is ErrMissing.
func Start(o Options) (*Server, error) {
	bin := programs()
	if bin == "" {
		return nil, ErrMissing
	}
	var err error
	for range 3 { // another program may take the port in between
		var s *Server
		if s, err = start(bin, o); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// Close ends the server at once and removes what it wrote.
func (s *Server) Close() error { return errors.Join(s.alive.Close(), s.shell.Wait()) }

// DSN is the superuser's way to a database: the socket, where no password is wanted.
func (s *Server) DSN(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {Superuser}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Through is the DSN of a database by way of a host and port, such as Address: with the password, which is wanted there.
func (s *Server) Through(address, database string) string {
	to := url.URL{Scheme: "postgres", User: url.UserPassword(Superuser, s.password), Host: address, Path: "/" + database, RawQuery: "sslmode=disable"}
	return to.String()
}

// Address is where the server listens on the loopback interface.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Password is the superuser's.
func (s *Server) Password() string { return s.password }

// Dir is the folder that the server keeps its data, its log and its socket in.
func (s *Server) Dir() string { return s.dir }

// Program is the path of one of PostgreSQL's own programs, such as pg_dump.
func (s *Server) Program(name string) string { return filepath.Join(s.bin, name) }

// PID is the number of the process that all others of the server belong to.
func (s *Server) PID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// Restart ends the server in one of pg_ctl's modes (smart, fast, immediate), and returns when it answers again.
func (s *Server) Restart(mode string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Program("pg_ctl"), "-D", "data", "-l", "log", "-m", mode, "-w", "restart") //nolint:gosec // our own tests
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pg_ctl restart -m %s: %w: %s", mode, err, said.String())
	}
	return nil
}

// Private

const patience = 2 * time.Minute

// folders are where distributions keep the server's programs, which are on nobody's path.
var folders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/bin", "/usr/bin"}

// life is the server's, until whoever started it lets go of the pipe. pg_ctl restart starts it anew beside this shell,
// which goes by its directory.
const life = `
cd "$1" && bin="$2" && shift 2
"$bin/initdb" -D data -U ` + Superuser + ` -E UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 \
	--pwfile=password --no-sync --no-instructions "$@" >log 2>&1 || exit 1
cat settings >>data/postgresql.conf
"$bin/pg_ctl" -D data -l log -w start >/dev/null 2>&1 || exit 1
echo ready
read -r nothing
"$bin/pg_ctl" -D data -m immediate -w stop >/dev/null 2>&1
rm -rf "$PWD"`

func start(bin string, o Options) (_ *Server, err error) {
	s := &Server{bin: bin, password: rand.Text()}
	if s.dir, err = os.MkdirTemp("/tmp", "adg-postgres-"); err != nil { // a socket's path has to be short
		return nil, err
	}
	if s.port, err = freePort(); err == nil {
		err = s.write(o.Settings)
	}
	if err == nil {
		s.as, err = owner(s.dir)
	}
	if err == nil {
		err = s.run(o.Initdb)
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, log), os.RemoveAll(s.dir))
	}
	return s, nil
}

// write writes what the server begins with.
func (s *Server) write(settings map[string]string) error {
	lines := []string{"listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", s.port), fmt.Sprintf("unix_socket_directories = '%s'", s.dir)}
	for name, value := range settings {
		lines = append(lines, name+" = "+value)
	}
	slices.Sort(lines)
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "settings"), []byte(strings.Join(lines, "\n")+"\n"), 0o600),
		os.WriteFile(filepath.Join(s.dir, "password"), []byte(s.password), 0o600))
}

// run starts the shell that leads the server's life, and waits until the server answers.
func (s *Server) run(initdb []string) (err error) {
	s.shell = exec.CommandContext(context.Background(), "sh", append([]string{"-c", life, "sh", s.dir, s.bin}, initdb...)...) //nolint:gosec // our own tests
	s.shell.SysProcAttr = s.as
	if s.alive, err = s.shell.StdinPipe(); err != nil {
		return err
	}
	out, err := s.shell.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.shell.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { _ = s.shell.Process.Kill() })
	defer late.Stop()
	if _, err := out.Read(make([]byte, len("ready"))); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// programs is the folder of the newest server that is installed; empty: none.
func programs() (newest string) {
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, "initdb")) // the patterns are constants
		for _, initdb := range found {
			newest = max(newest, filepath.Dir(initdb))
		}
		if newest != "" {
			return newest
		}
	}
	return ""
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
