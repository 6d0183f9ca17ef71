package split

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg/internal/target/targettest"
)

// standIn answers as the Admin API of Split does for one definition of a flag, and as a Split Evaluator. It is written
// from the documentation: docs.split.io/reference, "Get, partial update, kill and restore feature flag (definition) in
// environment", and the client splitio/python-api.
type standIn struct {
	mu       sync.Mutex
	d        definition
	archived bool
	served   string // by the evaluator; empty: what is so
}

func newStandIn() *standIn {
	full := 100.0
	return &standIn{d: definition{
		Killed: true, DefaultTreatment: "off", TrafficAllocation: &full,
		Treatments:  []treatment{{Name: "off", Description: "the old checkout"}, {Name: "on", Description: "the new checkout"}, {Name: "third"}},
		DefaultRule: []bucket{{"off", 100}},
	}}
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const definitionPath = "/internal/api/v2/splits/ws/ws-1/checkout/environments/production"
	w.Header().Set("Content-Type", "application/json")
	switch verb, found := strings.CutPrefix(r.URL.Path, definitionPath); {
	case r.URL.Path == "/client/get-treatment":
		s.evaluate(w, r)
		return
	case r.Header.Get("Authorization") != "Bearer "+targettest.Planted:
		http.Error(w, `{"code":401,"message":"Invalid credentials"}`, http.StatusUnauthorized)
		return
	case !found || s.archived:
		http.Error(w, `{"code":404,"message":"not found"}`, http.StatusNotFound)
		return
	case r.Method == http.MethodPut && verb == "/kill":
		s.d.Killed = true
	case r.Method == http.MethodPut && verb == "/restore":
		s.d.Killed = false
	case r.Method == http.MethodPatch && verb == "":
		if !s.patch(r) {
			http.Error(w, `{"code":400,"message":"Invalid patch"}`, http.StatusBadRequest)
			return
		}
	case r.Method != http.MethodGet || verb != "":
		http.Error(w, `{"code":405}`, http.StatusMethodNotAllowed)
		return
	}
	_ = json.NewEncoder(w).Encode(s.d)
}

func (s *standIn) patch(r *http.Request) bool {
	var operations []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if json.NewDecoder(r.Body).Decode(&operations) != nil {
		return false
	}
	next := s.d
	next.Treatments = append([]treatment{}, s.d.Treatments...)
	for _, o := range operations {
		var err error
		at, described := strings.CutPrefix(o.Path, "/treatments/")
		switch {
		case o.Path == "/defaultTreatment":
			err = json.Unmarshal(o.Value, &next.DefaultTreatment)
		case o.Path == "/defaultRule":
			next.DefaultRule = nil
			err = json.Unmarshal(o.Value, &next.DefaultRule)
		case described && strings.HasSuffix(at, "/description"):
			i, noIndex := strconv.Atoi(strings.TrimSuffix(at, "/description"))
			if noIndex != nil || i >= len(next.Treatments) {
				return false
			}
			err = json.Unmarshal(o.Value, &next.Treatments[i].Description)
		default:
			return false
		}
		if err != nil {
			return false
		}
	}
	sum := 0.0
	for _, b := range next.DefaultRule {
		if b.Size <= 0 || next.treatment(b.Treatment) < 0 {
			return false
		}
		sum += b.Size
	}
	if sum != 100 || next.treatment(next.DefaultTreatment) < 0 {
		return false
	}
	s.d = next
	return true
}

func (s *standIn) evaluate(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != evaluatorToken || r.URL.Query().Get("split-name") != "checkout" || r.URL.Query().Get("key") == "" {
		http.Error(w, `{"error":"Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	treatment := s.served
	if treatment == "" {
		treatment = "off"
		if s.share() == 100 {
			treatment = "on"
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"splitName": "checkout", "treatment": treatment})
}

func (s *standIn) share() float64 {
	if s.d.Killed {
		if s.d.DefaultTreatment == "on" {
			return 100
		}
		return 0
	}
	return s.d.size("on")
}

func (s *standIn) Share(*testing.T) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share()
}

func (s *standIn) Set(_ *testing.T, share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.d.Killed = share == 0; !s.d.Killed {
		s.d.DefaultRule = []bucket{{"on", share}, {"off", 100 - share}}
	}
}

func (s *standIn) Archive(*testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archived = true
}
