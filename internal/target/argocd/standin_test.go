package argocd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/notes"
	"github.com/deployguardian/adg/internal/target/targettest"
)

const image = "registry.test/shop"

// standIn answers as Argo CD does for one Application. It is written from documentation: the OpenAPI description of
// argo-cd 2.x and 3.x (assets/swagger.json), the types of argoproj.io/v1alpha1, and what server/application/application.go
// says of operations that are under way, of rollbacks while automated sync is on, and of patches.
type standIn struct {
	mu          sync.Mutex
	version     int
	annotations map[string]string
	policy      map[string]any // syncPolicy; nil: none
	owner       string
	project     string
	repo        map[string]string // images by revision
	head        string
	history     []map[string]any
	last        map[string]any // operationState
	clock       int
	pods        map[string]string // health by image; three pods each
	health      string
	slow        bool // operations stay under way
	bad         string
	refuses     map[string]bool // actions that the token may not do
	closed      bool            // a sync window forbids syncs
	effects     []targettest.Effect

	fault    int // of targettest, plus one
	wrote    bool
	quit     chan struct{}
	script   func(request int) step
	requests int
	status   int // answered to everything; 0: what is so
	before   func(r *http.Request)
}

// step is what becomes of a request.
type step int

const (
	pass step = iota
	refuse
	lose // it is done, and nobody hears of it
)

func newStandIn(t *testing.T) (*standIn, *httptest.Server) {
	t.Helper()
	s := &standIn{
		repo: map[string]string{"r1": image + ":v1", "r2": image + ":v2"}, head: "r2", project: "default",
		pods: map[string]string{image + ":v1": "Healthy"}, health: "Healthy", refuses: map[string]bool{}, quit: make(chan struct{}),
	}
	s.history = []map[string]any{{"id": 0, "revision": "r1", "source": source}}
	server := httptest.NewServer(s)
	t.Cleanup(func() { close(s.quit); server.CloseClientConnections(); server.Close() })
	return s, server
}

var source = map[string]any{"repoURL": "https://git.test/shop", "path": "deploy", "targetRevision": "main"}

func (s *standIn) open(t *testing.T, server *httptest.Server, dir string) adg.Target {
	t.Helper()
	o := Options{URL: server.URL, Application: "shop", Image: image, Options: remote.Defaults()}
	o.BearerToken = adg.NewSecret(targettest.Planted)
	target, err := open(t.Context(), o, adg.Host{Name: "shop", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(interface{ Close() error }).Close() })
	return target
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.before != nil {
		s.before(r)
	}
	s.mu.Lock()
	s.requests++
	fault, does := s.fault, pass
	if s.script != nil {
		does = s.script(s.requests)
	}
	writes := r.Method != http.MethodGet
	if fault == int(targettest.Halfway)+1 {
		switch {
		case s.wrote:
			does = refuse
		case writes:
			does, s.wrote = lose, true
		}
	}
	status := s.status
	s.mu.Unlock()
	switch {
	case fault == int(targettest.Unreachable)+1, does == refuse:
		hangUp(w)
	case fault == int(targettest.Hang)+1:
		select {
		case <-s.quit:
		case <-r.Context().Done():
		}
	case r.Header.Get("Authorization") != "Bearer "+targettest.Planted:
		fail(w, http.StatusUnauthorized, 16, "invalid session: "+r.Header.Get("Authorization"))
	case status != 0:
		w.Header().Set("Retry-After", "7")
		fail(w, status, 2, "no "+targettest.Planted)
	case writes && r.Header.Get("Content-Type") != "application/json":
		fail(w, http.StatusUnsupportedMediaType, 2, "Invalid content type")
	case fault == int(targettest.Lie)+1 && writes:
		fmt.Fprint(w, "{}")
	case does == lose:
		s.serve(httptest.NewRecorder(), r)
		hangUp(w)
	default:
		s.serve(w, r)
	}
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

func fail(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": message, "code": code, "message": message})
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		ID               *int64
		Patch, PatchType string
		Revision         string
		Infos            []info
	}
	if r.Method == http.MethodPatch || r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(w, http.StatusBadRequest, 3, err.Error())
			return
		}
	}
	allowed, isCan := strings.CutPrefix(r.URL.Path, "/api/v1/account/can-i/applications/")
	switch below := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/applications/shop"); {
	case isCan:
		action, _, _ := strings.Cut(allowed, "/")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": map[bool]string{true: "no", false: "yes"}[s.refuses[action]]})
	case below == "GET ":
		_ = json.NewEncoder(w).Encode(s.application())
	case below == "GET /resource-tree":
		_ = json.NewEncoder(w).Encode(map[string]any{"nodes": s.nodes()})
	case below == "GET /syncwindows":
		_ = json.NewEncoder(w).Encode(map[string]any{"canSync": !s.closed})
	case below == "GET /manifests":
		s.manifests(w, r.URL.Query().Get("revision"))
	case below == "PATCH ":
		if err := s.patch(in.Patch); err != nil || in.PatchType != "json" {
			fail(w, http.StatusInternalServerError, 2, fmt.Sprintf("error applying patch: %v", err))
			return
		}
		s.reconcile()
		_ = json.NewEncoder(w).Encode(s.application())
	case below == "POST /sync":
		s.operate(w, s.head, map[string]any{"sync": map[string]any{"revision": s.head}, "info": in.Infos})
	case below == "POST /rollback":
		s.rollback(w, in.ID)
	case below == "DELETE /operation":
		if s.last == nil || s.last["phase"] != "Running" {
			fail(w, http.StatusBadRequest, 3, "Unable to terminate operation. No operation is in progress")
			return
		}
		s.last["phase"], s.last["message"] = "Failed", "Operation terminated"
		s.version++
	default:
		fail(w, http.StatusNotFound, 5, "not found")
	}
}

