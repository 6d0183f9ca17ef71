package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/sshdtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a host: a folder, with an SSH server of its own that runs what it is asked to in a real shell.
type machine struct {
	w        *world
	name     string
	dir      string
	listener net.Listener
	sshd     string // configuration of a real sshd that serves its connections; empty: one of the test's own
}

// world is some hosts, with one key for all of them.
type world struct {
	dir      string
	machines []*machine
	host     ssh.Signer
	hostPEM  []byte
	client   []byte
	config   *ssh.ServerConfig
	working  sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	fault   *targettest.Fault
	mended  chan struct{}
	down    map[string]bool // hosts that do not answer
	changes int             // requests that change something
	cutAt   int             // the one after which the connection is lost; 0: none
	onCut   func()
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, targettest.Planted)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

// newWorld has v1 live on so many hosts, and v1 and v2 in the store that releases are fetched from.
func newWorld(t *testing.T, hosts int) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), conns: map[net.Conn]bool{}, down: map[string]bool{}}
	var allowed ssh.Signer
	w.host, w.hostPEM = newKey(t)
	allowed, w.client = newKey(t)
	w.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(allowed.PublicKey().Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	w.config.AddHostKey(w.host)
	for _, version := range []string{"v1", "v2", "v3"} {
		program(t, filepath.Join(w.dir, "store", version, "run"), "echo "+version+" > \"$1\"/running; exec sleep 600")
	}
	program(t, filepath.Join(w.dir, "store", "broken", "run"), "echo broken > \"$1\"/running; exit 3")
	program(t, filepath.Join(w.dir, "fetch"), `echo "$ADG_HOST $2" >> "$(dirname "$0")/fetched"; cp -r "$(dirname "$0")/store/$2/." "$1"`)
	for i := range hosts {
		w.machines = append(w.machines, newMachine(t, w, i))
	}
	t.Cleanup(func() {
		for _, m := range w.machines {
			_ = m.listener.Close()
		}
		w.mu.Lock()
		for conn := range w.conns {
			_ = conn.Close()
		}
		w.mu.Unlock()
		w.working.Wait()
	})
	return w
}

func newMachine(t *testing.T, w *world, i int) *machine {
	t.Helper()
	m := &machine{w: w, dir: filepath.Join(w.dir, "host"+strconv.Itoa(i))}
	program(t, filepath.Join(m.dir, "srv/releases/v1/run"), "echo v1 > \"$1\"/running; exec sleep 600")
	if err := os.Symlink("releases/v1", filepath.Join(m.dir, "srv/current")); err != nil {
		t.Fatal(err)
	}
	m.install(t)
	var err error
	if m.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	m.name = m.listener.Addr().String()
	w.working.Go(m.accept)
	return m
}

// program writes a script; no process may be forked meanwhile, or starting it says "text file busy".
func program(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write := exec.Command("/bin/sh", "-c", `cat > "$0" && chmod +x "$0"`, path)
	write.Stdin = strings.NewReader("#!/bin/sh\n" + text + "\n")
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", path, err, out)
	}
}

func (m *machine) accept() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.w.mu.Lock()
		m.w.conns[conn] = true
		m.w.mu.Unlock()
		m.w.working.Go(func() {
			m.serve(conn)
			_ = conn.Close()
			m.w.mu.Lock()
			delete(m.w.conns, conn)
			m.w.mu.Unlock()
		})
	}
}

func (m *machine) serve(conn net.Conn) {
	m.w.mu.Lock()
	fault, mended, down, sshd := m.w.fault, m.w.mended, m.w.down[m.name], m.sshd
	m.w.mu.Unlock()
	switch {
	case down, fault != nil && *fault == targettest.Unreachable:
		return
	case fault != nil && *fault == targettest.Hang:
		<-mended
		return
	}
	if sshd != "" {
		sshdtest.Serve(conn, sshd)
		return
	}
	server, channels, requests, err := ssh.NewServerConn(conn, m.w.config)
	if err != nil {
		return
	}
	m.w.working.Go(func() { ssh.DiscardRequests(requests) })
	for opened := range channels {
		channel, requests, err := opened.Accept()
		if err != nil {
			return
		}
		for req := range requests {
			var wanted struct{ Command string }
			if req.Type != "exec" || ssh.Unmarshal(req.Payload, &wanted) != nil {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			if !m.execute(channel, wanted.Command) {
				_ = server.Close()
			}
			_ = channel.Close()
		}
	}
}

// execute runs a command line as sshd does, by the shell; false: the connection is lost.
func (m *machine) execute(channel ssh.Channel, line string) bool {
	lost, lied := m.misbehaves(line)
	code := uint32(0)
	if !lied {
		// The hosts of a test share one file system: this is what a root of its own would be.
		cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(line, "/srv/shop", m.dir+"/srv"))
		cmd.Env = []string{"PATH=" + m.dir + "/bin:/usr/bin:/bin", "HOME=" + m.dir}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
		cmd.WaitDelay = time.Minute
		err := cmd.Run()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = uint32(exit.ExitCode())
		}
	}
	if lost {
		return false
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
	return true
}

// misbehaves tells whether the connection is lost after this command, and whether it is only claimed to be run.
func (m *machine) misbehaves(line string) (lost, lied bool) {
	if strings.Contains(line, "'/srv/shop' 'look'") {
		return false, false
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.changes++
	if m.w.cutAt == m.w.changes {
		m.w.onCut()
		return true, false
	}
	if m.w.fault == nil {
		return false, false
	}
	if *m.w.fault == targettest.Halfway && strings.Contains(line, "'restart'") {
		m.w.fault = nil
		return true, false
	}
	return false, *m.w.fault == targettest.Lie
}

func (w *world) options() Options {
	o := Driver.Options.(Options)
	o.User, o.Key, o.Root = "deploy", adg.NewSecret(string(w.client)), "/srv/shop"
	for _, m := range w.machines {
		o.Hosts = append(o.Hosts, m.name)
		_, port, _ := net.SplitHostPort(m.name)
		o.KnownHosts += "[127.0.0.1]:" + port + " " + string(ssh.MarshalAuthorizedKey(w.host.PublicKey()))
	}
	o.Fetch = []string{w.dir + "/fetch", "{dir}", "{version}"}
	o.Unit, o.Settle, o.Wait, o.Connect = "shop.service", 0, 10*time.Second, 30*time.Second
	return o
}

func (w *world) open(t *testing.T, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// Shares are by what the processes say that they are, not by links.
func (w *world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	shares := map[string]float64{}
	for _, m := range w.machines {
		text, err := os.ReadFile(filepath.Join(m.dir, "running"))
		if err != nil {
			t.Fatal(err)
		}
		shares[strings.TrimSpace(string(text))] += 100 / float64(len(w.machines))
	}
	return shares
}

// Effects are the restarts.
func (w *world) Effects(t *testing.T) []targettest.Effect {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var effects []targettest.Effect
	running := 0
	for line := range strings.Lines(string(text)) {
		word := strings.Fields(line)
		if len(word) != 4 {
			t.Fatalf("torn line %q", line)
		}
		if word[0] == "end" {
			running--
			continue
		}
		fence, err := strconv.ParseInt(word[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		effects = append(effects, targettest.Effect{OpID: word[2], Fence: fence, Overlapped: running > 0})
		running++
	}
	return effects
}

func (w *world) Break(_ *testing.T, fault targettest.Fault) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	mended := make(chan struct{})
	w.fault, w.mended = &fault, mended
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fault = nil
		close(mended)
	})
}
