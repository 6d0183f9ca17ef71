//go:build linux

package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// world is everything that ADG reaches out to: the services' targets, the Prometheus that measures them, and the
// receiver of notifications. It keeps the contract of a webhook target, and counts what really happens.
type world struct {
	server *httptest.Server
	begun  time.Time

	mu       sync.Mutex
	dice     *rand.Rand
	services map[string]*service
	told     map[string][]string // deployment → ids of facts, as they came in
	receiver fault               // what is wrong with the receiver
	source   map[string]fault    // service → what is wrong with what measures it
	stopped  int                 // replicas that are stopped now
	resumed  time.Time           // when the last one went on
	delays   []time.Duration     // of facts, until they came in for the first time
	counts   counts
}

// counts are what the targets saw.
type counts struct {
	Applied   int // operations done
	Rollbacks int // of these, ways back
	Repeated  int // came again after they were done: reported as done, not done again
	Busy      int // came again while they were being done
	BusyOther int // came while another one was being done
	Stale     int // came with an older fence, and were refused
	Told      int // facts that came in
	ToldAgain int // of these, repeats
}

// fault is what is wrong with a part of the world.
type fault uint8

const (
	none  fault = iota
	fails       // answers 500 and does nothing
	hangs       // does nothing and does not answer
	mute        // does it, and answers 500: the outcome is lost
)

// service is one target.
type service struct {
	name    string
	live    string
	op      string // done last
	running string // under way; empty: nothing
	wrong   fault
	fences  map[string]int64 // deployment → the newest seen
	calls   map[*call]bool   // whose caller waits for the answer
	met     []string         // calls of two owners at the same time, neither of which was stopped
	done    map[string]bool  // by operation
	log     []string         // for stories
	back    map[string]int   // deployment → ways back that were done
}

// call is somebody who applies something and waits.
type call struct {
	op    string
	fence int64
	since time.Time
}

