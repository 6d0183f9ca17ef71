// Package load sends the demo's traffic: requests at a constant rate whatever becomes of them, never twice, each
// counted by how it ended.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what is sent where.
type Options struct {
	URL      string        // of the shop, without a path
	Rate     float64       // requests per second; zero: 200
	InFlight int           // requests that may run at once; one more is counted as shed and not sent; zero: 512
	Timeout  time.Duration // of one request; zero: 3 s
	Seed     uint64        // of the mix of requests
}

// Generator sends requests like customers: they do not wait for each other. Its numbers may be read at any time.
type Generator struct {
	options Options
	client  *http.Client
	slots   chan struct{} // one for each request that runs
	stats   ledger
}

// New is a generator that has sent nothing yet.
func New(o Options) *Generator {
	o.Rate, o.InFlight, o.Timeout = cmp.Or(o.Rate, 200), cmp.Or(o.InFlight, 512), cmp.Or(o.Timeout, 3*time.Second)
	return &Generator{
		options: o, slots: make(chan struct{}, o.InFlight), stats: newLedger(),
		client: &http.Client{
			Timeout:       o.Timeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: o.InFlight, IdleConnTimeout: 10 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Run sends until ctx ends, then lets the running requests end, which takes Timeout at most, and leaves nothing behind.
func (g *Generator) Run(ctx context.Context) {
	defer g.client.CloseIdleConnections()
	var running sync.WaitGroup
	defer running.Wait()
	dice := rand.New(rand.NewPCG(g.options.Seed, 2))
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		// A request is due by the count of those before it, so that what was late is caught up with.
		due := begin.Add(time.Duration(float64(n) / g.options.Rate * float64(time.Second)))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		kind := mix[dice.IntN(len(mix))]
		select {
		case g.slots <- struct{}{}:
			running.Go(func() {
				defer func() { <-g.slots }()
				g.send(context.WithoutCancel(ctx), kind)
			})
		default:
			g.stats.count(time.Now(), 0, shed)
		}
	}
}

// Stats are the numbers so far.
func (g *Generator) Stats() Stats { return g.stats.read() }

// Private

// request is a kind of request that customers send.
type request struct{ method, path, body string }

// mix is how often each kind is sent.
var mix = []request{
	{http.MethodGet, "/", ""},
	{http.MethodGet, "/", ""},
	{http.MethodGet, "/products", ""},
	{http.MethodGet, "/products", ""},
	{http.MethodGet, "/products", ""},
	{http.MethodPost, "/cart", `{"product":"bread","count":1}`},
	{http.MethodPost, "/cart", `{"product":"cheese","count":2}`},
	{http.MethodPost, "/checkout", `{"pay":"cash"}`},
}

// The kinds of failure beside "http_<status>".
const (
	shed    = "shed" // not sent: too many requests were running
	timeout = "timeout"
	refused = "refused"
	reset   = "reset"
	other   = "other"
)

func (g *Generator) send(ctx context.Context, kind request) {
	// A body that cannot be had again keeps the transport from sending a request twice.
	body := io.NopCloser(strings.NewReader(kind.body))
	r, err := http.NewRequestWithContext(ctx, kind.method, g.options.URL+kind.path, body)
	if err != nil {
		g.stats.count(time.Now(), 0, other)
		return
	}
	r.ContentLength = int64(len(kind.body))
	begin := time.Now()
	response, err := g.client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
		_ = response.Body.Close() // it was read
	}
	g.stats.count(begin, time.Since(begin), failure(response, err))
}

// failure says what went wrong; empty: nothing.
func failure(response *http.Response, err error) string {
	var late interface{ Timeout() bool }
	switch {
	case err == nil && response.StatusCode < 400:
		return ""
	case err == nil:
		return fmt.Sprintf("http_%d", response.StatusCode)
	case errors.As(err, &late) && late.Timeout():
		return timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reset
	default:
		return other
	}
}
