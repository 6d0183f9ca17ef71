package swarm

import (
	"archive/tar"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
	"go.uber.org/goleak"
)

// atOnce is how many tests share the engine at a time: they wait for it most of their time.
const atOnce = "8"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", atOnce) // what is said on the command line wins
	code := m.Run()
	stopEngines()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// dockerd is a real engine of the tests' own, a swarm of one node, with images that no registry has.
type dockerd struct {
	dir    string
	socket string
	api    *client.Client
	ended  chan struct{}
	cmd    *exec.Cmd

	bridged bool // the engine makes the bridge that every swarm has
}

const (
	bridge = "docker_gwbridge"
	nobody = "http://127.0.0.1:9" // between the engine and the registries, so that it reaches for none and need not wait
)

// engines are the one engine of all tests, and the one that follows it should it end by itself.
var engines struct {
	mu      sync.Mutex
	started []*dockerd
	err     error // of the last start
}

const maxEngines = 2

// programs are what an engine needs; Debian has them in docker.io.
var programs = []string{"/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/runc"}

// startDocker gives the engine that all tests share. It is left as it is by each of them: services get names of their own,
// and none is deleted, because engines up to 20.10 may crash when a service goes while its tasks do.
func startDocker(t *testing.T) *dockerd {
	t.Helper()
	missing := ""
	for _, path := range programs {
		if _, err := os.Stat(path); err != nil {
			missing = "there is no " + path + " here: apt-get install docker.io"
		}
	}
	if os.Getuid() != 0 {
		missing = "only root can run an engine of its own"
	}
	if missing != "" {
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	d, err := runningEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.dead() {
			t.Errorf("the engine has ended by itself:\n%s", d.lastWords())
		}
	})
	return d
}

// runningEngine starts the engine, and another one if it has ended by itself, but not for ever.
func runningEngine() (*dockerd, error) {
	engines.mu.Lock()
	defer engines.mu.Unlock()
	if n := len(engines.started); n == 0 || n < maxEngines && engines.started[n-1].dead() {
		d := &dockerd{ended: make(chan struct{})}
		engines.started = append(engines.started, d)
		engines.err = d.start()
	}
	d := engines.started[len(engines.started)-1]
	if engines.err == nil && d.dead() {
		return nil, fmt.Errorf("%d engines have ended by themselves, the last one with:\n%s", maxEngines, d.lastWords())
	}
	return d, engines.err
}

func stopEngines() {
	engines.mu.Lock()
	defer engines.mu.Unlock()
	for _, d := range engines.started {
		d.stop()
	}
}

func (d *dockerd) dead() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// lastWords are the end of the engine's log, from where it panicked if it did.
func (d *dockerd) lastWords() string {
	const most = 4000
	text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	if at := bytes.Index(text, []byte("\npanic: ")); at >= 0 {
		return string(text[at+1 : min(len(text), at+most)])
	}
	return string(text[max(0, len(text)-most):])
}

