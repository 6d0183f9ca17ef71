// Package router is the demo's weighted HTTP router: it splits traffic between versions by share, loses no request
// when the shares change, and is a target that the guard can act on.
package router

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/tally"
)

// Options say where releases come from and how long they may take.
type Options struct {
	// Start makes a release run and returns its address once it answers; a release that runs is not started again.
	Start func(ctx context.Context, release adg.Release) (addr string, err error)
	// Stop ends a release that gets no requests any more.
	Stop func(ctx context.Context, release adg.Release) error

	Log     *tally.Log    // what is served is counted there; nil: in a log of the router's own
	Seed    uint64        // of the choice between releases
	Timeout time.Duration // for a release's whole answer; zero: 1 s
}

// Router sends each request to one release, chosen by share, and never tries again. The choice is smooth: among any 100
// requests in a row a release has its share, give or take 3. It is an http.Handler and an adg.Target, safe for concurrent use. It keeps nothing on disk: a new router serves nothing until it is told
// what to serve. Close it when nothing is sent any more.
type Router struct {
	options Options
	turn    chan struct{} // held by the Apply that runs

	mu        sync.Mutex
	point     float64              // where on the circle of all shares the next request falls
	upstreams map[string]*upstream // by version, those that are being taken away included
	shares    []adg.Placement      // what was asked for last
	ops       []operation          // oldest first
	moves     []Move
}

// Move is one change of the shares.
type Move struct {
	At       time.Time
	OpID     string
	Fence    int64
	Releases []adg.Placement
}

// New is a router without releases: it answers 503.
func New(o Options) *Router {
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	if o.Log == nil {
		o.Log = tally.NewLog(o.Timeout)
	}
	return &Router{
		options: o, turn: make(chan struct{}, 1), upstreams: map[string]*upstream{},
		point: rand.New(rand.NewPCG(o.Seed, 1)).Float64(),
	}
}

// Moves are the changes of the shares so far, the last few hundred, oldest first.
func (r *Router) Moves() []Move {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Move(nil), r.moves...)
}

// Counts are what each version has served so far.
func (r *Router) Counts() map[string]tally.Count { return r.options.Log.Counts() }

// Close gives up connections that are kept for later requests; releases go on.
func (r *Router) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.upstreams {
		u.transport.CloseIdleConnections()
	}
}

// ServeHTTP sends one request to a release and counts how it went.
func (r *Router) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	u := r.pick()
	if u == nil {
		http.Error(w, "no release is live", http.StatusServiceUnavailable)
		return
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(request.Context(), r.options.Timeout)
	answer := &answer{ResponseWriter: w}
	defer func() { // the proxy leaves by a panic when a release breaks off in the middle of its answer
		cancel()
		end := time.Now()
		gone := request.Context().Err() != nil
		r.options.Log.Add(tally.Request{
			Version: u.release.Version, End: end, Took: end.Sub(begin), Status: answer.status,
			Unanswered: !answer.whole && !gone, Abandoned: !answer.whole && gone,
		})
		r.finish(u)
	}()
	u.proxy.ServeHTTP(answer, request.WithContext(ctx))
	answer.whole = !answer.failed
}

// Private

const maxBody = 1 << 20

// pick chooses a release and counts the request as running there, in one step: a release that is drained gets no
// request after it was seen without any.
func (r *Router) pick() *upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Steps by the golden ratio cover the circle more evenly than chance does, and fall into no rhythm.
	_, r.point = math.Modf(r.point + math.Phi)
	at := 100 * r.point
	var chosen *upstream
	for _, p := range r.shares {
		if p.Share == 0 {
			continue
		}
		chosen = r.upstreams[p.Release.Version] // the last one takes what rounding leaves over
		if at -= p.Share; at < 0 {
			break
		}
	}
	if chosen != nil {
		chosen.running++
	}
	return chosen
}

func (r *Router) finish(u *upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.running--
	if u.running == 0 && u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
}

// idle is closed as soon as no request runs at the release; it is asked for by Apply, whose turn it is, alone.
func (r *Router) idle(u *upstream) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	idle := u.idle
	if u.running == 0 {
		close(idle)
		u.idle = nil
	}
	return idle
}
