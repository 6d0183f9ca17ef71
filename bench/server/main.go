// Command server measures the real server: how fast statuses are read and deployments started, beside servers that do
// nothing else; and how much it costs three replicas on one PostgreSQL to guard a fleet, and to take it over from a dead
// replica.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// load is what is measured.
type load struct {
	What        string        `json:"what"`
	Deployments int           `json:"deployments,omitempty"`
	Checks      int           `json:"checks,omitempty"`
	Interval    time.Duration `json:"interval,omitempty"`
	Replicas    int           `json:"replicas,omitempty"`
	Old         int           `json:"old_measurements,omitempty"`
	Postgres    bool          `json:"postgres,omitempty"`
	Clients     int           `json:"clients,omitempty"`
	For         time.Duration `json:"for"`
	Kill        bool          `json:"kill,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "stand-in" {
		standIn()
		return
	}
	l := load{}
	program := ""
	flag.StringVar(&l.What, "what", "status", "what to measure: status, starts or fleet")
	flag.StringVar(&program, "adg", "", "the program to measure; empty: it is built")
	flag.IntVar(&l.Deployments, "deployments", 10_000, "fleet: deployments under guard")
	flag.IntVar(&l.Checks, "checks", 10, "fleet: checks per deployment")
	flag.DurationVar(&l.Interval, "interval", 30*time.Second, "fleet: interval of the checks")
	flag.IntVar(&l.Replicas, "replicas", 3, "fleet: replicas")
	flag.IntVar(&l.Old, "old", 0, "fleet: measurements of ended deployments that are in the store before it begins")
	flag.BoolVar(&l.Kill, "kill", false, "fleet: kill one replica half-way")
	flag.BoolVar(&l.Postgres, "postgres", false, "starts: on PostgreSQL rather than SQLite")
	flag.IntVar(&l.Clients, "clients", 16, "status, starts: requests at once")
	flag.DurationVar(&l.For, "for", 20*time.Second, "how long to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, l, program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Private

func measure(ctx context.Context, l load, program string) (err error) {
	dir, err := os.MkdirTemp("/tmp", "adg-bench-") // a socket's path has to be short
	if err != nil {
		return err
	}
	r := &rig{dir: dir, program: program}
	defer r.end()
	if program == "" {
		r.program = filepath.Join(dir, "adg")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", r.program, "./cmd/adg")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building: %w\n%s", err, out)
		}
	}
	var result any
	switch l.What {
	case "status":
		result, err = status(ctx, r, l)
	case "starts":
		result, err = starts(ctx, r, l)
	case "fleet":
		result, err = fleet(ctx, r, l)
	default:
		err = fmt.Errorf("-what is status, starts or fleet, not %q", l.What)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, r.said())
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"load": l, "result": result})
}
