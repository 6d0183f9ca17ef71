package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/serve"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

// hello is what the server says first.
type hello struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// usage is what the server has used.
type usage struct {
	At         time.Time `json:"at"`
	CPU        float64   `json:"cpu_s"` // user and system
	HeapMB     float64   `json:"heap_mb"`
	ResidentMB float64   `json:"resident_mb"`
	Facts      int64     `json:"facts"` // written
	Reads      int64     `json:"reads"` // of the event log
}

// counted is a store that counts how often the event log is read.
type counted struct {
	*sqlite.Store
	reads atomic.Int64
}

// Events are those of the store.
func (c *counted) Events(ctx context.Context, f adg.EventFilter) ([]adg.Event, int64, error) {
	c.reads.Add(1)
	return c.Store.Events(ctx, f)
}

// serveIt serves until its standard input ends, and says for each line there what it has used.
func serveIt(rate string) error {
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "adg-watchers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	opened, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return err
	}
	store := &counted{Store: opened}
	defer func() { _ = store.Close() }()
	people, err := identity.New(store, identity.Options{Argon: identity.Argon{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		return err
	}
	token, err := admit(ctx, people)
	if err != nil {
		return err
	}
	door, err := api.New(api.Options{
		Control: control.New(control.Options{Store: store}), Directory: people, Devices: device.New(store), Store: store, Watchers: 100_000, Rate: serve.NewRate(1e6, 1e6),
	})
	if err != nil {
		return err
	}
	defer func() { _ = door.Close() }()
	port, err := serve.Listen(ctx, serve.Options{Listen: "127.0.0.1:0", Drain: time.Second})
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var facts atomic.Int64
	running.Go(func() { write(ctx, store, perSecond, &facts) })
	running.Go(func() {
		_ = port.Run(ctx, func(draining <-chan struct{}) http.Handler {
			handler, err := door.Handler(draining)
			if err != nil {
				panic(err)
			}
			return handler
		})
	})
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(hello{port.Addr().String(), token}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := answers.Encode(used(facts.Load(), store.reads.Load())); err != nil {
			return err
		}
	}
	cancel()
	running.Wait()
	return nil
}

// admit makes somebody who may see everything, and a token of his.
func admit(ctx context.Context, people *identity.Directory) (string, error) {
	first, err := people.Bootstrap(ctx)
	if err != nil {
		return "", err
	}
	who, err := people.Authenticate(ctx, first.Reveal())
	if err != nil {
		return "", err
	}
	by := identity.Caller{Identity: who}
	if err := people.CreateUser(ctx, by, "ann", adg.NewSecret("a long password")); err != nil {
		return "", err
	}
	if err := people.Grant(ctx, by, identity.Binding{Subject: "user:ann", Role: identity.Admin, Service: "*", Environment: "*"}); err != nil {
		return "", err
	}
	ann, err := people.Identify(ctx, "ann")
	if err != nil {
		return "", err
	}
	secret, _, err := people.CreateToken(ctx, identity.Caller{Identity: ann}, identity.NewToken{Label: "watchers"})
	return secret.Reveal(), err
}

// write commits a tick with one fact again and again.
func write(ctx context.Context, store adg.Store, perSecond int, facts *atomic.Int64) {
	if err := store.CreateDeployment(ctx, adg.Deployment{ID: "d", Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}}}); err != nil {
		panic(err)
	}
	work, err := store.Take(ctx, "watchers", time.Hour, 1)
	if err != nil {
		panic(err)
	}
	w := work[0]
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		d, err := store.Commit(ctx, adg.Tick{Lease: w.Lease, Version: w.Deployment.Version, Decision: adg.Decision{
			At: now, Next: w.Deployment.Status, Facts: []adg.Fact{{
				ID: fmt.Sprintf("d/held/%d", w.Deployment.Version), Deployment: "d", Kind: adg.FactHeld, At: now, Service: "shop", Environment: "production", Release: "1.4.2", LastGood: "1.4.1",
				Text: "shop 1.4.2 in production: held at 25 %: errors are 4.1 %, more than the 1 % that the policy allows", Reasons: []string{"errors are 4.1 %", "latency is as before"},
			}},
		}})
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			panic(err)
		}
		w.Deployment = d
		facts.Add(1)
	}
}

func used(facts, reads int64) usage {
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	u := usage{At: time.Now(), Facts: facts, Reads: reads, HeapMB: float64(memory.HeapInuse+memory.StackInuse) / (1 << 20), ResidentMB: float64(r.Maxrss) / 1024}
	u.CPU = float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
	return u
}