func (d *dockerd) start() (err error) {
	// A path in t.TempDir may be longer than the 108 bytes that a socket's address can have.
	if d.dir, err = os.MkdirTemp("/tmp", "adg-swarm-"); err != nil {
		return err
	}
	d.socket = filepath.Join(d.dir, "s")
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return err
	}
	config, seccomp := filepath.Join(d.dir, "config"), filepath.Join(d.dir, "seccomp") // not the machine's own
	for path, content := range map[string]string{config: "{}", seccomp: `{"defaultAction": "SCMP_ACT_ALLOW"}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	data := filepath.Join(d.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	// What it keeps is in memory and in a mount of its own: it need not wait for a disk, and nothing is left behind.
	d.cmd = exec.Command("unshare", "--mount-proc", "/bin/sh", "-c", `mount -t tmpfs -o size=1g tmpfs "$0" && exec "$@"`, data, programs[0],
		"--data-root", data, "--log-driver", "none", "--seccomp-profile", seccomp, "--exec-root", filepath.Join(d.dir, "exec"),
		"--pidfile", filepath.Join(d.dir, "pid"), "--config-file", config, "--host", "unix://"+d.socket,
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	d.cmd.Env = append(os.Environ(), "HTTPS_PROXY="+nobody)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:  syscall.SIGTERM,      // it ends with the tests, however they end
		Cloneflags: syscall.CLONE_NEWPID, // and all that it started ends with it
	}
	_, err = net.InterfaceByName(bridge)
	d.bridged = err != nil
	started := make(chan error)
	go func() {
		defer close(d.ended)
		defer log.Close()
		runtime.LockOSThread() // the signal comes when the thread ends that started the engine
		defer runtime.UnlockOSThread()
		started <- d.cmd.Start()
		if d.cmd.Process != nil {
			_ = d.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	if d.api, err = client.New(client.WithHost("unix://" + d.socket)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := d.found(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, d.lastWords())
	}
	return nil
}

// found makes the swarm and the images.
func (d *dockerd) found(ctx context.Context) error {
	for {
		if _, err := d.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			break
		}
		select {
		case <-d.ended:
			return fmt.Errorf("the engine has ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	address := loopback()
	if _, err := d.api.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: address + ":0", AdvertiseAddr: address}); err != nil {
		return err
	}
	program := filepath.Join(d.dir, "app")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the shop: %w: %s", err, out)
	}
	for version, env := range map[string]string{"v1": "", "v2": "", "v3": "", "hotfix": "", "crash": "CRASH=yes"} {
		if err := d.image(ctx, program, version, env); err != nil {
			return fmt.Errorf("image %s: %w", version, err)
		}
	}
	return nil
}

// loopback is an address that no other process has: the ports of a swarm's gossip are always the same.
func loopback() string {
	pid := os.Getpid() // of at most 22 bits
	return fmt.Sprintf("127.%d.%d.%d", 128+pid>>16&63, pid>>8&255, pid&255)
}

// image makes shop:VERSION out of the program and nothing else.
func (d *dockerd) image(ctx context.Context, program, version, env string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := archive.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(binary))}); err != nil {
		return err
	}
	if _, err := archive.Write(binary); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	changes := []string{`CMD ["/app"]`, "ENV VERSION=" + version}
	if env != "" {
		changes = append(changes, "ENV "+env)
	}
	result, err := d.api.ImageImport(ctx, client.ImageImportSource{Source: &files, SourceName: "-"}, "shop:"+version, client.ImageImportOptions{Changes: changes})
	if err != nil {
		return err
	}
	defer result.Close()
	_, err = io.Copy(io.Discard, result)
	return err
}

func (d *dockerd) stop() {
	if d.api != nil {
		_ = d.api.Close()
	}
	if d.cmd == nil || d.cmd.Process == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it takes containerd and the containers with it
	select {
	case <-d.ended:
	case <-time.After(30 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	if d.bridged {
		_ = exec.Command("ip", "link", "delete", bridge).Run() // a machine without ip keeps it
	}
	_ = os.RemoveAll(d.dir)
}

// create makes a service that runs an image, and waits until all its tasks do. It has no network: the engine lets each
// task that has one go on for two seconds before it stops it.
func (d *dockerd) create(t *testing.T, name, image string, replicas uint64, edit func(*swarm.ServiceSpec)) {
	t.Helper()
	grace, delay := 2*time.Second, 200*time.Millisecond
	spec := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name, Labels: map[string]string{"team": "shop"}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: image, StopGracePeriod: &grace},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: &delay},
		},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
	}
	if edit != nil {
		edit(&spec)
	}
	if _, err := d.api.ServiceCreate(t.Context(), client.ServiceCreateOptions{Spec: spec}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.empty(context.Background(), name) })
	within(t, "service "+name+" runs", func() bool { return uint64(len(d.containers(t, name))) == replicas })
}

// empty takes a service's tasks, so that they are not in the way of other tests; nobody waits for it.
func (d *dockerd) empty(ctx context.Context, name string) {
	for range 10 { // the engine may be changing it too
		result, err := d.api.ServiceInspect(ctx, name, client.ServiceInspectOptions{})
		if err != nil {
			return
		}
		s := result.Service
		s.Spec.Mode.Replicated.Replicas = new(uint64)
		if _, err := d.api.ServiceUpdate(ctx, s.ID, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec}); err == nil {
			return
		}
	}
}

// containers are the images of the containers of a service that really run.
func (d *dockerd) containers(t *testing.T, name string) []string {
	t.Helper()
	list, err := d.api.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", "com.docker.swarm.service.name="+name),
	})
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, c := range list.Items {
		if c.State == "running" {
			images = append(images, c.Image)
		}
	}
	return images
}

// service is what the swarm says about it.
func (d *dockerd) service(t *testing.T, name string) swarm.Service {
	t.Helper()
	result, err := d.api.ServiceInspect(t.Context(), name, client.ServiceInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return result.Service
}

// edit changes a service as an operator does, who does not know adg.
func (d *dockerd) edit(t *testing.T, name string, edit func(*swarm.ServiceSpec)) {
	t.Helper()
	for {
		s := d.service(t, name)
		edit(&s.Spec)
		_, err := d.api.ServiceUpdate(t.Context(), s.ID, client.ServiceUpdateOptions{Version: s.Version, Spec: s.Spec})
		if err == nil {
			return
		}
		if d.service(t, name).Version == s.Version {
			t.Fatal(err)
		}
	}
}

// within polls, because what it waits for happens in other processes.
func within(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.NewTimer(4 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline.C:
			t.Fatalf("did not happen within four minutes: %s", what)
		case <-tick.C:
		}
	}
}
