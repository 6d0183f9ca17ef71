// Command watchers measures what it costs to have many people watch a server's events: its CPU and memory, and how long
// an event takes from the moment it became true until the watcher has it. The server is another process; each watcher
// has a connection of its own.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// result is one line of output.
type result struct {
	Watchers     int     `json:"watchers"`
	FactsPerS    float64 `json:"facts_per_s"`
	Told         int64   `json:"events_told"`
	Missing      int64   `json:"events_missing"` // or told twice, or out of order
	Lost         int64   `json:"connections_lost"`
	Cores        float64 `json:"server_cores"`
	CPUPerTold   float64 `json:"server_cpu_us_per_event_told"`
	HeapPerKB    float64 `json:"server_heap_kb_per_watcher"`
	ResidentMB   float64 `json:"server_resident_mb"`
	DelayP50     float64 `json:"delay_p50_s"`
	DelayP99     float64 `json:"delay_p99_s"`
	DelayMax     float64 `json:"delay_max_s"`
	ReadsPerS    float64 `json:"store_reads_per_s"`
	CoresWithout float64 `json:"server_cores_without_watchers"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "server" {
		if err := serveIt(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	watchers := flag.Int("watchers", 1000, "watchers at once")
	rate := flag.Int("facts", 100, "facts that are written in a second")
	length := flag.Duration("for", 30*time.Second, "how long to measure")
	flag.Parse()
	for _, n := range []int{1, *watchers} {
		if err := run(n, *rate, *length); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func run(watchers, rate int, length time.Duration) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := start(ctx, rate)
	if err != nil {
		cancel()
		return err
	}
	defer func() { err = s.end(cancel, err) }()
	empty, err := s.mark()
	if err != nil {
		return err
	}
	time.Sleep(length / 3)
	without, err := s.mark()
	if err != nil {
		return err
	}
	all := make([]*watcher, watchers)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var running, ready sync.WaitGroup
	ready.Add(watchers)
	connecting := make(chan struct{}, 50)
	for i := range all {
		all[i] = &watcher{}
		running.Go(func() { all[i].watch(watching, s.hello, connecting, ready.Done) })
	}
	ready.Wait()
	time.Sleep(2 * time.Second) // until what connecting costs is over
	for _, w := range all {
		w.measuring.Store(true)
	}
	before, err := s.mark()
	if err != nil {
		return err
	}
	time.Sleep(length)
	after, err := s.mark()
	if err != nil {
		return err
	}
	for _, w := range all {
		w.measuring.Store(false)
	}
	stop()
	running.Wait()
	r := summary(all)
	seconds := after.At.Sub(before.At).Seconds()
	r.Watchers, r.FactsPerS = watchers, float64(after.Facts-before.Facts)/seconds
	r.Cores, r.ResidentMB, r.ReadsPerS = (after.CPU-before.CPU)/seconds, after.ResidentMB, float64(after.Reads-before.Reads)/seconds
	r.CoresWithout = (without.CPU - empty.CPU) / without.At.Sub(empty.At).Seconds()
	r.CPUPerTold = max(0, r.Cores-r.CoresWithout) * seconds / float64(max(1, r.Told)) * 1e6
	r.HeapPerKB = (after.HeapMB - without.HeapMB) * 1024 / float64(watchers)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// watcher is one who watches.
type watcher struct {
	measuring atomic.Bool
	told      int64
	missing   int64
	lost      int64
	delays    []time.Duration
	last      int64
}

// watch goes on after the last cursor where a connection was lost, as clients do. No more than some connect at a time.
func (w *watcher) watch(ctx context.Context, to hello, connecting chan struct{}, ready func()) {
	connecting <- struct{}{}
	begun := sync.OnceFunc(func() {
		<-connecting
		ready()
	})
	defer begun()
	conn, err := grpc.NewClient(to.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+to.Token)
	ask := &adgv1.StreamEventsRequest{}
	for ctx.Err() == nil {
		stream, err := adgv1.NewEventServiceClient(conn).StreamEvents(ctx, ask)
		for err == nil {
			var answer *adgv1.StreamEventsResponse
			if answer, err = stream.Recv(); err == nil {
				begun()
				ask.After = &answer.Cursor
				w.hear(answer)
			}
		}
		if ctx.Err() == nil {
			w.lost++
		}
	}
}

func (w *watcher) hear(answer *adgv1.StreamEventsResponse) {
	if answer.GetEvent() == nil {
		return
	}
	// The cursors of the store have no gaps here.
	if w.last != 0 && answer.GetCursor() != w.last+1 {
		w.missing++
	}
	w.last = answer.GetCursor()
	if w.measuring.Load() {
		w.told++
		w.delays = append(w.delays, time.Since(answer.GetEvent().GetFact().GetTime().AsTime()))
	}
}

func summary(all []*watcher) (r result) {
	var delays []time.Duration
	for _, w := range all {
		r.Told, r.Missing, r.Lost = r.Told+w.told, r.Missing+w.missing, r.Lost+w.lost
		delays = append(delays, w.delays...)
	}
	slices.Sort(delays)
	if n := len(delays); n > 0 {
		r.DelayP50, r.DelayP99, r.DelayMax = delays[n/2].Seconds(), delays[n*99/100].Seconds(), delays[n-1].Seconds()
	}
	return r
}

// child is the server's process.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	hello   hello
}

func start(ctx context.Context, rate int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "server", fmt.Sprint(rate))}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.answers = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, c.answer(&c.hello)
}

func (c *child) answer(into any) error {
	if !c.answers.Scan() {
		return fmt.Errorf("the server has ended: %w", c.answers.Err())
	}
	return json.Unmarshal(c.answers.Bytes(), into)
}

// mark is what the server has used until now.
func (c *child) mark() (u usage, err error) {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return u, err
	}
	return u, c.answer(&u)
}

// end ends the server, which removes what it has written.
func (c *child) end(cancel context.CancelFunc, err error) error {
	defer cancel()
	_ = c.in.Close()
	if ended := c.cmd.Wait(); err == nil {
		err = ended
	}
	return err
}
