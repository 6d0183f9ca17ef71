package httpflag

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/flag/flagtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a server with one document, and with a cache that applications read.
type shelf struct {
	mu      sync.Mutex
	doc     map[string]any // nil: archived
	version int
	cached  map[string]any // nil: the cache is up to date
	bare    bool           // no ETag
	query   string         // by which the document is told from others
	before  func()         // called once, before the next change is looked at
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+targettest.Planted {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil && r.Method != http.MethodGet {
		s.before()
		s.before = nil
	}
	etag := fmt.Sprintf(`"%d"`, s.version)
	if !s.bare {
		w.Header().Set("ETag", etag)
	}
	shown := s.doc
	switch {
	case s.doc == nil || r.URL.RawQuery != s.query:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.URL.Path == "/cache" && s.cached != nil:
		shown = s.cached
	case r.Method == http.MethodGet:
	case r.Header.Get("If-Match") != etag:
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	case r.Method == http.MethodPut && r.Header.Get("Content-Type") == "application/json":
		s.doc = map[string]any{}
		fallthrough
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == "application/merge-patch+json":
		if json.Unmarshal(body, &s.doc) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.version++
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	_ = json.NewEncoder(w).Encode(shown)
}

func (s *shelf) Share(*testing.T) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doc["enabled"] != true {
		return 0
	}
	return s.doc["percentage"].(float64)
}

func (s *shelf) Set(_ *testing.T, share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(share)
}

func (s *shelf) set(share float64) {
	s.doc["enabled"], s.doc["percentage"] = share > 0, share
	s.version++
}

func (s *shelf) Archive(*testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doc = nil
}

func fixture(t *testing.T, shape func(*Options)) (flagtest.Fixture, *shelf) {
	s := &shelf{doc: map[string]any{"enabled": false, "percentage": 0.0, "owner": "ann"}}
	w := flagtest.NewWorld(t, s, s, nil)
	return flagtest.Fixture{World: w, Open: func(t *testing.T, _ string) adg.Target {
		o := Driver.Options.(Options)
		o.URL, o.EvaluationURL, o.On, o.Off = w.URL+"/flag", w.URL+"/cache", flagtest.On, flagtest.Off
		o.BearerToken = adg.NewSecret(targettest.Planted)
		shape(&o)
		target, err := Driver.Open(t.Context(), o, adg.Host{Name: "checkout"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = target.(io.Closer).Close() })
		return target
	}}, s
}

func put(*Options) {}

func TestTheFlagInADocumentKeepsTheContract(t *testing.T) {
	for name, shape := range map[string]func(*Options){"put": put, "patch": func(o *Options) { o.Method = "patch" }} {
		t.Run(name, func(t *testing.T) {
			flagtest.Run(t, flagtest.Case{
				Fixture: func(t *testing.T) flagtest.Fixture { f, _ := fixture(t, shape); return f }, Atomic: true,
			})
		})
	}
}

func TestFieldsOfOthersStay(t *testing.T) {
	for name, shape := range map[string]func(*Options){"put": put, "patch": func(o *Options) { o.Method = "patch" }} {
		f, s := fixture(t, shape)
		if _, err := f.Open(t, "").Apply(t.Context(), targettest.Want("d/1", 1, 0.5)); err != nil {
			t.Fatal(err)
		}
		if s.doc["owner"] != "ann" || s.doc["percentage"] != 0.5 {
			t.Errorf("%s: the document is %v", name, s.doc)
		}
	}
}

func TestWhatSomebodyElseSetsBetweenReadingAndWritingIsNotOverwritten(t *testing.T) {
	for name, shape := range map[string]func(*Options){"put": put, "patch": func(o *Options) { o.Method = "patch" }} {
		f, s := fixture(t, shape)
		target := f.Open(t, "")
		if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
			t.Fatal(err)
		}
		s.before = func() { s.set(60) }
		if _, err := target.Apply(t.Context(), targettest.Want("d/2", 1, 50)); adg.CodeOf(err) != adg.Conflict {
			t.Errorf("%s: a step forward: %v", name, err)
		}
		if share := s.Share(t); share != 60 {
			t.Errorf("%s: %g %%, and somebody else has set 60 %%", name, share)
		}
	}
}

func TestARollbackIsNotDoneWhileApplicationsReadAnOldCopy(t *testing.T) {
	f, s := fixture(t, put)
	target := f.Open(t, "")
	if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
		t.Fatal(err)
	}
	s.cached = map[string]any{"enabled": true, "percentage": 25}
	seen, err := target.Apply(t.Context(), targettest.Rollback("d/2", 1))
	if share, _ := seen.Share(flagtest.On); err != nil || seen.Done || share != 0 || !strings.Contains(seen.Text, "applications still get it on for 25 %") {
		t.Errorf("%+v, %v", seen, err)
	}
	s.cached = nil
	if seen, err = target.Current(t.Context()); err != nil || !seen.Done {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestTheQueryOfTheAddressSaysWhichDocumentItIs(t *testing.T) {
	for name, method := range map[string]string{"put": methodPut, "patch": methodPatch} {
		f, s := fixture(t, func(o *Options) {
			o.Method, o.URL, o.EvaluationURL = method, o.URL+"?flag=checkout%2Fnew&v=2", o.EvaluationURL+"?flag=checkout%2Fnew&v=2"
		})
		s.query = "flag=checkout%2Fnew&v=2"
		seen, err := f.Open(t, "").Apply(t.Context(), targettest.Want("d/1", 1, 25))
		if err != nil || !seen.Done || s.Share(t) != 25 {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
	}
}

func TestAServerWithoutETagsIsRefused(t *testing.T) {
	f, s := fixture(t, put)
	s.bare = true
	_, err := f.Open(t, "").Apply(t.Context(), targettest.Want("d/1", 1, 25))
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) || !strings.Contains(err.Error(), "ETag") {
		t.Errorf("got %v", err)
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Options{URL: "flag", EvaluationURL: "ftp://" + targettest.Planted, Method: "post", EnabledField: "a", PercentageField: "a", Options: remote.Defaults()}
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"url:", "evaluation_url:", "use put or patch", "three fields", "version"} {
		if err == nil || !strings.Contains(err.Error(), part) || adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), targettest.Planted) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"enabled":true,"percentage":25,"adg":"adg:[{\"op\":\"d/1\"}]"}`))
	f.Add([]byte(`{"enabled":"yes"}`))
	f.Add([]byte(`{"enabled":true,"percentage":-1e999}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var doc document
		if json.Unmarshal(body, &doc) != nil {
			return
		}
		state, err := Driver.Options.(Options).parse(doc)
		if err == nil && !(state.Share >= 0 && state.Share <= 100) {
			t.Errorf("accepted %+v", state)
		}
	})
}
