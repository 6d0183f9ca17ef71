package launchdarkly

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// standIn answers as LaunchDarkly does for one flag: Get feature flag, Update feature flag by semantic patch, and the
// service for applications' SDKs. It is written from the documentation: the reference of the API at version 20240415
// (launchdarkly/api-client-go), and the list of endpoints of the Relay Proxy (launchdarkly/ld-relay, docs/endpoints.md).
type standIn struct {
	mu       sync.Mutex
	archived bool
	on       bool
	off      int
	weights  map[string]int // of the default rule by the variation's id
	extra    map[string]any // further fields of the environment
	property []string       // the values of the custom property adg.production; nil: there is none
	comments []string
	bucketBy string
	stale    map[string]any // what applications get; nil: what is so
}

var variations = []map[string]any{
	{"_id": "id-true", "value": true}, {"_id": "id-false", "value": false}, {"_id": "id-third", "value": "third", "name": "Third"},
}

func newStandIn() *standIn {
	return &standIn{off: 1, weights: map[string]int{"id-false": 100_000}, bucketBy: "country", extra: map[string]any{}}
}

func index(id string) int {
	return slices.IndexFunc(variations, func(v map[string]any) bool { return v["_id"] == id })
}

func (s *standIn) environment() map[string]any {
	var weighted []map[string]any
	for id, weight := range s.weights {
		weighted = append(weighted, map[string]any{"variation": index(id), "weight": weight})
	}
	e := map[string]any{
		"on": s.on, "offVariation": s.off, "archived": s.archived,
		"fallthrough": map[string]any{"rollout": map[string]any{"variations": weighted, "bucketBy": s.bucketBy, "contextKind": "organization"}},
	}
	for field, value := range s.extra {
		e[field] = value
	}
	return e
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	key, path := r.Header.Get("Authorization"), r.URL.Path
	switch {
	case path == "/sdk/flags/checkout" && key == sdkKey && r.Method == http.MethodGet:
		if s.stale != nil {
			_ = json.NewEncoder(w).Encode(s.stale)
			return
		}
		_ = json.NewEncoder(w).Encode(s.environment())
	case key != token:
		http.Error(w, `{"code":"unauthorized","message":"Invalid access token"}`, http.StatusUnauthorized)
	case path != "/api/v2/flags/shop/checkout":
		http.Error(w, `{"code":"not_found","message":"Unknown flag key"}`, http.StatusNotFound)
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == semanticPatch && r.Header.Get("LD-API-Version") == "20240415":
		s.patch(w, r)
	case r.Method == http.MethodGet && r.URL.Query().Get("env") == "production":
		s.show(w)
	default:
		http.Error(w, `{"code":"invalid_request"}`, http.StatusBadRequest)
	}
}

func (s *standIn) show(w http.ResponseWriter) {
	properties := map[string]any{}
	if s.property != nil {
		properties["adg.production"] = map[string]any{"name": "adg.production", "value": s.property}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"key": "checkout", "kind": "multivariate", "archived": s.archived, "variations": variations, "customProperties": properties,
		"environments": map[string]any{"production": s.environment()},
	})
}

// patch takes all instructions or none, as is documented.
func (s *standIn) patch(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Comment        string
		EnvironmentKey string
		Instructions   []struct {
			Kind, VariationID, Key, RolloutBucketBy, RolloutContextKind string
			RolloutWeights                                              map[string]int
			Values                                                      []string
		}
	}
	next := standIn{on: s.on, off: s.off, weights: s.weights, property: s.property, bucketBy: s.bucketBy}
	bad := json.NewDecoder(r.Body).Decode(&in) != nil || in.EnvironmentKey != "production" || s.archived
	for _, i := range in.Instructions {
		switch i.Kind {
		case "turnFlagOn":
			next.on = true
		case "turnFlagOff":
			next.on = false
		case "updateOffVariation":
			next.off = index(i.VariationID)
			bad = bad || next.off < 0
		case "updateFallthroughVariationOrRollout":
			sum := 0
			for id, weight := range i.RolloutWeights {
				bad = bad || index(id) < 0
				sum += weight
			}
			bad = bad || sum != 100_000 || i.RolloutContextKind != "organization"
			next.weights, next.bucketBy = i.RolloutWeights, i.RolloutBucketBy
		case "addCustomProperties", "replaceCustomProperties":
			bad = bad || i.Key != "adg.production" || (next.property == nil) != (i.Kind == "addCustomProperties")
			next.property = i.Values
		default:
			bad = true
		}
	}
	if bad {
		http.Error(w, `{"code":"invalid_request","message":"invalid instructions"}`, http.StatusBadRequest)
		return
	}
	s.on, s.off, s.weights, s.property, s.bucketBy = next.on, next.off, next.weights, next.property, next.bucketBy
	s.comments = append(s.comments, in.Comment)
	s.show(w)
}

// Share is what the SDKs' rules of evaluation give.
func (s *standIn) Share(*testing.T) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.on && s.off == 0:
		return 100
	case !s.on:
		return 0
	}
	return float64(s.weights["id-true"]) / 1000
}

func (s *standIn) Set(_ *testing.T, share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on = share > 0; s.on {
		s.weights = map[string]int{"id-true": int(share * 1000), "id-false": 100_000 - int(share*1000)}
	}
}

func (s *standIn) Archive(*testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archived = true
}