func (s *standIn) application() map[string]any {
	metadata := map[string]any{"name": "shop", "resourceVersion": fmt.Sprint(s.version + 1000)}
	if s.annotations != nil {
		metadata["annotations"] = s.annotations
	}
	if s.owner != "" {
		metadata["ownerReferences"] = []map[string]any{{"kind": "ApplicationSet", "name": s.owner}}
	}
	spec := map[string]any{"project": s.project, "source": source}
	if s.policy != nil {
		spec["syncPolicy"] = s.policy
	}
	sync := "OutOfSync"
	if s.history[len(s.history)-1]["revision"] == s.head {
		sync = "Synced"
	}
	status := map[string]any{"history": s.history, "health": map[string]any{"status": s.health}, "sync": map[string]any{"status": sync}}
	if s.last != nil {
		status["operationState"] = s.last
	}
	return map[string]any{"metadata": metadata, "spec": spec, "status": status}
}

func (s *standIn) nodes() []map[string]any {
	nodes := []map[string]any{
		{"kind": "Deployment", "name": "shop"},
		{"kind": "Pod", "name": "migrate", "images": []string{image + ":v0"}, "parentRefs": []map[string]any{{"kind": "Job"}}, "health": map[string]any{"status": "Healthy"}},
	}
	for name, health := range s.pods {
		for i := range 3 {
			nodes = append(nodes, map[string]any{"kind": "Pod", "name": fmt.Sprintf("shop-%d", i), "images": []string{"mesh.test/proxy:1", name},
				"parentRefs": []map[string]any{{"kind": "ReplicaSet"}}, "health": map[string]any{"status": health}})
		}
	}
	return nodes
}

func (s *standIn) manifests(w http.ResponseWriter, revision string) {
	if revision == "" {
		revision = s.head
	}
	runs, found := s.repo[revision]
	if !found {
		fail(w, http.StatusBadRequest, 9, "unable to resolve revision")
		return
	}
	text, _ := json.Marshal(map[string]any{"kind": "Deployment", "spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []map[string]any{{"name": "shop", "image": runs}},
	}}}})
	_ = json.NewEncoder(w).Encode(map[string]any{"manifests": []string{string(text)}, "revision": revision})
}

