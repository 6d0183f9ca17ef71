//go:build linux

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replica is one server, through all its processes.
type replica struct {
	name string
	dir  string
	line *line // to PostgreSQL; nil: nothing stands in between

	mu      sync.Mutex
	cmd     *exec.Cmd
	address string // of its API; empty: it does not serve
	serving chan struct{}
	gone    chan struct{}
	away    bool // stopped, or cut off from PostgreSQL
	starts  int
}

const configuration = `listen: 127.0.0.1:0
insecure_http: true
data: %s
store: {postgres: {dsn: {file: %s}, max_conns: 12}}
seal: {active: {file: %s}}
limits: {per_second: 2000, burst: 4000, logins: 1000}
stop: {rollbacks: 1000000}
metrics: {token: {file: %s}}
drain: 5s
log: {format: text}
`

// metricsToken opens /metrics.
const metricsToken = "of-the-soak"

func newReplica(t testing.TB, name, dsn, dir, key string, l *line) *replica {
	t.Helper()
	r := &replica{name: name, dir: filepath.Join(dir, name), line: l}
	must(t, os.Mkdir(r.dir, 0o700))
	secrets := map[string]string{"dsn": dsn, "token": metricsToken}
	for name, text := range secrets {
		must(t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600))
	}
	text := fmt.Sprintf(configuration, filepath.Join(r.dir, "data"), filepath.Join(r.dir, "dsn"), key, filepath.Join(r.dir, "token"))
	must(t, os.WriteFile(filepath.Join(r.dir, "adg.yaml"), []byte(text), 0o600))
	return r
}

// starter starts every process from one thread that never ends: they are to die with the test, however that ends, and
// Linux counts the thread that started them.
var starter = sync.OnceValue(func() chan<- func() {
	todo := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range todo {
			do()
		}
	}()
	return todo
})

// start starts a process; await waits until it serves.
func (r *replica) start() error {
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(r.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(adgProgram, "server", "--config", filepath.Join(r.dir, "adg.yaml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout = out
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return err
	}
	serving, gone := make(chan struct{}), make(chan struct{})
	r.mu.Lock()
	r.cmd, r.serving, r.gone, r.starts = cmd, serving, gone, r.starts+1
	r.mu.Unlock()
	go func() {
		defer close(gone)
		defer log.Close()
		r.listen(said, log, serving)
		_ = cmd.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.address = ""
	}()
	return nil
}

var servingAt = regexp.MustCompile(`msg=serving address=(\S+)`)

// listen keeps what a process says, and notes where it serves.
func (r *replica) listen(said io.Reader, log io.Writer, serving chan struct{}) {
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = fmt.Fprintln(log, lines.Text())
		if at := servingAt.FindStringSubmatch(lines.Text()); at != nil {
			r.mu.Lock()
			r.address = at[1]
			r.mu.Unlock()
			close(serving)
		}
	}
}

// await waits until the process serves. One that ends before is started again: its database was away.
func (r *replica) await(within time.Duration) error {
	late := time.After(within)
	for {
		r.mu.Lock()
		serving, gone := r.serving, r.gone
		r.mu.Unlock()
		select {
		case <-serving:
			return nil
		case <-gone:
			<-time.After(200 * time.Millisecond)
			if err := r.start(); err != nil {
				return err
			}
		case <-late:
			return fmt.Errorf("%s does not serve within %s:\n%s", r.name, within, joined(r.said(10)))
		}
	}
}

// signal sends the process a signal.
func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.cmd.Process.Signal(s)
	if s == syscall.SIGKILL {
		r.address = ""
	}
}

// absent notes whether the replica cannot work, by a fault.
func (r *replica) absent(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// well tells whether the replica serves and no fault keeps it from its work, and which process it is.
func (r *replica) well() (pid int, well bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		return 0, false
	}
	return r.cmd.Process.Pid, r.address != "" && !r.away
}

// at is where the API is; empty: nowhere at the moment.
func (r *replica) at() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.address
}

// end kills the process and waits for its end.
func (r *replica) end() {
	r.mu.Lock()
	cmd, gone := r.cmd, r.gone
	r.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-gone
}

// said is the end of the log.
func (r *replica) said(lines int) []string {
	text, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		return []string{err.Error()}
	}
	all := splitLines(string(text))
	return all[max(0, len(all)-lines):]
}
