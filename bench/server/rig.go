package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/deployguardian/adg/internal/client"
	"github.com/deployguardian/adg/internal/contexts"
	"github.com/deployguardian/adg/internal/identity/firstadmin"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// rig is the processes that are measured.
type rig struct {
	dir, program string
	database     *database // nil: SQLite
	replicas     []*replica
	standIn      string // its address
	token        string
	ends         []func()
}

// replica is one server's process.
type replica struct {
	cmd     *exec.Cmd
	address string // of the API
	metrics string // of its metrics
	log     string // file
}

var served = regexp.MustCompile(`msg=serving address=(\S+)`)

// start begins n replicas, makes an admin, and registers the stand-in as the fleet's source and target.
func (r *rig) start(ctx context.Context, n int) error {
	if err := r.stand(ctx); err != nil {
		return err
	}
	key, err := exec.CommandContext(ctx, r.program, "key", "new").Output()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "seal.key"), key, 0o600); err != nil {
		return err
	}
	for i := range n {
		if err := r.replica(ctx, i); err != nil {
			return err
		}
	}
	if err := r.admin(ctx); err != nil {
		return err
	}
	return r.connections(ctx)
}

func (r *rig) client(i int) (*client.Client, error) {
	return client.Dial(contexts.Context{Name: "bench", Server: r.replicas[i].address, Token: r.token}, client.Options{Version: "bench"})
}

// end ends everything that was started, the last first.
func (r *rig) end() {
	for i := len(r.ends) - 1; i >= 0; i-- {
		r.ends[i]()
	}
	_ = os.RemoveAll(r.dir)
}

// said is the end of each replica's log, for errors.
func (r *rig) said() string {
	var all strings.Builder
	for _, one := range r.replicas {
		text, _ := os.ReadFile(one.log)
		fmt.Fprintf(&all, "%s: %s\n", one.log, text[max(0, len(text)-2000):])
	}
	return all.String()
}

// Private

func (r *rig) stand(ctx context.Context) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, "stand-in")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.ends = append(r.ends, func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	r.standIn = strings.TrimSpace(line)
	return err
}

func (r *rig) replica(ctx context.Context, i int) error {
	where := fmt.Sprintf("data: %s/data-%d\n", r.dir, i)
	if r.database != nil {
		if err := os.WriteFile(filepath.Join(r.dir, "dsn"), []byte(r.database.dsn), 0o600); err != nil {
			return err
		}
		where += fmt.Sprintf("store: {postgres: {dsn: {file: %s/dsn}, max_conns: 20}}\n", r.dir)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	one := &replica{log: filepath.Join(r.dir, fmt.Sprintf("log-%d", i)), metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", port)}
	file := filepath.Join(r.dir, fmt.Sprintf("adg-%d.yaml", i))
	text := fmt.Sprintf("listen: 127.0.0.1:0\ninsecure_http: true\n%sseal: {active: {file: %s/seal.key}}\nlog: {format: text}\nguard: {name: replica-%d}\n"+
		"metrics: {listen: '127.0.0.1:%d'}\nlimits: {per_second: 100000, burst: 100000}\n", where, r.dir, i, port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.Create(one.log)
	if err != nil {
		return err
	}
	one.cmd = exec.CommandContext(ctx, r.program, "server", "--config", file)
	one.cmd.Stdout, one.cmd.Stderr = log, log
	one.cmd.Cancel = func() error { return one.cmd.Process.Signal(os.Interrupt) }
	one.cmd.WaitDelay = 20 * time.Second
	if err := one.cmd.Start(); err != nil {
		return err
	}
	r.replicas = append(r.replicas, one)
	r.ends = append(r.ends, func() {
		_ = one.cmd.Process.Signal(os.Interrupt)
		_ = one.cmd.Wait()
		_ = log.Close()
	})
	one.address, err = await(ctx, one.log, served)
	return err
}

// await is what a pattern finds in a log, as soon as it stands there.
func await(ctx context.Context, log string, pattern *regexp.Regexp) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		text, err := os.ReadFile(log)
		if found := pattern.FindSubmatch(text); err == nil && found != nil {
			return string(found[len(found)-1]), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s does not say %s", log, pattern)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// admin makes the first admin, and a token of hers.
func (r *rig) admin(ctx context.Context) error {
	// The first replica makes the tables, and so it is the one that says how to begin.
	first, err := await(ctx, r.replicas[0].log, firstadmin.Token)
	if err != nil {
		return err
	}
	r.token, err = firstadmin.Make(ctx, r.replicas[0].address, first)
	return err
}

func (r *rig) connections(ctx context.Context) error {
	c, err := r.client(0)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for _, one := range []struct {
		name, kind string
		seam       adgv1.Seam
		options    map[string]any
	}{
		{"metrics", "prometheus", adgv1.Seam_SEAM_SOURCE, map[string]any{"url": r.standIn}},
		{"platform", "webhook", adgv1.Seam_SEAM_TARGET, map[string]any{"url": r.standIn + "/live/$service", "current_url": r.standIn + "/live/$service", "shares": true, "idle": true}},
	} {
		options, err := structpb.NewStruct(one.options)
		if err != nil {
			return err
		}
		if _, err := c.Connections.CreateConnection(ctx, &adgv1.CreateConnectionRequest{Reason: "bench", Connection: &adgv1.Connection{
			Name: one.name, Type: one.kind, Seam: one.seam, Options: options, Services: []string{"*"}, Environments: []string{"*"},
		}}); err != nil {
			return err
		}
	}
	return nil
}