// patch knows the operations and the paths that adg uses, and takes all of them or none.
func (s *standIn) patch(text string) error {
	var changes []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &changes); err != nil {
		return err
	}
	raw, _ := json.Marshal(s.application())
	var app struct {
		Metadata struct {
			ResourceVersion string
			Annotations     map[string]string
		}
		Spec struct{ SyncPolicy map[string]any }
	}
	if err := json.Unmarshal(raw, &app); err != nil {
		return err
	}
	for _, c := range changes {
		var err error
		switch note := "/metadata/annotations/" + strings.ReplaceAll(notes.Annotation, "/", "~1"); c.Op + " " + c.Path {
		case "test /metadata/resourceVersion":
			if string(c.Value) != fmt.Sprintf("%q", app.Metadata.ResourceVersion) {
				return fmt.Errorf("testing value %s failed", c.Path)
			}
		case "add /metadata/annotations":
			app.Metadata.Annotations = map[string]string{}
		case "add " + note:
			var value string
			err = json.Unmarshal(c.Value, &value)
			app.Metadata.Annotations[notes.Annotation] = value
		case "add /spec/syncPolicy":
			app.Spec.SyncPolicy = map[string]any{}
		case "add /spec/syncPolicy/automated":
			var value map[string]any
			err = json.Unmarshal(c.Value, &value)
			app.Spec.SyncPolicy["automated"] = value
		case "remove /spec/syncPolicy/automated":
			if _, there := app.Spec.SyncPolicy["automated"]; !there {
				return fmt.Errorf("remove operation does not apply: %s", c.Path)
			}
			delete(app.Spec.SyncPolicy, "automated")
		default:
			return fmt.Errorf("unexpected %s %s", c.Op, c.Path)
		}
		if err != nil {
			return err
		}
	}
	s.annotations, s.policy = app.Metadata.Annotations, app.Spec.SyncPolicy
	s.version++
	return nil
}

func (s *standIn) automated() bool { return s.policy != nil && s.policy["automated"] != nil }

// reconcile is what the controller does by itself.
func (s *standIn) reconcile() {
	if s.automated() && s.history[len(s.history)-1]["revision"] != s.head {
		s.run(s.head, map[string]any{"sync": map[string]any{"revision": s.head}})
	}
}

func (s *standIn) rollback(w http.ResponseWriter, id *int64) {
	if s.automated() {
		fail(w, http.StatusBadRequest, 9, "rollback cannot be initiated when auto-sync is enabled")
		return
	}
	i := slices.IndexFunc(s.history, func(e map[string]any) bool { return id != nil && int64(e["id"].(int)) == *id })
	if i < 0 {
		fail(w, http.StatusBadRequest, 3, "application shop does not have deployment with that id")
		return
	}
	revision := s.history[i]["revision"].(string)
	s.operate(w, revision, map[string]any{"sync": map[string]any{"revision": revision}})
}

func (s *standIn) operate(w http.ResponseWriter, revision string, operation map[string]any) {
	running := s.last != nil && s.last["phase"] == "Running"
	if running {
		fail(w, http.StatusBadRequest, 9, "another operation is already in progress")
		return
	}
	var n note
	_ = json.Unmarshal([]byte(s.annotations[notes.Annotation]), &n)
	e := targettest.Effect{OpID: n.OpID}
	if len(n.Fences) > 0 {
		e.Fence = n.Fences[0].Fence
	}
	s.effects = append(s.effects, e)
	s.run(revision, operation)
	_ = json.NewEncoder(w).Encode(s.application())
}

func (s *standIn) run(revision string, operation map[string]any) {
	s.clock++
	s.version++
	s.last = map[string]any{"phase": "Running", "startedAt": fmt.Sprintf("2026-01-01T00:00:%02dZ", s.clock), "operation": operation, "revision": revision}
	if !s.slow {
		s.complete()
	}
}

// complete ends the operation that is under way.
func (s *standIn) complete() {
	s.version++
	revision := s.last["revision"].(string)
	if s.bad == revision {
		s.last["phase"], s.last["message"] = "Failed", "one or more objects failed to apply: "+targettest.Planted
		return
	}
	s.last["phase"] = "Succeeded"
	id := s.history[len(s.history)-1]["id"].(int) + 1
	s.history = append(s.history, map[string]any{"id": id, "revision": revision, "source": source})
	s.pods = map[string]string{s.repo[revision]: "Healthy"}
}

// Shares are those of healthy pods.
func (s *standIn) Shares(*testing.T) map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	shares := map[string]float64{}
	for name := range s.pods {
		shares[strings.TrimPrefix(name, image+":")] = 100 / float64(len(s.pods))
	}
	return shares
}

func (s *standIn) Effects(*testing.T) []targettest.Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.effects)
}

func (s *standIn) Break(_ *testing.T, fault targettest.Fault) func() {
	s.with(func() { s.fault, s.wrote = int(fault)+1, false })
	return func() { s.with(func() { s.fault = 0 }) }
}

func (s *standIn) with(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
