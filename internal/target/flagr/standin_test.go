package flagr

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
)

// standIn answers as Flagr does, as far as flags, their switch, segments, snapshots and evaluations go. It is written
// from the OpenAPI documents and the handlers of openflagr/flagr at 567041a6, and the same tests pass against that server
// where the program flagr is installed.
type standIn struct {
	mu        sync.Mutex
	flags     []*kept
	snapshots int64
	ids       int64
	mux       *http.ServeMux
}

// kept is a flag, and what evaluations are made from: a copy that is one evaluation old.
type kept struct {
	found
	deleted  bool
	snapshot int64
	cached   evaluated
}

type evaluated struct {
	Snapshot int64  `json:"flagSnapshotID"`
	Variant  string `json:"variantKey"`
}

func newStandIn() *standIn {
	s := &standIn{mux: http.NewServeMux()}
	s.handle("GET /api/v1/flags", s.find)
	s.handle("POST /api/v1/flags", s.create)
	s.handle("POST /api/v1/evaluation", s.evaluate)
	s.handle("DELETE /api/v1/flags/{flag}", s.remove)
	s.handle("POST /api/v1/flags/{flag}/variants", s.addVariant)
	s.handle("POST /api/v1/flags/{flag}/segments", s.addSegment)
	s.handle("PUT /api/v1/flags/{flag}/segments/{segment}", s.putSegment)
	s.handle("PUT /api/v1/flags/{flag}/segments/{segment}/distributions", s.distribute)
	s.handle("PUT /api/v1/flags/{flag}/enabled", s.enable)
	s.handle("GET /api/v1/flags/{flag}/snapshots", s.history)
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

type request struct {
	FlagKey        string          `json:"flagKey"`
	Key            string          `json:"key"`
	Description    string          `json:"description"`
	Enabled        bool            `json:"enabled"`
	RolloutPercent json.Number     `json:"rolloutPercent"`
	Distributions  json.RawMessage `json:"distributions"`

	path  func(string) string
	query func(string) string
	flag  *kept
	part  *segment
}

// handle looks up what the path names; 404 is what a handler gives with nil.
func (s *standIn) handle(pattern string, f func(request) any) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		in := request{path: r.PathValue, query: r.URL.Query().Get}
		_ = json.NewDecoder(r.Body).Decode(&in) // there may be none
		if id := r.PathValue("flag"); id != "" {
			for _, k := range s.flags {
				if strconv.FormatInt(k.ID, 10) == id && !k.deleted {
					in.flag = k
				}
			}
			if in.flag == nil {
				http.Error(w, `{"message":"unable to find flag"}`, http.StatusNotFound)
				return
			}
		}
		if id := r.PathValue("segment"); id != "" {
			for i := range in.flag.Segments {
				if strconv.FormatInt(in.flag.Segments[i].ID, 10) == id {
					in.part = &in.flag.Segments[i]
				}
			}
		}
		answer := f(in)
		if in.flag != nil && r.Method != http.MethodGet {
			s.snapshots++
			in.flag.snapshot = s.snapshots
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func (s *standIn) next() int64 { s.ids++; return s.ids }

func (s *standIn) find(in request) any {
	matching := []found{}
	for _, k := range s.flags {
		if !k.deleted && (in.query("key") == "" || in.query("key") == k.Key) {
			matching = append(matching, k.found)
		}
	}
	return matching
}

func (s *standIn) create(in request) any {
	k := &kept{found: found{ID: s.next(), Key: in.Key}}
	s.flags = append(s.flags, k)
	return k.found
}

func (s *standIn) remove(in request) any {
	in.flag.deleted = true
	return nil
}

func (s *standIn) addVariant(in request) any {
	return map[string]any{"id": s.next(), "key": in.Key}
}

func (s *standIn) addSegment(in request) any {
	percent, _ := in.RolloutPercent.Float64()
	in.flag.Segments = append(in.flag.Segments, segment{ID: s.next(), Description: in.Description, RolloutPercent: percent})
	return in.flag.Segments[len(in.flag.Segments)-1]
}

func (s *standIn) putSegment(in request) any {
	in.part.RolloutPercent, _ = in.RolloutPercent.Float64()
	in.part.Description = in.Description
	return in.part
}

func (s *standIn) distribute(in request) any {
	in.part.Distributions = nil
	_ = json.Unmarshal(in.Distributions, &in.part.Distributions)
	return in.part.Distributions
}

func (s *standIn) enable(in request) any {
	in.flag.Enabled = in.Enabled
	return in.flag.found
}

func (s *standIn) history(in request) any {
	return []map[string]any{{"id": in.flag.snapshot}}
}

func (s *standIn) evaluate(in request) any {
	for _, k := range s.flags {
		if k.Key != in.FlagKey {
			continue
		}
		old := k.cached
		k.cached = evaluated{Snapshot: k.snapshot}
		if k.Enabled && len(k.Segments) > 0 && k.Segments[0].RolloutPercent == 100 {
			k.cached.Variant = "on"
		}
		return old
	}
	return evaluated{}
}