func startWorld(t testing.TB, services []string, seed uint64) *world {
	t.Helper()
	w := &world{
		begun: time.Now(), dice: rand.New(rand.NewPCG(seed, 1)), services: map[string]*service{}, told: map[string][]string{}, source: map[string]fault{},
	}
	for _, name := range services {
		w.services[name] = &service{name: name, live: "v0", fences: map[string]int64{}, done: map[string]bool{}, back: map[string]int{}, calls: map[*call]bool{}}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /target/{service}", w.apply)
	mux.HandleFunc("GET /target/{service}", w.current)
	mux.HandleFunc("POST /source/{service}/api/v1/{kind}", w.query)
	mux.HandleFunc("POST /told", w.hear)
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

// apply brings a service to what is wanted. It goes on when whoever asked has gone.
func (w *world) apply(to http.ResponseWriter, r *http.Request) {
	var want adg.Desired
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil || want.Validate() != nil || r.Header.Get("Idempotency-Key") != want.OpID {
		http.Error(to, "this is no wanted state", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	s := w.services[r.PathValue("service")]
	said := func(text string) {
		s.log = append(s.log, fmt.Sprintf("%s %s fence %d: %s", w.stamp(), want.OpID, want.Fence, text))
	}
	wrong := s.wrong
	defer w.calls(s, call{want.OpID, want.Fence, time.Now()})()
	switch {
	case wrong == fails:
		said("fails by a fault")
		w.mu.Unlock()
		http.Error(to, "no backend", http.StatusInternalServerError)
		return
	case wrong == hangs:
		said("hangs by a fault")
		w.mu.Unlock()
		<-r.Context().Done()
		return
	case want.Fence < s.fences[want.Deployment]:
		said(fmt.Sprintf("refused, fence %d was here", s.fences[want.Deployment]))
		w.counts.Stale++
		w.mu.Unlock()
		to.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	s.fences[want.Deployment] = want.Fence
	switch {
	case s.running == want.OpID:
		said("is under way already")
		w.counts.Busy++
		w.mu.Unlock()
		to.WriteHeader(http.StatusConflict)
		return
	case s.running != "":
		said("meets " + s.running)
		w.counts.BusyOther++
		w.mu.Unlock()
		to.WriteHeader(http.StatusConflict)
		return
	case s.done[want.OpID]:
		said("was done before")
		w.counts.Repeated++
		seen := s.observed()
		w.mu.Unlock()
		_ = json.NewEncoder(to).Encode(seen)
		return
	}
	said("begins")
	s.running = want.OpID
	takes := time.Duration(50+w.dice.IntN(1450)) * time.Millisecond
	w.mu.Unlock()
	ended := make(chan adg.Observed, 1)
	time.AfterFunc(takes, func() { ended <- w.end(s, want) })
	select {
	case <-r.Context().Done():
	case seen := <-ended:
		if wrong == mute {
			http.Error(to, "the answer is lost", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(to).Encode(seen)
	}
}

// calls notes who is at a target, until the function that it gives is called, and whether two owners meet there. One
// that was stopped cannot hang up when its lease is over; every other has to.
func (w *world) calls(s *service, c call) (hangUp func()) {
	for other := range s.calls {
		if other.fence != c.fence && w.stopped == 0 && other.since.After(w.resumed) {
			s.met = append(s.met, fmt.Sprintf("%s %s of fence %d came while %s of fence %d was there since %s", w.stamp(), c.op, c.fence, other.op, other.fence, stamp(other.since.Sub(w.begun))))
		}
	}
	s.calls[&c] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(s.calls, &c)
	}
}

// end is when what was wanted is live.
func (w *world) end(s *service, want adg.Desired) adg.Observed {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range want.Releases {
		if p.Share == 100 {
			s.live = p.Release.Version
		}
	}
	s.running, s.op, s.done[want.OpID] = "", want.OpID, true
	w.counts.Applied++
	if want.Rollback {
		w.counts.Rollbacks++
		s.back[want.Deployment]++
	}
	s.log = append(s.log, fmt.Sprintf("%s %s fence %d: done, %s is live", w.stamp(), want.OpID, want.Fence, s.live))
	return s.observed()
}

func (s *service) observed() adg.Observed {
	return adg.Observed{
		Releases: []adg.Placement{{Release: adg.Release{Service: s.name, Version: s.live}, Share: 100}}, Done: s.running == "", OpID: s.op,
	}
}

func (w *world) current(to http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	s := w.services[r.PathValue("service")]
	wrong, seen := s.wrong, s.observed()
	w.mu.Unlock()
	if broken(to, r, wrong) {
		return
	}
	_ = json.NewEncoder(to).Encode(seen)
}

// broken answers as a fault has it; false where it lets through what changes nothing.
func broken(to http.ResponseWriter, r *http.Request, wrong fault) bool {
	switch wrong {
	case fails:
		http.Error(to, "no backend", http.StatusInternalServerError)
	case hangs:
		<-r.Context().Done()
	case none, mute:
		return false
	}
	return true
}

var asked = regexp.MustCompile(`service="([^"]*)",version="([^"]*)"`)

// query answers as Prometheus does: a release that is not live has no series.
func (w *world) query(to http.ResponseWriter, r *http.Request) {
	about := asked.FindStringSubmatch(r.PostFormValue("query"))
	if about == nil {
		http.Error(to, `{"status":"error","errorType":"bad_data","error":"cannot parse this"}`, http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	wrong, live := w.source[about[1]], w.services[about[1]].live
	takes := time.Duration(w.dice.IntN(400)) * time.Millisecond
	w.mu.Unlock()
	<-time.After(takes)
	if broken(to, r, wrong) {
		return
	}
	kind, result := "vector", ""
	if r.PathValue("kind") == "query_range" {
		kind = "matrix"
	} else if live == about[2] {
		value := "0.01"
		if strings.Contains(live, "bad") {
			value = "0.5"
		}
		result = fmt.Sprintf(`{"metric":{"version":%q},"value":[%s,%q]}`, live, r.PostFormValue("time"), value)
	}
	_, _ = fmt.Fprintf(to, `{"status":"success","data":{"resultType":%q,"result":[%s]}}`, kind, result)
}

// hear takes a notification.
func (w *world) hear(to http.ResponseWriter, r *http.Request) {
	var event struct {
		ID, Subject string
		Time        time.Time
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &event) != nil || event.ID == "" || event.Subject == "" {
		http.Error(to, "this is no event", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	wrong := w.receiver
	if wrong == none || wrong == mute {
		w.counts.Told++
		if slices.Contains(w.told[event.Subject], event.ID) {
			w.counts.ToldAgain++
		} else {
			w.delays = append(w.delays, time.Since(event.Time))
		}
		w.told[event.Subject] = append(w.told[event.Subject], event.ID)
	}
	w.mu.Unlock()
	if wrong == mute {
		http.Error(to, "the answer is lost", http.StatusInternalServerError)
		return
	}
	broken(to, r, wrong)
}

// spoil makes a part of the world misbehave, or behave again.
func (w *world) spoil(set func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set(w)
}

// stamp is the time since the beginning, for stories.
func (w *world) stamp() string { return stamp(time.Since(w.begun)) }

func stamp(d time.Duration) string { return fmt.Sprintf("%7.2fs", d.Seconds()) }
